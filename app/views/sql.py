"""SQL: one SELECT over the views that hold everything, as a table, a chart and a file."""

from __future__ import annotations

import time

import pandas as pd
import streamlit as st

from hishamos.charts.formats import count, duration
from hishamos.errors import HishamosError
from parts.connection import workspace
from parts.heads import head, series
from parts.plain import plain
from parts.takeaway import downloads

HELP = """One SELECT over `runs, steps, attempts, results, issues, events, budgets, audit`. It can only read, it ends after 30 seconds, and accounts and keys
are not among what it sees. Money is `cost_nanos`, whole billionths of a USD. The statement is in the address: copy it to share the question.

Same in a notebook: `ws.sql("select …")`. In a terminal: `hishamos sql "select …"`."""
VIEWS = ("runs", "steps", "attempts", "results", "issues", "events", "budgets", "audit")
FIRST = "select model, count(*) as attempts, cast(sum(cost_nanos) as bigint) / 1e9 as usd\nfrom attempts\ngroup by 1\norder by 3 desc"
ROWS = 1000


def page() -> None:
    """Draw the page."""
    head("SQL", help_text=HELP)
    statement = st.text_area("Statement", FIRST, height=150, key="statement", bind="query-params", label_visibility="collapsed")
    with st.container(horizontal=True, vertical_alignment="center"):
        asked = st.button("Run statement", type="primary")
        with st.popover("Views and columns", type="tertiary"):
            _schema()
    if asked:
        st.session_state["asked"] = statement
    if st.session_state.get("asked") == statement:
        _answer(statement)
    else:
        st.caption(f"The first {count(ROWS)} rows are shown. Nothing that a statement says can change anything.")


def _answer(statement: str) -> None:
    begun = time.perf_counter()
    try:
        frame = workspace().sql(statement, limit=ROWS)
    except HishamosError as error:
        st.error(plain(str(error)), icon=":material/error:")
        return
    more = ", and there are more: narrow it" if "truncated" in frame.attrs else ""
    st.caption(f"{count(len(frame))} rows in {duration(time.perf_counter() - begun)}{more}")
    st.dataframe(frame, hide_index=True, alt="What the statement gives")
    if len(frame):
        downloads(frame, "answer")
        _chart(frame)


def _chart(frame: pd.DataFrame) -> None:
    numbers = [name for name in frame.columns if pd.api.types.is_numeric_dtype(frame[name])]
    if not numbers or len(frame.columns) < 2:
        return
    with st.expander("Chart"):
        left, right = st.columns(2)
        across = left.selectbox("Across", list(frame.columns), key="across")
        up = right.selectbox("Up", numbers, index=len(numbers) - 1, key="up")
        if across == up:
            st.caption("Choose two columns.")
        else:
            st.bar_chart(frame[[across, up]], x=across, y=up, color=series()[0])


@st.cache_data(ttl=3600, show_spinner=False)
def _columns(view: str) -> str:
    return ", ".join(workspace().sql(f"select * from {view} limit 0").columns)  # noqa: S608 - a name of ours


def _schema() -> None:
    for view in VIEWS:
        st.markdown(f"**{view}**  \n{_columns(view)}")


page()
