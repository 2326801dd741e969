"""The plug of step types: an ``Inputs`` model, and ``run`` that is entered again with the answers until it is done."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Literal, Protocol, TypeVar

from pydantic import BaseModel, ConfigDict

from hishamos.contracts.journal import TIMED, Decided, Pinned, RowState, Signal
from hishamos.contracts.notebooks import PreparedNotebook
from hishamos.records.calls import ModelRequest, Outcome
from hishamos.records.definitions import AgentDefinition, CommandDefinition, Retry, StepDefinition, WorkflowDefinition
from hishamos.records.mcp import ServerTool
from hishamos.records.record import Failure
from hishamos.records.runs import Run, StepState
from hishamos.records.tools import ToolUse

if TYPE_CHECKING:
    from hishamos.contracts.models import PendingCall
    from hishamos.engine.outside import Outside
    from hishamos.engine.rows import RowBook
    from hishamos.engine.telling import Telling
    from hishamos.errors import HishamosError

T = TypeVar("T")
Lane = Literal["steps", "children", "notebooks"]
I = TypeVar("I", bound="StepInputs")  # noqa: E741 - the inputs' type


class StepInputs(BaseModel):
    """What a step type takes under ``with``; forms are drawn from it."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True, populate_by_name=True)


class Answer(Generic[T]):
    """Something a step waits for: a call's outcome, or what background work returned."""

    def __init__(self, future: Future[T]) -> None:
        self.future = future

    @property
    def ready(self) -> bool:
        """Whether it has come."""
        return self.future.done()

    @property
    def value(self) -> T:
        """What came; raises what the work raised."""
        return self.future.result(timeout=0)


@dataclass(frozen=True, slots=True)
class Done:
    """The step has its output."""

    output: Any = None
    model: str | None = None
    not_judged: tuple[str, ...] = ()
    reused: bool = False
    calls: tuple[Outcome, ...] = ()
    """All that were made; the last one gave the answer."""
    tools: tuple[ToolUse, ...] = ()


@dataclass(frozen=True, slots=True)
class Skipped:
    """The step had nothing to do; its output is null."""

    reason: str


@dataclass(frozen=True, slots=True)
class Child:
    """A step below a step: an item of a map, a case of a switch."""

    suffix: str
    """What its path has after its parent's: ``[17]``, ``/case``."""
    definition: StepDefinition
    names: Mapping[str, Any] = field(default_factory=dict)
    """What its templates see beside the run's inputs and steps."""


@dataclass(frozen=True, slots=True)
class Children:
    """Steps below a step, made one after another, at most ``concurrency`` at work at once. Their ends are ``context.children``.

    A step that is entered again may ask for more: those that have ended stay as they are.
    """

    count: int
    make: Callable[[int], Child]
    concurrency: int = 1
    lenient: bool = False
    """A failed child is an end like any other: resume does not try it again, and outputs are not kept once they are journalled."""


PASSED = frozenset({StepState.SUCCEEDED, StepState.SKIPPED})


@dataclass(frozen=True, slots=True)
class ChildEnd:
    """How a child ended."""

    state: StepState
    output: Any = None
    error: Failure | None = None
    tolerated: bool = False
    """Whether it failed and its definition says that this does not matter."""

    @property
    def passed(self) -> bool:
        """Whether the step above may go on."""
        return self.state in PASSED or self.tolerated


@dataclass(frozen=True, slots=True)
class Waiting:
    """The step goes on when all of ``on`` is ready, when all ``children`` have ended, when a ``person`` decided, or at a time or an event."""

    on: Sequence[Answer[Any]] = ()
    children: Children | None = None
    person: str | None = None
    """What the person is asked."""
    until: datetime | None = None
    """The step is entered again then. It holds no thread, and the run no process, meanwhile."""
    event: str | None = None
    """The step is entered again when an event is set on the run."""
    run: str | None = None
    """The step is entered again when that child run has ended."""
    at_work: bool = False
    """Whether that child run is at work: then this run is too, and does not wait."""

    @property
    def words(self) -> str | None:
        """What a wait that outlives the process is for, as the journal keeps it."""
        parts = [self.until.astimezone(UTC).strftime(TIMED)] if self.until is not None else []
        parts += [f"event {self.event}"] if self.event is not None else []
        parts += [f"run {self.run}"] if self.run is not None else []
        return self.person or " or ".join(parts) or None


Result = Done | Waiting | Skipped


class Interrupted(Exception):
    """Raised by a step whose work was ended because the process leaves: the step did not end, and is entered anew in the next one."""


class Parked(Interrupted):
    """Raised by a step that can't go on until somebody comes: the run pauses, and says why."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class StepContext(Protocol):
    """What a step may ask of its runner. The n-th ask of an entry is the same thing on every entry."""

    run: Run
    pinned: Pinned
    path: str
    attempt: int
    item: int | None
    retry: Retry | None
    """The declared retry, if any."""
    decided: Decided | None
    started_at: datetime
    """When the attempt began; the same on every entry, also in another process."""
    moment: datetime
    """The present time."""
    outside: Outside
    """What may be reached outside of the workspace."""
    children: Sequence[ChildEnd] | None
    """How the children ended, once all have."""
    memory: dict[str, Any]
    """Kept from one entry to the next of the same attempt, in this process only."""

    @property
    def limit_s(self) -> float:
        """The step's time limit in seconds."""
        ...

    def submit(
        self,
        request: ModelRequest,
        *,
        command: str | None = None,
        agent: str | None = None,
        key: str | None = None,
        fresh: bool = True,
        hear: Callable[[PendingCall], None] | None = None,
        batch: bool = False,
    ) -> Answer[Outcome]:
        """Send a request to a model under the key of this position, or under ``key``; the same key gives the same answer.

        ``hear``: is handed the call as it begins, to listen to its answer as it comes. ``batch``: together with others, within a day.
        """
        ...

    def telling(self) -> Telling | None:
        """Return what tells this attempt's events to who follows the run live; None where nobody ever did."""
        ...

    def once(self, key: str, work: Callable[[], str]) -> Answer[str]:
        """Run blocking work whose answer is kept under ``key`` before it is told: a run that is resumed finds it and does not do it again."""
        ...

    def end_by(self, seconds: float, error: HishamosError) -> None:
        """Have this attempt fail with ``error`` once it has taken ``seconds``; only the first call counts."""
        ...

    def background(self, work: Callable[[], T], *, lane: Lane = "steps") -> Answer[T]:
        """Run blocking work away from the runner's threads. The step's time limit counts from when the work begins.

        ``lane``: with what it takes turns. ``children``: it is a child process's, of which there are fewer; ``notebooks``: it takes long.
        """
        ...

    def at_end(self, stop: Callable[[], None]) -> None:
        """Have ``stop`` called (quick, from any thread) when the attempt ends, is cancelled, takes too long, or is let go."""
        ...

    def notebook(self, notebook: Path, parameters: Mapping[str, Any], output: Path, *, reuse: bool = False, kernel: str | None = None) -> PreparedNotebook:
        """Prepare a notebook to be executed for this step, in a process of its own.

        ``reuse``: by a kernel that may have executed others; ``kernel``: its name, left out the notebook's own.
        """
        ...

    def summary(self, folder: Path) -> str:
        """Write the summary of a batch whose rows have ended, and return where it is; blocks, so it is called in the background."""
        ...

    def workspace(self, place: str = "") -> Any:
        """Return the run's workspace, acting as the run's actor; a changing call made again by a repeated step changes nothing.

        ``place``: of several workspaces of one step, which; the changing calls of each are counted by themselves.
        """
        ...

    def target(self, *wanted: str | None) -> str:
        """Return the model, route or policy to ask: what the starter named, else the first of ``wanted`` that is set, else the route."""
        ...

    def holds(self, expression: str, names: Mapping[str, Any]) -> bool:
        """Return whether an expression without braces holds; it sees what the step's templates see, and ``names``."""
        ...

    def child(self, workflow: str, inputs: Mapping[str, Any]) -> Run:
        """Return this step's child run as it stands; started, or gone on with, where that is due."""
        ...

    def signal(self, name: str) -> Signal | None:
        """Return how an event of the run was last set; None when it was not."""
        ...

    def rows(self) -> RowBook:
        """Return the book of the map's rows."""
        ...

    def row_known(self, key: str) -> RowState | None:
        """Return what the workspace knows of a row."""
        ...

    def row_ended(self, state: RowState) -> None:
        """Have a row's end kept for the whole workspace, in the commit of the step's end."""
        ...


class Definitions(Protocol):
    """Where commands and agents are looked up; unknown names raise ``UnknownName``."""

    def command(self, name: str) -> CommandDefinition:
        """Return a command."""
        ...

    def agent(self, name: str) -> AgentDefinition:
        """Return an agent."""
        ...

    def server_tool(self, reference: str) -> ServerTool:
        """Return an approved tool of an MCP server, named as ``mcp:SERVER/TOOL``; raises ``InvalidInput`` where it is not approved."""
        ...


class Library(Definitions, Protocol):
    """Where a definition's references are looked up when it is checked."""

    root: Path
    """The workspace's folder."""

    def workflow(self, name: str) -> WorkflowDefinition:
        """Return a workflow; raises ``InvalidDefinition`` for one that can't run."""
        ...


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong in a step's ``with``: the place below it, what, and what to do."""

    place: tuple[str | int, ...]
    problem: str
    next: str = ""
    line: int | None = None
    """Of a text with several lines, which one, from 1."""


@dataclass(slots=True)
class Reference:
    """What a step names: pinned with the run, or checked as a step below it."""

    commands: set[str] = field(default_factory=set)
    agents: set[str] = field(default_factory=set)
    workflows: set[str] = field(default_factory=set)
    steps: list[tuple[tuple[str | int, ...], StepDefinition, tuple[str, ...]]] = field(default_factory=list)
    """Inner steps: their place below ``with``, the definition, and the names that only they see."""


@dataclass(frozen=True, slots=True)
class Expression:
    """An expression without braces in a step's ``with``: the place below it, its text, and the names that only it sees."""

    place: tuple[str | int, ...]
    text: str
    names: tuple[str, ...] = ()


class StepType(Generic[I]):
    """A kind of step: one file and one row in the table of :mod:`hishamos.engine.steps`."""

    name: ClassVar[str]
    inputs: ClassVar[type[StepInputs]]
    raw: ClassVar[frozenset[str]] = frozenset()
    """Fields of ``with`` that are no templates."""
    keeps_time: ClassVar[bool] = False
    """Whether it ends itself at its time limit: then nobody else counts it."""
    composite: ClassVar[bool] = False
    """Whether it only arranges other steps: these have the time limits and the tries."""
    timed: ClassVar[bool] = True
    """Whether a time limit can be set on it."""
    literal: ClassVar[frozenset[str]] = frozenset()
    """Fields of ``with`` that have to be known when the definition is loaded."""

    def run(self, context: StepContext, inputs: I) -> Result:
        """Do the step's work, or say what it waits for. Entered again from the top until it returns Done or Skipped."""
        raise NotImplementedError

    def check(self, raw: Mapping[str, Any], library: Library) -> list[Problem]:  # noqa: ARG002 - most types have nothing to check
        """Return what is wrong with ``with`` as written, templates not yet filled in."""
        return []

    def expressions(self, raw: Mapping[str, Any]) -> list[Expression]:  # noqa: ARG002 - most types have none
        """Return the expressions among the ``raw`` fields."""
        return []

    def references(self, raw: Mapping[str, Any]) -> Reference:  # noqa: ARG002 - most types name nothing
        """Return the definitions and inner steps that ``with`` names."""
        return Reference()
