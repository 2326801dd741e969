"""Run: one run with its steps, attempts, money, inputs and outputs; live while it runs."""

from __future__ import annotations

import streamlit as st

from hishamos.charts.attempts import waterfall_figure
from hishamos.charts.formats import clock, count, outlook
from hishamos.charts.ranges import compared_words
from hishamos.errors import HishamosError
from hishamos.records.calls import Attempt
from hishamos.records.runs import RUN_ENDED, Run, RunKind, RunState, Step
from parts.connection import guarded, workspace
from parts.decisions import decide
from parts.facts import record, value
from parts.graphs import drawn_graph
from parts.heads import badge, empty, head
from parts.listings import attempts_table, seconds_between, spend_words, steps_table
from parts.plain import plain

HELP = """One run: its steps as the journal holds them, every attempt at a provider, what it cost.

Same in a notebook: `ws.runs.get(id)`, `ws.runs.steps(id)`, `ws.runs.calls(id)`. In a terminal: `hishamos show RUN`, `hishamos follow RUN`."""
PAGE = 200


def page() -> None:
    """Draw the page."""
    identity = st.query_params.get("run", "")
    if not identity:
        head("Run", help_text=HELP)
        empty("Which run? Open one from the list of runs.", "hishamos runs")
        st.page_link("views/runs.py", label="All runs")
        return
    try:
        run = workspace().runs.get(identity)
    except HishamosError as error:
        head("Run", help_text=HELP)
        st.warning(plain(str(error)), icon=":material/search_off:")
        st.page_link("views/runs.py", label="All runs")
        return
    st.page_link("views/runs.py", label=f"Runs / {run.id[:6]}")
    head(run.name, help_text=HELP)
    every = None if run.state in RUN_ENDED else "1.5s"
    st.fragment(_live, run_every=every)(run.id, run.state)


def _live(identity: str, drawn: RunState) -> None:
    with guarded():
        ws = workspace()
        run = ws.runs.get(identity)
        if (run.state in RUN_ENDED) != (drawn in RUN_ENDED):
            st.rerun()
        _state(run)
        _acts(run)
        _numbers(run)
        forecast = ws.runs.forecast(run.id)
        if forecast is not None:
            st.caption(f"Forecast: {compared_words(forecast, run.cost_nanos, run.unpriced)}")
        if run.error:
            st.error(plain(run.error.message), icon=":material/error:")
        if run.kind is RunKind.WORKFLOW:
            drawn_graph(ws.runs.picture(run.id, ground="dark" if st.context.theme.type == "dark" else "light"))
        calls = ws.runs.calls(run.id, limit=PAGE)
        tabs = st.tabs(["Steps", "Attempts", "Inputs and outputs", "Events"], default="Attempts" if "attempt" in st.query_params else "Steps")
        with tabs[0]:
            _steps(ws.runs.steps(run.id, limit=PAGE), run)
        with tabs[1]:
            _attempts(calls, run)
        with tabs[2]:
            _values(run)
        with tabs[3]:
            for event in ws.runs.events(run.id, limit=PAGE):
                st.text(f"{clock(event.happened_at)}  {event.path or 'run'}  {event.state or event.kind}  {event.message}")


def _state(run: Run) -> None:
    with st.container(horizontal=True):
        badge(run.state, offline=run.offline)
        if run.waiting_for:
            st.caption(plain(run.waiting_for))


def _acts(run: Run) -> None:
    ws = workspace()
    if run.state == RunState.WAITING:
        for approval in [item for item in ws.runs.approvals() if item.run_id == run.id]:
            with st.container(border=True):
                decide(approval)
    with st.container(horizontal=True):
        if run.state == RunState.RUNNING and st.button("Pause run"):
            ws.runs.pause(run.id)
            st.rerun()
        if run.state in {RunState.PAUSED, RunState.FAILED, RunState.CANCELLED} and st.button("Resume run", type="primary"):
            ws.runs.resume(run.id)
            st.rerun()
        if run.state not in RUN_ENDED and st.button("Cancel run"):
            ws.runs.cancel(run.id)
            st.rerun()


def _numbers(run: Run) -> None:
    if run.state not in RUN_ENDED and run.steps_total:
        ahead = outlook(run.progress, run.left_s, run.left_nanos)
        st.progress(run.progress or 0.0, text=f"{run.steps_done} of {run.steps_total} steps" + (f" · {ahead}" if ahead else ""))
    cells = st.columns(4)
    cells[0].metric("Spend", spend_words(run.cost_nanos, run.unpriced, offline=run.offline), border=True)
    cells[1].metric("Time", seconds_between(run.started_at, run.finished_at), border=True)
    cells[2].metric("Calls", count(run.calls), border=True)
    cells[3].metric("Attempts", count(run.attempts), border=True)


def _steps(steps: list[Step], run: Run) -> None:
    if not steps:
        st.caption("No step has begun.")
        return
    chosen = steps_table(steps, "steps")
    if len(steps) == PAGE:
        st.caption(f"The first {PAGE} steps. All of them: hishamos show {run.id[:6]} --json")
    if chosen is None:
        st.caption("Choose a row to see the step's inputs, output and error.")
        return
    st.subheader(chosen.path, anchor=False)
    if chosen.error:
        st.error(plain(chosen.error.message))
    if chosen.not_judged:
        st.caption("Not judged by the offline model: " + ", ".join(chosen.not_judged))
    left, right = st.columns(2)
    with left:
        value("Inputs", chosen.inputs)
    with right:
        value("Output", chosen.output)


def _attempts(calls: list[Attempt], run: Run) -> None:
    if not calls:
        st.caption("No model was called.")
        return
    figure = waterfall_figure(calls[:60])
    st.plotly_chart(figure, config={"displayModeBar": False}, key="waterfall", alt="Attempts over time, one line an attempt")
    chosen = attempts_table(calls, "attempts")
    if len(calls) == PAGE:
        st.caption(f"The first {PAGE} of {count(run.attempts)} attempts.")
    named = next((call for call in calls if call.id == st.query_params.get("attempt")), None)
    shown = chosen or named
    if shown is not None:
        st.subheader(f"Attempt {shown.id[:6]}", anchor=False)
        record(shown)


def _values(run: Run) -> None:
    left, right = st.columns(2)
    with left:
        value("Inputs", run.inputs)
    with right:
        value("Outputs", run.outputs)
    st.caption(f"Definition {run.name}@{run.version[:12]} · model asked for: {run.model or 'as defined'} · runs in the {run.where}")


page()
