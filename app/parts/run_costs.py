"""What one run cost: by model and by step of its graph."""

from __future__ import annotations

import re
from typing import Any

import streamlit as st

from hishamos.charts.formats import count, share
from hishamos.charts.usage import rate
from hishamos.records.runs import Run
from parts.listings import USD, group_amount, group_share, table, taken
from parts.plain import plain
from parts.sums import NO_NAME, named, spend
from parts.takeaway import behind

INSIDE = ("[", ".", "/")
"""What stands between a step of the graph and what is inside of it."""
MOST = 100
"""Steps inside of one that are shown."""
SUMS = ("cost_nanos", "attempts", "input_tokens", "output_tokens", "failed", "fell_back", "retried", "offline", "unpriced", "cached")


def run_costs(run: Run) -> None:
    """Draw the run's money, tokens and failures by model and by step, with the SQL of it; a click on a model or a step opens its calls."""
    if not run.attempts:
        st.caption("No model was asked in this run.")
        return
    by_model = spend(["model"], run.created_at, only={"run": run.id})
    model = _part("By model", "Model", by_model.to_dict("records"), "model", run)
    with st.container(horizontal=True, vertical_alignment="center"):
        behind(by_model, f"run-{run.id[:6]}-by-model")
        st.page_link("views/calls.py", label="All its calls", query_params={"run_id": run.id}, width="content")
    if model is not None:
        _calls(run, "model", model)
    paths = sums_of_paths(run)
    step = _part("By step", "Step", by_step(paths), "step_id", run)
    if step is not None:
        st.session_state[f"step of {run.id}"] = step
    shown = st.session_state.get(f"step of {run.id}")
    inside = [row for row in paths if step_of(row) == shown]
    if len(inside) > 1:
        _inside(str(shown), inside, run)
    elif step is not None:
        _calls(run, "step_id", inside[0]["step_id"])


def _inside(step: str, inside: list[dict[str, Any]], run: Run) -> None:
    """Draw what stands inside of a step, the dearest first; a click opens its calls."""
    dearest = sorted(inside, key=lambda sums: (-sums["cost_nanos"], _counted(sums["step_id"])))[:MOST]
    path = _part(f"Inside {plain(step)}", "Step", dearest, "step_id", run)
    if len(inside) > MOST:
        st.caption(f"The {MOST} dearest of {count(len(inside))}.")
    if path is not None:
        _calls(run, "step_id", path)


def _counted(path: str) -> list[tuple[int, str]]:
    """Return what paths are sorted by: ``each[9]`` before ``each[10]``."""
    return [(int(part), "") if part.isdecimal() else (0, part) for part in re.split(r"(\d+)", path)]


def _calls(run: Run, column: str, value: Any) -> None:
    st.switch_page("views/calls.py", query_params={"run_id": run.id, column: named(value)})


def sums_of_paths(run: Run) -> list[dict[str, Any]]:
    """Return the sums of each step that asked a model, those inside of others by themselves."""
    found: list[dict[str, Any]] = spend(["step"], run.created_at, only={"run": run.id}, sums_only=True).to_dict("records")
    return found


def step_of(row: dict[str, Any]) -> str:
    """Return the step of the graph that a row's attempts belong to; empty where they belong to none."""
    name = named(row["step_id"])
    for sign in INSIDE:
        name = name.partition(sign)[0]
    return name


def by_step(paths: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the sums of each step of the graph, with all that is inside of it, the dearest first."""
    found: dict[str, dict[str, Any]] = {}
    for row in paths:
        name = step_of(row)
        sums = found.setdefault(name, {"step_id": name} | dict.fromkeys(SUMS, 0))
        for column in SUMS:
            sums[column] += int(row[column])
    return sorted(found.values(), key=lambda sums: -sums["cost_nanos"])


def _part(title: str, heading: str, found: list[dict[str, Any]], column: str, run: Run) -> str | None:
    """Draw sums, and return the name of the row that was clicked."""
    st.subheader(title, anchor=False)
    rows = [
        {
            heading: named(row[column]) or NO_NAME,
            USD: group_amount(row),
            "Share": group_share(row, run.cost_nanos),
            "Attempts": count(row["attempts"]),
            "Failed": share(*rate(row, "failed")),
            "Input tokens": count(row["input_tokens"]),
            "Output tokens": count(row["output_tokens"]),
            **({"p50": taken(row["p50_ms"]), "p95": taken(row["p95_ms"])} if "p50_ms" in row else {}),
        }
        for row in found
    ]
    return table(rows, [named(row[column]) for row in found], f"{title} of {run.id}", right=[name for name in rows[0] if name != heading], opens=heading)
