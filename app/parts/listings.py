"""Tables of runs, steps, attempts and results: numbers at the right, state as sign and word, a click opens the thing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import PurePath
from typing import Any

import pandas as pd
import streamlit as st

from hishamos.charts.formats import clock, count, duration, missing, money, share, state_label, waiting_words
from hishamos.charts.pace import unanswered
from hishamos.records.batches import BatchInfo, BatchRow
from hishamos.records.calls import Attempt
from hishamos.records.conversations import Conversation
from hishamos.records.own_tags import tag_words
from hishamos.records.runs import Run, RunKind, Step
from parts.style import link_colour, state_colours

USD = "Spend, USD"
LETTER, AROUND, WIDEST = 6.6, 20, 270
"""Pixels of a letter, of what stands around a text, and of the widest column."""
OFFLINE = "⌁ offline"
"""The state of an attempt in a table: the name of its model and its cost say the rest."""
SHOWN, ROW = 25, 35
"""Rows of a table that are shown without a scroll bar of its own, and the height of one in pixels."""


def runs_table(runs: Sequence[Run], key: str, *, few: bool = False) -> None:
    """Draw runs; a click on a row opens the run. ``few``: only the columns that a page has room for which shows other things too."""
    people = len({run.user_name for run in runs}) > 1
    rows = [
        {
            "State": state_label(run.state),
            "Run": run.name,
            "Why": why(run),
            USD: amount(spend_words(run.cost_nanos, run.unpriced, offline=run.offline)),
            "Time": seconds_between(run.started_at, run.finished_at),
            "Started, UTC": clock(run.created_at),
            "Project": run.project or "",
            **({} if few else _more(run, people=people)),
        }
        for run in runs
    ]
    chosen = table(rows, [run.id for run in runs], key, right=[USD, "Time", *([] if few else ["Steps"])], opens="Run")
    if chosen is not None:
        st.switch_page("views/run.py", query_params={"run": chosen})


def _more(run: Run, *, people: bool) -> dict[str, str]:
    return {
        "Steps": f"{count(run.steps_done)} / {count(run.steps_total)}",
        "By": (run.user_name or "") if people else "",
        "Kind": "" if run.kind is RunKind.WORKFLOW else run.kind.value,
        "Id": run.id[:6],
    }


def why(run: Run) -> str:
    """Return why a run is where it is: what it waits for, or what failed, be it rows of a map that went through."""
    if run.error is None:
        return waiting_words(run.waiting_for or "") or unanswered(run)
    facts = run.error.facts
    return f"{facts['where']}: {facts['reason']}" if {"where", "reason"} <= facts.keys() else run.error.message


def steps_table(steps: Sequence[Step], key: str) -> Step | None:
    """Draw steps and return the one that was clicked."""
    rows = [
        {
            "State": state_label(step.state),
            "Step": step.path,
            "Why": "reused" if step.reused else (step.error.message if step.error else waiting_words(step.waiting_for or "")),
            "Model": step.model or missing(),
            USD: _step_amount(step),
            "Time": seconds_between(step.started_at, step.finished_at),
            "Attempts": count(step.attempts),
            "Tries": count(step.attempt) if step.attempt > 1 else "",
            "Type": step.type,
        }
        for step in steps
    ]
    chosen = table(rows, [step.path for step in steps], key, right=[USD, "Time", "Attempts", "Tries"])
    return next((step for step in steps if step.path == chosen), None)


def attempts_table(attempts: Sequence[Attempt], key: str, *, apart: bool = False) -> Attempt | None:
    """Draw attempts at providers and return the one that was clicked; ``apart``: they are of several runs, and say whose they are and when."""
    rows = [
        {
            "State": OFFLINE if attempt.offline else state_label(attempt.status),
            **({} if apart else {"Step": attempt.step_id or missing()}),
            "Model": attempt.model,
            "Cost, USD": "offline" if attempt.offline else amount(money(attempt.cost_nanos)),
            "Latency": taken(attempt.latency_ms),
            "Tokens in": count(attempt.input_tokens),
            "Tokens out": count(attempt.output_tokens),
            **(_place(attempt) if apart else {}),
            "Cause": attempt.cause or "",
            "Why": attempt.why,
        }
        for attempt in attempts
    ]
    right = ["Cost, USD", "Latency", "Tokens in", "Tokens out"]
    chosen = table(rows, [attempt.id for attempt in attempts], key, right=right, opens="Model" if apart else "")
    return next((attempt for attempt in attempts if attempt.id == chosen), None)


def _place(attempt: Attempt) -> dict[str, str]:
    return {
        "Sent, UTC": clock(attempt.started_at),
        "Command": (attempt.command or "").partition("@")[0],
        "Step": attempt.step_id or missing(),
        "Run": (attempt.run_id or "")[:6],
        "Tags": tag_words(attempt.own_tags),
    }


def batches_table(batches: Sequence[BatchInfo], key: str) -> str | None:
    """Draw batches and return the run of the one that was clicked."""
    rows = [
        {
            "State": state_label(batch.state),
            "Notebook": PurePath(batch.notebook).name,
            "Rows": f"{count(batch.ended)} / {count(batch.total)}",
            "Failed": count(batch.rows.get("failed", 0)),
            USD: amount(spend_words(batch.cost_nanos, batch.unpriced, offline=batch.offline)) if batch.attempts else missing(),
            "Time": seconds_between(batch.started_at, batch.finished_at),
            "Started, UTC": clock(batch.created_at),
            "Id": batch.run[:6],
        }
        for batch in batches
    ]
    return table(rows, [batch.run for batch in batches], key, right=["Rows", "Failed", USD, "Time"], opens="Notebook")


def conversations_table(conversations: Sequence[Conversation], key: str) -> str | None:
    """Draw conversations and return the id of the one that was clicked."""
    rows = [
        {
            "Title": one.title,
            "With": one.agent,
            "Messages": count(one.messages),
            USD: amount(spend_words(one.cost_nanos, one.unpriced, offline=False)) if one.cost_nanos or one.unpriced else missing(),
            "Last, UTC": clock(one.changed_at),
            "Id": one.id[:6],
        }
        for one in conversations
    ]
    return table(rows, [one.id for one in conversations], key, right=["Messages", USD], opens="Title")


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
            USD: amount(money(row.cost_nanos)) if row.cost_nanos != 0 else missing(),
        }
        for row in found
    ]
    chosen = table(rows, [row.step for row in found], key, right=["Row", "Time", USD])
    return next((row for row in found if row.step == chosen), None)


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
    if unpriced and not nanos:
        return f"{count(unpriced)} unpriced"
    return money(nanos) + (f" + {count(unpriced)} unpriced" if unpriced else "")


def _step_amount(step: Step) -> str:
    if not step.attempts:
        return missing()
    return "offline" if (step.model or "").startswith("offline/") and not step.cost_nanos else amount(money(step.cost_nanos))


def group_amount(sums: Mapping[str, Any]) -> str:
    """Return what a group of attempts cost, for a column whose head has the unit; what is offline or unpriced is no 0."""
    if sums["offline"] == sums["attempts"]:
        return "offline"
    if sums["unpriced"] and not sums["cost_nanos"]:
        return "unpriced"
    return amount(money(int(sums["cost_nanos"]))) + (f" + {count(sums['unpriced'])} unpriced" if sums["unpriced"] else "")


def group_share(sums: Mapping[str, Any], whole: int) -> str:
    """Return a group's share of the money; of what is offline or unpriced there is none to tell."""
    return share(sums["cost_nanos"], 0 if not sums["cost_nanos"] and (sums["unpriced"] or sums["offline"]) else whole)


def taken(milliseconds: float | None) -> str:
    """Return how long a call took, in words."""
    return duration(None if milliseconds is None else milliseconds / 1000)


def amount(words: str) -> str:
    """Return money for a column whose head has the unit."""
    return words.replace(" USD", "")


def table(rows: list[dict[str, Any]], ids: list[str], key: str, *, right: Sequence[str], opens: str = "") -> str | None:
    """Draw rows of texts without the columns that are empty in every row, and return the id of the one that was clicked, which may be gone by now.

    ``right``: columns of numbers; ``opens``: the column in which a click chooses a row too, where that opens it; a button in a
    table can't be pressed by keyboard, so the row's mark stays.
    """
    frame = pd.DataFrame(rows)
    frame = frame.loc[:, [name for name in frame.columns if (frame[name] != "").any()]]
    widths = {name: _width(name, frame[name]) for name in frame.columns}
    columns: dict[str, Any] = {
        name: st.column_config.TextColumn(name, width=width, alignment="right" if name in right else None) for name, width in widths.items()
    }
    height: Any = "content" if len(frame) <= SHOWN else (SHOWN + 1) * ROW
    facts: dict[str, Any] = {"hide_index": True, "height": height, "column_config": columns, "key": key, "alt": f"Table of {key}"}
    pressed, drawn = f"{key} opened", f"{key} drawn"
    if opens:
        columns[opens] = st.column_config.ButtonColumn(opens, width=widths[opens], type="tertiary", alignment="left", key=pressed)
    before = st.session_state.get(drawn, ids)
    _keep_mark(key, before, ids)
    picked = st.dataframe(_coloured(frame, opens), **facts, on_select="rerun", selection_mode="single-row").selection.rows  # by keyboard: Shift and space
    st.session_state[drawn] = ids
    click = st.session_state.get(pressed) if opens else None
    chosen = [before[click["row"]]] if click is not None and click["row"] < len(before) else [ids[row] for row in picked if row < len(ids)]
    return next(iter(chosen), None)


def _keep_mark(key: str, before: list[str], ids: list[str]) -> None:
    """Have the mark of a row that was chosen stay with it, wherever it is drawn now: Streamlit knows it by the number of its row alone."""
    marked = st.session_state.get(key, {}).get("selection", {}).get("rows", [])
    kept = [ids.index(before[row]) for row in marked if row < len(before) and before[row] in ids]
    if kept != marked:
        st.session_state[key] = {"selection": {"rows": kept, "columns": [], "cells": []}}


def _width(name: str, texts: pd.Series[str]) -> int:
    """Return a column's width in pixels: Streamlit measures the first rows alone, and cuts off what is longer below."""
    return round(min(WIDEST, AROUND + LETTER * max(len(name), int(texts.str.len().max()))))


def _coloured(frame: pd.DataFrame, opens: str) -> Any:
    """Return the frame with states in their colours and what opens in that of links."""
    colours, link = state_colours(), f"color: {link_colour()}"
    colours[OFFLINE] = colours[state_label("offline")]
    drawn = frame.style
    if "State" in frame.columns:
        drawn = drawn.map(lambda label: f"color: {colours[label]}" if label in colours else "", subset=["State"])
    return drawn.map(lambda _: link, subset=[opens]) if opens else drawn
