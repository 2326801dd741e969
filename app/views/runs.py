"""Runs: everything that runs, ran, or waits."""

from __future__ import annotations

import streamlit as st

from hishamos.records.runs import RunKind, RunState
from parts.connection import guarded, workspace
from parts.heads import empty, head
from parts.listings import runs_table

HELP = """Runs, newest first. A click on a row opens the run. The filters are in the address: copy it to share the view.

Same in a notebook: `ws.runs.list(state="failed")`. In a terminal: `hishamos runs --state failed`."""
PAGE = 50


@st.fragment(run_every="1.5s")
def table(state: RunState | None, kind: RunKind | None, limit: int) -> None:
    """Draw the filtered runs; refreshes by itself."""
    with guarded():
        runs = workspace().runs.list(state=state, kind=kind, limit=limit)
        if runs:
            runs_table(runs, "runs")
            st.caption(f"{len(runs)} runs" + (", the newest" if len(runs) == limit else ""))
        elif state or kind:
            st.caption("No run has this state and kind.")
        else:
            empty("No run yet. This line runs the example workflow on shipped data with the offline model:", "hishamos demo")


def page() -> None:
    """Draw the page."""
    head("Runs", help_text=HELP)
    with st.container(horizontal=True):
        state = st.pills("State", [state.value for state in RunState], key="state", bind="query-params", label_visibility="collapsed")
        kind = st.segmented_control("Kind", [kind.value for kind in RunKind], key="kind", bind="query-params", label_visibility="collapsed")
    shown = st.session_state.setdefault("runs shown", PAGE)
    table(RunState(state) if state else None, RunKind(kind) if kind else None, shown)
    if st.button("Show more", type="tertiary"):
        st.session_state["runs shown"] = shown + PAGE
        st.rerun()


page()
