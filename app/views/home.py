"""Home: what the workspace costs, what waits for you, what runs, what came out."""

from __future__ import annotations

from datetime import timedelta

import streamlit as st

from hishamos.charts.formats import clock, count, money, share
from hishamos.charts.spend import spend_figure
from hishamos.records.record import now
from hishamos.records.runs import Approval, Run, RunState
from parts.connection import guarded, workspace
from parts.decisions import decide
from parts.heads import empty, head, series
from parts.listings import runs_table, seconds_between, spend_words
from parts.plain import plain
from parts.sums import span, spend

HELP = """What needs you, what runs and what it costs, refreshed by itself.

Same in a notebook: `ws.runs.list()`, `ws.ledger.spend(by="day")`. In a terminal: `hishamos runs`, `hishamos spend --by day`."""


@st.fragment(run_every="1.5s")
def live() -> None:
    """Draw what changes by itself."""
    with guarded():
        ws = workspace()
        runs = ws.runs.list(limit=50)
        approvals = ws.runs.approvals()
        _metrics(runs, len(approvals))
        for budget in ws.budgets.list():
            if budget.warnings:
                st.warning(plain(f"{budget.warnings[-1].message} {clock(budget.warnings[-1].passed_at)} UTC"))
        left, right = st.columns(2, gap="medium")
        with left:
            st.subheader("Waiting for you", anchor=False)
            for approval in approvals[:5]:
                _approval(approval)
            if len(approvals) > 5:
                st.page_link("views/approvals.py", label=f"All {len(approvals)} that wait for you")
            if not approvals:
                st.caption("Nothing waits for you. A workflow that asks for approval shows here.")
        with right:
            st.subheader("Running now", anchor=False)
            active = [run for run in runs if run.state in {RunState.RUNNING, RunState.QUEUED, RunState.PAUSED}]
            for run in active[:5]:
                _progress(run)
            if not active:
                st.caption("Nothing runs.")


def _metrics(runs: list[Run], waiting: int) -> None:
    ws = workspace()
    health = ws.health.status()
    today = now() - timedelta(hours=24)
    recent = [run for run in runs if run.created_at >= today]
    by_model = spend(["model"], span("24 h", health.timezone)[0], sums_only=True)
    attempts = int(by_model["attempts"].sum() - by_model["offline"].sum()) if len(by_model) else 0
    hops = int(by_model["fell_back"].sum()) if len(by_model) else 0
    more = "+" if len(recent) == len(runs) == 50 else ""
    cells = st.columns(5)
    month = money(health.month_cost_nanos)
    cells[0].metric("Spend this month", month, border=True, help=f"{health.month_unpriced} attempts are unpriced and not in it.")
    cells[1].metric("Runs in 24 h", count(len(recent)) + more, border=True)
    cells[2].metric("Failed in 24 h", count(sum(run.state == RunState.FAILED for run in recent)), border=True)
    cells[3].metric("Waiting for you", count(waiting), border=True)
    cells[4].metric("Fallback rate, 24 h", share(hops, attempts), border=True, help="Attempts that went to a later model of their route.")


def _approval(approval: Approval) -> None:
    with st.container(border=True):
        st.markdown(f"**{plain(approval.workflow)}** · `{approval.run_id[:6]}` · since {clock(approval.since)}")
        decide(approval)
        st.page_link("views/run.py", label="Open the run", query_params={"run": approval.run_id})


def _progress(run: Run) -> None:
    with st.container(border=True):
        spend = spend_words(run.cost_nanos, run.unpriced, offline=run.offline)
        text = f"{run.steps_done} of {run.steps_total} steps · {spend} · {seconds_between(run.started_at, run.finished_at)}"
        st.page_link("views/run.py", label=f"**{plain(run.name)}** · {run.id[:6]} · {run.state}", query_params={"run": run.id})
        st.progress(min(1.0, run.steps_done / run.steps_total) if run.steps_total else 0.0, text=text)


def page() -> None:
    """Draw the page."""
    ws = workspace()
    head("Home", help_text=HELP)
    live()
    st.subheader("Latest runs", anchor=False)
    latest = ws.runs.list(limit=8)
    if latest:
        runs_table(latest, "latest runs")
    else:
        empty("No run yet. This line runs the example workflow on shipped data with the offline model:", "hishamos demo")
    left, right = st.columns(2, gap="medium")
    with left:
        st.subheader("Spend by day", anchor=False)
        days = spend(["day"], span("30 days", ws.health.status().timezone)[0], sums_only=True)
        if len(days) and days["cost_nanos"].sum():
            st.plotly_chart(spend_figure(days, by="day", series=series()), config={"displayModeBar": False}, key="spend", alt="Spend by day in USD")
        else:
            st.caption("Nothing was spent in 30 days; offline answers are free.")
    with right:
        st.subheader("Last results", anchor=False)
        results = ws.results.list(limit=3)
        for result in results:
            with st.container(border=True):
                st.markdown(f"**{plain(result.title)}**")
                st.text(result.summary)
                st.caption(f"{clock(result.created_at)}" + (" · offline model, not a real answer" if result.offline else ""))
                if result.run_id and not result.run_pruned_at:
                    st.page_link("views/run.py", label="Open the run", query_params={"run": result.run_id})
        if not results:
            st.caption("A workflow that saves a result shows it here.")


page()
