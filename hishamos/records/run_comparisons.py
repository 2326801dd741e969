"""Two runs side by side: what they were made with, what came out, what they cost."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any, Literal

from pydantic import PrivateAttr

from hishamos.records.record import Record, usd
from hishamos.records.runs import RUN_ENDED, RunKind, RunState, StepState


class Difference(Record):
    """One place at which two pieces of plain data differ."""

    place: str
    """``top[0].reason``; empty for the whole."""
    change: Literal["changed", "added", "gone"]
    before: Any = None
    after: Any = None


class FileChange(Record):
    """A file that a run was given and that is not what it was."""

    name: str
    """The input's name, or ``notebook``."""
    path: str
    before: str
    """SHA-256."""
    after: str | None
    """SHA-256; None for a file that is gone."""


class DefinitionChange(Record):
    """A definition whose version differs."""

    kind: Literal["workflow", "command", "agent"]
    name: str
    before: str | None
    after: str | None


class PriceChange(Record):
    """What a kind of token of a model cost, USD per million."""

    model: str
    kind: str
    """``input``, ``output``, ``cached_input`` …"""
    before: Decimal | None
    after: Decimal | None


class ComparedRun(Record):
    """One of two runs."""

    id: str
    name: str
    kind: RunKind
    state: RunState
    where: str
    error: str | None = None
    outputs: Any = None
    models: tuple[str, ...] = ()
    """Those that served, by name."""
    cost_nanos: int = 0
    unpriced: int = 0
    calls: int = 0
    attempts: int = 0
    cached: int = 0
    """Answers given again by the cache, for nothing."""
    offline: bool = False
    seconds: float | None = None
    """From start to end; None while it has not ended."""

    @property
    def ended(self) -> bool:
        """Whether it has reached a final state."""
        return self.state in RUN_ENDED

    @property
    def cost_usd(self) -> Decimal:
        """What it cost in USD, exact; unpriced attempts are not in it."""
        return usd(self.cost_nanos) or Decimal(0)


class ComparedStep(Record):
    """A step of the graph in both runs; a side that has not begun it has no state."""

    path: str
    same: bool
    """Whether both gave the same, ids that each run makes anew left aside."""
    state_before: StepState | None = None
    state_after: StepState | None = None
    model_before: str | None = None
    model_after: str | None = None
    cost_before: int | None = 0
    """Nano-dollars; None where an attempt is unpriced."""
    cost_after: int | None = 0
    seconds_before: float | None = None
    seconds_after: float | None = None


class RunComparison(Record):
    """How a run compares with another one, mostly one that it repeats. What is known before it begins is there from the start."""

    before: ComparedRun
    after: ComparedRun
    repeats: bool = False
    """Whether the later one repeats the earlier one."""
    inputs: tuple[Difference, ...] = ()
    files: tuple[FileChange, ...] = ()
    definitions: tuple[DefinitionChange, ...] = ()
    prices: tuple[PriceChange, ...] = ()
    steps: tuple[ComparedStep, ...] = ()
    outputs: tuple[Difference, ...] = ()
    """The first of them; of a map, in its rows."""
    differing: int = 0
    """How many places of the outputs differ, all together."""
    identical: bool = False
    """Whether the outputs are equal byte by byte, as canonical JSON."""
    renamed: tuple[tuple[str, str], ...] = ()
    """Ids that each run makes anew (its own, its results'), before and after, where the outputs hold them: no difference."""

    _waiter: Callable[[str, float | None], RunComparison] | None = PrivateAttr(None)

    @property
    def id(self) -> str:
        """The later run's id."""
        return self.after.id

    @property
    def ended(self) -> bool:
        """Whether both runs have ended, so that nothing changes any more."""
        return self.before.ended and self.after.ended

    @property
    def same(self) -> bool:
        """Whether both ended alike and gave the same, ids that each run makes anew left aside."""
        return self.ended and self.before.state == self.after.state and not self.differing

    def wait(self, timeout_s: float | None = None) -> RunComparison:
        """Wait until the later run has ended or waits for a person, and return how it then compares.

        In a notebook a live card shows the progress. An interrupt only detaches. ``timeout_s``: seconds; None waits without limit.
        """
        if self._waiter is None:
            raise RuntimeError("this record is not bound to a workspace; use ws.runs.wait(run) and ws.runs.compare(run)")
        return self._waiter(self.after.id, timeout_s)
