"""Runs, their steps and events. The tables of permitted changes of state are data; anything else raises."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, Literal

from pydantic import PrivateAttr

from hishamos.records.origins import Origin
from hishamos.records.record import Failure, Record, usd


class RunState(StrEnum):
    """Where a run stands."""

    QUEUED = "queued"
    RUNNING = "running"
    PAUSED = "paused"
    WAITING = "waiting"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"


class StepState(StrEnum):
    """Where a step stands."""

    PENDING = "pending"
    RUNNING = "running"
    WAITING = "waiting"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    TIMED_OUT = "timed_out"
    SKIPPED = "skipped"
    CANCELLED = "cancelled"


RUN_ENDED = frozenset({RunState.SUCCEEDED, RunState.FAILED, RunState.CANCELLED})
STEP_ENDED = frozenset({StepState.SUCCEEDED, StepState.FAILED, StepState.TIMED_OUT, StepState.SKIPPED, StepState.CANCELLED})

RUN_CHANGES: dict[RunState, frozenset[RunState]] = {
    RunState.QUEUED: frozenset({RunState.RUNNING, RunState.PAUSED, RunState.CANCELLED}),
    RunState.RUNNING: frozenset({RunState.PAUSED, RunState.WAITING, RunState.QUEUED, RunState.SUCCEEDED, RunState.FAILED, RunState.CANCELLED}),
    RunState.PAUSED: frozenset({RunState.RUNNING, RunState.QUEUED, RunState.CANCELLED}),
    RunState.WAITING: frozenset({RunState.RUNNING, RunState.QUEUED, RunState.PAUSED, RunState.CANCELLED, RunState.FAILED}),
    RunState.SUCCEEDED: frozenset(),
    RunState.FAILED: frozenset({RunState.QUEUED}),
    RunState.CANCELLED: frozenset({RunState.QUEUED}),
}
"""A failed or cancelled run is queued again by ``resume``; a run whose server died goes from running to queued."""


EVENT_NAME = r"^[A-Za-z][A-Za-z0-9_.:-]{0,99}$"
"""What an event that a run waits for may be called."""


class RunKind(StrEnum):
    """What started the run."""

    WORKFLOW = "workflow"
    MAP = "map"
    BATCH = "batch"


RunGroup = Literal["state", "kind", "name", "project", "user"]
"""What runs are counted by."""


class Run(Record):
    """One execution of a workflow, a map or a batch."""

    id: str
    kind: RunKind = RunKind.WORKFLOW
    name: str
    """The workflow's, command's or notebook's name."""
    version: str
    """Hash of the pinned definition."""
    state: RunState
    inputs: dict[str, Any] = {}
    outputs: Any = None
    error: Failure | None = None
    model: str | None = None
    """The model, route or policy that the starter asked for, if any."""
    project: str | None = None
    parent: str | None = None
    """The run whose step started this one, if any."""
    user_name: str | None = None
    key_prefix: str | None = None
    """The API key that it was started with: all its calls count for that key's budgets, whoever works on it."""
    origin: Origin | None = None
    """The notebook, cell and commit that it was started from, if a notebook did, and the tags that it was given; its calls carry it."""
    repeats: str | None = None
    """The run that it repeats, if any."""
    where: Literal["server", "kernel", "worker"] = "server"
    waiting_for: str | None = None
    """In words: ``approval of step approve``."""
    steps_total: int = 0
    steps_done: int = 0
    """Leaves of the graph known so far (a map counts its items) and how many of them have ended."""
    progress: float | None = None
    """How far it is, from 0 to 1: by the usual time of its steps where that is known, else by their number; None when it has none yet."""
    left_s: float | None = None
    """Seconds of work left, an estimate without the time that people take; None when nobody can tell, in lists, and once it has ended."""
    left_nanos: int | None = None
    """Nano-dollars that what is left may cost, an estimate; None as above, and where a model has no price."""
    reused: int = 0
    """How many of them asked nobody: rows of a map whose answer was there or came with an equal row's, steps that a fork took over."""
    cost_nanos: int = 0
    """Committed spend of the run, nano-dollars; unpriced attempts are not in it."""
    unpriced: int = 0
    """Number of attempts without a price."""
    calls: int = 0
    attempts: int = 0
    offline: bool = False
    """Whether any answer came from the offline model."""
    budget_nanos: int | None = None
    priority: int = 5
    """0 to 9: of the runs that wait for a place, those of a higher one are taken first."""
    created_at: datetime
    started_at: datetime | None = None
    finished_at: datetime | None = None

    _waiter: Callable[[str, float | None], Run] | None = PrivateAttr(None)

    @property
    def ended(self) -> bool:
        """Whether the run has reached a final state."""
        return self.state in RUN_ENDED

    @property
    def own_tags(self) -> dict[str, str]:
        """The tags that people gave, such as ``{"customer": "acme"}``; all its calls carry them."""
        return self.origin.own if self.origin else {}

    @property
    def cost_usd(self) -> Decimal:
        """Committed spend in USD, exact."""
        return usd(self.cost_nanos) or Decimal(0)

    @property
    def left_usd(self) -> Decimal | None:
        """What is left may cost so many USD, an estimate; None when nobody can tell."""
        return usd(self.left_nanos)

    def wait(self, timeout_s: float | None = None) -> Run:
        """Wait until the run ends or waits for a person, and return it as it then is.

        In a notebook a live card shows the progress and is replaced by a static one. An interrupt only detaches.
        ``timeout_s``: seconds; None waits without limit.
        """
        if self._waiter is None:
            raise RuntimeError("this run record is not bound to a workspace; use ws.runs.wait(run.id)")
        return self._waiter(self.id, timeout_s)


class Step(Record):
    """The latest attempt of one step of a run, as the journal holds it."""

    run_id: str
    path: str
    """``classify`` or, for the 18th item of a map, ``classify[17]``."""
    attempt: int = 1
    type: str
    state: StepState
    input_hash: str | None = None
    inputs: Any = None
    output: Any = None
    error: Failure | None = None
    waiting_for: str | None = None
    model: str | None = None
    """The model that served the step's last call."""
    cost_nanos: int | None = 0
    """None when an attempt of the step is unpriced."""
    calls: int = 0
    attempts: int = 0
    """Attempts at providers, all calls of the step together."""
    reused: bool = False
    not_judged: tuple[str, ...] = ()
    started_at: datetime | None = None
    finished_at: datetime | None = None

    @property
    def cost_usd(self) -> Decimal | None:
        """The step's cost in USD, exact; None when an attempt is unpriced."""
        return usd(self.cost_nanos)


class RunEvent(Record):
    """A fact about a run; events are numbered per workspace and append-only."""

    seq: int
    run_id: str
    kind: str
    """``run`` (its state changed), ``step`` (a step's state changed), ``signal`` (``message`` is the name of an event that was set), ``note``.

    ``live``: what happens inside a step (``data`` is an :data:`hishamos.records.turns.AgentEvent`); told to who asks for it, and not kept: it
    carries the number of the last event that is.
    """
    path: str | None = None
    state: str | None = None
    message: str = ""
    data: dict[str, Any] = {}
    happened_at: datetime


class Approval(Record):
    """A step that waits for a person."""

    run_id: str
    path: str
    workflow: str
    message: str
    since: datetime
    user_name: str | None = None
    """Who started the run."""
    project: str | None = None
    cost_nanos: int = 0
    """What the run has cost so far, nano-dollars; unpriced attempts are not in it."""
    unpriced: int = 0
    offline: bool = False
    """Whether any of its answers came from the offline model."""
