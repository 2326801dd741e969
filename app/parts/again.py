"""What can be done again with a run that has ended, and what that cost the last time, said before it is done."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import streamlit as st

from hishamos.charts.formats import money, state_label
from hishamos.errors import HishamosError
from hishamos.records.runs import Run, RunKind, RunState, Step
from parts.connection import workspace
from parts.fields import model_field
from parts.plain import plain
from parts.run_costs import INSIDE, by_step, sums_of_paths


def again(run: Run, steps: list[Step]) -> None:
    """Draw the acts on a run that has ended: retry from a step, fork, repeat."""
    names = [step.path for step in steps if not any(sign in step.path for sign in INSIDE)]
    costs = {row["step_id"]: row["cost_nanos"] for row in by_step(sums_of_paths(run))} if names else {}
    if run.kind is RunKind.WORKFLOW and names:
        if run.state is not RunState.SUCCEEDED:
            with st.popover("Retry from a step"):
                _retry(run, names, costs)
        with st.popover("Fork"):
            _fork(run, names, costs)
    with st.popover("Repeat"):
        st.markdown("A new run with the same definitions, inputs and model. **Everything is asked and paid anew.**")
        st.markdown(f"This run cost {_amount(run.cost_nanos, run.unpriced, offline=run.offline)}.")
        if st.button("Repeat run", type="primary", key=f"repeat-{run.id}"):
            _go(lambda: workspace().runs.repeat(run.id).after.id)


def _retry(run: Run, names: list[str], costs: dict[str, int]) -> None:
    st.markdown("In this run: the step and what comes after it are done again; **what they ask is paid again**.")
    step = _step(run, names, costs, "retry")
    if st.button("Retry from here", type="primary", key=f"retry-{run.id}"):
        _go(lambda: workspace().runs.resume(run.id, from_step=step).id)


def _fork(run: Run, names: list[str], costs: dict[str, int]) -> None:
    st.markdown("A new run that takes over what the steps before gave. **Only the step and what comes after it are paid.**")
    step = _step(run, names, costs, "fork")
    changes: dict[str, Any] = {}
    if model := model_field(f"fork {run.id}"):
        changes["model"] = model
    if st.toggle("The workflow as it is now", key=f"fork-current-{run.id}", help="Off: as this run kept it."):
        changes["definition"] = "current"
    if st.button("Fork run", type="primary", key=f"fork-{run.id}"):
        _go(lambda: workspace().runs.fork(run.id, step, changes).id)


def _step(run: Run, names: list[str], costs: dict[str, int], act: str) -> str:
    step: str = st.selectbox("From step", names, index=len(names) - 1, key=f"{act}-step-{run.id}")
    most = sum(costs.get(name, 0) for name in names[names.index(step) :])
    words = _amount(most, run.unpriced, offline=run.offline)
    st.caption(f"In this run that cost at most {words}, with its models and prices.")
    return step


def _amount(nanos: int, unpriced: int, *, offline: bool) -> str:
    if offline and not nanos and not unpriced:
        return f"nothing: {state_label('offline').partition(' ')[2]}"
    return money(nanos) + (", and what its unpriced attempts cost" if unpriced else "")


def _go(act: Callable[[], str]) -> None:
    """Do it and show the run that it made; what hinders it is said here."""
    try:
        made = act()
    except HishamosError as error:
        st.error(plain(str(error)), icon=":material/error:")
        return
    st.switch_page("views/run.py", query_params={"run": made})
