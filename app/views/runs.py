"""Runs: everything that runs, ran, or waits."""

from __future__ import annotations

from datetime import datetime
from typing import TypedDict

import streamlit as st

from hishamos.charts.formats import count, some, state_label
from hishamos.records.runs import RunGroup, RunKind, RunState
from parts.connection import guarded, workspace
from parts.heads import empty, head
from parts.listings import runs_table
from parts.pages import MOST, PAGE, shown
from parts.states import one_of, pills_filter
from parts.sums import NO_NAME, SPANS, span

HELP = """Runs, newest first. A click on its name opens a run; **Why** says what it waits for, or what failed. The filters, and how many are shown, are in the
address: copy it to share the view.

Same in a notebook: `ws.runs.list(state="failed", project="DEMO")`, `ws.runs.counts("state")`. In a terminal: `hishamos runs --state failed --project DEMO`."""
WIDE = 168
"""Pixels of a filter: two stand beside each other on a phone."""


class Filters(TypedDict, total=False):
    """Which runs are shown, whatever their state."""

    name: str | None
    kind: RunKind | None
    project: str | None
    user: str | None
    since: datetime | None


@st.fragment(run_every="1.5s")
def table(chosen: Filters, limit: int) -> None:
    """Draw how many runs have which state, and those of one state or all; refreshes by itself."""
    with guarded():
        ws = workspace()
        states = ws.runs.counts("state", **chosen)
        asked = st.query_params.get("state")
        known = [state for state in RunState if state in states or state == asked]
        state = pills_filter("state", known, label=lambda one: f"{state_label(one)} {count(states.get(one, 0))}") if known else None
        runs = ws.runs.list(state=state, limit=limit, **chosen)
        total = states.get(state, 0) if state else sum(states.values())
        if runs:
            runs_table(runs, "runs")
            with st.container(horizontal=True, vertical_alignment="center"):
                more = total > len(runs)
                st.caption(f"The newest {count(len(runs))} of {some(total, 'run')}" if more else some(len(runs), "run"), width="content")
                if more and len(runs) < MOST and st.button("Show more", type="tertiary", icon=":material/expand_more:"):
                    st.query_params["shown"] = str(limit + PAGE)
                    st.rerun()
        elif state or any(value is not None for value in chosen.values()):
            st.caption("No run has all of this. Take a filter away.")
        else:
            empty("No run yet. This line runs the example workflow on shipped data with the offline model:", "hishamos demo")


def page() -> None:
    """Draw the page."""
    head("Runs", help_text=HELP)
    table(_filters(), shown(st.query_params.get("shown", "")))


def _filters() -> Filters:
    """Draw the filters, and return what they let through."""
    with st.container(horizontal=True, gap="small"):
        name = _choice("Name", "name")
        kind = one_of("Kind", [kind.value for kind in RunKind], "kind", optional=True, width=WIDE)
        project = _choice("Project", "project")
        user = _choice("By", "user")
        within = one_of("Started within", SPANS, "within", optional=True, width=WIDE)
    since = span(within, workspace().health.status().timezone)[0] if within else None
    return Filters(name=name, kind=RunKind(kind) if kind else None, project=project, user=user, since=since)


def _choice(label: str, group: RunGroup) -> str | None:
    """Draw a choice of one of the values that runs have, where they differ; runs that have none are a choice too."""
    values = sorted(value or NO_NAME for value in workspace().runs.counts(group))
    if len(values) < 2 and group not in st.query_params:
        return None
    chosen = one_of(label, values, group, optional=True, width=WIDE)
    return "" if chosen == NO_NAME else chosen


page()
