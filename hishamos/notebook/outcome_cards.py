"""Cards of what came out: an answer, a result, two of them beside each other, a conversation, a pick."""

from __future__ import annotations

from collections.abc import Sequence

from hishamos.charts import comparison_lines
from hishamos.charts.formats import clock, count, duration, missing, money, some
from hishamos.notebook import markup
from hishamos.records.calls import CommandResult
from hishamos.records.conversations import Conversation
from hishamos.records.picking import Pick
from hishamos.records.result_comparisons import ResultComparison
from hishamos.records.results import Result
from hishamos.records.run_comparisons import RunComparison

PICKED = 5
"""Candidates that a pick's card shows."""
SHOWN = 200
"""Characters of a tool's arguments and result that a card shows."""


def command_result_card(result: CommandResult) -> str:
    """Return an answer's card: served by whom, at what cost."""
    output = result.model_dump(mode="json")["output"]  # it may be the caller's own model
    flat = _flat(output)
    body = fields_table({name: None if name in result.not_judged else value for name, value in output.items()}) if flat else markup.folded("output", output)
    if result.not_judged:
        body += markup.line(f"not judged offline: {markup.text(', '.join(result.not_judged))}", muted=True)
    if result.tools:
        rows = [(markup.text(use.name), markup.text(use.arguments[:SHOWN]), markup.text(use.result[:SHOWN])) for use in result.tools]
        body += markup.table(("tool", "asked", "told"), rows)
    body += "".join(markup.line(markup.text(warning.message), colour="amber") for warning in result.warnings)
    hops = [attempt for attempt in result.attempts if attempt.cause]
    if hops:
        body += markup.line("fell back: " + "; ".join(f"{markup.text(hop.model)} failed ({markup.text(hop.cause)})" for hop in hops), muted=True)
    body += "".join(markup.line(markup.text(attempt.why), muted=True) for attempt in result.attempts[-1:] if attempt.why)
    time = sum(attempt.latency_ms or 0 for attempt in result.attempts) / 1000
    facts = (money(result.cost_nanos), duration(time) if time else "", "reused" if result.reused else "from the cache" if result.cached else "")
    name, kind = result.command or result.agent or "answer", "agent" if result.agent and not result.command else "command"
    foot = markup.SEPARATOR.join([markup.text(result.model or missing()), some(len(result.attempts), "attempt"), *_tokens(result), markup.text(name)])
    return markup.card(markup.head(name.partition("@")[0], *facts, state=result.status, offline=result.offline, kind=kind), body, foot)


def _tokens(result: CommandResult) -> list[str]:
    used = [attempt.usage for attempt in result.attempts if attempt.usage is not None]
    return [f"{count(sum(one.input for one in used))} tokens in, {count(sum(one.output for one in used))} out"] if used else []


def _flat(output: object) -> bool:
    return isinstance(output, dict) and bool(output) and all(isinstance(value, str | int | float | bool | None) for value in output.values())


def fields_table(fields: dict[str, object]) -> str:
    """Return plain values by name as two columns."""
    return markup.table(("field", "value"), [(markup.text(name), markup.text(_value(value))) for name, value in fields.items()])


def _value(value: object) -> object:
    return missing() if value is None else str(value).lower() if isinstance(value, bool) else value


def result_card(result: Result) -> str:
    """Return a result's card."""
    body = markup.line(markup.text(result.summary)) + (markup.folded("body", result.body) if result.body else "")
    if result.action_items:
        items = "".join(f'<li dir="auto">{markup.text(item)}</li>' for item in result.action_items)
        body += f'<div style="margin-top:8px;opacity:.7;font-size:12px">action items</div><ul style="margin:4px 0 0;padding-inline-start:20px">{items}</ul>'
    stars = f"{'★' * result.rating}{'☆' * (5 - result.rating)}" if result.rating else ""
    foot = [
        f"result <code>{markup.text(result.id)}</code>",
        f"run {markup.text(result.run_words or missing())}",
        f"{clock(result.created_at)} UTC",
    ]
    head = markup.head(result.title, stars, result.workflow or "", offline=result.offline, kind="result")
    return markup.card(head, body, markup.SEPARATOR.join(foot))


def results_card(results: Sequence[Result]) -> str:
    """Return many results as a table."""
    rows = [
        (
            f"<strong>{markup.text(one.title)}</strong>" + (f" {markup.badge('offline')}" if one.offline else ""),
            markup.text(one.summary[:SHOWN] + ("…" if len(one.summary) > SHOWN else "")),
            markup.text(one.workflow or ""),
            f"<code>{markup.text(one.id)}</code>",
            clock(one.created_at),
        )
        for one in results
    ]
    table = markup.table(("result", "summary", "workflow", "id", "made"), rows, right=(4,))
    return markup.card(markup.head("Results", count(len(results)), kind="newest first"), table, "next: <code>ws.results.get(id)</code>")


def comparison_card(comparison: RunComparison) -> str:
    """Return two runs beside each other: the facts of both, what the later one was given otherwise, where what came out differs."""
    rows = [
        (f"<strong>{markup.text(name)}</strong>" if before != now else markup.text(name), markup.text(before), markup.text(now))
        for name, before, now in comparison_lines.sides(comparison)
    ]
    body = markup.line(markup.text(comparison_lines.verdict(comparison))) + markup.table(("", "before", "now"), rows)
    for title, told in (("changed", comparison_lines.changes), ("steps that differ", comparison_lines.steps), ("outputs", comparison_lines.outputs)):
        if lines := list(told(comparison)):
            body += markup.folded(title, "\n".join(lines))
    word = "repeats" if comparison.repeats else "beside"
    foot = f"run {markup.text(comparison.after.id)} {word} run {markup.text(comparison.before.id)}"
    offline = comparison.before.offline or comparison.after.offline
    return markup.card(markup.head(comparison.after.name, state=comparison.after.state, offline=offline, kind="comparison"), body, foot)


def result_comparison_card(comparison: ResultComparison) -> str:
    """Return two results beside each other: where what they say differs, and, below, the runs that they came out of."""
    places = some(len(comparison.differences), "difference") if comparison.differences else "they say the same"
    body = markup.folded("what differs", "\n".join(comparison_lines.differences_told(comparison.differences))) if comparison.differences else ""
    foot = f"result {markup.text(comparison.after.id)} beside result {markup.text(comparison.before.id)}"
    head = markup.head(comparison.after.title, places, offline=comparison.before.offline or comparison.after.offline, kind="comparison")
    return markup.card(head, body, foot) + (comparison_card(comparison.runs) if comparison.runs else "")


def conversation_card(talk: Conversation) -> str:
    """Return a conversation's card: with whom, how much was said, what it cost."""
    unpriced = f" + {count(talk.unpriced)} unpriced" if talk.unpriced else ""
    body = markup.folded("summary of the earlier messages", talk.summary) if talk.summary else ""
    next_act = f'<code>ws.conversations.say("{markup.text(talk.id)}", …)</code>'
    head = markup.head(talk.title, talk.agent, f"{some(talk.messages, 'message')}", money(talk.cost_nanos) + unpriced, kind="conversation")
    return markup.card(head, body, f"conversation {markup.text(talk.id)} · {clock(talk.changed_at)} UTC · next: {next_act}")


def pick_card(pick: Pick) -> str:
    """Return a pick's card: who, why, and how the first candidates were weighed."""
    criteria = ("capability", "success", "rating", "load", "cost", "speed")
    rows = [(markup.text(one.agent), *(f"{getattr(one, name):.2f}" for name in ("score", *criteria)), markup.text(one.why)) for one in pick.candidates[:PICKED]]
    weights = ", ".join(f"{name} {getattr(pick.weights, name):g}" for name in criteria)
    table = markup.table(("agent", "score", *criteria, "why"), rows, right=tuple(range(1, 8)))
    return markup.card(markup.head(pick.agent, kind="picked"), markup.line(markup.text(pick.why)) + table, f"weights: {weights}")
