"""Costs: what was spent, on what, by whom, with the SQL and the CSV of every number."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, cast

import streamlit as st

from hishamos.charts.formats import clock, count, duration, money, share
from hishamos.charts.spend import spend_figure
from hishamos.records.record import now
from parts.connection import workspace
from parts.heads import empty, head, series
from parts.takeaway import downloads

if TYPE_CHECKING:
    import pandas as pd

HELP = """Every attempt at a provider is one row of the ledger; all sums here are sums over it, exact to the nano-dollar.
Unpriced attempts are counted apart and never shown as 0. Offline answers are free and count in no rate.

Same in a notebook: `ws.ledger.spend(by=["day", "model"])`. In a terminal: `hishamos spend --by model`."""
SPANS = {"24 h": 1, "7 days": 7, "30 days": 30, "12 months": 365}
GROUPS = ["model", "provider", "workflow", "command", "agent", "project", "user_name"]


def page() -> None:
    """Draw the page."""
    ws = workspace()
    head("Costs", help_text=HELP)
    with st.container(horizontal=True):
        span = st.segmented_control("Span", list(SPANS), default="30 days", required=True, key="span", bind="query-params")
        group = st.segmented_control("By", GROUPS, default="model", required=True, key="by", bind="query-params")
    since = now() - timedelta(days=SPANS[span])
    total = ws.ledger.spend(by=group, since=since)
    if not len(total):
        empty("No attempt in this span. This line makes some, free of charge, with the offline model:", "hishamos demo")
        return
    _metrics(total)
    step = "hour" if SPANS[span] == 1 else "month" if SPANS[span] > 31 else "day"
    over_time = ws.ledger.spend(by=[step, group], since=since)
    left, right = st.columns(2, gap="medium")
    with left:
        st.subheader(f"Spend by {step} and {group}", anchor=False)
        if over_time["cost_nanos"].sum():
            figure = spend_figure(over_time, by=step, colour=group, series=series())
            st.plotly_chart(figure, config={"displayModeBar": False}, key="spend", alt=f"Spend by {step} and {group} in USD")
        else:
            st.caption("Nothing was spent in this span; offline answers are free.")
        _exports(over_time, f"spend-by-{step}-and-{group}", step, group)
    with right:
        st.subheader("Top spenders", anchor=False)
        _top(total, group)
    st.subheader("Budgets", anchor=False)
    budgets = ws.budgets.list()
    for budget in budgets:
        part = min(1.0, budget.committed_nanos / budget.limit_nanos) if budget.limit_nanos else 1.0
        kind = "hard" if budget.hard else "soft"
        words = f"{budget.name}: {money(budget.committed_nanos)} of {money(budget.limit_nanos)} · {kind}, {budget.scope}, {budget.period}"
        st.progress(part, text=words + (" · closed" if budget.closed else ""))
        if budget.warnings:
            st.caption(f"{budget.warnings[-1].message} {clock(budget.warnings[-1].passed_at)} UTC")
    if not budgets:
        st.caption("No budget limits this workspace. Set one: `hishamos budget set month --limit 50`")


def _metrics(total: pd.DataFrame) -> None:
    offline, cached = int(total["offline"].sum()), int(total["cached"].sum())
    real = int(total["attempts"].sum()) - offline - cached
    cells = st.columns(5)
    cells[0].metric("Spend", money(int(total["cost_nanos"].sum())), border=True)
    unpriced = "Give their models a price in hishamos.toml, then: `hishamos reconcile --reprice`"
    cells[1].metric("Unpriced attempts", count(int(total["unpriced"].sum())), border=True, help=unpriced)
    cells[2].metric("Attempts", count(real), border=True, help=f"{count(offline)} more were offline, {count(cached)} from the cache.")
    cells[3].metric("Failed", share(int(total["failed"].sum()), real), border=True)
    cells[4].metric("Fell back", share(int(total["fell_back"].sum()), real), border=True)


def _top(total: pd.DataFrame, group: str) -> None:
    ranked = total.sort_values("cost_nanos", ascending=False).head(12)
    rows = [
        {
            group: row[group] or "–",
            "Spend": _spent(row),
            "Attempts": count(int(row["attempts"])),
            "p50": duration(None if row["p50_ms"] is None else float(row["p50_ms"]) / 1000),
            "p95": duration(None if row["p95_ms"] is None else float(row["p95_ms"]) / 1000),
        }
        for row in cast("list[dict[str, Any]]", ranked.to_dict("records"))
    ]
    right = {name: st.column_config.TextColumn(name, alignment="right") for name in ["Spend", "Attempts", "p50", "p95"]}
    st.dataframe(rows, hide_index=True, column_config=right, alt=f"Spend by {group}")


def _spent(row: dict[str, Any]) -> str:
    """Say what a group cost; what is offline or unpriced is no 0."""
    if row["offline"] == row["attempts"]:
        return "offline"
    if row["unpriced"] and row["unpriced"] == row["attempts"] - row["offline"] - row["cached"]:
        return "unpriced"
    return money(int(row["cost_nanos"])) + (f" + {row['unpriced']} unpriced" if row["unpriced"] else "")


def _exports(frame: pd.DataFrame, name: str, step: str, group: str) -> None:
    with st.popover("SQL and data", type="tertiary"):
        statement = (
            f"select date_trunc('{step}', started_at) as {step}, {group}, count(*) as attempts,\n"
            "       cast(sum(cost_nanos) as bigint) as cost_nanos\nfrom attempts group by 1, 2 order by 1, 2"
        )
        st.code(statement, language="sql")
        downloads(frame, name)


page()
