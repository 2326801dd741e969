"""The card of a run in sections, so that a live view and the static card that takes its place have one layout."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from hishamos.charts.formats import clock, count, duration, exact_usd, missing, money, outlook, some, state_label, waiting_words
from hishamos.charts.pace import rows_told
from hishamos.charts.ranges import compared_words
from hishamos.notebook import markup
from hishamos.records.batches import BatchInfo, BatchRow
from hishamos.records.forecasts import Forecast
from hishamos.records.own_tags import tag_words
from hishamos.records.pictures import Picture
from hishamos.records.runs import Approval, Run, RunKind, RunState, Step

if TYPE_CHECKING:
    import pandas

MOST_ITEMS = 40
"""Items of maps, and rows of batches, that a card lists."""
BARS = {RunState.FAILED: "red", RunState.CANCELLED: "amber", RunState.PAUSED: "amber", RunState.WAITING: "amber"}
UNITS = {RunKind.WORKFLOW: "steps", RunKind.MAP: "rows", RunKind.BATCH: "notebooks"}


@dataclass(frozen=True)
class RunFacts:
    """What a run's card tells, as it was read at one moment."""

    run: Run
    steps: Sequence[Step] = ()
    """Of a map: those that failed."""
    graph: Picture | None = None
    forecast: Forecast | None = None
    spend: pandas.DataFrame | None = None
    """By model."""
    notebooks: Sequence[BatchRow] = ()
    batch: BatchInfo | None = None
    approvals: Sequence[Approval] = ()
    remark: str = ""
    """What the face itself has to say: that it only looked away, or why a click failed."""


def run_card(facts: RunFacts) -> str:
    """Return the static card."""
    parts = sections(facts)
    foot = parts.pop("foot")
    return markup.card(parts.pop("head"), "".join(parts.values()), foot)


def sections(facts: RunFacts, *, live: bool = False, said: str = "") -> dict[str, str]:
    """Return the card's parts from top to bottom, each markup or empty. ``live``: without what only an end tells; ``said``: what a model says now."""
    run = facts.run
    time = duration(seconds_between(run.started_at, run.finished_at))
    ended_error = markup.line(markup.text(run.error.message), colour="red") if run.error is not None else ""
    return {
        "head": markup.head(run.name, spend_words(run), time, state=run.state, offline=run.offline, kind="" if live else run.kind.value),
        "progress": _progress(facts),
        "notes": _notes(facts) + ended_error,
        "graph": "" if facts.graph is None else (markup.inline_graph if live else markup.graph)(facts.graph),
        "steps": _notebooks(facts.notebooks, facts.batch) if facts.notebooks else steps_table(facts.steps) if facts.steps else "",
        "chart": "" if live else _chart(facts),
        "said": said,
        "outputs": "" if run.outputs is None or live or run.kind is not RunKind.WORKFLOW else markup.folded("outputs", run.outputs),
        "foot": _foot(run) + ("" if live else next_act(run)),
    }


def steps_table(steps: Sequence[Step]) -> str:
    """Return the table of a run's steps: those of the graph and all that failed; the items of maps are folded below."""
    shown = [step for step in steps if "[" not in step.path or step.error]
    items = [step for step in steps if "[" in step.path and not step.error]
    counts = Counter(step.path.partition("[")[0] for step in steps if "[" in step.path)
    table = _steps([(step, f"{count(counts[step.path])} items" if counts[step.path] else "") for step in shown])
    if not items:
        return table
    more = markup.line(f"and {count(len(items) - MOST_ITEMS)} more", muted=True) if len(items) > MOST_ITEMS else ""
    return table + markup.fold(f"{count(len(items))} items of maps", _steps([(step, "") for step in items[:MOST_ITEMS]]) + more)


def runs_card(runs: Sequence[Run]) -> str:
    """Return a list of runs."""
    rows = [
        (
            markup.badges(run.state, offline=run.offline),
            markup.text(run.name),
            markup.text(run.kind.value),
            f"<code>{run.id[:6]}</code>",
            clock(run.created_at),
            duration(seconds_between(run.started_at, run.finished_at)),
            spend_words(run),
        )
        for run in runs
    ]
    table = markup.table(("state", "run", "kind", "id", "started", "time", "spend"), rows, right=(4, 5, 6))
    return markup.card(markup.head("Runs", count(len(runs)), kind="newest first"), table, "next: <code>ws.runs.get(id)</code>")


def spend_words(run: Run) -> str:
    """Return what a run cost; what has no price is counted beside it, never shown as 0."""
    return money(run.cost_nanos) + (f" + {count(run.unpriced)} unpriced" if run.unpriced else "")


def seconds_between(start: datetime | None, end: datetime | None) -> float | None:
    """Return the seconds between two instants, up to now where it has not ended; None before it began."""
    return None if start is None else ((end or datetime.now(UTC)) - start).total_seconds()


def next_act(run: Run) -> str:
    """Return what can be done now, as the call that does it."""
    if run.state == RunState.WAITING:
        waits = run.waiting_for or ""
        if "approval of step" in waits:
            return _next(f'ws.runs.approve("{run.id}", "{waits.rpartition(" ")[2]}")')
        return _next(f'ws.runs.signal("{run.id}", NAME)') if "event " in waits else ""
    if run.state in {RunState.FAILED, RunState.PAUSED, RunState.CANCELLED}:
        return _next(f'ws.runs.resume("{run.id}")')
    return _next(f'ws.runs.get("{run.id}").wait()') if not run.ended else ""


def _next(call: str) -> str:
    return f"{markup.SEPARATOR}next: <code>{markup.text(call)}</code>"


def _foot(run: Run) -> str:
    parts = [f"run <code>{markup.text(run.id)}</code>", f"{markup.text(run.name)}@{markup.text(run.version[:12])}"]
    if run.cost_nanos:
        parts.append(f"exactly {exact_usd(run.cost_nanos)} USD")
    return markup.SEPARATOR.join(parts)


def _progress(facts: RunFacts) -> str:
    run = facts.run
    if not run.steps_total:
        return ""
    share = run.progress if run.progress is not None else run.steps_done / run.steps_total
    words = [f"{count(run.steps_done)} of {count(run.steps_total)} {UNITS[run.kind]}"]
    taken = seconds_between(run.started_at, run.finished_at)
    if run.kind is RunKind.MAP and taken and run.steps_done:
        words.append(f"{run.steps_done / taken:,.1f} rows/s")
    if run.kind is RunKind.MAP:
        words.append(rows_told(run))
    if not run.ended:
        words.append(outlook(run.progress, run.left_s, run.left_nanos))
    if run.attempts:
        words.append(some(run.calls, "call") + (f", {some(run.attempts, 'attempt')}" if run.attempts != run.calls else ""))
    if facts.spend is not None and len(facts.spend):
        words.append(f"{count(int(facts.spend['input_tokens'].sum()))} tokens in, {count(int(facts.spend['output_tokens'].sum()))} out")
    told = markup.SEPARATOR.join(markup.text(word) for word in words if word)
    return markup.bar(share, BARS.get(run.state, "green")) + f'<div style="margin-top:4px;font-variant-numeric:tabular-nums">{told}</div>'


def _notes(facts: RunFacts) -> str:
    run = facts.run
    lines = [markup.line(markup.text(facts.remark), colour="amber")] if facts.remark else []
    if run.where == "kernel":
        lines.append(markup.line("where: kernel (it pauses when this kernel ends)", muted=True))
    if run.own_tags:
        lines.append(markup.line(f"tags: {markup.text(tag_words(run.own_tags))}", muted=True))
    asked = [markup.line(f"{markup.text(approval.path)}: {markup.text(approval.message)}") for approval in facts.approvals]
    if asked or run.waiting_for:
        lines += asked or [markup.line(markup.text(waiting_words(run.waiting_for or "")))]
    if facts.forecast is not None and not facts.forecast.offline and (run.attempts or not run.ended):
        lines.append(markup.line(f"forecast: {markup.text(compared_words(facts.forecast, run))}", muted=True))
    return "".join(lines)


def _steps(rows: Sequence[tuple[Step, str]]) -> str:
    lines = [
        (
            markup.text(step.path),
            markup.badge("reused" if step.reused else step.state),
            markup.name(step.model or missing()),
            missing() if step.state == "skipped" else duration(seconds_between(step.started_at, step.finished_at)),
            count(step.attempts) if step.attempts else missing(),
            money(step.cost_nanos) if step.attempts else missing(),
            markup.text(step.error.message if step.error else waiting_words(step.waiting_for or "") or note),
        )
        for step, note in rows
    ]
    return markup.table(("step", "state", "model", "time", "attempts", "cost", "note"), lines, right=(3, 4, 5))


def batch_card(batch: BatchInfo) -> str:
    """Return a batch's card: how many rows stand how, where its notebooks and its summary are."""
    counts = [(state_label(name).partition(" ")[2], count(number)) for name, number in batch.rows.items() if number]
    kernels = f"{some(batch.jobs, 'job')}, {'kept kernels' if batch.reuse else 'a fresh kernel for each notebook'}"
    body = markup.facts(counts) + markup.facts([("notebook", batch.notebook), ("executed", batch.folder), ("summary", batch.summary)])
    name = batch.notebook.replace("\\", "/").rpartition("/")[2].removesuffix(".ipynb")
    return markup.card(markup.head(name, kind="batch"), body, f"run <code>{markup.text(batch.run)}</code>{markup.SEPARATOR}{markup.text(kernels)}")


def _notebooks(rows: Sequence[BatchRow], batch: BatchInfo | None) -> str:
    """Return the table of a batch: what failed first, then the others as far as there is room."""
    ordered = sorted(rows, key=lambda row: (row.status not in {"failed", "running"}, row.index))
    lines = [
        (
            count(row.index + 1),
            markup.badge("reused" if row.reused else row.status),
            markup.text(", ".join(f"{name}={_short(value)}" for name, value in row.parameters.items())),
            duration(row.seconds),
            money(row.cost_nanos) if row.status != "pending" else missing(),
            markup.text(_ended(row, batch)),
        )
        for row in ordered[:MOST_ITEMS]
    ]
    more = markup.line(f"and {count(len(rows) - MOST_ITEMS)} more: <code>ws.batch.rows(run.id)</code>", muted=True) if len(rows) > MOST_ITEMS else ""
    where = markup.facts([("executed", batch.folder), ("summary", batch.summary)]) if batch else ""
    return where + markup.table(("row", "state", "parameters", "time", "cost", "executed notebook, or why it failed"), lines, right=(0, 3, 4)) + more


def _ended(row: BatchRow, batch: BatchInfo | None) -> str:
    """Return what a notebook came to: its file's name, or the cell at which it failed and why."""
    if row.error:
        return (f"cell {row.cell}: " if row.cell is not None else "") + (row.reason or row.error)
    return (row.output_path or "").removeprefix(batch.folder if batch else "").lstrip("/")


def _short(value: Any) -> str:
    words = str(value)
    return words if len(words) <= 40 else f"{words[:39]}…"


def _chart(facts: RunFacts) -> str:
    """Draw where the money went: by step, else by model; the number of attempts where nothing cost anything."""
    by_step = {step.path: (step.cost_nanos or 0, step.attempts) for step in facts.steps if "[" not in step.path and "." not in step.path and step.attempts}
    if len(by_step) > 1:
        return _bars(by_step, "step")
    if facts.spend is None or len(facts.spend) < 2:
        return ""
    return _bars({str(row["model"]): (int(row["cost_nanos"]), int(row["attempts"])) for row in facts.spend.to_dict("records")}, "model")


def _bars(amounts: Mapping[str, tuple[int, int]], by: str) -> str:
    from hishamos.charts.spend import bars_png

    priced = any(nanos for nanos, _ in amounts.values())
    values = {name: nanos / 1e9 if priced else attempts for name, (nanos, attempts) in amounts.items() if nanos or not priced}  # free or unpriced is no 0
    title = f"{'Spend' if priced else 'Attempts'} by {by}"
    told = ", ".join(f"{name} {money(nanos) if priced else attempts}" for name, (nanos, attempts) in amounts.items())
    heading = f'<div style="margin-top:12px;font-weight:600;font-size:13px">{title}</div>'
    return heading + markup.picture(bars_png(values, "USD" if priced else "attempts"), f"{title}: {told}")
