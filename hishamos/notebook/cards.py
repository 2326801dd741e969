"""One card for each kind of record: what state it is in, what it cost, what can be done now."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from hishamos.charts.formats import clock, count, duration, exact_usd, missing, money, outlook, state_label
from hishamos.charts.palette import ACCENTS
from hishamos.charts.ranges import compared_words, forecast_words, part_amounts, times_words
from hishamos.notebook import markup
from hishamos.records.calls import Attempt, CommandResult
from hishamos.records.conversations import Conversation
from hishamos.records.definitions import AgentDefinition, CommandDefinition, Parameter, WorkflowDefinition
from hishamos.records.forecasts import Forecast
from hishamos.records.money import Budget
from hishamos.records.picking import Pick
from hishamos.records.pictures import Picture
from hishamos.records.proofs import Proof
from hishamos.records.results import Result
from hishamos.records.runs import Run, RunState, Step

if TYPE_CHECKING:
    import pandas

    from hishamos.workspace import Workspace

MOST_ITEMS = 40


def run_card(
    run: Run, steps: Sequence[Step] = (), spend: pandas.DataFrame | None = None, graph: Picture | None = None, forecast: Forecast | None = None
) -> str:
    """Return a run's card: forecast, graph, steps, chart of its calls by model, error, outputs."""
    body = ""
    if not run.ended and run.steps_total:
        body += markup.progress(run.steps_done, run.steps_total, run.progress)
        body += f'<div style="opacity:.8">{markup.text(outlook(run.progress, run.left_s, run.left_nanos))}</div>'
    if run.where == "kernel":
        body += "<div>where: kernel</div>"
    if run.waiting_for:
        body += f"<div>{markup.text(run.waiting_for)}</div>"
    if forecast is not None:
        body += f"<div>forecast: {markup.text(compared_words(forecast, run.cost_nanos, run.unpriced))}</div>"
    if graph is not None:
        body += markup.graph(graph)
    if steps:
        body += steps_table(steps)
    if spend is not None and len(spend):
        body += _calls_picture(spend)
    if run.error is not None:
        body += f'<div style="color:{ACCENTS["red"]};margin-top:6px">{markup.text(run.error.message)}</div>'
    if run.outputs is not None:
        body += markup.folded("outputs", run.outputs)
    numbers = f"{count(run.calls)} calls, {count(run.attempts)} attempts · exactly {exact_usd(run.cost_nanos)} USD"
    foot = f"run {run.id} · {markup.text(run.name)}@{run.version[:12]} · {numbers}"
    facts = (_spend(run), duration(_seconds(run.started_at, run.finished_at)))
    return markup.card(markup.head(run.name, *facts, state=run.state, offline=run.offline), body, foot + _next_act(run))


def steps_table(steps: Sequence[Step]) -> str:
    """Return the table of a run's steps: those of the graph and all that failed; the items of maps are folded below."""
    shown = [step for step in steps if "[" not in step.path or step.error]
    items = [step for step in steps if "[" in step.path and not step.error]
    counts = Counter(step.path.partition("[")[0] for step in steps if "[" in step.path)
    table = _steps([(step, f"{counts[step.path]} items" if counts[step.path] else "") for step in shown])
    if not items:
        return table
    more = f"<div>and {len(items) - MOST_ITEMS} more</div>" if len(items) > MOST_ITEMS else ""
    listed = _steps([(step, "") for step in items[:MOST_ITEMS]])
    return f'{table}<details><summary style="opacity:.8">{len(items)} items of maps</summary>{listed}{more}</details>'


def _steps(rows: Sequence[tuple[Step, str]]) -> str:
    lines = [
        (
            markup.text(step.path),
            markup.badge("reused" if step.reused else step.state),
            markup.text(step.model or missing()),
            duration(_seconds(step.started_at, step.finished_at)),
            count(step.attempts),
            money(step.cost_nanos) if step.attempts else missing(),
            markup.text(step.error.message if step.error else step.waiting_for or note),
        )
        for step, note in rows
    ]
    return markup.table(("step", "state", "model", "time", "attempts", "cost", "note"), lines, right=(3, 4, 5))


def runs_card(runs: Sequence[Run]) -> str:
    """Return a list of runs."""
    rows = [
        (markup.badge(run.state), markup.text(run.name), run.id[:6], clock(run.created_at), duration(_seconds(run.started_at, run.finished_at)), _spend(run))
        for run in runs
    ]
    return markup.card(markup.head("Runs", f"{len(runs)}"), markup.table(("state", "run", "id", "started", "time", "spend"), rows, right=(4, 5)))


def attempts_card(attempts: Sequence[Attempt]) -> str:
    """Return a list of attempts at providers; why a model was asked stands in it where a route chose."""
    chosen = any(attempt.why for attempt in attempts)
    rows = [
        (
            markup.badge("offline" if attempt.offline else attempt.status),
            markup.text(attempt.step_id or missing()),
            markup.text(attempt.model),
            markup.text(attempt.cause or ""),
            duration(None if attempt.latency_ms is None else attempt.latency_ms / 1000),
            count(attempt.input_tokens),
            count(attempt.output_tokens),
            money(attempt.cost_nanos),
            *([markup.text(attempt.why)] if chosen else []),
        )
        for attempt in attempts
    ]
    headings = ("state", "step", "model", "cause", "latency", "input tokens", "output tokens", "cost", *(["why"] if chosen else []))
    return markup.card(markup.head("Attempts", f"{len(attempts)}"), markup.table(headings, rows, right=(4, 5, 6, 7)))


PICKED = 5
"""Candidates that a pick's card shows."""
SHOWN = 200
"""Characters of a tool's arguments and result that a card shows."""


def command_result_card(result: CommandResult) -> str:
    """Return an answer's card: served by whom, at what cost."""
    body = markup.folded("output", result.model_dump(mode="json")["output"])  # it may be the caller's own model
    if result.not_judged:
        body += f"<div>not judged offline: {markup.text(', '.join(result.not_judged))}</div>"
    if result.tools:
        rows = [(markup.text(use.name), markup.text(use.arguments[:SHOWN]), markup.text(use.result[:SHOWN])) for use in result.tools]
        body += markup.table(("tool", "asked", "told"), rows)
    body += "".join(f"<div>{markup.text(warning.message)}</div>" for warning in result.warnings)
    hops = [attempt for attempt in result.attempts if attempt.cause]
    if hops:
        body += "<div>" + "; ".join(f"{markup.text(hop.model)} failed ({markup.text(hop.cause)})" for hop in hops) + "</div>"
    body += "".join(f"<div>{markup.text(attempt.why)}</div>" for attempt in result.attempts[-1:] if attempt.why)
    name = result.command or result.agent or "answer"
    facts = (result.model or "", money(result.cost_nanos), "reused" if result.reused else "from the cache" if result.cached else "")
    return markup.card(markup.head(name, *facts, state=result.status, offline=result.offline), body, f"{len(result.attempts)} attempts")


def result_card(result: Result) -> str:
    """Return a result's card."""
    body = f'<p dir="auto">{markup.text(result.summary)}</p>' + (markup.folded("body", result.body) if result.body else "")
    if result.action_items:
        body += "<ul>" + "".join(f"<li>{markup.text(item)}</li>" for item in result.action_items) + "</ul>"
    foot = f"result {result.id} · run {result.run_id or missing()} · {clock(result.created_at)}"
    return markup.card(markup.head(result.title, offline=result.offline), body, foot)


def definition_card(definition: CommandDefinition | AgentDefinition | WorkflowDefinition, graph: Picture | None = None) -> str:
    """Return a definition's card: what it is for, what it takes. ``graph``: a workflow's, drawn."""
    body = f"<p>{markup.text(definition.description)}</p>"
    if isinstance(definition, CommandDefinition):
        body += _parameters(definition.parameters) + markup.folded("template", definition.template)
    elif isinstance(definition, AgentDefinition):
        body += f"<div>can: {markup.text(', '.join(definition.capabilities) or missing())}</div>"
        body += f"<div>tools: {markup.text(', '.join(definition.tools))}</div>" if definition.tools else ""
        body += markup.folded("instructions", definition.instructions)
    else:
        rows = [(markup.text(step.id), markup.text(step.type), markup.text(", ".join(step.after)), markup.text(step.when or "")) for step in definition.steps]
        body += _parameters(definition.inputs) + (markup.graph(graph) if graph else markup.table(("step", "type", "after", "when"), rows))
    kind = type(definition).__name__.removesuffix("Definition").lower()
    return markup.card(markup.head(definition.name, kind), body, f"version {definition.version} · {markup.text(definition.source or 'python')}")


def conversation_card(talk: Conversation) -> str:
    """Return a conversation's card: with whom, how much was said, what it cost."""
    unpriced = f" and {talk.unpriced} unpriced" if talk.unpriced else ""
    body = markup.folded("summary of the earlier messages", talk.summary) if talk.summary else ""
    next_act = f'<code>ws.conversations.say("{talk.id}", …)</code>'
    head = markup.head(talk.title, talk.agent, f"{talk.messages} messages", money(talk.cost_nanos) + unpriced)
    return markup.card(head, body, f"conversation {talk.id} · {clock(talk.changed_at)} · next: {next_act}")


def pick_card(pick: Pick) -> str:
    """Return a pick's card: who, why, and how the first candidates were weighed."""
    criteria = ("capability", "success", "rating", "load", "cost", "speed")
    rows = [(markup.text(one.agent), *(f"{getattr(one, name):.2f}" for name in ("score", *criteria)), markup.text(one.why)) for one in pick.candidates[:PICKED]]
    weights = ", ".join(f"{name} {getattr(pick.weights, name):g}" for name in criteria)
    table = markup.table(("agent", "score", *criteria, "why"), rows, right=tuple(range(1, 8)))
    return markup.card(markup.head(pick.agent, "picked"), f"<p>{markup.text(pick.why)}</p>{table}", f"weights: {weights}")


def budget_card(budget: Budget) -> str:
    """Return a budget's card."""
    body = markup.progress(budget.committed_nanos // 1000, max(1, budget.limit_nanos // 1000)).rsplit("</div>", 1)[0] + "</div>"
    words = f"{money(budget.committed_nanos)} of {money(budget.limit_nanos)}, {money(budget.reserved_nanos)} reserved"
    kind = ("hard" if budget.hard else "soft") + (", closed" if budget.closed else "")
    body += markup.text(words) + "".join(f"<div>{markup.text(one.message)} {clock(one.passed_at)} UTC</div>" for one in budget.warnings)
    return markup.card(markup.head(budget.name, kind, f"{budget.scope}, {budget.period}"), body)


def workspace_card(workspace: Workspace) -> str:
    """Return the workspace's card."""
    health = workspace.health.status()
    unpriced = f" and {health.month_unpriced} unpriced" if health.month_unpriced else ""
    body = f"<div>{health.running} running, {health.queued} queued, {health.waiting} waiting for somebody</div>"
    if health.settings_error:
        body += f'<div style="color:{ACCENTS["red"]}">{markup.text(health.settings_error)}</div>'
    where = f"{markup.text(health.workspace)} · store {markup.text(health.store)} · HishamOS {health.version}"
    return markup.card(markup.head("Workspace", f"{money(health.month_cost_nanos)} this month{unpriced}"), body, where)


def plain(value: Any) -> str:
    """Return a record in one line of text, for viewers without HTML."""
    if isinstance(value, Run):
        offline = " · " + state_label("offline") if value.offline else ""
        time = duration(_seconds(value.started_at, value.finished_at))
        return f"{value.name}  {state_label(value.state)}  {_spend(value)}  {time}  run {value.id[:6]}{offline}"
    if isinstance(value, CommandResult):
        offline = "  " + state_label("offline") if value.offline else ""
        return f"{value.output}\n{value.command or value.agent}  {state_label(value.status)}  {money(value.cost_nanos)}  {value.model}{offline}"
    words = WORDS.get(type(value))
    return repr(value) if words is None else words(value)


WORDS: dict[type, Callable[[Any], str]] = {
    Conversation: lambda talk: f"{talk.title}  {talk.agent}  {talk.messages} messages  {money(talk.cost_nanos)}  conversation {talk.id}",
    Forecast: lambda forecast: f"{forecast.name}  {forecast_words(forecast)}",
    Pick: lambda pick: str(pick.why),
    Picture: lambda picture: str(picture.text if picture.format == "text" else picture.words),
    Proof: lambda proof: "\n".join(f"{'✓' if one.kept else '✕'} {one.number} {one.name}: {one.evidence}" for one in proof.promises),
}
"""How records of these kinds are told in words."""


def forecast_card(forecast: Forecast) -> str:
    """Return a forecast's card: the range, and how each step's amounts were found."""
    rows = [
        (markup.text(part.step), markup.text(part.subject), markup.text(", ".join(part.models)), times_words(part), *part_amounts(part), markup.text(part.how))
        for part in forecast.parts
    ]
    headings = ("step", "asks", "model", "times", "low", "likely", "high", "how it was found")
    body = markup.table(headings, rows, right=(3, 4, 5, 6)) if rows else ""
    foot = f"{markup.text(forecast.name)}@{forecast.version[:12]} · nothing was sent or paid; retries are not in it"
    return markup.card(markup.head("Forecast", forecast_words(forecast), offline=forecast.offline), body, foot)


def picture_card(picture: Picture) -> str:
    """Return a picture as itself; text as text."""
    if picture.format in {"svg", "png"}:
        return markup.graph(picture)
    return markup.folded(f"{picture.name}, {picture.format}", picture.text)


CARDS: dict[type, Callable[[Any], str]] = {
    Picture: picture_card,
    Forecast: forecast_card,
    CommandResult: command_result_card,
    Result: result_card,
    CommandDefinition: definition_card,
    AgentDefinition: definition_card,
    WorkflowDefinition: definition_card,
    Budget: budget_card,
    Pick: pick_card,
    Conversation: conversation_card,
}


def list_card(values: Sequence[Any]) -> str | None:
    """Return a card for a list of records, or None for other lists."""
    kinds = {type(value) for value in values}
    if kinds == {Run}:
        return runs_card(values)
    if kinds == {Attempt}:
        return attempts_card(values)
    if kinds == {Step}:
        return markup.card(markup.head("Steps", f"{len(values)}"), steps_table(values))
    if len(kinds) == 1 and (kind := kinds.pop()) in CARDS:
        return "".join(CARDS[kind](value) for value in values)
    return None


def _calls_picture(spend: pandas.DataFrame) -> str:
    """Draw cost by model, or the number of attempts where nothing cost anything (the offline model)."""
    from hishamos.charts.spend import bars_png

    priced = bool(spend["cost_nanos"].sum())
    values = {str(row["model"]): (row["cost_nanos"] / 1e9 if priced else row["attempts"]) for row in spend.to_dict("records")}
    unit = "USD" if priced else "attempts"
    return markup.picture(bars_png(values, unit), f"{unit} by model: " + ", ".join(f"{name} {value}" for name, value in values.items()))


def _parameters(parameters: dict[str, Parameter]) -> str:
    rows = [
        (markup.text(name), markup.text(one.type), markup.text(one.description), "required" if one.required else markup.text(one.default))
        for name, one in parameters.items()
    ]
    return markup.table(("parameter", "type", "description", "default"), rows) if rows else ""


def _spend(run: Run) -> str:
    if run.offline and not run.cost_nanos and not run.unpriced:
        return money(0)
    return money(run.cost_nanos) + (f" + {run.unpriced} unpriced" if run.unpriced else "")


def _seconds(start: datetime | None, end: datetime | None) -> float | None:
    return None if start is None else ((end or datetime.now(UTC)) - start).total_seconds()


def _next_act(run: Run) -> str:
    if run.state == RunState.WAITING:
        waits = run.waiting_for or ""
        if "approval of step" in waits:
            return f' · next: <code>ws.runs.approve("{run.id}", STEP)</code>'
        return f' · next: <code>ws.runs.signal("{run.id}", NAME)</code>' if "event " in waits else ""
    if run.state in {RunState.FAILED, RunState.PAUSED, RunState.CANCELLED}:
        return f' · next: <code>ws.runs.resume("{run.id}")</code>'
    return ""
