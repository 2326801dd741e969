"""One contract per service. These signatures are what notebooks, the terminal, the console and other programs call."""

from __future__ import annotations

from builtins import list as List  # noqa: N812 - every contract has a verb named list
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, Protocol

from hishamos.contracts.agents import Agents
from hishamos.contracts.batch import Batch
from hishamos.contracts.conversations import Conversations
from hishamos.contracts.definitions import DefinitionsService
from hishamos.contracts.functions import Functions
from hishamos.contracts.money import Audit, Budgets, LedgerService
from hishamos.contracts.results import Results
from hishamos.contracts.runs import Runs
from hishamos.contracts.schedules import Schedules
from hishamos.contracts.shapes import Shape
from hishamos.contracts.verbs import verb
from hishamos.records.callbacks import Offer
from hishamos.records.calls import CommandResult
from hishamos.records.command_versions import CommandRating, CommandVersion
from hishamos.records.definitions import CommandDefinition, WorkflowDefinition
from hishamos.records.forecasts import Forecast
from hishamos.records.pictures import Ground, Picture, PictureFormat
from hishamos.records.queries import SavedQuery
from hishamos.records.results import Issue, IssueDraft, Project
from hishamos.records.runs import Run
from hishamos.records.storage import Pruning, Restoration
from hishamos.records.workers import Workforce
from hishamos.records.workspaces import Finding, Health, MapRow, Pong, ProviderStatus, StoredPart

if TYPE_CHECKING:
    import pandas

MapMode = Literal["now", "batch"]


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
    def versions(self, name: str) -> List[CommandVersion]:
        """Return the command as it is now and its versions that were asked in the last 90 days, with how each did; those asked last first."""
        ...

    @verb("commands.rate", kind="change")
    def rate(self, name: str, rating: int, *, version: str | None = None, comment: str = "") -> CommandRating:
        """Rate a version of a command from 1 to 5, in place of what the actor gave it before; ``comment``: at most 400 characters.

        ``version``: one that :meth:`versions` knows, left out the one of now. Raises ``UnknownName``, ``InvalidInput``.
        """
        ...

    @verb("commands.read")
    def ratings(self, name: str) -> List[CommandRating]:
        """Return how people rated all versions of a command, newest first."""
        ...

    @verb("commands.rate", kind="change")
    def favour(self, name: str, *, on: bool = True) -> List[str]:
        """Make a command one of the actor's favourites, or with ``on=False`` no longer, and return those that there are then."""
        ...

    @verb("commands.read")
    def favourites(self) -> List[str]:
        """Return the names of the commands that the actor marked as favourites, in order; those that are no longer there are left out."""
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

        ``version``: the version that is to be replaced; left out, there must be none in the workspace. A text that differs from what is there in
        comments alone is written only where ``version`` names that. Raises :class:`StaleWrite` when the
        workspace has another one, and :class:`InvalidDefinition` for what can't run. With python, shell, http or notebook steps it needs
        the permission ``code``.
        """
        ...

    @verb("workflows.write")
    def from_notebook(self, notebook: str) -> WorkflowDefinition:
        """Return the workflow that a notebook's tags describe: its cells tagged ``step:NAME`` as durable steps. Nothing is run or saved.

        ``parameters`` tags the cell whose assignments are the inputs, ``setup`` one that runs before every step (imports, functions),
        ``step:NAME`` a step; a step may have ``after:NAME`` and ``output:VARIABLE``. What a step reads of earlier ones is handed on by name, and has to
        be plain data. Other cells are left out. Raises :class:`InvalidDefinition` with the cell and the nearest match.
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
    def picture(self, name: str | WorkflowDefinition, *, format: PictureFormat = "svg", ground: Ground = "light", narrow: bool = False) -> Picture:
        """Draw a workflow's graph, also of one that is not saved: ``svg``, ``png``, ``mermaid`` or ``text``, on nothing.

        ``ground``: what it will stand on; ``narrow``: box below box, about 340 pixels wide, for a phone or the side of a page. Texts are alike.
        """
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

    @verb("health.read")
    def settings(self) -> dict[str, Any]:
        """Return the settings in force, defaults included, as the server has them. Keys are named by where they come from; none is shown."""
        ...

    @verb("health.read")
    def storage(self) -> List[StoredPart]:
        """Return what lies in ``data/local/``, the largest first."""
        ...

    @verb("health.read")
    def logs(self, *, lines: int = 200, containing: str = "") -> List[str]:
        """Return the end of the server's log; ``containing``: only lines with these words, whatever their case. Nothing where there is no server."""
        ...

    @verb("health.write", kind="change")
    def backup(self, file: str) -> str:
        """Write a consistent copy of the store while it runs; returns the copy's absolute path. Folders that are missing are made."""
        ...

    @verb("health.restore", kind="change")
    def restore(self, file: str, *, dry_run: bool = False, force: bool = False) -> Restoration:
        """Go back to a copy of the store: all that came after it goes, from the ledger too; the store before is kept whole in ``backups/``.

        ``dry_run``: say what that means, in runs, attempts and money, and change nothing. ``force``: though runs are being worked on; they are
        stopped before their next call. The server leaves; whoever has the workspace open goes on with the restored store. Killed at any instant it
        leaves the one store or the other. Raises :class:`InvalidInput` for what is no copy, :class:`WorkUnderWay`, and :class:`StoreError` on
        PostgreSQL, which has tools of its own, and where the disk has no room.
        """
        ...

    @verb("health.prune", kind="change")
    def prune(self, *, older_than_days: float, dry_run: bool = False, conversations: bool = False) -> Pruning:
        """Let go of runs that ended so many days ago, one at least: their steps, events, inputs, forecasts, and their folders of executed notebooks.

        For good stay ledger, audit, budgets, results, projects and issues, and every answer that was paid: an equal row of a later map is not paid again. A
        run stays as long as its parent or one of its children does. ``conversations``: also those in which nothing was said for as long, with the files
        attached to them. ``dry_run``: say what would go and change nothing. Whole runs go, some in each commit, while everything else goes on.
        """
        ...


class Sql(Protocol):
    """``ws.sql``: one SELECT over the views that people query."""

    @verb("sql", kind="table")
    def query(self, statement: str, *, limit: int = 100_000, timeout_s: float = 30, parameters: Mapping[str, Any] | None = None) -> pandas.DataFrame:
        """Run one SELECT; at most ``limit`` rows, at most ``timeout_s`` seconds. ``parameters``: the values of ``$name``, texts, numbers, booleans, None."""
        ...

    @verb("sql")
    def saved(self) -> List[SavedQuery]:
        """Return the SELECTs that are kept in the workspace, the files of its folder ``queries/``, by name."""
        ...

    @verb("sql.write", kind="change")
    def save(self, name: str, statement: str) -> SavedQuery:
        """Keep a SELECT as ``queries/NAME.sql``, in the place of one of that name. It is not run, and may be one that is not finished."""
        ...

    @verb("sql.write", kind="change")
    def forget(self, name: str) -> None:
        """Remove a kept SELECT, if there is one of that name."""
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
