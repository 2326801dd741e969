"""What one run cost: by model and by step of its graph."""

from __future__ import annotations

from typing import Any

import streamlit as st

from hishamos.charts.formats import count, share
from hishamos.charts.usage import rate
from hishamos.records.runs import Run
from parts.listings import USD, group_amount, group_share, table, taken
from parts.sums import spend
from parts.takeaway import behind

INSIDE = ("[", ".", "/")
"""What stands between a step of the graph and what is inside of it."""
SUMS = ("cost_nanos", "attempts", "input_tokens", "output_tokens", "failed", "fell_back", "retried", "offline", "unpriced", "cached")


def run_costs(run: Run) -> None:
    """Draw the run's money, tokens and failures by model and by step, with the SQL of it; a click on a model opens its calls."""
    if not run.attempts:
        st.caption("No model was asked in this run.")
        return
    by_model = spend(["model"], run.created_at, only={"run": run.id})
    _part("By model", "Model", by_model.to_dict("records"), "model", run)
    with st.container(horizontal=True, vertical_alignment="center"):
        behind(by_model, f"run-{run.id[:6]}-by-model")
        st.page_link("views/calls.py", label="All its calls", query_params={"run_id": run.id}, width="content")
    _part("By step", "Step", by_step(run), "step_id", run)


def by_step(run: Run) -> list[dict[str, Any]]:
    """Return the sums of each step of the graph, with all that is inside of it, the dearest first."""
    found: dict[str, dict[str, Any]] = {}
    for row in spend(["step"], run.created_at, only={"run": run.id}, sums_only=True).to_dict("records"):
        name = str(row["step_id"])
        for sign in INSIDE:
            name = name.partition(sign)[0]
        sums = found.setdefault(name, {"step_id": name} | dict.fromkeys(SUMS, 0))
        for column in SUMS:
            sums[column] += int(row[column])
    return sorted(found.values(), key=lambda sums: -sums["cost_nanos"])


def _part(title: str, heading: str, found: list[dict[str, Any]], column: str, run: Run) -> None:
    st.subheader(title, anchor=False)
    rows = [
        {
            heading: str(row[column]),
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
    picks = column == "model"
    clicked = table(rows, f"{title} of {run.id}", right=[name for name in rows[0] if name != heading], opens=heading if picks else "", picks=picks)
    if clicked is not None:
        st.switch_page("views/calls.py", query_params={"run_id": run.id, column: rows[clicked][heading]})
