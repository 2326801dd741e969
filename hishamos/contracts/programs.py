"""Programs as the engine sees them: prepared, run once, stopped from any thread."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol


@dataclass(frozen=True, slots=True)
class ProgramEnd:
    """How a program ended: with a code (below 0: the signal that ended it), with a problem, or ``stopped`` by us."""

    code: int | None = None
    stdout: str = ""
    stderr: str = ""
    problem: str | None = None
    stopped: bool = False


class PreparedProgram(Protocol):
    """A program that can be run once."""

    def run(self) -> ProgramEnd:
        """Run it to its end; blocks."""
        ...

    def stop(self) -> None:
        """End it and everything that it started, also before it began; from any thread."""
        ...


class PreparePrograms(Protocol):
    """Prepares programs (``hishamos.kernels``)."""

    def __call__(self, name: str, arguments: Sequence[str], *, folder: Path, stdin: str | None, limit: int, memory: int) -> PreparedProgram:
        """Return a program. ``limit``: most bytes of each output; ``memory``: bytes for each of its processes."""
        ...
