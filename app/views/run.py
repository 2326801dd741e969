"""Run: one run with its steps, attempts, money, inputs and outputs; live while it runs."""

from __future__ import annotations

import re

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from hishamos.charts.formats import clock, count, money, outlook, state_label
from hishamos.charts.ranges import compared_words
from hishamos.charts.trace import trace_bars, trace_figure, trace_words
from hishamos.errors import HishamosError
from hishamos.records.record import now
from hishamos.records.runs import RUN_ENDED, Run, RunKind, RunState, Step, StepState
from parts.again import again
from parts.beside import choose_other, compared
from parts.connection import guarded, workspace
from parts.decisions import decide
from parts.exchanges import exchange
from parts.filters import tag_links
from parts.graphs import drawn_graph
from parts.heads import badge, empty, head
from parts.listings import attempts_table, seconds_between, spend_words, steps_table
from parts.plain import plain
from parts.run_costs import run_costs
from parts.states import pills_filter
from parts.style import theme
from parts.values import value

HELP = """One run: its steps as the journal holds them, every attempt at a provider, what it cost.

**Steps** can be narrowed to those of one state: a failed run's own link leads to the failed ones. **Costs** says what the money went to, by model and step;
a click on one opens its calls, on a step with others inside of it shows those.
**Trace** has one line for each step and attempt on one axis of time: hatched is waiting, a long pause is drawn shorter, ↻ asks the same model again,
⤷ goes on to the next one of its route. A click on a bar shows the attempt with its question and its answer. What stands in the address (run, state of
steps, step, attempt, other run) is shown by a copied one too.

Same in a notebook: `ws.runs.get(id)`, `ws.runs.steps(id)`, `ws.runs.calls(id)`, `ws.runs.fork(id, step)`, `ws.runs.repeat(id)`, `ws.runs.compare(id, other)`.
In a terminal: `hishamos show RUN`, `hishamos follow RUN`, `hishamos fork RUN`, `hishamos repeat RUN`."""
PAGE = 200
LINES = 80  # of the trace, drawn at first
ITEM = re.compile(r"[.;]+ (?=[\w.-]+\[\d+\]\S*: )")
"""What stands between an error's items."""
NARROW = 330  # pixels: a graph beside which the tabs have room
EVENTS_SHOWN, EVENTS_HEIGHT = 25, 912
STEPS, TRACE, COSTS, VALUES, EVENTS, COMPARED = "Steps", "Trace", "Costs", "Inputs and outputs", "Events", "Compared"


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
    head(plain(run.name), help_text=HELP, above=("views/runs.py", "Runs"), here=run.id[:6])
    every = None if run.state in RUN_ENDED else "1.5s"
    st.fragment(_live, run_every=every)(run.id, run.state)


def _live(identity: str, drawn: RunState) -> None:
    with guarded():
        ws = workspace()
        run = ws.runs.get(identity)
        if (run.state in RUN_ENDED) != (drawn in RUN_ENDED):
            st.rerun()
        steps, counts = ws.runs.steps(run.id, limit=PAGE), ws.runs.step_counts(run.id)
        _state(run, steps)
        _asked(run)
        _numbers(run)
        tag_links(run.own_tags)
        if run.error:
            _failed(run, counts)
        asked = st.query_params
        other = asked.get("with", "")
        beside = _graph(run)
        with beside:
            open_at = COMPARED if other else TRACE if "attempt" in asked or "step" in asked else STEPS
            names = [STEPS, TRACE, COSTS, VALUES, EVENTS, *([COMPARED] if other else [])]
            tabs = dict(zip(names, st.tabs(names, default=open_at, key=f"tabs {open_at} {asked.get('step')} {other}", on_change="rerun"), strict=True))
        with tabs[STEPS]:
            _steps(steps, counts, run)
        if tabs[COSTS].open:  # nobody sums up, again and again while it runs, for a tab that nobody sees
            with tabs[COSTS]:
                run_costs(run)
        with tabs[TRACE]:
            _trace(run, steps, asked.get("step", ""))
        with tabs[VALUES]:
            _values(run)
        with tabs[EVENTS]:
            _events(run)
        if other:
            with tabs[COMPARED]:
                compared(run, other)
        if run.ended and ws.runs.get(run.id).finished_at != run.finished_at:  # it was resumed while it was read, and nothing looks at it again
            st.rerun()


def _state(run: Run, steps: list[Step]) -> None:
    """Draw what state the run is in, and at the right what can be done about it."""
    ws = workspace()
    with st.container(horizontal=True, vertical_alignment="center"):
        badge(run.state, offline=run.offline)
        if run.waiting_for:
            st.caption(plain(run.waiting_for), width="content")
        st.space("stretch")
        if run.state in {RunState.PAUSED, RunState.FAILED, RunState.CANCELLED} and st.button("Resume run", type="primary"):
            ws.runs.resume(run.id)
            st.rerun()
        if run.state == RunState.RUNNING and st.button("Pause run"):
            ws.runs.pause(run.id)
            st.rerun()
        if run.state not in RUN_ENDED and st.button("Cancel run"):
            ws.runs.cancel(run.id)
            st.rerun()
        if run.ended:
            again(run, steps)
            with st.popover("Compare with"):
                choose_other(run)


def _asked(run: Run) -> None:
    if run.state == RunState.WAITING:
        for approval in [item for item in workspace().runs.approvals() if item.run_id == run.id]:
            with st.container(border=True):
                decide(approval)


def _failed(run: Run, counts: dict[str, int]) -> None:
    """Say why the run failed, a line for each of several items, and lead to the steps that failed."""
    assert run.error is not None
    st.error(plain(ITEM.sub(".\n", run.error.message)), icon=":material/error:")
    if "steps" not in st.query_params and counts.get(StepState.FAILED):
        st.page_link(
            "views/run.py", label="The steps that failed", icon=":material/arrow_downward:", query_params={"run": run.id, "steps": StepState.FAILED.value}
        )


def _graph(run: Run) -> DeltaGenerator:
    """Draw the graph of a workflow, and return the place for what stands beside it: at its right where it is narrow, else below."""
    if run.kind is not RunKind.WORKFLOW:
        return st.container()
    picture, narrow = workspace().runs.pictures(run.id, ground=theme())
    if picture.width is None or picture.width > NARROW:
        drawn_graph(picture, lambda: narrow)
        return st.container()
    left, right = st.columns([3, 8], gap="medium")
    with left:
        drawn_graph(picture, lambda: narrow)
    return right


def _numbers(run: Run) -> None:
    if run.state not in RUN_ENDED and run.steps_total:
        ahead = outlook(run.progress, run.left_s, run.left_nanos)
        st.progress(run.progress or 0.0, text=f"{run.steps_done} of {run.steps_total} steps" + (f" · {ahead}" if ahead else ""))
    st.caption(plain(_facts(run)))
    cells = st.columns(4)
    cells[0].metric("Spend", spend_words(run.cost_nanos, run.unpriced, offline=run.offline), border=True)
    cells[1].metric("Time", seconds_between(run.started_at, run.finished_at), border=True)
    cells[2].metric("Calls", count(run.calls), border=True)
    cells[3].metric("Attempts", count(run.attempts), border=True)
    forecast = workspace().runs.forecast(run.id)
    if forecast is not None:
        st.caption(plain(f"Forecast: {compared_words(forecast, run)}"))


def _facts(run: Run) -> str:
    """Return who started the run, when, from where and with what limits."""
    origin = run.origin
    facts = (
        f"started {clock(run.created_at)} UTC" + (f" by {run.user_name}" if run.user_name else ""),
        f"ended {clock(run.finished_at)} UTC" if run.finished_at else "",
        f"project {run.project}" if run.project else "",
        f"asks {run.model}" if run.model else "",
        f"at most {money(run.budget_nanos)}" if run.budget_nanos is not None else "",
        f"from {origin.notebook}" + (f", cell {origin.cell}" if origin.cell else "") if origin and origin.notebook else "",
        f"commit {origin.git_commit[:7]}" if origin and origin.git_commit else "",
        f"key {run.key_prefix}" if run.key_prefix else "",
        f"a step of run {run.parent[:6]}" if run.parent else "",
    )
    return " · ".join(fact for fact in facts if fact)


def _events(run: Run) -> None:
    found = workspace().runs.events(run.id, limit=PAGE)
    rows = [
        {"At, UTC": f"{event.happened_at:%d %b %H:%M:%S}", "Step": event.path or "run", "What": event.state or event.kind, "Said": event.message}
        for event in found
    ]
    if rows:
        st.dataframe(rows, hide_index=True, height="content" if len(rows) <= EVENTS_SHOWN else EVENTS_HEIGHT, alt="Events of the run, the oldest first")
    else:
        st.caption("Nothing has happened yet.")


def _steps(steps: list[Step], counts: dict[str, int], run: Run) -> None:
    asked = st.query_params.get("steps")
    known = [state for state in StepState if counts.get(state) or state == asked]
    if not steps or not known:
        st.caption("No step has begun.")
        return
    state = pills_filter("steps", known, label=lambda one: f"{state_label(one)} {count(counts.get(one, 0))}", key=f"steps of {run.id}")
    if state:
        steps = workspace().runs.steps(run.id, state=state, limit=PAGE)
    chosen = steps_table(steps, f"steps {state or ''}") if steps else None
    if not steps:
        st.caption("No step has this state.")
    if len(steps) == PAGE:
        st.caption(f"The first {PAGE} of {count(counts[state] if state else sum(counts.values()))} steps. All of them: hishamos show {run.id[:6]} --json")
    if chosen is None:
        st.caption("Choose a row to see the step's inputs, output and error.")
        return
    st.subheader(plain(chosen.path), anchor=False)
    if chosen.error:
        st.error(plain(chosen.error.message))
    if chosen.not_judged:
        st.caption("Not judged by the offline model: " + plain(", ".join(chosen.not_judged)))
    if chosen.attempts:
        st.page_link("views/run.py", label="Its attempts in the trace", icon=":material/timeline:", query_params={"run": run.id, "step": chosen.path})
    left, right = st.columns(2)
    with left:
        value("Inputs", chosen.inputs)
    with right:
        value("Output", chosen.output)


def _trace(run: Run, steps: list[Step], step: str) -> None:
    ws = workspace()
    calls = ws.runs.calls(run.id, step=step or None, limit=PAGE)
    if step:
        steps = [one for one in steps if one.path == step]
        st.page_link(
            "views/run.py", label=plain(f"step: {step[:80]}"), icon=":material/close:", query_params={"run": run.id, "attempt": ""}, help="The whole run"
        )
    bars = trace_bars(steps, calls, now())
    if not bars:
        st.caption("No step has begun." if not step else "This step has not begun, or there is none of this name.")
        return
    lines = list(dict.fromkeys(bar.line for bar in bars))
    shown = st.session_state.setdefault(f"lines of {run.id}", LINES)
    kept = set(lines[:shown])
    named = st.query_params.get("attempt") or None
    with st.container(horizontal=True):
        for state in dict.fromkeys(bar.state for bar in bars if bar.kind != "wait"):
            badge(state)
        if any(bar.kind == "wait" for bar in bars):
            st.caption("hatched: waits to be sent again", width="content")
    figure = trace_figure([bar for bar in bars if bar.line in kept], chosen=named)
    event = st.plotly_chart(
        figure, config={"displayModeBar": False}, key=f"trace-{run.id}-{step}", alt=trace_words(bars), on_select="rerun", selection_mode="points"
    )
    if len(lines) > shown and st.button(f"Show more of {count(len(lines))} lines", type="tertiary", key=f"more-{run.id}"):
        st.session_state[f"lines of {run.id}"] = shown + LINES
        st.rerun(scope="fragment")
    if not calls:
        st.caption("No model was called.")
        return
    picked = [str(point["customdata"][0]) for point in event.selection.points if point.get("customdata")]
    chosen = attempts_table(calls, f"attempts of {run.id} {step}")
    if len(calls) == PAGE:
        st.caption(f"The first {PAGE} of {count(run.attempts)} attempts. A step's own: choose it under Steps.")
    identity = chosen.id if chosen else picked[0] if picked and picked[0] else named
    if identity:
        exchange(identity, run=run.id)


def _values(run: Run) -> None:
    left, right = st.columns(2)
    with left:
        value("Inputs", run.inputs)
    with right:
        value("Outputs", run.outputs)
    st.caption(plain(f"Definition {run.name}@{run.version[:12]} · model asked for: {run.model or 'as defined'} · runs in the {run.where}"))


page()
