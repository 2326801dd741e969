"""Functions that are not the library's as the engine sees them: called in a process of their own, stopped from any thread."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from hishamos.errors import HishamosError

AT_ONCE = 8
"""So many of these calls are at work at once in a process of HishamOS, and so many child processes it has at most."""


@dataclass(frozen=True, slots=True)
class CodeCall:
    """One call of a function."""

    step: str
    """The path of the step that makes it."""
    function: str
    """As the definition names it."""
    module: str
    attribute: str
    arguments: Mapping[str, Any]
    """Plain data."""
    stamp: str
    """What changes when the source does from which the module is loaded."""


@dataclass(frozen=True, slots=True)
class CodeEnd:
    """How a call ended: with what the function returned, with an error, ``stopped`` by us, or not begun: ``parked`` says why nobody can make it."""

    value: Any = None
    error: HishamosError | None = None
    stopped: bool = False
    parked: str | None = None


class PreparedCode(Protocol):
    """A call that can be made once."""

    def run(self) -> CodeEnd:
        """Make it; blocks."""
        ...

    def stop(self) -> None:
        """End its process and everything that it started, also before it began; from any thread."""
        ...


class PrepareCode(Protocol):
    """Prepares calls (``hishamos.kernels``)."""

    def __call__(self, call: CodeCall, workspace: Callable[[], Any]) -> PreparedCode:
        """Return a call. ``workspace``: makes the run's workspace, for a function that wants one."""
        ...


class PrepareCallBack(Protocol):
    """Prepares calls in the process that registered a function (``hishamos.kernels``)."""

    def __call__(self, run: str, desk: str, call: CodeCall, workspace: Callable[[], Any]) -> PreparedCode:
        """Return a call. ``desk``: where the run was started."""
        ...
