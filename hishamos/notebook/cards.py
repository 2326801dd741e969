"""Which card shows what: one function for each kind of record, and the same in a line of text."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from hishamos.charts.comparison_lines import comparison_text, result_comparison_text
from hishamos.charts.formats import clock, count, duration, money, state_label
from hishamos.charts.palette import ACCENTS
from hishamos.charts.ranges import forecast_words
from hishamos.charts.receipt_lines import receipt_html, receipt_text
from hishamos.notebook import markup
from hishamos.notebook.definition_cards import definition_card, definitions_card
from hishamos.notebook.money_cards import attempts_card, budget_card, budgets_card, forecast_card
from hishamos.notebook.outcome_cards import (
    command_result_card,
    comparison_card,
    conversation_card,
    pick_card,
    result_card,
    result_comparison_card,
    results_card,
)
from hishamos.notebook.proof_card import proof_card
from hishamos.notebook.record_cards import record_card, records_card
from hishamos.notebook.run_cards import batch_card, runs_card, seconds_between, spend_words, steps_table
from hishamos.records.batches import BatchInfo
from hishamos.records.calls import Attempt, CommandResult
from hishamos.records.conversations import Conversation
from hishamos.records.definitions import AgentDefinition, CommandDefinition, WorkflowDefinition
from hishamos.records.forecasts import Forecast
from hishamos.records.money import Budget
from hishamos.records.picking import Pick
from hishamos.records.pictures import Picture
from hishamos.records.proofs import Proof
from hishamos.records.receipts import Receipt
from hishamos.records.record import Record
from hishamos.records.result_comparisons import ResultComparison
from hishamos.records.results import Result
from hishamos.records.run_comparisons import RunComparison
from hishamos.records.runs import Approval, Run, Step

if TYPE_CHECKING:
    from hishamos.workspace import Workspace


def workspace_card(workspace: Workspace) -> str:
    """Return the workspace's card: what goes on, what it costs, what comes next."""
    health = workspace.health.status()
    unpriced = f" + {count(health.month_unpriced)} unpriced" if health.month_unpriced else ""
    going_on = [("running", health.running), ("queued", health.queued), ("waiting for somebody", health.waiting), ("calls under way", health.open_calls)]
    body = markup.facts([(name, count(number)) for name, number in going_on])
    if health.settings_error:
        body += f'<div style="color:{ACCENTS["red"]};margin-top:6px">{markup.text(health.settings_error)}</div>'
    foot = [markup.text(health.workspace), f"store {markup.text(health.store)}", f"HishamOS {health.version}", "next: <code>%hishamos runs</code>"]
    name = health.workspace.rstrip("/").rpartition("/")[2] or "workspace"
    return markup.card(markup.head(name, f"{money(health.month_cost_nanos)} this month{unpriced}", kind="workspace"), body, markup.SEPARATOR.join(foot))


def picture_card(picture: Picture) -> str:
    """Return a picture as itself; text as text."""
    if picture.format in {"svg", "png"}:
        return markup.graph(picture)
    return markup.folded(f"{picture.name}, {picture.format}", picture.text)


def steps_card(steps: Sequence[Step]) -> str:
    """Return a list of steps."""
    return markup.card(markup.head("Steps", count(len(steps))), steps_table(steps))


def approvals_card(approvals: Sequence[Approval]) -> str:
    """Return what waits for a person, with the call that decides."""
    rows = [
        (
            markup.text(one.workflow),
            markup.text(one.message),
            clock(one.since),
            f'<code>ws.runs.approve("{markup.text(one.run_id)}", "{markup.text(one.path)}")</code>',
        )
        for one in approvals
    ]
    return markup.card(markup.head("Approvals", count(len(approvals)), kind="oldest first"), markup.table(("workflow", "question", "since", "next"), rows))


def plain(value: Any) -> str:
    """Return a record in one line of text, for viewers without HTML."""
    words = WORDS.get(type(value))
    return repr(value) if words is None else words(value)


def _run_words(run: Run) -> str:
    offline = " · " + state_label("offline") if run.offline else ""
    time = duration(seconds_between(run.started_at, run.finished_at))
    return f"{run.name}  {state_label(run.state)}  {spend_words(run)}  {time}  run {run.id[:6]}{offline}"


def _answer_words(result: CommandResult) -> str:
    offline = "  " + state_label("offline") if result.offline else ""
    return f"{result.output}\n{result.command or result.agent}  {state_label(result.status)}  {money(result.cost_nanos)}  {result.model}{offline}"


def _step_words(step: Step) -> str:
    return f"{step.path}  {state_label(step.state)}  {money(step.cost_nanos)}  {duration(seconds_between(step.started_at, step.finished_at))}"


WORDS: dict[type, Callable[[Any], str]] = {
    AgentDefinition: lambda agent: f"agent {agent.name}: {agent.description}",
    Approval: lambda one: f"{one.workflow}  {one.message}  run {one.run_id[:6]}, step {one.path}",
    Attempt: lambda one: f"{one.model}  {state_label(one.status)}  {money(one.cost_nanos)}  {one.cause or ''}".rstrip(),
    BatchInfo: lambda one: f"batch {one.run}  {', '.join(f'{number} {name}' for name, number in one.rows.items() if number)}  {one.folder}",
    Budget: lambda one: f"budget {one.name}  {money(one.committed_nanos)} of {money(one.limit_nanos)}  {one.scope}, {one.period}",
    CommandDefinition: lambda command: f"command {command.name}: {command.description}",
    CommandResult: _answer_words,
    Conversation: lambda talk: f"{talk.title}  {talk.agent}  {talk.messages} messages  {money(talk.cost_nanos)}  conversation {talk.id}",
    Forecast: lambda forecast: f"{forecast.name}  {forecast_words(forecast)}",
    Pick: lambda pick: str(pick.why),
    Picture: lambda picture: str(picture.text if picture.format == "text" else picture.words),
    Proof: lambda proof: "\n".join(f"{'✓' if one.kept else '✕'} {one.number} {one.name}: {one.evidence}" for one in proof.promises),
    Receipt: receipt_text,
    Result: lambda result: f"{result.title}  {result.summary}  result {result.id}",
    ResultComparison: result_comparison_text,
    Run: _run_words,
    RunComparison: comparison_text,
    Step: _step_words,
    WorkflowDefinition: lambda workflow: f"workflow {workflow.name}: {workflow.description}",
}
"""How records of these kinds are told in words."""

CARDS: dict[type, Callable[[Any], str]] = {
    AgentDefinition: definition_card,
    BatchInfo: batch_card,
    Budget: budget_card,
    CommandDefinition: definition_card,
    CommandResult: command_result_card,
    Conversation: conversation_card,
    Forecast: forecast_card,
    Pick: pick_card,
    Picture: picture_card,
    Proof: proof_card,
    Record: record_card,  # IPython looks for a record's own kind first
    Receipt: receipt_html,
    Result: result_card,
    ResultComparison: result_comparison_card,
    RunComparison: comparison_card,
    WorkflowDefinition: definition_card,
}
"""The cards that need nothing but their record."""

LISTS: dict[type, Callable[[Sequence[Any]], str]] = {
    AgentDefinition: definitions_card,
    Approval: approvals_card,
    Attempt: attempts_card,
    Budget: budgets_card,
    CommandDefinition: definitions_card,
    Result: results_card,
    Run: runs_card,
    Step: steps_card,
    WorkflowDefinition: definitions_card,
}


def list_card(values: Sequence[Any]) -> str | None:
    """Return a card for a list of records, or None for other lists."""
    kinds = {type(value) for value in values}
    if len(kinds) != 1:
        return None
    kind = kinds.pop()
    if kind in LISTS:
        return LISTS[kind](values)
    if kind in CARDS:
        return "".join(CARDS[kind](value) for value in values)
    return records_card(values) if issubclass(kind, Record) else None
