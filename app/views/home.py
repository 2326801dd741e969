"""Home: what the workspace costs and what the money goes to, what waits for you, what runs, what failed, what came out."""

from __future__ import annotations

from datetime import datetime, timedelta

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from hishamos.charts.formats import clock, count, money, share, some
from hishamos.charts.spend import spend_figure
from hishamos.records.record import now
from hishamos.records.runs import Approval, Run, RunState
from hishamos.records.workspaces import Health
from parts.connection import guarded, workspace
from parts.decisions import waiting_card
from parts.heads import badge, empty, head, section, series
from parts.listings import USD, group_amount, group_share, runs_table, seconds_between, spend_words, table, why
from parts.meters import warned
from parts.plain import plain
from parts.sums import COLUMNS, NO_NAME, named, span, spend

HELP = """What needs you, what runs, what failed and what it costs, refreshed by itself. A click on a name under **What it goes to** opens the calls behind it.

Same in a notebook: `ws.runs.list()`, `ws.runs.counts("state")`, `ws.ledger.spend(by="day")`. In a terminal: `hishamos runs`, `hishamos spend --by day`."""

FEW, LATEST, LONGEST, SPENDERS = 3, 8, 220, 7  # things of a kind, runs, characters of a summary, and spenders that Home has room for
UNDER_WAY = (RunState.RUNNING, RunState.QUEUED, RunState.PAUSED)
GOES_TO = ("model", "workflow", "project", "user", "agent")
DAYS = "30 days"


@st.fragment(run_every="1.5s")
def live() -> None:
    """Draw what changes by itself."""
    with guarded():
        ws = workspace()
        health, since = ws.health.status(), now() - timedelta(hours=24)
        counts, approvals = ws.runs.counts("state", since=since), ws.runs.approvals()
        _metrics(health, counts, approvals)
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
            active = [run for state in UNDER_WAY for run in ws.runs.list(state=state, limit=FEW + 1)]
            section("Under way", *(("views/runs.py", "All runs") if len(active) > FEW else ()))
            for run in active[:FEW]:
                _progress(run)
            if not active:
                st.caption("Nothing runs. A workflow that is started shows its progress here.")
            failed = ws.runs.list(state=RunState.FAILED, since=since, limit=FEW) if counts.get(RunState.FAILED) else []
            if failed:
                _failures(failed, counts[RunState.FAILED])
        _latest()


def _latest() -> None:
    section("Latest runs", "views/runs.py", "All runs")
    latest = workspace().runs.list(limit=LATEST)
    if latest:
        runs_table(latest, "latest runs", few=True)
    else:
        empty("No run yet. This line runs the example workflow on shipped data with the offline model:", "hishamos demo")


def _failures(failed: list[Run], number: int) -> None:
    """Draw the runs that failed lately, each with its reason."""
    with st.container(horizontal=True, vertical_alignment="center"):
        st.subheader("Failed in 24 h", anchor=False, width="content")
        st.space("stretch")
        st.page_link("views/runs.py", label=f"All {count(number)}", query_params={"state": RunState.FAILED.value, "span": "24 h"})
    for run in failed:
        with st.container(border=True, gap="xsmall"):
            with st.container(horizontal=True, vertical_alignment="center"):
                st.page_link("views/run.py", label=f"**{plain(run.name)}**", query_params={"run": run.id, "steps": RunState.FAILED.value})
                badge(run.state)
                st.caption(f"{clock(run.finished_at)} UTC", width="content")
            reason = why(run)
            st.text(reason if len(reason) <= LONGEST else reason[:LONGEST].rstrip() + "…")


def _metrics(health: Health, counts: dict[str, int], approvals: list[Approval]) -> None:
    by_model = spend(["model"], span("24 h", health.timezone)[0], sums_only=True)
    attempts = int(by_model["attempts"].sum() - by_model["offline"].sum()) if len(by_model) else 0
    hops = int(by_model["fell_back"].sum()) if len(by_model) else 0
    day = money(int(by_model["cost_nanos"].sum())) if len(by_model) else money(0)
    begun, failed = sum(counts.values()), counts.get(RunState.FAILED, 0)
    cells = st.columns(5)
    unpriced = f"{some(health.month_unpriced, 'attempt')} of it {'is' if health.month_unpriced == 1 else 'are'} unpriced and not in it."
    _metric(cells[0], "Spend this month", money(health.month_cost_nanos), f"{day} in 24 h", unpriced)
    _metric(cells[1], "Runs in 24 h", count(begun), f"{count(health.running)} running now")
    _metric(cells[2], "Failed in 24 h", count(failed), f"{share(failed, begun)} of the runs")
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
    since = span(DAYS, ws.health.status().timezone)[0]
    left, right = st.columns(2, gap="medium")
    with left:
        section(f"Spend by day, {DAYS}", "views/costs.py", "Costs")
        days = spend(["day"], since, sums_only=True)
        if len(days) and days["cost_nanos"].sum():
            st.plotly_chart(spend_figure(days, by="day", series=series()), config={"displayModeBar": False}, key="spend", alt="Spend by day in USD")
        else:
            st.caption(f"Nothing was spent in {DAYS}; offline answers are free.")
    with right:
        section(f"What it goes to, {DAYS}")
        _goes_to(since)
    _results()


def _goes_to(since: datetime) -> None:
    """Draw the dearest of a group; a click on one opens its calls."""
    group = st.segmented_control("By", GOES_TO, default="model", required=True, key="goes_to", bind="query-params", label_visibility="collapsed")
    sums, column = spend([group], since, sums_only=True), COLUMNS.get(group, group)
    if not len(sums):
        st.caption("No model was asked. A run, a chat or a command that asks one shows here.")
        return
    ranked, total = sums.head(SPENDERS).to_dict("records"), int(sums["cost_nanos"].sum())
    rows = [
        {
            group.capitalize(): named(row[column]) or NO_NAME,
            USD: group_amount(row),
            "Share": group_share(row, total),
            "Attempts": count(row["attempts"]),
        }
        for row in ranked
    ]
    names = [named(row[column]) for row in ranked]
    clicked = table(rows, names, f"spend by {group}", right=[USD, "Share", "Attempts"], opens=group.capitalize())
    if len(sums) > SPENDERS:
        st.page_link("views/costs.py", label=f"All {count(len(sums))}", query_params={"by": group})
    if clicked is not None:
        st.switch_page("views/calls.py", query_params={column: clicked, "since": since.isoformat()})


def _results() -> None:
    section("Last results", "views/results.py", "All results")
    results = workspace().results.list(limit=FEW)
    for cell, result in zip(st.columns(FEW), results, strict=False):
        with cell.container(border=True, gap="xsmall", height="stretch"):
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
