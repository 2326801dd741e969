"""Commands, agents and workflows: the workspace's own before the library's, each resolved when it is loaded."""

from __future__ import annotations

import functools
import re
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any, Generic, TypeVar

from hishamos.contracts.journal import Pinned
from hishamos.engine.checking import agent_problems, command_problems, pinned, workflow_problems
from hishamos.engine.steptype import Problem
from hishamos.errors import InvalidDefinition, UnknownName
from hishamos.records.checks import CheckedDefinition, DefinitionKind, DefinitionText, Mistake, StoredDefinition
from hishamos.records.definitions import AgentDefinition, CommandDefinition, Definition, WorkflowDefinition
from hishamos.records.mcp import McpSettings, ServerTool
from hishamos.records.record import content_hash
from hishamos.services.approved_tools import approved_tool
from hishamos.services.reading import Made, Source, refusal

D = TypeVar("D", bound=Definition)
_NAME = re.compile(r"^name:\s*[\"']?([A-Za-z][\w.-]*)", re.MULTILINE)
RECORDS: dict[DefinitionKind, type[Definition]] = {"command": CommandDefinition, "agent": AgentDefinition, "workflow": WorkflowDefinition}
TELLS: dict[str, DefinitionKind] = {"steps": "workflow", "template": "command", "instructions": "agent"}
"""What only one kind of definition has."""


@dataclass
class _Entry:
    """One file: what it defines, or why it can't."""

    name: str
    file: str
    own: bool
    source: Source | Made | None = None
    definition: Definition | None = None
    error: InvalidDefinition | None = None
    resolved: bool = False

    @classmethod
    def of(cls, kind: DefinitionKind, text: str, file: str, *, own: bool = True) -> _Entry:
        """Read a definition's text."""
        found = _NAME.search(text)
        entry = cls(found[1] if found else Path(file).stem, file, own)
        try:
            source = Source(text, file)
            definition, mistakes = source.read(RECORDS[kind], source=file if own else "library")
        except InvalidDefinition as error:
            entry.error = error
            return entry
        entry.source, entry.definition = source, definition
        entry.name = definition.name if definition is not None else entry.name
        entry.error = refusal(mistakes) if mistakes else None
        return entry


@dataclass
class _Shelf(Generic[D]):
    """All definitions of one kind."""

    kind: DefinitionKind
    entries: dict[str, _Entry] = field(default_factory=dict)


class Catalog:
    """The definitions of a workspace. Files that change are read again; a broken one breaks no other."""

    def __init__(self, root: Path, servers: Callable[[], Mapping[str, McpSettings]] = dict) -> None:
        self.root = self._root = root
        self._servers = servers
        self.writing = threading.Lock()
        """Held by whoever changes the workspace's files."""
        self._lock = threading.RLock()
        self._stamp: Any = None
        self._shelves: dict[DefinitionKind, _Shelf[Any]] = {}
        self._fixed = False
        """Whether it stays as it is whatever happens to the files."""

    def commands(self) -> list[CommandDefinition]:
        """Return all commands that can run, the workspace's own first, by name."""
        return self._all("command")

    def command(self, name: str) -> CommandDefinition:
        """Return one command; raises ``UnknownName`` or, for a broken one, ``InvalidDefinition``."""
        found: CommandDefinition = self._get("command", name)
        return found

    def agents(self) -> list[AgentDefinition]:
        """Return all agents that can work, the workspace's own first, by name."""
        return self._all("agent")

    def agent(self, name: str) -> AgentDefinition:
        """Return one agent; raises as :meth:`command`."""
        found: AgentDefinition = self._get("agent", name)
        return found

    def workflows(self) -> list[WorkflowDefinition]:
        """Return all workflows that can run, the workspace's own first, by name."""
        return self._all("workflow")

    def workflow(self, name: str) -> WorkflowDefinition:
        """Return one workflow; raises as :meth:`command`."""
        found: WorkflowDefinition = self._get("workflow", name)
        return found

    def server_tool(self, reference: str) -> ServerTool:
        """Return an approved tool of an MCP server; nothing is started for it."""
        return approved_tool(reference, self._servers())

    def pin(self, workflow: WorkflowDefinition) -> Pinned:
        """Return the workflow with all definitions it names, as they are now."""
        return pinned(workflow, self)

    def check(self, texts: Sequence[DefinitionText]) -> list[CheckedDefinition]:
        """Return what is wrong with each of some texts; they may name one another, and what the workspace has."""
        known = [(kind, _Entry.of(kind, one.text, one.file)) if (kind := _kind_of(one)) else None for one in texts]
        view = self._over([one for one in known if one is not None])
        return [_unknown_kind(text) if one is None else view._checked(*one) for one, text in zip(known, texts, strict=True)]

    def accepted(self, kind: DefinitionKind, given: str | Definition, file: str = "<text>") -> tuple[Any, Catalog]:
        """Return a definition (YAML, or an object) that can be used, with this catalog as it would be with it; raises :class:`InvalidDefinition`."""
        entry = _Entry.of(kind, given, file) if isinstance(given, str) else _Entry(given.name, "", True, Made(kind, given), given)
        view = self._over([(kind, entry)])
        view._resolve(kind, entry)
        if entry.error is not None:
            raise entry.error
        return entry.definition, view

    def own(self, kind: DefinitionKind, name: str) -> tuple[str, str] | None:
        """Return the file, relative to the workspace, that defines a name, and its version: of a broken one, its text's hash. None without one."""
        with self._lock:
            self._refresh()
            entry = self._shelves[kind].entries.get(name)
            if entry is None or not entry.own:
                return None
            return entry.file, self._version(entry)

    def text(self, kind: DefinitionKind, name: str) -> StoredDefinition:
        """Return a definition as it was written, also one with mistakes; raises ``UnknownName``."""
        with self._lock:
            entry = self._known(kind, name)
            text = entry.source.text if isinstance(entry.source, Source) else self._as_it_stands(entry)
            return StoredDefinition(kind=kind, name=name, file=entry.file, text=text, version=self._version(entry) if entry.own else None)

    def _version(self, entry: _Entry) -> str:
        return entry.definition.version if entry.definition else content_hash(self._as_it_stands(entry), 12)

    def _as_it_stands(self, entry: _Entry) -> str:
        return (self._root / entry.file).read_text("utf-8", "replace")

    def definer(self, kind: DefinitionKind, file: str) -> str | None:
        """Return the name that a file of the workspace defines; None for a file that is not there."""
        with self._lock:
            self._refresh()
            return next((entry.name for entry in self._shelves[kind].entries.values() if entry.own and entry.file == file), None)

    def _over(self, added: Sequence[tuple[DefinitionKind, _Entry]]) -> Catalog:
        """Return this catalog as it is now, with other definitions laid over its own."""
        view = Catalog(self.root, self._servers)
        view._fixed = True
        with self._lock:
            self._refresh()
            for kind, shelf in self._shelves.items():
                fresh = {name: replace(one, resolved=False, error=None if one.resolved else one.error) for name, one in shelf.entries.items()}
                view._shelves[kind] = _Shelf(kind, fresh)
        seen: dict[tuple[str, str], str] = {}
        for kind, entry in added:
            if (kind, entry.name) in seen and entry.error is None:
                entry.error = _twice(entry, seen[kind, entry.name])
            else:
                view._shelves[kind].entries[entry.name] = entry
            seen.setdefault((kind, entry.name), entry.file)
        return view

    def _checked(self, kind: DefinitionKind, entry: _Entry) -> CheckedDefinition:
        with self._lock:
            self._resolve(kind, entry)
        if entry.error is not None:
            mistakes = tuple(Mistake(**one) for one in entry.error.mistakes)
            return CheckedDefinition(file=entry.file, kind=kind, name=entry.name, mistakes=mistakes)
        assert entry.definition is not None
        return CheckedDefinition(file=entry.file, kind=kind, name=entry.name, version=entry.definition.version)

    def broken(self, kind: DefinitionKind) -> list[CheckedDefinition]:
        """Return the workspace's own definitions of a kind that can't be used, by name."""
        with self._lock:
            self._refresh()
            checked = [self._checked(kind, entry) for _, entry in sorted(self._shelves[kind].entries.items()) if entry.own]
        return [one for one in checked if one.mistakes]

    def problems(self) -> list[InvalidDefinition]:
        """Return what is wrong with the workspace's definitions, one error a file."""
        found = []
        with self._lock:
            self._refresh()
            for shelf in self._shelves.values():
                for entry in shelf.entries.values():
                    self._resolve(shelf.kind, entry)
                    if entry.error is not None:
                        found.append(entry.error)
        return found

    def _all(self, kind: DefinitionKind) -> list[Any]:
        with self._lock:
            self._refresh()
            entries = sorted(self._shelves[kind].entries.values(), key=lambda entry: (not entry.own, entry.name))
            for entry in entries:
                self._resolve(kind, entry)
            return [entry.definition for entry in entries if entry.error is None]

    def _known(self, kind: DefinitionKind, name: str) -> _Entry:
        self._refresh()
        entries = self._shelves[kind].entries
        if name not in entries:
            raise UnknownName.among(kind, name, list(entries))
        return entries[name]

    def _get(self, kind: DefinitionKind, name: str) -> Any:
        with self._lock:
            entry = self._known(kind, name)
            self._resolve(kind, entry)
            if entry.error is not None:
                raise entry.error
            return entry.definition

    def _resolve(self, kind: DefinitionKind, entry: _Entry) -> None:
        if entry.resolved or entry.error is not None:
            return
        entry.resolved = True  # before the look-ups: a command and its agent may name each other
        assert entry.source is not None
        mistakes = entry.source.mistakes(self._problems_of(kind, entry.definition))
        if mistakes:
            entry.error = refusal(mistakes)

    def _problems_of(self, kind: DefinitionKind, definition: Any) -> list[Problem]:
        if kind == "command":
            return command_problems(definition, self)
        return agent_problems(definition, self) if kind == "agent" else workflow_problems(definition, self)

    def _refresh(self) -> None:
        """Read the workspace's files again when one of them changed."""
        if self._fixed:
            return
        files = {kind: list(self._own_files(kind)) for kind in RECORDS}
        stamp = dict(self._servers()), [(str(path), path.stat().st_mtime_ns, path.stat().st_size) for paths in files.values() for path in paths]
        if stamp == self._stamp:
            return
        shelves = {}
        for kind in RECORDS:
            shelf: _Shelf[Any] = _Shelf(kind)
            for shipped in library(kind):
                shelf.entries[shipped.name] = _Entry(shipped.name, shipped.file, False, shipped.source, shipped.definition, shipped.error)
            for path in files[kind]:
                entry = _read(kind, path.read_text, str(path.relative_to(self._root)), own=True)
                before = shelf.entries.get(entry.name)
                if before is not None and before.own:
                    entry.error = _twice(entry, before.file)
                shelf.entries[entry.name] = entry
            shelves[kind] = shelf
        self._shelves, self._stamp = shelves, stamp

    def _own_files(self, kind: DefinitionKind) -> Iterator[Path]:
        folder = self._root / f"{kind}s"
        if folder.is_dir():
            yield from sorted(path for path in folder.iterdir() if path.suffix in {".yaml", ".yml"} and path.is_file())


@functools.cache
def library(kind: DefinitionKind) -> tuple[_Entry, ...]:
    """Return what HishamOS ships of a kind, read once in a process: a twentieth of a second for all kinds, which every workspace would spend anew."""
    folder: Traversable = resources.files("hishamos.library") / f"{kind}s"
    files = sorted((file for file in folder.iterdir() if file.name.endswith(".yaml")), key=lambda file: file.name) if folder.is_dir() else []
    return tuple(_read(kind, file.read_text, f"library/{kind}s/{file.name}", own=False) for file in files)


def _read(kind: DefinitionKind, read: Callable[..., str], file: str, *, own: bool) -> _Entry:
    try:
        text = read(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        entry = _Entry(Path(file).stem, file, own)
        entry.error = refusal([Mistake(file=file, problem=f"the file can't be read: {error}", next="Save it as UTF-8 text.")])
        return entry
    return _Entry.of(kind, text, file, own=own)


def _twice(entry: _Entry, other: str) -> InvalidDefinition:
    return refusal([Mistake(file=entry.file, problem=f"the name {entry.name!r} is also used by {other}", next="Rename one.")])


def _kind_of(one: DefinitionText) -> DefinitionKind | None:
    folders = {f"{kind}s": kind for kind in RECORDS}
    found = one.kind or folders.get(Path(one.file).parent.name)
    if found is None:
        told = [kind for key, kind in TELLS.items() if re.search(rf"^{key}\s*:", one.text, re.MULTILINE)]
        found = told[0] if len(told) == 1 else None
    return found


def _unknown_kind(one: DefinitionText) -> CheckedDefinition:
    following = "A workflow has steps, a command a template, an agent instructions; or put it into workflows/, commands/ or agents/."
    return CheckedDefinition(file=one.file, mistakes=(Mistake(file=one.file, line=1, problem="it can't be told what this defines", next=following),))
