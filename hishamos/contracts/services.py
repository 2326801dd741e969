"""One contract per service. These signatures are what notebooks, the terminal, the console and other programs call."""

from __future__ import annotations

from builtins import list as List  # noqa: N812 - every contract has a verb named list
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, Protocol

from hishamos.contracts.agents import Agents
from hishamos.contracts.conversations import Conversations
from hishamos.contracts.definitions import DefinitionsService
from hishamos.contracts.functions import Functions
from hishamos.contracts.money import Audit, Budgets, LedgerService
from hishamos.contracts.schedules import Schedules
from hishamos.contracts.shapes import Shape
from hishamos.contracts.verbs import verb
from hishamos.records.callbacks import Offer
from hishamos.records.calls import Attempt, CommandResult
from hishamos.records.definitions import CommandDefinition, WorkflowDefinition
from hishamos.records.forecasts import Forecast
from hishamos.records.pictures import Ground, Picture, PictureFormat
from hishamos.records.results import Issue, IssueDraft, Project, Result, ResultDraft
from hishamos.records.runs import Approval, Run, RunEvent, RunKind, RunState, Step, StepState
from hishamos.records.workers import Workforce
from hishamos.records.workspaces import BatchRow, Finding, Health, MapRow, Pong, ProviderStatus

if TYPE_CHECKING:
    import pandas

MapMode = Literal["now", "batch"]
Decision = Literal["approve", "reject"]


class Commands(Protocol):
    """``ws.commands``: versioned, typed prompts."""

    @verb("commands.read")
    def list(self, *, category: str | None = None, search: str | None = None) -> List[CommandDefinition]:
        """Return all commands, the workspace's own before the library's, by name."""
        ...

    @verb("commands.read")
    def get(self, name: str) -> CommandDefinition:
        """Return one command; raises :class:`UnknownName` with the nearest name."""
        ...

    @verb("commands.write", kind="change")
    def save(self, definition: str | CommandDefinition, *, version: str | None = None) -> CommandDefinition:
        """Write a command, YAML or an object, into the workspace's ``commands/``; see :meth:`Workflows.save`."""
        ...

    @verb("commands.read")
    def preview(self, name: str, inputs: Mapping[str, Any]) -> str:
        """Return the text that would be sent, without sending it."""
        ...

    @verb("commands.read")
    def forecast(
        self,
        name: str,
        inputs: Mapping[str, Any] | Sequence[Mapping[str, Any]],
        *,
        model: str | None = None,
        output: Shape | None = None,
        key: str | None = None,
        concurrency: int = 32,
        of: int | None = None,
    ) -> Forecast:
        """Return what one question, or a map over rows of inputs, will cost and how long it takes, as ranges. Nothing is sent or paid.

        Rows that the workspace has answers to cost nothing; equal rows cost once. ``output``, ``key``, ``concurrency``: as for the map. ``of``: how
        many different rows there are, where ``inputs`` are only some of them, evenly taken.
        """
        ...

    @verb("models.call", kind="wait")
    def run(
        self,
        name: str,
        inputs: Mapping[str, Any],
        *,
        model: str | None = None,
        key: str | None = None,
        project: str | None = None,
        fresh: bool = False,
        sample: int = 1,
        output: Shape | None = None,
    ) -> CommandResult:
        """Run a command once and return its answer.

        ``model``: a model, route or policy; left out, the command's own, its agent's, then the workspace's route.
        ``key``: an idempotency key; left out, the request's own id, so that a call repeated after a lost connection is not paid twice.
        ``fresh``: ask anew where the command's ``cache`` would allow an earlier answer; the new one takes its place.
        ``sample``: which of several answers to the same question; 2 asks a second time though the first is cached, and is itself kept.
        ``output``: the answer's shape instead of the command's own: a JSON Schema, or a pydantic model whose instance is then the output.
        An answer that does not satisfy it is sent back with the problem, as often as the command's ``repairs`` say; each time is a call.
        Raises ``InvalidInput``, ``UnknownName``, ``NoProvider``, ``CallFailed``, ``BudgetRefused``, ``OutputInvalid``.
        """
        ...

    @verb("commands.read")
    def room(self, name: str, *, model: str | None = None) -> int | None:
        """Return how many tokens the shortest model that may be asked takes in a prompt; None where nobody says."""
        ...

    @verb("runs.write", kind="change")
    def put_rows(self, rows: Sequence[Mapping[str, Any]], *, upload: str | None = None, start: int = 0) -> str:
        """Hand in a page of a map's rows before it is started, and return the id under which :meth:`start_map` finds them.

        ``upload``: that id, for all pages but the first; ``start``: the number of the page's first row. What is not started within a day is let go.
        """
        ...

    @verb("runs.write", kind="change")
    def start_map(
        self,
        name: str,
        rows: Sequence[Mapping[str, Any]] | str,
        *,
        inputs: Mapping[str, Any] | None = None,
        output: Shape | None = None,
        model: str | None = None,
        concurrency: int = 32,
        mode: MapMode = "now",
        budget_usd: str | None = None,
        fresh: bool = False,
        key: str | None = None,
        project: str | None = None,
    ) -> Run:
        """Start a map of a command over rows of inputs as a run of its own; equal rows are paid once in the workspace.

        ``rows``: the rows, or what :meth:`put_rows` returned; ``inputs``: parameters that are the same for every row; ``output``: the answers'
        shape instead of the command's own. ``mode``: ``batch`` hands the rows to OpenAI or Anthropic in one piece, to be answered within a day at
        batch prices.
        """
        ...

    @verb("runs.read")
    def map_rows(self, run: str, *, after: int = -1, limit: int = 1000) -> List[MapRow]:
        """Return a map's rows with an index above ``after``, in order."""
        ...


class Workflows(Protocol):
    """``ws.workflows``: durable graphs of steps."""

    @verb("workflows.read")
    def list(self) -> List[WorkflowDefinition]:
        """Return all workflows, the workspace's own before the library's, by name."""
        ...

    @verb("workflows.read")
    def get(self, name: str) -> WorkflowDefinition:
        """Return one workflow; raises :class:`UnknownName` with the nearest name."""
        ...

    @verb("runs.write", kind="change")
    def start(
        self,
        name: str | WorkflowDefinition,
        inputs: Mapping[str, Any] | None = None,
        *,
        model: str | None = None,
        project: str | None = None,
        budget_usd: str | None = None,
        priority: int = 5,
        deadline_s: float | None = None,
        functions: Offer | None = None,
    ) -> Run:
        """Start a run and return at once; ``run.wait()`` or ``ws.runs.follow(run.id)`` next.

        ``name``: a workflow's name, or a workflow itself, which need not be saved: the run keeps it. One with python, shell, http or
        notebook steps needs the permission ``code``.
        ``model`` overrides what the definitions say; ``budget_usd``: a hard limit on this run, a decimal string. ``priority``: 0 to 9; of the runs
        that wait for a place those of a higher one are taken first, and among equals the users take turns. ``deadline_s``: how many seconds it may
        take from now, waiting included, instead of what the workflow says; then it fails, as a step's failure would have it.
        ``functions``: those that ``@hishamos.step`` registered in this process; the client fills it in. Raises :class:`NeedsKernel` where the
        workflow names others.
        """
        ...

    @verb("workflows.read")
    def check(self, text: str | WorkflowDefinition, *, file: str = "<text>") -> WorkflowDefinition:
        """Resolve a workflow, YAML or an object, without saving it; raises :class:`InvalidDefinition` with file, line, nearest match.

        The error tells the first mistake; its ``mistakes`` are all of them. For many files at once: ``ws.definitions.check``.
        """
        ...

    @verb("workflows.write", kind="change")
    def save(self, definition: str | WorkflowDefinition, *, version: str | None = None) -> WorkflowDefinition:
        """Write a workflow, YAML or an object, into the workspace's ``workflows/`` and return it; a text is kept as it is, comments too.

        ``version``: the version that is to be replaced; left out, there must be none in the workspace. Raises :class:`StaleWrite` when the
        workspace has another one, and :class:`InvalidDefinition` for what can't run. With python, shell, http or notebook steps it needs
        the permission ``code``.
        """
        ...

    @verb("workflows.read")
    def forecast(self, name: str, inputs: Mapping[str, Any] | None = None, *, model: str | None = None) -> Forecast:
        """Return what a run with these inputs will cost, step by step, as a range and with how that was found. Nothing is sent or paid.

        From the tokens of earlier answers to the same command or agent at today's price, else from counting the prompts that are known before the
        run, with the output limit as the bound. Raises what :meth:`start` would raise.
        """
        ...

    @verb("workflows.read")
    def picture(self, name: str, *, format: PictureFormat = "svg", ground: Ground = "light") -> Picture:
        """Draw a workflow's graph: ``svg``, ``png``, ``mermaid`` or ``text``, on nothing. ``ground``: what it will stand on."""
        ...


class Runs(Protocol):
    """``ws.runs``: what runs, ran, or waits. A run may be named by any unambiguous beginning of its id, four characters or more."""

    @verb("runs.read")
    def list(
        self,
        *,
        state: RunState | None = None,
        kind: RunKind | None = None,
        name: str | None = None,
        project: str | None = None,
        limit: int = 100,
    ) -> List[Run]:
        """Return runs, newest first."""
        ...

    @verb("runs.read")
    def get(self, run: str) -> Run:
        """Return one run with its spend so far, and, until it has ended, how far it is and what of its time and money is left."""
        ...

    @verb("runs.read")
    def steps(self, run: str, *, under: str | None = None, state: StepState | None = None, after: str | None = None, limit: int = 1000) -> List[Step]:
        """Return the latest attempt of each step in the order of the graph; ``under``: the items of one map only."""
        ...

    @verb("runs.read")
    def forecast(self, run: str) -> Forecast | None:
        """Return what the run was forecast to cost when it was started; None where no step asks a model, or the forecast was lost in a crash."""
        ...

    @verb("runs.read")
    def picture(self, run: str, *, format: PictureFormat = "svg", ground: Ground = "light") -> Picture:
        """Draw the graph of the definition that the run was started with, and how each step stands; see :meth:`Workflows.picture`."""
        ...

    @verb("runs.read")
    def calls(self, run: str, *, limit: int = 1000) -> List[Attempt]:
        """Return the run's attempts at providers, oldest first."""
        ...

    @verb("runs.read")
    def cost(self, run: str) -> int:
        """Return the run's committed spend in nano-dollars; the same as the sum over ``calls``."""
        ...

    @verb("runs.read")
    def events(self, run: str, *, after: int = 0, limit: int = 1000) -> List[RunEvent]:
        """Return the run's events numbered above ``after``."""
        ...

    @verb("runs.read", kind="stream")
    def follow(self, run: str, *, after: int = 0, live: bool = False) -> Iterator[RunEvent]:
        """Stream the run's events from the first above ``after`` until it ends or waits for a person.

        ``live``: with events of kind ``live`` between them, the work of its agents as it goes on in this server. They are not kept.
        """
        ...

    @verb("runs.read", kind="wait")
    def wait(self, run: str, *, timeout_s: float | None = None) -> Run:
        """Wait until the run ends, waits for a person or is paused, or ``timeout_s`` seconds passed; return it as it then is."""
        ...

    @verb("runs.write", kind="change")
    def pause(self, run: str) -> Run:
        """Ask the run to stop before its next step or call."""
        ...

    @verb("runs.write", kind="change")
    def resume(self, run: str, *, from_step: str | None = None, accept_changes: bool = False, functions: Offer | None = None) -> Run:
        """Go on with a paused, failed or cancelled run, or one whose server died; finished steps are not repeated.

        ``from_step``: do this step and what comes after it again in this run, though they have ended; what they ask is paid again. Raises
        ``InvalidInput`` where that would do a map, loop, switch or child run again: for these there is :meth:`fork`. A run that calls
        functions of a notebook goes on only where functions of the same names and source are registered, with ``accept_changes`` also where
        their source has changed; raises ``NeedsKernel`` elsewhere. ``functions``: the client fills it in.
        """
        ...

    @verb("runs.write", kind="change")
    def cancel(self, run: str) -> Run:
        """Cancel the run; calls under way are cancelled too."""
        ...

    @verb("runs.write", kind="change")
    def fork(self, run: str, from_step: str, changes: Mapping[str, Any] | None = None, *, functions: Offer | None = None) -> Run:
        """Start a new run that goes on from a step with what the old run's earlier steps gave; these are neither done nor paid again.

        ``changes``: any of ``inputs`` (values by name, the others stay), ``model`` (a model, route or policy), ``budget_usd`` (each run's own), and
        ``definition``: ``"current"`` takes the workflow as it is now instead of as the old run kept it. Without changes the step and what
        comes after it is simply done again. Raises ``InvalidInput`` with the reasons when what stands before the step does not fit.
        """
        ...

    @verb("runs.approve", kind="change")
    def approve(self, run: str, step: str, *, decision: Decision = "approve", comment: str = "") -> Run:
        """Decide on a step that waits for approval."""
        ...

    @verb("runs.write", kind="change")
    def signal(self, run: str, name: str, data: Any = None) -> Run:
        """Set an event on a run that has not ended, with plain data (64 KiB as JSON at most); a step of type ``wait`` goes on with it.

        An event stays set: a step that comes to wait for it later goes on at once, with the data that were set last.
        """
        ...

    @verb("runs.read")
    def approvals(self) -> List[Approval]:
        """Return the steps that wait for a person, oldest first."""
        ...


class Batch(Protocol):
    """``ws.batch``: a notebook executed once per row of parameters."""

    @verb("runs.write", kind="change")
    def start(self, notebook: str, rows: Sequence[Mapping[str, Any]], *, jobs: int = 2, output: str | None = None, fresh: bool = False) -> Run:
        """Start a batch as a run; executed notebooks go to ``output`` (left out: ``data/local/batches/RUN``).

        The same notebook text with the same rows is the same batch: one that has not succeeded goes on with what is missing, a finished one
        is returned as it is. ``fresh=True`` executes all rows anew.
        """
        ...

    @verb("runs.read")
    def rows(self, run: str) -> List[BatchRow]:
        """Return the batch's rows as they stand."""
        ...


class Results(Protocol):
    """``ws.results``: what came out."""

    @verb("results.read")
    def list(self, *, run: str | None = None, project: str | None = None, search: str | None = None, limit: int = 100) -> List[Result]:
        """Return results, newest first; ``search`` looks in title, summary and body."""
        ...

    @verb("results.read")
    def get(self, result: str) -> Result:
        """Return one result."""
        ...

    @verb("results.write", kind="change")
    def save(self, draft: ResultDraft) -> Result:
        """Save a result."""
        ...

    @verb("results.write", kind="change")
    def rate(self, result: str, rating: int) -> Result:
        """Rate a result from 1 to 5."""
        ...


class Projects(Protocol):
    """``ws.projects``: they hold issues."""

    @verb("projects.read")
    def list(self) -> List[Project]:
        """Return all projects by key."""
        ...

    @verb("projects.read")
    def get(self, key: str) -> Project:
        """Return one project; raises :class:`UnknownName`."""
        ...

    @verb("projects.write", kind="change")
    def ensure(self, key: str, *, name: str | None = None) -> Project:
        """Return the project, made if it does not exist."""
        ...


class Issues(Protocol):
    """``ws.issues``: the work."""

    @verb("projects.read")
    def list(self, *, project: str | None = None, state: str | None = None, limit: int = 100) -> List[Issue]:
        """Return issues, newest first."""
        ...

    @verb("projects.read")
    def get(self, key: str) -> Issue:
        """Return one issue (``DEMO-12``)."""
        ...

    @verb("projects.write", kind="change")
    def create(self, project: str, drafts: Sequence[IssueDraft]) -> List[Issue]:
        """Create issues in a project; a draft whose ``origin`` the project already has gives the existing issue."""
        ...

    @verb("projects.write", kind="change")
    def move(self, key: str, state: str, *, version: int) -> Issue:
        """Change an issue's state; a stale ``version`` is told so."""
        ...


class Providers(Protocol):
    """``ws.providers``: where models are served."""

    @verb("providers.read")
    def list(self) -> List[ProviderStatus]:
        """Return the configured and found providers with their state and how they did in the last 24 hours."""
        ...

    @verb("models.call", kind="wait")
    def test(self, name: str) -> CommandResult:
        """Make one tiny call, and return its answer. It stands in the ledger and under the budgets as any other.

        ``name``: a model (``provider/model``), or a provider: then the first model of it that a route names. Raises ``CallFailed`` with the
        provider's reason.
        """
        ...

    @verb("providers.read")
    def models(self) -> List[str]:
        """Return the names a request may use: routes, policies, configured models."""
        ...

    @verb("providers.read")
    def diagnose(self, *, network: bool = True) -> List[Finding]:
        """Return what ``hishamos doctor`` prints: what was found, what works, what to do next.

        ``network``: ask each provider for the list of its models, which costs nothing, proves its key and takes five seconds at most.
        """
        ...


class HealthService(Protocol):
    """``ws.health``: how the workspace is."""

    @verb("health.read")
    def ping(self) -> Pong:
        """Answer at once."""
        ...

    @verb("health.read")
    def status(self) -> Health:
        """Return the state of server, store and work."""
        ...

    @verb("health.read")
    def workers(self) -> Workforce:
        """Return who does the work, what waits for it and since when, what is tried again, and the runs given up because their processes died."""
        ...

    @verb("health.write", kind="change")
    def backup(self, file: str) -> str:
        """Write a consistent copy of the store while it runs; returns the copy's absolute path."""
        ...


class Sql(Protocol):
    """``ws.sql``: one SELECT over the views that people query."""

    @verb("sql", kind="table")
    def query(self, statement: str, *, limit: int = 100_000, timeout_s: float = 30, parameters: Mapping[str, Any] | None = None) -> pandas.DataFrame:
        """Run one SELECT; at most ``limit`` rows, at most ``timeout_s`` seconds. ``parameters``: the values of ``$name``, texts, numbers, booleans, None."""
        ...


CONTRACTS: dict[str, type] = {
    "commands": Commands,
    "agents": Agents,
    "conversations": Conversations,
    "workflows": Workflows,
    "definitions": DefinitionsService,
    "runs": Runs,
    "schedules": Schedules,
    "batch": Batch,
    "ledger": LedgerService,
    "budgets": Budgets,
    "audit": Audit,
    "results": Results,
    "projects": Projects,
    "issues": Issues,
    "providers": Providers,
    "health": HealthService,
    "queries": Sql,
    "functions": Functions,
}
"""Every service by the name it has on the workspace."""
