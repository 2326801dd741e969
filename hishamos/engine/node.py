"""A step at work: its state, what it asked for, what it waits for."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from hishamos.contracts.journal import Decided, StepRow
from hishamos.engine.steptype import Answer, ChildEnd, Children, StepInputs, StepType
from hishamos.records.definitions import StepDefinition
from hishamos.records.record import Failure
from hishamos.records.runs import STEP_ENDED, StepState

if TYPE_CHECKING:
    from hishamos.contracts.models import PendingCall
    from hishamos.engine.background import Job
    from hishamos.engine.timers import Timer
    from hishamos.errors import HishamosError

PASSED = frozenset({StepState.SUCCEEDED, StepState.SKIPPED})


class Family:
    """The children of a step: which have ended, which are at work, which come next."""

    def __init__(self, children: Children, made: dict[int, StepRow]) -> None:
        self.children = children
        self.ends: list[ChildEnd | None] = [None] * children.count
        self.before = made
        """Where children stood when this process took the run, by number."""
        self.next = 0
        self.active = 0
        self.left = children.count
        self._take(range(children.count))

    def grow(self, children: Children) -> int:
        """Take more children than before, all of which have ended; returns how many there were."""
        known = len(self.ends)
        self.children = children
        self.ends += [None] * (children.count - known)
        self.left = children.count - known
        self._take(range(known, children.count))
        return known

    def _take(self, numbers: range) -> None:
        """Leave those as they are that had ended when this process took the run."""
        for index in numbers if self.before else ():
            row = self.before.get(index)
            if row is not None and self.stays(row):
                self.ends[index] = ChildEnd(row.state, row.output, row.error)
                self.left -= 1

    def stays(self, row: StepRow) -> bool:
        """Whether a child that has ended is left as it is."""
        return row.state in PASSED or (self.children.lenient and row.state in {StepState.FAILED, StepState.TIMED_OUT})

    def ended(self, index: int, end: ChildEnd) -> None:
        """Note a child's end."""
        self.ends[index] = ChildEnd(end.state) if self.children.lenient else end
        self.active -= 1
        self.left -= 1

    def following(self) -> int | None:
        """Return the number of the next child to start, if there is room for one."""
        while self.next < self.children.count and self.ends[self.next] is not None:
            self.next += 1
        if self.next >= self.children.count or self.active >= self.children.concurrency:
            return None
        self.next += 1
        self.active += 1
        return self.next - 1


class Node:
    """One step of the run, or one child of a step."""

    __slots__ = (
        "answers", "asked", "attempt", "awaited", "calls", "decided", "definition", "ends", "error", "family", "finished_at", "first", "input_hash",
        "inputs", "item", "jobs", "kind", "memory", "model", "names", "not_judged", "output", "parent", "path", "person", "position",
        "quiet", "reused", "shown", "started_at", "state", "stops", "timer", "written",
    )  # fmt: skip

    def __init__(
        self,
        path: str,
        position: str,
        definition: StepDefinition,
        kind: StepType[Any],
        *,
        parent: Node | None = None,
        item: int | None = None,
        names: Mapping[str, Any] | None = None,
        quiet: bool = False,
    ) -> None:
        self.path, self.position, self.definition, self.kind = path, position, definition, kind
        self.parent, self.item, self.names, self.quiet = parent, item, names or {}, quiet
        self.state = StepState.PENDING
        self.attempt = self.first = 1
        self.decided: Decided | None = None
        self.started_at: datetime | None = None
        self.written = (0, 0)
        """The attempt that was last given to the journal, and the number of the batch that held it first."""
        self.begin_anew()

    def begin_anew(self) -> None:
        """Forget what the attempt before asked for and got."""
        self.inputs: StepInputs | None = None
        self.input_hash: str | None = None
        self.shown: Any = None
        self.answers: dict[str, Answer[Any]] = {}
        self.asked = 0
        self.calls: list[PendingCall] = []
        self.jobs: list[Job] = []
        self.stops: list[Callable[[], None]] = []
        self.awaited = 0
        self.family: Family | None = None
        self.memory: dict[str, Any] = {}
        self.output: Any = None
        self.error: Failure | None = None
        self.model: str | None = None
        self.not_judged: tuple[str, ...] = ()
        self.reused = False
        self.person: str | None = None
        self.timer: Timer | None = None
        self.ends: tuple[float, HishamosError] | None = None
        """When, in the timers' time, the attempt fails, and with what."""
        self.finished_at: datetime | None = None

    def open_next(self, *, series: bool) -> None:
        """Open the next attempt; ``series``: its tries are counted from it."""
        self.attempt += 1
        if series:
            self.first = self.attempt
        self.state = StepState.PENDING
        self.decided = None
        self.started_at = None
        self.begin_anew()

    def restore(self, row: StepRow, *, stays: bool) -> None:
        """Stand where the journal says; a step that failed or was cancelled opens its next attempt unless it ``stays``."""
        self.attempt, self.first, self.state, self.decided = row.attempt, row.first, row.state, row.decided
        self.output, self.error, self.model, self.reused, self.not_judged = row.output, row.error, row.model, row.reused, row.not_judged
        self.started_at, self.finished_at, self.input_hash = row.started_at, row.finished_at, row.input_hash
        self.written = (row.attempt, -1)
        if row.state in STEP_ENDED and not stays:
            self.open_next(series=True)
        elif row.state not in STEP_ENDED:
            self.state = StepState.PENDING

    @property
    def ended(self) -> bool:
        """Whether the step has reached its final state."""
        return self.state in STEP_ENDED

    @property
    def limit_s(self) -> float | None:
        """The declared time limit in seconds."""
        return self.definition.timeout

    def row(self, batch: int) -> StepRow:
        """Return the step as the journal keeps it; ``batch``: the number of the batch that it goes into."""
        if self.written[0] != self.attempt:
            self.written = (self.attempt, batch)
        return StepRow(
            path=self.path,
            attempt=self.attempt,
            position=self.position,
            type=self.definition.type,
            state=self.state,
            parent=self.parent.path if self.parent else None,
            item=self.item,
            first=self.first,
            input_hash=self.input_hash,
            inputs=self.shown,
            output=self.output,
            error=self.error,
            waiting_for=self.person,
            model=self.model,
            reused=self.reused,
            not_judged=self.not_judged,
            started_at=self.started_at,
            finished_at=self.finished_at,
            known=self.written[1] < batch,
        )

    def child_ends(self) -> Sequence[ChildEnd] | None:
        """Return how the children ended, once all have."""
        if self.family is None or self.family.left:
            return None
        return [end for end in self.family.ends if end is not None]


def by_parent(rows: Sequence[StepRow]) -> dict[str | None, list[StepRow]]:
    """Return the rows grouped by their parent's path."""
    grouped: dict[str | None, list[StepRow]] = {}
    for row in rows:
        grouped.setdefault(row.parent, []).append(row)
    return grouped
