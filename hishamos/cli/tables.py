"""Records as rich tables, with the words, signs and number formats of every face."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich.table import Table
from rich.text import Text

from hishamos.charts.formats import clock, count, duration, missing, money, state_colour, state_label
from hishamos.charts.pace import unanswered
from hishamos.records.calls import Attempt
from hishamos.records.own_tags import GROUP
from hishamos.records.results import Issue, Result, ResultComment
from hishamos.records.runs import Run, Step

COLOURS = {"muted": "bright_black", "blue": "blue", "amber": "yellow", "green": "green", "red": "red", "violet": "magenta"}


def table(title: str, columns: Sequence[str], rows: Iterable[Sequence[Any]], *, right: Sequence[str] = ()) -> Table:
    """Return a plain table; the columns named in ``right`` hold numbers."""
    drawn = Table(title=Text(title, style="bold") if title else None, title_justify="left", box=None, pad_edge=False, header_style="bright_black")
    for name in columns:
        drawn.add_column(Text(name), justify="right" if name in right else "left", overflow="fold")
    for row in rows:
        drawn.add_row(*(cell if isinstance(cell, Text) else Text(_cell(cell)) for cell in row))
    return drawn


def state(word: str) -> Text:
    """Return a state as sign and word, coloured where there are colours."""
    return Text(state_label(word), style=COLOURS[state_colour(word)])


def run_state(run: Run) -> str:
    """Return a run's state as sign and words; one that waits says for what, one that paused by itself says why."""
    label = state_label(run.state)
    if run.state == "paused" and run.waiting_for:
        return f"{label}: {run.waiting_for}"
    return f"{label.partition(' ')[0]} waiting for {run.waiting_for}" if run.state == "waiting" and run.waiting_for else label


def spend(nanos: int | None, unpriced: int = 0, *, offline: bool = False) -> str:
    """Return a spend; what is unpriced or offline is never shown as 0.00."""
    if offline and not nanos and not unpriced:
        return "offline"
    return money(nanos) + (f" + {unpriced} unpriced" if unpriced else "")


def seconds(record: Run | Step) -> float | None:
    """Return how long a run or step took, seconds; None while it has not ended."""
    if record.started_at is None or record.finished_at is None:
        return None
    return (record.finished_at - record.started_at).total_seconds()


def runs_table(runs: Sequence[Run]) -> Table:
    """Return runs as a table."""
    rows = [
        (
            run.id,
            run.name,
            Text(", ").join(part for part in (state(run.state), Text(unanswered(run))) if part),
            f"{count(run.steps_done)} / {count(run.steps_total)}",
            spend(run.cost_nanos, run.unpriced, offline=run.offline),
            duration(seconds(run)),
            clock(run.created_at),
        )
        for run in runs
    ]
    return table("Runs", ("Run", "Name", "State", "Steps", "Spend", "Time", "Started (UTC)"), rows, right=("Steps", "Spend", "Time"))


def steps_table(steps: Sequence[Step], *, offline: bool = False) -> Table:
    """Return a run's steps as a table; ``offline``: the run's answers came from the offline model."""
    rows = [
        (
            step.path,
            step.type,
            state(step.state),
            step.model or missing(),
            count(step.attempts),
            spend(step.cost_nanos, offline=offline) if step.attempts else missing(),
            duration(seconds(step)),
            step.error.message if step.error else step.waiting_for or ("reused" if step.reused else ""),
        )
        for step in steps
    ]
    columns = ("Step", "Type", "State", "Model", "Attempts", "Spend", "Time", "Note")
    return table("Steps", columns, rows, right=("Attempts", "Spend", "Time"))


def attempts_table(attempts: Sequence[Attempt]) -> Table:
    """Return attempts at providers as a table; why a model was asked stands in it where a route chose."""
    chosen = any(attempt.why for attempt in attempts)
    rows = [
        (
            attempt.step_id or missing(),
            attempt.model,
            state("offline" if attempt.offline else attempt.status),
            attempt.cause or "",
            count(attempt.input_tokens),
            count(attempt.output_tokens),
            "offline" if attempt.offline else money(attempt.cost_nanos),
            duration(None if attempt.latency_ms is None else attempt.latency_ms / 1000),
            *([attempt.why] if chosen else []),
        )
        for attempt in attempts
    ]
    columns = ("Step", "Model", "State", "Cause", "Input tokens", "Output tokens", "Cost", "Latency", *(["Why"] if chosen else []))
    return table("Attempts", columns, rows, right=("Input tokens", "Output tokens", "Cost", "Latency"))


def results_table(results: Sequence[Result]) -> Table:
    """Return results as a table."""
    rows = [
        (
            result.id,
            result.title,
            result.run_words or missing(),
            result.project or missing(),
            _rating(result.rating),
            clock(result.created_at),
        )
        for result in results
    ]
    return table("Results", ("Result", "Title", "Run", "Project", "Rating", "Saved (UTC)"), rows, right=("Rating",))


def comments_table(comments: Sequence[ResultComment]) -> Table:
    """Return what people said as a table."""
    return table("Comments", ("By", "Said (UTC)", "Comment"), [(one.user_name, clock(one.created_at), one.text) for one in comments])


def issues_table(issues: Sequence[Issue]) -> Table:
    """Return issues as a table."""
    rows = [(issue.key, issue.title, issue.kind, issue.priority, issue.state, ", ".join(issue.labels)) for issue in issues]
    return table("Issues", ("Issue", "Title", "Kind", "Priority", "State", "Labels"), rows)


def rows_table(rows: Sequence[Mapping[str, Any]], title: str = "") -> Table:
    """Return any rows as a table; ``cost_nanos`` is shown as money, numbers stand at the right."""
    names = list(rows[0]) if rows else []
    numeric = [name for name in names if all(isinstance(row[name], int | float) or row[name] is None for row in rows)]
    shown = [[_named(name, row[name]) for name in names] for row in rows]
    return table(title, [_heading(name) for name in names], shown, right=[_heading(name) for name in numeric])


ALWAYS = ("calls", "attempts", "cost_nanos")


def spend_table(rows: Sequence[Mapping[str, Any]], groups: Sequence[str]) -> Table:
    """Return the spend by groups; figures that are zero everywhere are left out, and what is offline is never shown as 0.00."""
    asked = list(rows[0])[: list(rows[0]).index("calls")]  # columns, whose names may be others than those that were typed
    names = [name for name in rows[0] if name in asked or name in ALWAYS or any(row[name] for row in rows)]
    shown = [
        {name: "offline" if name == "cost_nanos" and not row[name] and row["offline"] == row["attempts"] else _named(name, row[name]) for name in names}
        for row in rows
    ]
    headings = [name if name.startswith(GROUP) else _heading(name).replace("_", " ").removesuffix(" ms") for name in names]
    right = [heading for heading, name in zip(headings, names, strict=True) if name not in asked]
    return table(f"Spend by {' and '.join(groups)}", headings, [list(row.values()) for row in shown], right=right)


def facts(pairs: Iterable[tuple[str, Any]]) -> Table:
    """Return facts as two columns: the name, the value."""
    drawn = Table(box=None, pad_edge=False, show_header=False)
    drawn.add_column(style="bright_black", no_wrap=True)
    drawn.add_column(overflow="fold")
    for name, value in pairs:
        if value not in (None, "", ()):
            drawn.add_row(Text(name), value if isinstance(value, Text) else Text(_cell(value)))
    return drawn


def _heading(name: str) -> str:
    return "cost" if name == "cost_nanos" else name


def _named(name: str, value: Any) -> str:
    if name == "cost_nanos" and (value is None or isinstance(value, int)):
        return money(value)
    if name.endswith("_ms") and (value is None or isinstance(value, int | float)):
        return duration(None if value is None else value / 1000)
    return _cell(value)


def _rating(rating: int | None) -> str:
    return missing() if rating is None else f"{rating} / 5"


def _cell(value: Any) -> str:
    if value is None or (isinstance(value, float) and value != value):  # noqa: PLR0124 - NaN is the number that differs from itself
        return missing()
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return count(value)
    return str(value)
