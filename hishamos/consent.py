"""What a user approved of MCP servers: a file of the user's, outside of every workspace."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from hishamos.errors import InvalidSettings
from hishamos.records.mcp import McpSettings, ServerTool
from hishamos.records.record import Record

FILE = "mcp.json"


class _Approval(Record):
    """One server: how it was declared, and its tools then."""

    declaration: str
    tools: tuple[ServerTool, ...]


class Consent:
    """The approved servers of each workspace. ``folder``: the user's own configuration."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / FILE

    def approved(self, root: Path, servers: Mapping[str, McpSettings]) -> dict[str, McpSettings]:
        """Return the servers of a workspace with what was approved of them as they are declared now."""
        known = self._read().get(str(root.resolve()), {}) if servers else {}
        found = {}
        for name, server in servers.items():
            approval = known.get(name)
            same = approval is not None and approval.declaration == server.declaration
            found[name] = server.model_copy(update={"approved": approval.tools if approval is not None and same else None})
        return found

    def approve(self, root: Path, server: McpSettings, tools: Sequence[ServerTool]) -> None:
        """Approve a server with the tools that it has."""
        self._change(root, server.name, _Approval(declaration=server.declaration, tools=tuple(tools)))

    def withdraw(self, root: Path, name: str) -> None:
        """Approve a server no longer."""
        self._change(root, name, None)

    def _change(self, root: Path, name: str, approval: _Approval | None) -> None:
        whole = self._read()
        mine = whole.setdefault(str(root.resolve()), {})
        mine.pop(name, None)
        if approval is not None:
            mine[name] = approval
        plain = {place: {one: kept.model_dump(mode="json") for one, kept in servers.items()} for place, servers in whole.items()}
        self.file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft = self.file.with_suffix(".draft")
        draft.touch(mode=0o600)
        draft.write_text(json.dumps(plain, indent=2) + "\n", encoding="utf-8")
        draft.replace(self.file)

    def _read(self) -> dict[str, dict[str, _Approval]]:
        try:
            found = json.loads(self.file.read_text(encoding="utf-8"))
            return {place: {name: _Approval.model_validate(one) for name, one in servers.items()} for place, servers in found.items()}
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, AttributeError):
            pass
        raise InvalidSettings(problem="the list of approved MCP servers can't be read", where=str(self.file), next="Mend or remove that file.", line=None)
