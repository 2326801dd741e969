"""``ws.commands``: versioned, typed prompts, run once or over rows."""

from __future__ import annotations

from builtins import list as List  # noqa: N812 - every contract has a verb named list
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any

from hishamos.contracts.journal import MapOptions, Pinned
from hishamos.contracts.services import Commands, MapMode
from hishamos.engine.attaching import command_files
from hishamos.engine.conversation import command_request
from hishamos.errors import InvalidInput, UnknownName
from hishamos.records.calls import CommandResult, ModelRequest
from hishamos.records.command_versions import LONGEST_REMARK, CommandRating, CommandVersion
from hishamos.records.definitions import AgentDefinition, CommandDefinition, StepDefinition, WorkflowDefinition
from hishamos.records.forecasts import Forecast
from hishamos.records.record import new_id, now
from hishamos.records.runs import Run, RunKind
from hishamos.records.workspaces import MapRow
from hishamos.schemas.inputs import validated
from hishamos.schemas.validation import schema_problem
from hishamos.services.command_versions import versions
from hishamos.services.forecasting import Forecaster, keep_forecast
from hishamos.services.questions import ask
from hishamos.services.remarks import check_rating, remark
from hishamos.services.row_forecasts import forecast_of_map, forecast_of_rows
from hishamos.services.saving import save
from hishamos.services.service import Service, implements
from hishamos.services.starting import start_run
from hishamos.store import opinions
from hishamos.store.uploads import append_rows, uploaded_rows

if TYPE_CHECKING:
    from hishamos.store.connectors import Transaction

MOST_AT_ONCE = 1000
BATCH_LIMIT_S = 27 * 3600.0
"""A row of a batch may take so long: a provider answers within a day."""


@implements(Commands)
class CommandsService(Service):
    """The commands of one workspace for one actor."""

    def list(self, *, category: str | None = None, search: str | None = None) -> List[CommandDefinition]:
        """See the contract."""
        found = self.machinery.catalog.commands()
        if category is not None:
            found = [command for command in found if command.category == category]
        words = (search or "").lower().split()
        return [command for command in found if all(word in _searched(command) for word in words)]

    def get(self, name: str) -> CommandDefinition:
        """See the contract."""
        return self.machinery.catalog.command(name)

    def save(self, definition: str | CommandDefinition, *, version: str | None = None) -> CommandDefinition:
        """See the contract."""
        return save(self, "command", definition, version)

    def versions(self, name: str) -> List[CommandVersion]:
        """See the contract."""
        return versions(self.machinery, name)

    def rate(self, name: str, rating: int, *, version: str | None = None, comment: str = "") -> CommandRating:
        """See the contract."""
        command = self.get(name)
        rated = version or command.version
        if rated != command.version:
            known = [one.version for one in versions(self.machinery, command.name)]
            if rated not in known:
                raise UnknownName.among(f"version of {command.name}", rated, known)
        check_rating(rating, f"command {command.reference}")
        said = remark(comment, f"command {command.name}", LONGEST_REMARK)
        given = CommandRating(command=command.name, version=rated, user_name=self.actor.name, rating=rating, comment=said, rated_at=now(), mine=True)
        return self.change("commands.rate", CommandRating, lambda transaction: opinions.rate(transaction, given))

    def ratings(self, name: str) -> List[CommandRating]:
        """See the contract."""
        return opinions.ratings(self.machinery.store, self.get(name).name, self.actor.name)

    def favour(self, name: str, *, on: bool = True) -> List[str]:
        """See the contract."""
        marked = opinions.favourites(self.machinery.store, self.actor.name)
        command = name if name in marked and not on else self.get(name).name  # one that is broken or gone can still be let go
        there, moment = {one.name for one in self.list()}, now()

        def work(transaction: Transaction) -> List[str]:
            return [one for one in opinions.favour(transaction, self.actor.name, command, moment if on else None) if one in there]

        return self.change("commands.favour", List[str], work)

    def favourites(self) -> List[str]:
        """See the contract."""
        there = {one.name for one in self.list()}
        return [name for name in opinions.favourites(self.machinery.store, self.actor.name) if name in there]

    def preview(self, name: str, inputs: Mapping[str, Any]) -> str:
        """See the contract."""
        request = self._request(self.get(name), inputs, None)[0]
        files = [f"Attached: {file.name} ({file.word}, {file.size:,} bytes)" for file in request.files]
        return "\n\n".join((*(message.content for message in request.messages), *files))

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
        output: dict[str, Any] | None = None,
    ) -> CommandResult:
        """See the contract."""
        return self.run_later(name, inputs, model=model, key=key, project=project, fresh=fresh, sample=sample, output=output).result()

    def run_later(
        self,
        name: str,
        inputs: Mapping[str, Any],
        *,
        model: str | None = None,
        key: str | None = None,
        project: str | None = None,
        fresh: bool = False,
        sample: int = 1,
        output: dict[str, Any] | None = None,
    ) -> Future[CommandResult]:
        """The answer of :meth:`run`, at once as a future; cancelling it cancels the call."""
        command = self.get(name)
        request, agent = self._request(command, inputs, model)
        if output is not None:
            request = request.model_copy(update={"output_schema": output})
        if sample < 1:
            raise InvalidInput(what=f"sample is {sample}", where=f"command {command.name}", next="Samples are numbered from 1.")
        if fresh or sample > 1:
            request = request.model_copy(update={"refresh": fresh, "sample": sample})
        what = f"command {command.name}"
        return ask(self, request, key=key, project=project, command=command.reference, agent=agent, repairs=command.repairs, what=what)

    def room(self, name: str, *, model: str | None = None) -> int | None:
        """See the contract."""
        command = self.get(name)
        return self.machinery.gateway.room(self._target(command, self._agent(command), model))

    def put_rows(self, rows: Sequence[Mapping[str, Any]], *, upload: str | None = None, start: int = 0) -> str:
        """See the contract."""
        identity, moment = upload or new_id(), now()

        def work(transaction: Transaction) -> str:
            append_rows(transaction, identity, start, rows, moment)
            return identity

        return self.change("commands.put_rows", str, work)

    def start_map(
        self,
        name: str,
        rows: Sequence[Mapping[str, Any]] | str,
        *,
        inputs: Mapping[str, Any] | None = None,
        output: dict[str, Any] | None = None,
        model: str | None = None,
        concurrency: int = 32,
        mode: MapMode = "now",
        budget_usd: str | None = None,
        fresh: bool = False,
        key: str | None = None,
        project: str | None = None,
    ) -> Run:
        """See the contract."""
        if not 1 <= concurrency <= MOST_AT_ONCE:
            raise InvalidInput(what=f"concurrency is {concurrency}", where="map", next=f"Give a number from 1 to {MOST_AT_ONCE}.")
        command = self.get(name)
        agent = self._agent(command)
        self.machinery.models.check(self._target(command, agent, model))
        wrong = None if output is None else schema_problem(output)
        if wrong:
            raise InvalidInput(what=wrong, where="output", next="Correct the schema.")
        number = uploaded_rows(self.machinery.store, rows) if isinstance(rows, str) else len(rows)
        if mode == "batch":
            concurrency = max(1, number)  # they wait together, and hold nothing but their place
        options = MapOptions(
            command=command.name,
            concurrency=concurrency,
            key=key,
            nonce=new_id() if fresh else None,
            batch=mode == "batch",
            inputs=dict(inputs or {}),
            output=output,
        )
        workflow = _over_rows(command, number, concurrency, mode)
        run = start_run(
            self,
            workflow,
            {"rows": number, "concurrency": concurrency, "fresh": fresh, **({"mode": mode} if mode == "batch" else {})},
            verb="commands.start_map",
            identity=rows if isinstance(rows, str) else None,
            kind=RunKind.MAP,
            version=command.version,
            model=model,
            project=project,
            budget_usd=budget_usd,
            pinned=Pinned(workflow=workflow, commands={command.name: command}, agents={agent.name: agent} if agent else {}),
            options=options,
            rows=() if isinstance(rows, str) else rows,
            leaves=number,
        )
        keep_forecast(self.machinery, run.id, lambda: forecast_of_map(self.machinery, command, agent, run, options))
        return run

    def forecast(
        self,
        name: str,
        inputs: Mapping[str, Any] | Sequence[Mapping[str, Any]],
        *,
        model: str | None = None,
        output: dict[str, Any] | None = None,
        key: str | None = None,
        concurrency: int = 32,
        of: int | None = None,
    ) -> Forecast:
        """See the contract."""
        command = self.get(name)
        agent = self._agent(command)
        if isinstance(inputs, Mapping):
            return Forecaster(self.machinery, model).rows(command, agent, [inputs], output=output)
        options = MapOptions(command=command.name, concurrency=concurrency, key=key, output=output)
        return forecast_of_rows(self.machinery, command, agent, inputs, options, self._target(command, agent, model), of=of)

    def map_rows(self, run: str, *, after: int = -1, limit: int = 1000) -> List[MapRow]:
        """See the contract."""
        history = self.machinery.journal.history
        return history.map_rows(history.identify(run), after=after, limit=limit)

    def _request(self, command: CommandDefinition, inputs: Mapping[str, Any], model: str | None) -> tuple[ModelRequest, AgentDefinition | None]:
        agent = self._agent(command)
        values = validated(command.parameters, inputs, f"command {command.name}", self.root)
        return command_request(command, agent, values, self._target(command, agent, model), command_files(command, values)), agent

    def _agent(self, command: CommandDefinition) -> AgentDefinition | None:
        return self.machinery.catalog.agent(command.agent) if command.agent else None

    def _target(self, command: CommandDefinition, agent: AgentDefinition | None, model: str | None) -> str:
        wanted = (model, command.model, agent.model if agent else None)
        return next((name for name in wanted if name), self.machinery.settings().workspace.route)


def _over_rows(command: CommandDefinition, number: int, concurrency: int, mode: MapMode) -> WorkflowDefinition:
    """Return the graph of a map: one step that holds the rows."""
    limit = {"limit_s": BATCH_LIMIT_S} if mode == "batch" else {}
    step = StepDefinition.model_validate({"id": "rows", "type": "rows", "with": {"count": number, "concurrency": concurrency, **limit}})
    return WorkflowDefinition(name=command.name, description=f"{command.name} over rows", steps=(step,), outputs={"counts": "{{ steps.rows.output }}"})


def _searched(command: CommandDefinition) -> str:
    return " ".join((command.name, command.description, command.category, *command.tags)).lower()
