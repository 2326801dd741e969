"""What steps may reach outside of the workspace: the hosts, programs and variables that ``[allow]`` in ``hishamos.toml`` names."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from hishamos.contracts.code import CodeCall, PrepareCallBack, PrepareCode
from hishamos.contracts.mcp import CallServerTool, no_servers
from hishamos.contracts.programs import PreparePrograms
from hishamos.errors import InvalidInput, NotOnList
from hishamos.records.configuration import AllowSettings, Settings, is_local, origin

ADDRESS = re.compile(r"https?://[^/?#]+", re.IGNORECASE)
UNCLEAN = re.compile(r"[\x00-\x20\x7f\\]")
"""What readers of addresses disagree about."""


def no_code(call: CodeCall, workspace: Callable[[], Any]) -> Any:  # noqa: ARG001 - nothing is called
    """Refuse to call a function that is not the library's."""
    raise InvalidInput(what=f"no child processes are at hand, and {call.function} needs one", where=call.step, next="Run it in a workspace.")


def nobody(run: str, desk: str, call: CodeCall, workspace: Callable[[], Any]) -> Any:  # noqa: ARG001 - nothing is called
    """Refuse to call a function back."""
    return no_code(call, workspace)


@dataclass(frozen=True)
class Outside:
    """The port to what lies outside. ``settings``: those in force. ``variable``: a variable's value, None without one; raises where it is withheld.
    ``program``: prepares a program; ``code``: a call of a function that is not the library's; ``call_back``: of one in the process that started
    the run. ``server``: calls a tool of an MCP server.
    """

    settings: Callable[[], Settings]
    variable: Callable[[str], str | None]
    program: PreparePrograms
    code: PrepareCode = no_code
    call_back: PrepareCallBack = nobody
    server: CallServerTool = no_servers

    @property
    def allow(self) -> AllowSettings:
        """The lists in force."""
        return self.settings().allow

    def check_host(self, url: str) -> str:
        """Return the origin of a URL whose host is on the list, spelt in the one way that is compared; raises :class:`NotOnList` otherwise."""
        start = ADDRESS.match(url)
        found = origin(start[0]) if start and not UNCLEAN.search(url) else None
        if found is None:
            raise InvalidInput(what=f"{url[:200]!r} is no plain web address", where="an http step's url", next="Write https://host/path, without a user in it.")
        if found not in {one for entry in self.allow.hosts for one in origins(entry)}:
            scheme, _, place = found.partition("://")
            raise self.refusal("hosts", found, found if scheme == "http" and not is_local(place) else place)
        return found

    def secret(self, name: str) -> str:
        """Return a variable's value for a request; raises unless it is on the list and has a value."""
        if name not in self.allow.variables:
            raise self.refusal("variables", f"the variable {name}", name)
        value = self.variable(name)
        if not value:
            raise InvalidInput(what=f"the variable {name} has no value here", where="an http step's headers", next=f"Set {name} where you start the run.")
        return value

    def refusal(self, key: str, what: str, entry: str) -> NotOnList:
        """Return the error for what is not on a list, with the line to add."""
        settings = self.settings()
        listed = [*getattr(settings.allow, key), entry]
        line = f"{key} = [{', '.join(_quoted(one) for one in listed)}]"
        return NotOnList(what=what, file=settings.file or f"{settings.root}/hishamos.toml", line=line)


def nothing_outside(settings: Callable[[], Settings] = lambda: Settings(root=".")) -> Outside:
    """Return a port that leads nowhere; it knows the lists of ``settings``."""

    def none(name: str, *_: Any, **__: Any) -> Any:
        raise InvalidInput(what=f"no programs are run here, and {name} is one", where="a shell step", next="Run it in a workspace.")

    return Outside(settings, lambda _: None, none)


def origins(entry: str) -> set[str]:
    """Return the origins that an entry of ``hosts`` stands for: https, and plain http where it says so or names this machine."""
    schemes = [""] if "://" in entry else ["https://", "http://"] if is_local(entry) else ["https://"]
    return {one for one in (origin(scheme + entry) for scheme in schemes) if one is not None}


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
