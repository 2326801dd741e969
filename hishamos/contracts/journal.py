"""The journal as the engine sees it: where a run stands, written in batches under a numbered lease."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple, Protocol

from hishamos.records.definitions import AgentDefinition, CommandDefinition, WorkflowDefinition
from hishamos.records.mcp import ServerTool
from hishamos.records.record import Failure, Record
from hishamos.records.runs import Run, RunState, StepState
from hishamos.records.turns import AgentEvent

WENT_BACK = "went_back"
"""The state that a note tells when a run goes back from a step that failed."""


UNDO = "/compensate"
"""What the path of a compensation has after that of its step."""


class KernelUse(Record):
    """The functions of a notebook or script that a run calls back, and where it was started."""

    desk: str
    sources: dict[str, str]
    """Hash of the source by name."""


class Pinned(Record):
    """The definitions that a run started with. Editing them later does not change the run."""

    workflow: WorkflowDefinition
    commands: dict[str, CommandDefinition] = {}
    agents: dict[str, AgentDefinition] = {}
    workflows: dict[str, WorkflowDefinition] = {}
    """Those that steps start as runs of their own; what these name stands beside them."""
    server_tools: dict[str, ServerTool] = {}
    """Tools of MCP servers that its agents may use, by their references, as they were approved then."""
    kernel: KernelUse | None = None
    """What it calls back, if anything: then it runs where it was started."""


class ChildOf(Record):
    """Whose child a run is: kept where a map keeps how it was asked for."""

    parent: str
    path: str
    attempt: int
    """The attempt of the parent's step that started it, or went on with it."""


class MapOptions(Record):
    """How a map of a command over rows was asked for."""

    command: str
    concurrency: int = 32
    key: str | None = None
    nonce: str | None = None
    """Set for ``fresh=True``: no row of another map has the same key."""
    batch: bool = False
    """Whether the rows go to their provider in batches."""
    inputs: dict[str, Any] = {}
    """Parameters that are the same for every row; a row's own come before them."""
    output: dict[str, Any] | None = None
    """JSON Schema of the answers instead of the command's own."""


class Decided(Record):
    """What a person decided about a step that waited for approval."""

    decision: str
    comment: str = ""
    by: str


class Signal(Record):
    """An event that somebody set on a run."""

    name: str
    data: Any = None
    by: str


TIMED = "until %Y-%m-%dT%H:%M:%S.%fZ"
"""How a step that waits for a time says so in ``waiting_for`` (UTC): texts of one form, so the store finds what is due by comparing them."""


@dataclass(slots=True)
class StepRow:
    """One attempt of one step, as the journal holds it."""

    path: str
    attempt: int
    position: str
    """Digits that sort in the order of the graph: four for a step, eight for each level of items below it."""
    type: str
    state: StepState
    parent: str | None = None
    item: int | None = None
    first: int = 1
    """The attempt with which the present series of tries began: 1, or what the last resume opened."""
    input_hash: str | None = None
    inputs: Any = None
    output: Any = None
    error: Failure | None = None
    waiting_for: str | None = None
    model: str | None = None
    reused: bool = False
    not_judged: tuple[str, ...] = ()
    decided: Decided | None = None
    """Written by the person's call, never by the engine."""
    started_at: datetime | None = None
    """Of a pending attempt: when it is to begin, not before."""
    finished_at: datetime | None = None
    known: bool = False
    """Whether the journal has this attempt already: it is updated, not inserted."""


@dataclass(slots=True)
class EventDraft:
    """An event before the store has numbered it."""

    kind: str
    state: str | None
    happened_at: datetime
    path: str | None = None
    message: str = ""
    data: dict[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class RunChange:
    """A change of the run's own state, told by an event. ``release``: the lease ends with it.

    A change to waiting or paused is left out when somebody asked for something meanwhile that its runner has not seen.
    """

    state: RunState
    moment: datetime
    outputs: Any = None
    error: Failure | None = None
    waiting_for: str | None = None
    finished_at: datetime | None = None
    release: bool = False


@dataclass(slots=True)
class RowState:
    """What the workspace knows of a row's key: its last ended attempt and, where it succeeded, the answer."""

    key: str
    attempt: int
    state: str
    output: Any = None
    model: str | None = None
    not_judged: tuple[str, ...] = ()
    new: bool = False
    """Whether the workspace knows nothing of the key yet, as far as anybody knows."""


@dataclass(slots=True)
class Batch:
    """Changes of one run that are written in one commit. A step's later change replaces its earlier one."""

    steps: dict[tuple[str, int], StepRow] = field(default_factory=dict)
    events: list[EventDraft] = field(default_factory=list)
    rows: dict[str, RowState] = field(default_factory=dict)
    run: RunChange | None = None
    steps_total: int = 0
    steps_done: int = 0
    seen: int = 0
    """How many decisions of people the runner has seen."""
    listen: bool = False
    """Whether what others asked for has to be read anew: somebody said that there is something, or it is time to look."""

    @property
    def empty(self) -> bool:
        """Whether there is nothing to write but the counters."""
        return not (self.steps or self.events or self.rows or self.run)


@dataclass(slots=True, frozen=True)
class Lease:
    """The right to write to a run: the highest number wins, an older one is refused."""

    run: str
    number: int
    owner: str
    seconds: float


@dataclass(slots=True, frozen=True)
class Signals:
    """What others asked of a run, as it stood at a commit."""

    wish: str | None
    """``pause`` or ``cancel``."""
    decisions: int
    """How many decisions people have made on the run so far."""
    changed: bool = False
    """Whether the batch's change of the run's state was written."""


@dataclass(slots=True)
class Claim:
    """A run with everything its runner needs to go on."""

    lease: Lease
    run: Run
    pinned: Pinned
    options: MapOptions | None
    steps: list[StepRow]
    """The latest attempt of each step, in the order of the graph."""
    signals: Signals
    jumps: Mapping[str, int] = field(default_factory=dict)
    """How often the run went back from each step since it was last resumed."""
    deaths: int = 0
    """How many processes in a row died at work on the run without getting it on by a step."""
    deadline: datetime | None = None
    """When the run has to have ended."""


class InLine(NamedTuple):
    """A run that nobody works on."""

    run: str
    beside: bool
    """Whether a step of another run started it: it is worked on beside that one and needs no place of its own."""
    kernel: bool = False
    """Whether it calls functions of a notebook: only the server, to which that is connected, can work on it."""


class Journal(Protocol):
    """Where runs are kept. Thread-safe."""

    @property
    def exclusive(self) -> bool:
        """Whether this process is the only one that can write: then every lease of another owner is a dead one's."""
        ...

    def claim(self, run: str, owner: str, seconds: float) -> Claim:
        """Take the run's next lease for ``seconds`` and return where it stands.

        Raises ``UnknownName``, ``RunHeld`` (another live owner), ``WrongState`` (not queued, and not left running by a dead owner).
        """
        ...

    def write(self, lease: Lease, batch: Batch) -> Future[Signals]:
        """Write a batch in one commit and renew the lease if it is due; the future fails with ``LeaseLost`` when a newer lease exists."""
        ...

    def decisions(self, run: str) -> Mapping[str, Decided]:
        """Return what people decided on the run's waiting steps, by path."""
        ...

    def child(self, run: Run, pinned: Pinned, of: ChildOf, *, entered: bool) -> Run | None:
        """Return the child run of a step as it stands; started with ``run`` and ``pinned`` where there is none.

        One that failed or was cancelled is queued again for a later attempt of the step, one that is paused when the step is ``entered``
        anew by a process. None when its parent was asked to stop meanwhile.
        """
        ...

    def signal(self, run: str, name: str) -> Signal | None:
        """Return how an event of the run was last set; None when it was not."""
        ...

    def wake(self) -> tuple[list[str], datetime | None]:
        """Queue the runs whose time of waiting is over, or whose child has ended; returns them, and when the next one is due."""
        ...

    def inputs_of_rows(self, run: str, start: int, count: int) -> Sequence[dict[str, Any]]:
        """Return the inputs of a map's rows from index ``start`` on, at most ``count``."""
        ...

    def states_of_rows(self, keys: Sequence[str]) -> Mapping[str, RowState]:
        """Return what the workspace knows of these rows' keys."""
        ...

    def watched(self, run: str) -> bool:
        """Return whether somebody follows the run live in this process."""
        ...

    def tell(self, run: str, path: str, event: AgentEvent) -> None:
        """Tell whoever follows the run live what happens inside a step. Nothing of it is kept."""
        ...

    def kept(self, key: str) -> str | None:
        """Return what :meth:`keep` was given under ``key``; None when nothing was."""
        ...

    def keep(self, key: str, text: str) -> str:
        """Keep what a piece of work gave, and return it once it is durable; what is kept already under ``key`` stays and is returned."""
        ...

    def line(self, owner: str, *, queued: bool = True, kernels: bool = True, limit: int = ...) -> Sequence[InLine]:
        """Return the runs that nobody works on though they are running, the next one first; ``owner``'s own left out.

        ``queued``: those that are queued, too; of those within others they always are, and where many processes write of those that call a
        notebook's functions. ``kernels``: these, too.

        First those within others, then by priority; among equals the users take turns, and each user's oldest run is first.
        """
        ...
