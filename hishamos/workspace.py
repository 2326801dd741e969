"""A workspace: a bundle of contracts. It decides nothing."""

from __future__ import annotations

import os
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, Self

from hishamos.contracts.agents import Agents
from hishamos.contracts.batch import Batch
from hishamos.contracts.conversations import Conversations
from hishamos.contracts.definitions import DefinitionsService
from hishamos.contracts.functions import Functions
from hishamos.contracts.money import Audit, Budgets, LedgerService
from hishamos.contracts.results import Results
from hishamos.contracts.runs import Runs
from hishamos.contracts.schedules import Schedules
from hishamos.contracts.services import (
    Commands,
    HealthService,
    Issues,
    MapMode,
    Projects,
    Providers,
    Sql,
    Workflows,
)
from hishamos.contracts.shapes import Shape
from hishamos.contracts.verbs import Verb
from hishamos.flows.flow import Flow
from hishamos.records.conversations import Conversation
from hishamos.records.forecasts import Forecast
from hishamos.records.invoices import InvoiceText
from hishamos.records.own_tags import checked
from hishamos.records.run_comparisons import RunComparison
from hishamos.records.runs import Run
from hishamos.text.files import absolute, read_text

if TYPE_CHECKING:
    import pandas

LONGEST_PATH = 4096
Watch = Callable[["Workspace", str, float | None], Run]
"""How a face waits for a run: the workspace, the run's id, a time limit in seconds or None."""


class FrameMap(Protocol):
    """A command over the rows of a frame: called, it is done; ``forecast`` with the same arguments says what it will cost."""

    def __call__(
        self,
        frame: Any,
        command: str,
        *,
        columns: Mapping[str, Hashable] | None = None,
        inputs: Mapping[str, Any] | None = None,
        output: Shape | None = None,
        model: str | None = None,
        concurrency: int = 32,
        mode: MapMode = "now",
        budget_usd: str | None = None,
        prefix: str = "",
        fresh: bool = False,
        key: str | None = None,
    ) -> Any:
        """Return the frame with the output's columns."""
        ...

    def forecast(
        self,
        frame: Any,
        command: str,
        *,
        columns: Mapping[str, Hashable] | None = None,
        inputs: Mapping[str, Any] | None = None,
        output: Shape | None = None,
        model: str | None = None,
        concurrency: int = 32,
        mode: MapMode = "now",
        budget_usd: str | None = None,
        prefix: str = "",
        fresh: bool = False,
        key: str | None = None,
    ) -> Forecast:
        """Return what the map will cost and how long it takes, as ranges. Nothing is sent to a model, nothing is paid."""
        ...


class FrameRoom(Protocol):
    """What ``hishamos.frames`` gives a workspace."""

    def mapper(self, workspace: Workspace) -> FrameMap:
        """Return ``ws.map``."""
        ...

    def verbs(self, workspace: Workspace, frame: Any) -> Any:
        """Return ``ws.frame(frame)``."""
        ...


def plain_watch(workspace: Workspace, run: str, timeout_s: float | None) -> Run:
    """Wait for a run and show nothing."""
    return workspace.runs.wait(run, timeout_s=timeout_s)


@dataclass
class Workspace:
    """Everything one may do in a workspace, for one actor.

    The same class whether the services run in this process (``hishamos.open(":memory:")``) or in the workspace's server.
    """

    root: str
    """The workspace's folder, absolute."""
    commands: Commands
    agents: Agents
    conversations: Conversations
    workflows: Workflows
    definitions: DefinitionsService
    runs: Runs
    schedules: Schedules
    batch: Batch
    ledger: LedgerService
    budgets: Budgets
    audit: Audit
    results: Results
    projects: Projects
    issues: Issues
    providers: Providers
    health: HealthService
    queries: Sql
    functions: Functions
    frames: FrameRoom
    closer: Callable[[], None]
    tagger: Callable[[dict[str, str]], Workspace]
    watch: Watch = field(default=plain_watch)
    closed: bool = field(default=False, init=False)

    @property
    def map(self) -> FrameMap:
        """Run a command on each row of a DataFrame; each equal row is paid once in the workspace. ``ws.map.forecast(…)`` first says what it will cost.

        ``ws.map(frame, command, *, columns, inputs, output, model, concurrency, mode, budget_usd, prefix, fresh, key)``

        ``frame``: a pandas or polars DataFrame (its own kind comes back), a DuckDB relation or an Arrow table (a pandas DataFrame comes back).
        ``columns``: parameter to column (left out: columns named like parameters); ``inputs``: parameters that are the same for every row;
        ``output``: the answers' shape instead of the command's own, a JSON Schema or a pydantic model; ``mode="batch"``: hand the rows to OpenAI or
        Anthropic in one piece, to be answered within a day at batch prices; the server stays up for it, and the same call again collects what has
        come. ``budget_usd``: a hard limit on this map, a decimal string. Returns the input frame (order, index and dtypes kept) plus the output's
        properties, or ``output`` for text, and ``hos_status, hos_error, hos_model, hos_cost_usd, hos_attempts, hos_command, hos_reused``, each with
        ``prefix`` before it. Never raises for a row; an interrupt returns what has come and the rest goes on in the server; the same call again
        continues.
        """
        return self.frames.mapper(self)

    def frame(self, frame: Any) -> Any:
        """Return verbs over the rows of a frame: ``map, classify, extract, judge, filter, summarize, join``, each with ``.forecast(…)`` first.

        The same as ``df.hishamos`` on a pandas or polars DataFrame, in this workspace; ``frame``: see :attr:`map`.
        """
        return self.frames.verbs(self, frame)

    def tagged(self, /, **tags: str) -> Workspace:
        """Return this workspace with tags: what is asked and started through it carries them, beside those that it has.

        ``ws.tagged(customer="acme", experiment="b").workflows.start(…)``: the run, and all that it does in whatever process, is the customer's. Spend is
        then grouped by ``tag:customer``. A name is of small letters, digits and _, a value a text of 1 to 200 characters; a call has at most 10.
        ``HISHAMOS_TAGS="customer=acme,experiment=b"`` says the same for all that a process asks. Raises :class:`InvalidInput`.
        """
        other = self.tagger(checked(tags))
        other.watch = self.watch
        return other

    def sql(self, statement: str, *, limit: int = 100_000, timeout_s: float = 30, parameters: Mapping[str, Any] | None = None) -> pandas.DataFrame:
        """Run one SELECT over the views ``runs, steps, attempts, results, issues, events, budgets, audit`` and return a DataFrame.

        ``parameters``: the values of ``$name`` in the statement.
        """
        return self.queries.query(statement, limit=limit, timeout_s=timeout_s, parameters=parameters)

    def close(self) -> None:
        """Let go of the connection, or of the services where they run in this process."""
        self.closed = True
        self.closer()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


def bind(workspace: Workspace, answer: Any) -> Any:
    """Let the runs in an answer wait through the workspace's watch (a card in a notebook, nothing elsewhere), and conversations speak through it."""
    for run in answer if isinstance(answer, list) else [answer]:
        if isinstance(run, Conversation):
            run.bound_to(lambda: workspace.conversations)
        if isinstance(run, RunComparison):
            run._waiter = partial(_compared, workspace)
        if isinstance(run, Run):
            run._waiter = lambda identity, timeout_s: workspace.watch(workspace, identity, timeout_s)
    return answer


def _compared(workspace: Workspace, run: str, timeout_s: float | None) -> RunComparison:
    workspace.watch(workspace, run, timeout_s)
    return workspace.runs.compare(run)


WITH_INPUTS = {("workflows", "start"): "name", ("workflows", "forecast"): "name", ("schedules", "create"): "workflow"}
"""The verbs that take a workflow's inputs, and which of their arguments names the workflow."""


def with_files(workspace: Workspace, verb: Verb, arguments: dict[str, Any]) -> dict[str, Any]:
    """Make relative paths in ``file`` inputs absolute: the caller's own folder first, then the workspace's. Read an invoice. Take a flow's definition.

    Only the caller knows its folder. A path that is found in neither stays as it is, for the service to refuse.
    """
    arguments = {name: value.definition() if isinstance(value, Flow) else value for name, value in arguments.items()}
    root = Path(workspace.root)
    if (verb.service, verb.name) == ("workflows", "from_notebook"):
        return {**arguments, "notebook": absolute(arguments["notebook"], root)}
    if (verb.service, verb.name) == ("ledger", "reconcile"):
        return {**arguments, "invoice": _invoice(arguments["invoice"], root)}
    if arguments.get("files"):
        given = arguments["files"]
        return {**arguments, "files": [absolute(one, root) for one in ([given] if isinstance(given, (str, os.PathLike)) else given)]}
    inputs = arguments.get("inputs")
    if not inputs or not isinstance(inputs, Mapping):  # rows of inputs are taken as they are
        return arguments
    if (verb.service, verb.name) in WITH_INPUTS:
        started = arguments[WITH_INPUTS[verb.service, verb.name]]
        declared = (workspace.workflows.get(started) if isinstance(started, str) else started).inputs
    elif verb.service == "commands" and any(_may_be_file(value, root) for value in inputs.values()):  # else the command needs not be asked for
        declared = workspace.commands.get(arguments["name"]).parameters
    else:
        return arguments
    files = {name for name, parameter in declared.items() if parameter.type == "file" and isinstance(inputs.get(name), (str, os.PathLike))}
    return {**arguments, "inputs": {name: absolute(value, root) if name in files else value for name, value in inputs.items()}}


def _may_be_file(value: Any, root: Path) -> bool:
    return isinstance(value, os.PathLike) or (isinstance(value, str) and len(value) < LONGEST_PATH and os.path.isfile(absolute(value, root)))


def _invoice(invoice: Any, root: Path) -> Any:
    """Return a file's path or a DataFrame as the invoice's text."""
    if hasattr(invoice, "to_csv"):
        return InvoiceText(name="the DataFrame", text=invoice.to_csv(index=False))
    if isinstance(invoice, (str, os.PathLike)):
        return InvoiceText(name=os.fspath(invoice), text=read_text(Path(absolute(invoice, root))))
    return invoice
