"""Forecasts: tokens times price for each step that asks a model, from earlier work or from counting. Nothing is sent, nothing is paid."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hishamos.contracts.journal import Pinned
from hishamos.engine.conversation import agent_request, command_request
from hishamos.engine.templates import condition, fill
from hishamos.errors import HishamosError
from hishamos.gateway.amounts import Amounts, of_earlier, of_request
from hishamos.records.calls import ModelRequest, Usage
from hishamos.records.definitions import AgentDefinition, CommandDefinition, Parameter, StepDefinition, WorkflowDefinition
from hishamos.records.forecasts import Forecast, ForecastPart, Ground
from hishamos.records.money import Price
from hishamos.records.record import now, usd
from hishamos.schemas.inputs import validated
from hishamos.store.forecasts import earlier_work, keep
from hishamos.text.files import read_text

if TYPE_CHECKING:
    from hishamos.services.machinery import Machinery

log = logging.getLogger(__name__)
LEAST = 3
"""From so many pieces of earlier work on, they say something of the next one."""
SAMPLES = 20
"""So many items of a list are looked at, evenly over it."""
ANY = "default"
"""Requests are only counted here; whom they would ask does not matter."""
Scope = Mapping[str, Any]
Found = tuple[Amounts | None, Ground, str]
"""Amounts for one time, what they rest on, and that in words."""
Requests = Sequence[ModelRequest] | None
"""The requests of some of a part's items, for counting; None where nobody knows what they will say."""


@dataclass(frozen=True)
class Times:
    """How often something is done."""

    low: float
    likely: float
    high: float

    def of(self, other: Times) -> Times:
        """Return how often what is done so often within this is done in all."""
        return Times(self.low * other.low, self.likely * other.likely, self.high * other.high)


ONCE = Times(1, 1, 1)


class Forecaster:
    """Makes one forecast. ``before``: only work that began earlier counts as history."""

    def __init__(self, machinery: Machinery, model: str | None, before: datetime | None = None) -> None:
        self._machinery, self._model, self._before = machinery, model, before or now()
        self._parts: list[ForecastPart] = []
        self._guessed: list[str] = []
        """Paths of which it is only likely how often they are done: as often as the workflow's file has rows."""

    def workflow(self, workflow: WorkflowDefinition, pinned: Pinned, inputs: Mapping[str, Any]) -> Forecast:
        """Return what a workflow with these inputs will cost."""
        self._steps(workflow, pinned, [{"inputs": inputs}], _file_rows(workflow.inputs, inputs), ONCE, "")
        return self._forecast(workflow.name, workflow.version)

    def rows(
        self,
        command: CommandDefinition,
        agent: AgentDefinition | None,
        rows: Sequence[Mapping[str, Any]],
        *,
        number: float = 1,
        output: dict[str, Any] | None = None,
    ) -> Forecast:
        """Return what ``number`` questions like those over some rows of inputs will cost. ``output``: the answers' shape instead of the command's own."""
        asked = [command_request(command, agent, values, ANY) for values in (_checked(command, row) for row in some(rows)) if values is not None]
        if output is not None:
            asked = [request.model_copy(update={"output_schema": output}) for request in asked]
        self._command(command, agent, None, asked or None, Times(number, number, number), "rows[]" if number != 1 or len(rows) != 1 else command.name)
        return self._forecast(command.name, command.version)

    def _forecast(self, name: str, version: str) -> Forecast:
        counted = [part for part in self._parts if part.times is not None and part.likely_nanos is not None]
        return Forecast(
            name=name,
            version=version,
            parts=tuple(self._parts),
            low_nanos=sum(part.low_nanos or 0 for part in counted),
            likely_nanos=sum(part.likely_nanos or 0 for part in counted),
            high_nanos=sum(part.high_nanos or 0 for part in counted),
            whole=len(counted) == len(self._parts),
            offline=any(model.startswith("offline/") for part in self._parts for model in part.models),
            made_at=now(),
        )

    # steps

    def _steps(self, workflow: WorkflowDefinition, pinned: Pinned, scopes: Sequence[Scope], rows: int | None, times: Times | None, path: str) -> None:
        for step in workflow.steps:
            self._step(workflow, pinned, step, scopes, rows, times, f"{path}{step.id}")

    def _step(
        self, workflow: WorkflowDefinition, pinned: Pinned, step: StepDefinition, scopes: Sequence[Scope], rows: int | None, times: Times | None, path: str
    ) -> None:
        """Add the parts of a step. ``scopes``: what its templates see, for some of its items; ``rows``: of the one file that the workflow reads."""
        if step.when is not None:
            holds = _try(lambda: condition(step.when or "", scopes[0], path)) if scopes else None
            if holds is False:
                return
            times = times and (times if holds else times.of(Times(0, 1, 1)))
        inner = partial(self._step, workflow, pinned)
        match step.type:
            case "command":
                self._command_step(pinned, step, scopes, times, path)
            case "agent":
                self._agent_step(workflow, pinned, step, scopes, times, path)
            case "map":
                number, seen = _items(step, "over", scopes)
                if number is None and rows is not None:
                    number = rows
                    self._guessed.append(f"{path}[]")
                inner(_inner(step), seen, rows, None if times is None or number is None else times.of(Times(number, number, number)), f"{path}[]")
            case "loop":
                number, seen = _items(step, "for", scopes)
                most = step.with_.get("at_most")
                often = Times(1, (1 + most) / 2, most) if isinstance(most, int) else None if number is None else Times(number, number, number)
                inner(_inner(step), [] if isinstance(most, int) else seen, rows, None if times is None or often is None else times.of(often), f"{path}[]")
            case "switch":
                self._switch(inner, step, scopes, rows, times, path)
            case "workflow":
                below = pinned.workflows.get(str(step.with_.get("workflow")))
                given = _try(lambda: fill(step.with_.get("inputs", {}), scopes[0], path)) if scopes else None
                if below is not None:
                    self._steps(below, pinned, [] if given is None else [{"inputs": given}], None, times, f"{path}/")

    def _switch(self, inner: Callable[..., None], step: StepDefinition, scopes: Sequence[Scope], rows: int | None, times: Times | None, path: str) -> None:
        cases = {str(case): StepDefinition.model_validate(raw) for case, raw in dict(step.with_["cases"]).items()}
        if step.with_.get("default") is not None:
            cases["default"] = StepDefinition.model_validate(step.with_["default"])
        on = _try(lambda: fill(step.with_["on"], scopes[0], path)) if len(scopes) == 1 else None
        for case, chosen in cases.items():
            if on is None:
                inner(chosen, scopes, rows, times and times.of(Times(0, 1 / len(cases), 1)), f"{path}/{case}")
            elif case == str(on) or (case == "default" and str(on) not in cases):
                inner(chosen, scopes, rows, times, f"{path}/{case}")

    def _command_step(self, pinned: Pinned, step: StepDefinition, scopes: Sequence[Scope], times: Times | None, path: str) -> None:
        command = pinned.commands[str(step.with_["command"])]
        chosen = step.with_.get("agent") or command.agent
        agent = pinned.agents.get(chosen) if chosen else None
        asked: list[ModelRequest] = []
        for scope in scopes:
            values = _try(partial(fill, step.with_.get("inputs", {}), scope, path))
            checked = None if values is None else _checked(command, values)
            if checked is not None:
                asked.append(command_request(command, agent, checked, ANY))
        self._command(command, agent, step.with_.get("model"), asked or None, times, path)

    def _command(self, command: CommandDefinition, agent: AgentDefinition | None, model: str | None, asked: Requests, times: Times | None, path: str) -> None:
        if any(parameter.type == "file" for parameter in command.parameters.values()):
            asked = None  # what a file has in tokens is known when it is read
        target = self._target(model, command.model, agent.model if agent else None)
        work = partial(earlier_work, self._machinery.store, self._before, command=command.reference)
        self._add(path, f"command {command.name}", target, asked, times, work, command.reference)

    def _agent_step(self, workflow: WorkflowDefinition, pinned: Pinned, step: StepDefinition, scopes: Sequence[Scope], times: Times | None, path: str) -> None:
        agent = pinned.agents[str(step.with_["agent"])]
        asked: list[ModelRequest] = []
        for scope in [] if agent.tools else scopes:  # with tools it asks nobody knows how often
            given = _try(partial(fill, {"task": step.with_["task"], "data": step.with_.get("data")}, scope, path))
            if given is not None:
                asked.append(agent_request(agent, str(given["task"]), given["data"], step.with_.get("output"), ANY))
        target = self._target(step.with_.get("model"), agent.model)
        work = partial(earlier_work, self._machinery.store, self._before, agent=agent.name, workflow=workflow.name)
        limit = None if agent.limits.usd is None else int(agent.limits.usd * 1_000_000_000)
        self._add(path, f"agent {agent.name}", target, asked or None, times, work, f"{agent.name} in {workflow.name}", limit=limit)

    # amounts

    def _target(self, *named: str | None) -> str:
        return next((name for name in (self._model, *named) if name), self._machinery.settings().workspace.route)

    def _add(
        self,
        path: str,
        subject: str,
        target: str,
        asked: Requests,
        times: Times | None,
        work: Callable[..., list[Usage]],
        what: str,
        *,
        limit: int | None = None,
    ) -> None:
        models, longest = self._machinery.gateway.candidates(target)
        found = [self._amounts(model, longest, asked, work, what, limit) for model in models]
        _, ground, how = next((one for one in found if one[0] is None), found[0])
        if len(models) > 1:
            how += f"; {target} chooses among {len(models)} models"
        if times is not None and any(path.startswith(one) for one in self._guessed):
            how += "; as often as the file has rows"
        part = ForecastPart(step=path, subject=subject, models=tuple(models), times=None if times is None else times.likely, ground=ground, how=how)
        known = [amounts for amounts, _, _ in found if amounts is not None]
        if len(known) == len(found):
            often = times or ONCE
            low, likely, high = min(one[0] for one in known), sorted(one[1] for one in known)[len(known) // 2], max(one[2] for one in known)
            amounts = {"low_nanos": round(low * often.low), "likely_nanos": round(likely * often.likely), "high_nanos": round(high * often.high)}
            part = part.model_copy(update=amounts)
        self._parts.append(part)

    def _amounts(self, model: str, longest: int, asked: Requests, work: Callable[..., list[Usage]], what: str, limit: int | None) -> Found:
        price = self._machinery.gateway.prices.price(model)
        if model.startswith("offline/"):
            return (0, 0, 0), "counted", "the offline model costs nothing"
        if price is None:
            return None, "unpriced", f"{model} has no price"
        return self._from_history(price, model, work, what) or self._from_counting(price, longest, asked, work, limit)

    @staticmethod
    def _from_history(price: Price, model: str, work: Callable[..., list[Usage]], what: str) -> Found | None:
        same = work(model=model)
        if len(same) >= LEAST:
            return of_earlier(price, same), "history", f"from {len(same)} earlier answers to {what} on {model}"
        others = work()
        if len(others) >= LEAST:
            return of_earlier(price, others), "other models", f"from {len(others)} earlier answers to {what}, on any model, at the price of {model}"
        return None

    @staticmethod
    def _from_counting(price: Price, longest: int, asked: Requests, work: Callable[..., list[Usage]], limit: int | None) -> Found:
        if not asked and limit is not None:
            return None, "limit", f"how often it asks is known only when it runs; its own limit is {usd(limit):f} USD"
        if not asked:
            return None, "unknown", "what it is asked is known only when it runs, and there is no earlier answer"
        answers = [usage.output for usage in work()]
        limits = [request.max_output_tokens or longest for request in asked]
        found = [of_request(price, request, most, answers) for request, most in zip(asked, limits, strict=True)]
        low, likely, high = (sum(amounts[place] for amounts, _ in found) / len(found) for place in range(3))
        tokens = round(sum(tokens for _, tokens in found) / len(found))
        return (low, likely, high), "counted", f"its prompt was counted: {tokens:,} tokens, and an answer of at most {max(limits):,}"


def keep_forecast(machinery: Machinery, run: str, make: Callable[[], Forecast]) -> None:
    """Make a run's forecast in the background and keep it with the run. Its own calls are no history of it: it says what came before."""

    def work() -> None:
        try:
            forecast = make()
            if forecast.parts:
                keep(machinery.store, run, forecast)
        except HishamosError:
            log.exception("no forecast for run %s", run)

    machinery.runner.soon(work)


def _checked(command: CommandDefinition, values: Mapping[str, Any]) -> dict[str, Any] | None:
    found: dict[str, Any] | None = _try(lambda: validated(command.parameters, values, f"command {command.name}"))
    return found


def _inner(step: StepDefinition) -> StepDefinition:
    return StepDefinition.model_validate(step.with_["step"])


def _items(step: StepDefinition, place: str, scopes: Sequence[Scope]) -> tuple[int | None, list[Scope]]:
    """Return how many items a map or loop has, and what the templates of some of them see."""
    items = _try(lambda: fill(step.with_.get(place), scopes[0], step.id)) if scopes else None
    if not isinstance(items, list):
        return None, []
    name = str(step.with_.get("as", "item"))
    return len(items), [{**scopes[0], name: items[index], f"{name}_index": index} for index in some(range(len(items)))]


def some(rows: Sequence[Any]) -> list[Any]:
    """Return those items of a list that are looked at, evenly over it."""
    step = max(1, len(rows) // SAMPLES)
    return [rows[place] for place in range(0, len(rows), step)][:SAMPLES]


def _file_rows(declared: Mapping[str, Parameter], inputs: Mapping[str, Any]) -> int | None:
    """Return the rows of the one CSV file that a workflow is given: a map over something that a step makes of it is likely to have as many."""
    from hishamos.frames.csv_rows import csv_rows

    files = [inputs.get(name) for name, parameter in declared.items() if parameter.type == "file" and inputs.get(name)]
    if len(files) != 1 or Path(str(files[0])).suffix.lower() != ".csv":
        return None
    found: int | None = _try(lambda: len(csv_rows(read_text(Path(str(files[0]))), str(files[0]))[1]))
    return found


def _try(work: Callable[[], Any]) -> Any:
    """Return what can be told before the run; None where it needs what a step will give."""
    try:
        return work()
    except HishamosError:
        return None
