"""Notebooks as the engine sees them: prepared, executed once in a process of their own, stopped from any thread."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from hishamos.errors import HishamosError
from hishamos.records.runs import Run

NOTEBOOKS_AT_ONCE = 64
"""So many notebooks are at work at once in a process of HishamOS; the others wait their turn."""


@dataclass(frozen=True, slots=True)
class NotebookCall:
    """One execution of a notebook."""

    run: Run
    step: str
    """The path of the step that it is for: what the notebook asks models counts for it."""
    attempt: int
    """Of that step: calls that the notebook makes are found again when the same attempt is begun anew."""
    notebook: Path
    parameters: Mapping[str, Any]
    output: Path
    """Where the executed notebook goes."""
    timeout_s: float
    """Seconds for the whole notebook."""
    reuse: bool = False
    """Whether a kernel may be used that has executed another notebook."""
    kernel: str | None = None
    """The kernel's name; left out, the notebook's own."""


@dataclass(frozen=True, slots=True)
class NotebookEnd:
    """How an execution ended: executed in ``seconds``, with an error, or ``stopped`` by us."""

    seconds: float = 0.0
    result: dict[str, Any] | None = None
    """What it gave back by ``hishamos.result``; None where it did not."""
    error: HishamosError | None = None
    stopped: bool = False


class PreparedNotebook(Protocol):
    """An execution that can be made once."""

    def run(self) -> NotebookEnd:
        """Execute the notebook; blocks."""
        ...

    def stop(self) -> None:
        """End the notebook and everything that it started, also before it began; from any thread."""
        ...


class PrepareNotebook(Protocol):
    """Prepares executions (``hishamos.kernels``)."""

    def __call__(self, call: NotebookCall) -> PreparedNotebook:
        """Return an execution."""
        ...
