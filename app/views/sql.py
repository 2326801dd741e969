"""SQL: one SELECT over the views that hold everything, as a table, a chart and a file; kept under a name for the next time."""

from __future__ import annotations

import time

import pandas as pd
import streamlit as st

from hishamos.charts.formats import count, duration
from hishamos.errors import HishamosError
from parts.connection import workspace
from parts.heads import head, section, series
from parts.plain import plain
from parts.takeaway import downloads

HELP = """One SELECT over `runs, steps, attempts, results, issues, events, budgets, audit`. It can only read, it ends after 30 seconds, and accounts and keys
are not among what it sees. Money is `cost_nanos`, whole billionths of a USD. The statement is in the address: copy it to share the question. A saved query
is a file of the workspace's folder `queries/`.

Same in a notebook: `ws.sql("select …")`, `ws.queries.saved()`. In a terminal: `hishamos sql "select …"`."""
VIEWS = ("runs", "steps", "attempts", "results", "issues", "events", "budgets", "audit")
FIRST = "select model, count(*) as attempts, cast(sum(cost_nanos) as bigint) / 1e9 as usd\nfrom attempts\ngroup by 1\norder by 3 desc"
EXAMPLES = {
    "What did each workflow cost this month?": (
        "select workflow, count(*) as attempts, cast(sum(cost_nanos) as bigint) / 1e9 as usd\nfrom attempts\n"
        "where started_at >= date_trunc('month', now())\ngroup by 1\norder by 3 desc"
    ),
    "Why did attempts fail?": "select provider, cause, count(*) as attempts\nfrom attempts\nwhere status = 'failed'\ngroup by 1, 2\norder by 3 desc",
    "Which calls took longest?": (
        "select started_at, model, step_id, latency_ms / 1000 as seconds\nfrom attempts\nwhere latency_ms is not null\norder by 4 desc\nlimit 20"
    ),
    "Which runs failed last?": "select created_at, name, id, error\nfrom runs\nwhere state = 'failed'\norder by 1 desc\nlimit 20",
}
ROWS = 1000
MOST = 100_000
KINDS = {"bool": "yes or no", "int64": "whole number", "Int64": "whole number", "float64": "number", "datetime64": "time"}


def page() -> None:
    """Draw the page."""
    head("SQL", help_text=HELP)
    statement = st.text_area("Statement", FIRST, height=170, key="statement", bind="query-params", label_visibility="collapsed")
    with st.container(horizontal=True, vertical_alignment="center"):
        asked = st.button("Run statement", type="primary")
        with st.popover("Saved queries", type="tertiary"):
            _saved(statement)
        with st.popover("Views and columns", type="tertiary"):
            _schema()
    if asked:
        st.session_state["answer"] = _ask(statement)
    answer = st.session_state.get("answer")
    if answer is not None and answer[0] == statement:
        _answer(*answer)
    else:
        st.caption(f"The first {count(ROWS)} rows are shown. Nothing that a statement says can change anything.")
        section("Questions to begin with")
        for place, (name, example) in enumerate(EXAMPLES.items()):
            st.button(name, key=f"example {place}", type="tertiary", icon=":material/edit_note:", on_click=_write, args=(example,))


def _ask(statement: str) -> tuple[str, pd.DataFrame | str, float]:
    """Return the statement, its rows or why there are none, and how long it took: kept until another is run."""
    begun = time.perf_counter()
    try:
        answer: pd.DataFrame | str = workspace().sql(statement, limit=ROWS)
    except HishamosError as error:
        answer = str(error)
    return statement, answer, time.perf_counter() - begun


def _answer(statement: str, answer: pd.DataFrame | str, seconds: float) -> None:
    if isinstance(answer, str):
        st.error(plain(answer), icon=":material/error:")
        return
    cut = "truncated" in answer.attrs
    more = f", and there are more; the files have up to {count(MOST)}" if cut else ""
    st.caption(f"{count(len(answer))} rows in {duration(seconds)}{more}")
    st.dataframe(answer, hide_index=True, alt="What the statement gives")
    if len(answer):
        downloads((lambda: workspace().sql(statement, limit=MOST)) if cut else answer, "answer")
        _chart(answer)


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


def _saved(statement: str) -> None:
    ws = workspace()
    try:
        kept = ws.queries.saved()
        for one in kept:
            with st.container(horizontal=True, vertical_alignment="center"):
                st.button(one.name, key=f"load {one.name}", type="tertiary", help="Write it into the field", on_click=_write, args=(one.statement,))
                st.space("stretch")
                if st.button("", key=f"forget {one.name}", icon=":material/delete:", type="tertiary", help=f"Forget {one.name}"):
                    ws.queries.forget(one.name)
                    st.rerun()
        if not kept:
            st.caption("None yet. Save the statement in the field under a name.")
        name = st.text_input("Name", key="query name", placeholder="spend by team", max_chars=80)
        if st.button("Save query", disabled=not statement.strip()):
            ws.queries.save(name.strip(), statement)
            st.rerun()
    except HishamosError as error:
        st.error(plain(str(error)), icon=":material/error:")


def _write(statement: str) -> None:
    st.session_state["statement"] = statement


@st.cache_data(ttl=3600, show_spinner=False)
def _columns(root: str, view: str) -> list[dict[str, str]]:  # noqa: ARG001 - of which workspace
    frame = workspace().sql(f"select * from {view} limit 0")  # noqa: S608 - a name of ours
    return [
        {"Column": str(name), "Kind": next((word for kind, word in KINDS.items() if str(dtype).startswith(kind)), "text")}
        for name, dtype in frame.dtypes.items()
    ]


def _schema() -> None:
    view = st.selectbox("View", VIEWS, index=VIEWS.index("attempts"), key="view")
    st.dataframe(_columns(workspace().root, view), hide_index=True, height=300, alt=f"Columns of {view}")
    everything = "\n".join(("select *", f"from {view}", "limit 100"))
    st.button("Write a SELECT of all of it", on_click=_write, args=(everything,))


page()
