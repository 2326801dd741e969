"""Tables of runs, steps, attempts and results: numbers at the right, state as sign and word, a click opens the thing."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import PurePath
from typing import Any

import pandas as pd
import streamlit as st

from hishamos.charts.formats import clock, count, duration, missing, money, state_label
from hishamos.records.batches import BatchInfo, BatchRow
from hishamos.records.calls import Attempt
from hishamos.records.conversations import Conversation
from hishamos.records.own_tags import tag_words
from hishamos.records.runs import Run, Step


def runs_table(runs: Sequence[Run], key: str) -> None:
    """Draw runs; a click on a row opens the run."""
    rows = [
        {
            "State": state_label(run.state),
            "Run": run.name,
            "Id": run.id[:6],
            "Kind": run.kind.value,
            "Started": clock(run.created_at),
            "Time": seconds_between(run.started_at, run.finished_at),
            "Steps": f"{count(run.steps_done)} / {count(run.steps_total)}",
            "Attempts": count(run.attempts),
            "Spend": spend_words(run.cost_nanos, run.unpriced, offline=run.offline),
        }
        for run in runs
    ]
    chosen = _table(rows, key, right=["Time", "Steps", "Attempts", "Spend"])
    if chosen is not None:
        st.switch_page("views/run.py", query_params={"run": runs[chosen].id})


def steps_table(steps: Sequence[Step], key: str) -> Step | None:
    """Draw steps and return the one that was clicked."""
    rows = [
        {
            "State": state_label(step.state),
            "Step": step.path,
            "Type": step.type,
            "Model": step.model or missing(),
            "Time": seconds_between(step.started_at, step.finished_at),
            "Tries": count(step.attempt),
            "Attempts": count(step.attempts),
            "Spend": money(step.cost_nanos) if step.attempts else missing(),
            "Note": "reused" if step.reused else (step.error.message if step.error else step.waiting_for or ""),
        }
        for step in steps
    ]
    chosen = _table(rows, key, right=["Time", "Tries", "Attempts", "Spend"])
    return steps[chosen] if chosen is not None else None


def attempts_table(attempts: Sequence[Attempt], key: str, *, apart: bool = False) -> Attempt | None:
    """Draw attempts at providers and return the one that was clicked; ``apart``: they are of several runs, and say whose they are."""
    rows = [
        {
            "State": state_label("offline" if attempt.offline else attempt.status),
            **({"Run": (attempt.run_id or "")[:6], "Command": (attempt.command or "").partition("@")[0]} if apart else {}),
            "Step": attempt.step_id or missing(),
            "Model": attempt.model,
            "Cause": attempt.cause or "",
            "Why": attempt.why,
            "Sent": clock(attempt.started_at),
            "Latency": duration(None if attempt.latency_ms is None else attempt.latency_ms / 1000),
            "Input tokens": count(attempt.input_tokens),
            "Output tokens": count(attempt.output_tokens),
            "Cost": money(attempt.cost_nanos),
            **({"Tags": tag_words(attempt.own_tags)} if apart else {}),
        }
        for attempt in attempts
    ]
    chosen = _table(rows, key, right=["Latency", "Input tokens", "Output tokens", "Cost"])
    return attempts[chosen] if chosen is not None else None


def batches_table(batches: Sequence[BatchInfo], key: str) -> BatchInfo | None:
    """Draw batches and return the one that was clicked."""
    rows = [
        {
            "State": state_label(batch.state),
            "Notebook": PurePath(batch.notebook).name,
            "Id": batch.run[:6],
            "Started": clock(batch.created_at),
            "Time": seconds_between(batch.started_at, batch.finished_at),
            "Rows": f"{count(batch.ended)} / {count(batch.total)}",
            "Failed": count(batch.rows.get("failed", 0)),
            "Spend": spend_words(batch.cost_nanos, batch.unpriced, offline=batch.offline) if batch.attempts else missing(),
        }
        for batch in batches
    ]
    chosen = _table(rows, key, right=["Time", "Rows", "Failed", "Spend"])
    return batches[chosen] if chosen is not None else None


def conversations_table(conversations: Sequence[Conversation], key: str) -> Conversation | None:
    """Draw conversations and return the one that was clicked."""
    rows = [
        {
            "Title": one.title,
            "With": one.agent,
            "Id": one.id[:6],
            "Messages": count(one.messages),
            "Last": clock(one.changed_at),
            "Spend": spend_words(one.cost_nanos, one.unpriced, offline=False) if one.cost_nanos or one.unpriced else missing(),
        }
        for one in conversations
    ]
    chosen = _table(rows, key, right=["Messages", "Spend"])
    return conversations[chosen] if chosen is not None else None


def rows_table(found: Sequence[BatchRow], key: str) -> BatchRow | None:
    """Draw a batch's rows and return the one that was clicked."""
    rows = [
        {
            "Row": count(row.index + 1),
            "State": state_label("reused" if row.reused else row.status),
            "Parameters": _given(row.parameters),
            "Why it failed": "" if row.reason is None else row.reason if row.cell is None else f"cell {row.cell}: {row.reason}",
            "Result": "" if row.result is None else _given(row.result),
            "Time": duration(row.seconds),
            "Spend": money(row.cost_nanos) if row.cost_nanos != 0 else missing(),
        }
        for row in found
    ]
    chosen = _table(rows, key, right=["Row", "Time", "Spend"])
    return found[chosen] if chosen is not None else None


def _given(values: dict[str, Any]) -> str:
    return ", ".join(f"{name}={value}" for name, value in values.items())


def seconds_between(start: datetime | None, end: datetime | None) -> str:
    """Return the time between two instants in words; up to now when it has not ended."""
    if start is None:
        return missing()
    stop = end or datetime.now(start.tzinfo)
    return duration((stop - start).total_seconds())


def spend_words(nanos: int, unpriced: int, *, offline: bool) -> str:
    """Return a run's spend; what is unpriced or offline is never shown as 0.00."""
    if offline and nanos == 0 and not unpriced:
        return "offline"
    return money(nanos) + (f" + {unpriced} unpriced" if unpriced else "")


def _table(rows: list[dict[str, Any]], key: str, *, right: Sequence[str]) -> int | None:
    """Draw rows, hide columns that are empty in every row, return the clicked row's number."""
    frame = pd.DataFrame(rows)
    frame = frame.loc[:, [name for name in frame.columns if (frame[name] != "").any()]]
    columns = {name: st.column_config.TextColumn(name, alignment="right") for name in right if name in frame.columns}
    event = st.dataframe(frame, hide_index=True, column_config=columns, on_select="rerun", selection_mode="single-row", key=key, alt=f"Table of {key}")
    picked = event.selection.rows
    return picked[0] if picked else None
