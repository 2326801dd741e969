"""Runs: everything that runs, ran, or waits."""

from __future__ import annotations

import streamlit as st

from hishamos.charts.formats import some
from hishamos.records.runs import RunKind, RunState
from parts.connection import guarded, workspace
from parts.heads import empty, head
from parts.listings import runs_table
from parts.states import pills_filter

HELP = """Runs, newest first. A click on its name opens a run. The filters, and how many are shown, are in the address: copy it to share the view.

Same in a notebook: `ws.runs.list(state="failed")`. In a terminal: `hishamos runs --state failed`."""
PAGE, MOST = 50, 1000


@st.fragment(run_every="1.5s")
def table(state: RunState | None, kind: RunKind | None, limit: int) -> None:
    """Draw the filtered runs; refreshes by itself."""
    with guarded():
        runs = workspace().runs.list(state=state, kind=kind, limit=limit + 1)
        if runs:
            shown = runs[:limit]
            runs_table(shown, "runs")
            with st.container(horizontal=True, vertical_alignment="center"):
                more = len(runs) > limit
                st.caption(some(len(shown), "run") + (", the newest" if more else ""), width="content")
                if more and st.button("Show more", type="tertiary", icon=":material/expand_more:"):
                    st.query_params["shown"] = str(limit + PAGE)
                    st.rerun()
        elif state or kind:
            st.caption("No run has this state and kind.")
        else:
            empty("No run yet. This line runs the example workflow on shipped data with the offline model:", "hishamos demo")


def page() -> None:
    """Draw the page."""
    head("Runs", help_text=HELP)
    with st.container(horizontal=True):
        state = pills_filter("state", [state.value for state in RunState])
        kind = st.segmented_control("Kind", [kind.value for kind in RunKind], key="kind", bind="query-params", label_visibility="collapsed")
    table(RunState(state) if state else None, RunKind(kind) if kind else None, _shown(st.query_params.get("shown", "")))


def _shown(asked: str) -> int:
    """Return how many runs the address asks for; what is no number, or too great, is as many as may be."""
    return min(MOST, max(PAGE, int(asked))) if asked.isdecimal() and len(asked) < 9 else PAGE


page()
