"""Workflows: what each does, its graph and text, what it would cost, and a form that starts it."""

from __future__ import annotations

from functools import partial

import streamlit as st

from hishamos.charts.ranges import forecast_words
from hishamos.errors import HishamosError
from hishamos.records.definitions import WorkflowDefinition
from parts.connection import workspace
from parts.fields import fields, model_field
from parts.graphs import drawn_graph
from parts.heads import head
from parts.listings import runs_table
from parts.plain import plain
from parts.states import one_of
from parts.style import theme
from parts.workflow_texts import YAML, unsaved, workflow_text

HELP = """The workspace's own workflows and those that ship with HishamOS. **Start run** starts one and opens its run; **Forecast** says what it would cost,
and sends nothing.

**YAML** is the workflow as it was written. **Check** says every mistake with its line and saves nothing; **Save** writes the next version into the
workspace, never over one that somebody else wrote meanwhile. One that ships with HishamOS becomes the workspace's own by it.

Same in a notebook: `ws.workflows.start("triage_bugs", {"file": "bugs.csv"})`, `ws.workflows.forecast(…)`, `ws.definitions.text("workflow", "triage_bugs")`,
`ws.workflows.check(text)`, `ws.workflows.save(text, version=…)`. In a terminal: `hishamos run triage_bugs -i file=bugs.csv`, `hishamos check`."""


def page() -> None:
    """Draw the page."""
    head("Workflows", help_text=HELP)
    found = {workflow.name: workflow for workflow in workspace().workflows.list()}
    # A name in the address that nobody has is the first one: the address is shared, the workspace is not.
    broken = [one.name or "" for one in workspace().definitions.broken("workflow")]
    name = one_of("Workflow", list(dict.fromkeys([*found, *broken, *unsaved()])), "workflow")
    if name is None:
        st.caption("There is no workflow.")
        return
    if name not in found:
        told = "has mistakes and can't run. Mend its text." if name in broken else "is gone from the workspace. What you typed is kept here."
        st.warning(plain(f"{name} {told}"), icon=":material/sync_problem:")
        workflow_text(name)
        return
    workflow = found[name]
    st.markdown(plain(workflow.description))
    st.caption(f"version {workflow.version} · {len(workflow.steps)} steps")
    start, graph, text, runs = st.tabs(["Start", "Graph", YAML, "Runs"], key=f"tabs of {name}", on_change="rerun")
    with start:
        _start(workflow)
    with graph:
        draw = partial(workspace().workflows.picture, name, ground=theme())
        drawn_graph(draw(), partial(draw, narrow=True))
        st.dataframe(
            [{"Step": step.id, "Type": step.type, "After": ", ".join(step.after), "When": step.when or ""} for step in workflow.steps],
            hide_index=True,
            alt=f"Steps of {name}",
        )
    if text.open:
        with text:
            workflow_text(name)
    with runs:
        latest = workspace().runs.list(name=name, limit=20)
        if latest:
            runs_table(latest, f"runs of {name}")
        else:
            st.caption("It has not run in this workspace yet.")


def _start(workflow: WorkflowDefinition) -> None:
    try:
        given = fields(workflow.inputs, workflow.name)
        left, right = st.columns(2)
        with left:
            model = model_field(workflow.name)
        budget = right.text_input("budget (optional)", key=f"{workflow.name} option budget", placeholder="USD, a hard limit on this run") or None
        with st.container(horizontal=True):
            starts = st.button("Start run", type="primary")
            foretells = st.button("Forecast", help="Says what it would cost; sends nothing")
        if starts:
            run = workspace().workflows.start(workflow.name, given, model=model, budget_usd=budget)
            st.switch_page("views/run.py", query_params={"run": run.id})
        if foretells:
            st.info(plain(forecast_words(workspace().workflows.forecast(workflow.name, given, model=model))), icon=":material/query_stats:")
    except HishamosError as error:  # the form stays as it was filled in
        st.error(plain(str(error)), icon=":material/error:")


page()
