"""Home: what the workspace costs, what waits for you, what runs, what came out."""

from __future__ import annotations

from datetime import timedelta

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from hishamos.charts.formats import clock, count, money, share, some
from hishamos.charts.spend import spend_figure
from hishamos.records.record import now
from hishamos.records.runs import Approval, Run, RunState
from parts.connection import guarded, workspace
from parts.decisions import waiting_card
from parts.heads import badge, empty, head, section, series
from parts.listings import runs_table, seconds_between, spend_words
from parts.meters import warned
from parts.plain import plain
from parts.sums import span, spend

HELP = """What needs you, what runs and what it costs, refreshed by itself.

Same in a notebook: `ws.runs.list()`, `ws.ledger.spend(by="day")`. In a terminal: `hishamos runs`, `hishamos spend --by day`."""

FEW, LONGEST = 3, 220  # things of a kind, and characters of a summary, that Home has room for


@st.fragment(run_every="1.5s")
def live() -> None:
    """Draw what changes by itself."""
    with guarded():
        ws = workspace()
        runs = ws.runs.list(limit=50)
        approvals = ws.runs.approvals()
        _metrics(runs, approvals)
        for budget in ws.budgets.list():
            if budget.warnings:
                with st.container(border=True, horizontal=True, vertical_alignment="center"):
                    st.badge(f"⚠ budget {budget.name}", color="orange")
                    spent = f"{money(budget.committed_nanos)} of {money(budget.limit_nanos)} spent."
                    st.markdown(plain(f"{spent} {warned(budget)}"), width="content")
                    st.space("stretch")
                    st.page_link("views/budgets.py", label="Budgets")
        left, right = st.columns(2, gap="medium")
        with left:
            section("Waiting for you", *(("views/approvals.py", f"All {len(approvals)}") if len(approvals) > FEW else ()))
            for approval in approvals[:FEW]:
                waiting_card(approval)
            if not approvals:
                st.caption("Nothing waits for you. A workflow that asks for approval shows here.")
        with right:
            active = [run for run in runs if run.state in {RunState.RUNNING, RunState.QUEUED, RunState.PAUSED}]
            section("Under way", *(("views/runs.py", f"All {len(active)}") if len(active) > FEW else ()))
            for run in active[:FEW]:
                _progress(run)
            if not active:
                st.caption("Nothing runs. A workflow that is started shows its progress here.")


def _metrics(runs: list[Run], approvals: list[Approval]) -> None:
    health = workspace().health.status()
    since = now() - timedelta(hours=24)
    recent = [run for run in runs if run.created_at >= since]
    failed = sum(run.state == RunState.FAILED for run in recent)
    by_model = spend(["model"], span("24 h", health.timezone)[0], sums_only=True)
    attempts = int(by_model["attempts"].sum() - by_model["offline"].sum()) if len(by_model) else 0
    hops = int(by_model["fell_back"].sum()) if len(by_model) else 0
    day = money(int(by_model["cost_nanos"].sum())) if len(by_model) else money(0)
    more = "+" if len(recent) == len(runs) == 50 else ""
    cells = st.columns(5)
    unpriced = f"{some(health.month_unpriced, 'attempt')} of it {'is' if health.month_unpriced == 1 else 'are'} unpriced and not in it."
    _metric(cells[0], "Spend this month", money(health.month_cost_nanos), f"{day} in 24 h", unpriced)
    _metric(cells[1], "Runs in 24 h", count(len(recent)) + more, f"{count(health.running)} running now")
    _metric(cells[2], "Failed in 24 h", count(failed), f"{share(failed, len(recent))} of the runs")
    oldest = f"since {clock(min(approval.since for approval in approvals))} UTC" if approvals else "all is decided"
    _metric(cells[3], "Waiting for you", count(len(approvals)), oldest)
    fell = "Attempts that went to a later model of their route."
    _metric(cells[4], "Fallback rate, 24 h", share(hops, attempts), f"of {some(attempts, 'attempt')}", fell)


def _metric(cell: DeltaGenerator, label: str, value: str, note: str, help_text: str | None = None) -> None:
    """Draw a figure with what it is to be read against, which is no change for better or worse."""
    cell.metric(label, value, note, delta_arrow="off", delta_color="off", border=True, help=help_text)


def _progress(run: Run) -> None:
    with st.container(border=True, gap="xsmall"):
        spent = spend_words(run.cost_nanos, run.unpriced, offline=run.offline)
        text = f"{count(run.steps_done)} of {some(run.steps_total, 'step')} · {spent} · {seconds_between(run.started_at, run.finished_at)}"
        with st.container(horizontal=True, vertical_alignment="center"):
            st.page_link("views/run.py", label=f"**{plain(run.name)}**", query_params={"run": run.id})
            badge(run.state)
        st.progress(min(1.0, run.steps_done / run.steps_total) if run.steps_total else 0.0, text=text)


def page() -> None:
    """Draw the page."""
    ws = workspace()
    head("Home", help_text=HELP)
    live()
    section("Latest runs", "views/runs.py", "All runs")
    latest = ws.runs.list(limit=8)
    if latest:
        runs_table(latest, "latest runs")
    else:
        empty("No run yet. This line runs the example workflow on shipped data with the offline model:", "hishamos demo")
    left, right = st.columns(2, gap="medium")
    with left:
        section("Spend by day", "views/costs.py", "Costs")
        days = spend(["day"], span("30 days", ws.health.status().timezone)[0], sums_only=True)
        if len(days) and days["cost_nanos"].sum():
            st.plotly_chart(spend_figure(days, by="day", series=series()), config={"displayModeBar": False}, key="spend", alt="Spend by day in USD")
        else:
            st.caption("Nothing was spent in 30 days; offline answers are free.")
    with right:
        section("Last results", "views/results.py", "All results")
        results = ws.results.list(limit=3)
        for result in results:
            with st.container(border=True, gap="xsmall"):
                st.page_link("views/results.py", label=f"**{plain(result.title)}**", query_params={"result": result.id})
                st.text(result.summary if len(result.summary) <= LONGEST else result.summary[:LONGEST].rstrip() + "…")
                with st.container(horizontal=True, vertical_alignment="center"):
                    st.caption(f"{clock(result.created_at)} UTC", width="content")
                    if result.offline:
                        badge("offline")
                    if result.run_id and not result.run_pruned_at:
                        st.page_link("views/run.py", label=f"Run {result.run_id[:6]}", query_params={"run": result.run_id})
        if not results:
            st.caption("A workflow that saves a result shows it here.")


page()
