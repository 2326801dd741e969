"""Costs: what was spent, on what, by whom, how fast it was answered, with the SQL and the file of every number."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any, cast
from zoneinfo import ZoneInfo

import streamlit as st

from hishamos.charts.formats import count, exact_usd, missing, money, share
from hishamos.charts.palette import OTHER
from hishamos.charts.spend import spend_figure
from hishamos.charts.usage import month_end, rate, rates_figure, times_figure, tokens_figure
from hishamos.errors import HishamosError
from hishamos.records.own_tags import GROUP
from hishamos.records.record import now
from hishamos.records.spans import span_of
from parts.connection import workspace
from parts.filters import Only, chips, only
from parts.heads import empty, head, section, series
from parts.listings import USD, group_amount, table, taken
from parts.meters import budget_meter
from parts.plain import plain
from parts.sums import COLUMNS, GROUPS, NO_NAME, SPANS, named, span, spend, title_of
from parts.takeaway import behind

if TYPE_CHECKING:
    import pandas as pd
    import plotly.graph_objects

HELP = """Every attempt at a provider is one row of the ledger; all sums here are sums over it, exact to the nano-dollar. Days and months are those of the
workspace's time zone. Unpriced attempts are counted apart and never shown as 0. Offline answers are free and count in no rate; answers given again by
the cache count in its own rate only. **A click** on a bar, a point or a name opens the calls behind it.

**Tags** are labels of your own: `ws.tagged(customer="acme")`, `--tag customer=acme`, `HISHAMOS_TAGS=customer=acme`. Spend is grouped by each, and
**Filter** shows the costs of one value; filters stand in the address.

**To month's end** is what the month has cost, and for each day that is left the mean of the last 14 whole days.

Same in a notebook: `ws.ledger.spend(by=["day", "tag:customer"])`. In a terminal: `hishamos spend --by day,tag:customer --since 2026-11-01`."""
CHARTS = ["Spend", "Tokens", "Times", "Rates"]
ABOUT = {
    "Tokens": "Input and output by kind; the kinds exclude each other.",
    "Times": "How long successful attempts took: half of them at most the solid line, 95 % of them at most the dotted one.",
    "Rates": "Of 100 attempts: how many failed, asked their first model again, went on to a later model of their route, or were answered by the cache.",
}
RATES = {
    "failed": ("Failed", "Attempts that brought no whole answer: an error, cut off, orphaned."),
    "retried": ("Retried", "Attempts that asked a call's first model again."),
    "fell_back": ("Fell back", "Attempts at a later model of their route."),
    "cached": ("From the cache", "Answers that were given again by the cache, for nothing."),
}
SHOWN = 50
MANY = 2_000_000
TIMES = {"p50": "p50_ms", "p95": "p95_ms", "First token": "ttft_p50_ms"}
BAR = {"displayModeBar": False}


def page() -> None:
    """Draw the page."""
    head("Costs", help_text=HELP)
    with st.container(gap="xsmall"):
        name = st.segmented_control("Span", SPANS, default="30 days", required=True, key="span", bind="query-params", label_visibility="collapsed")
        timezone = workspace().health.status().timezone
        since, step = span(name, timezone)
        tags = workspace().ledger.tags(since=since)
        group = st.segmented_control("By", _groups(tags), default="model", required=True, key="by", bind="query-params", label_visibility="collapsed")
    chosen = only()
    _filters(tags, chosen, since)
    column = COLUMNS.get(group, group)
    try:
        total = _total(name, group, since, chosen)
    except HishamosError as error:
        st.warning(plain(str(error)), icon=":material/search_off:")
        return
    if not len(total) and chosen:
        st.caption("Nothing in this span has all of this. Take a filter away.")
        return
    if not len(total):
        empty("No attempt in this span. This line makes some, free of charge, with the offline model:", "hishamos demo")
        return
    _metrics(total, timezone, chosen)
    _chart(since, step, group, column, chosen)
    _top(total, since, group, column, chosen)
    _budgets()


def _groups(tags: list[str]) -> list[str]:
    """Return what spend is grouped by: columns, and the tags of the span. One that the address names stays when another span is chosen."""
    asked = st.query_params.get("by", "")
    named = [asked.removeprefix(GROUP)] if asked.startswith(GROUP) else []
    return [*GROUPS, *(GROUP + name for name in sorted({*tags, *named}))]


def _filters(tags: list[str], chosen: Only, since: datetime) -> None:
    """Draw the filters of the address, and a way to another value of a tag."""
    if not tags and not chosen:
        return
    with st.container(horizontal=True, vertical_alignment="center"):
        asked = {name: value or "" for name, value in chosen.items()}
        chips("views/costs.py", asked, {name: value for name, value in st.query_params.items() if name not in asked})
        if not tags:
            return
        with st.popover("Filter", type="tertiary", icon=":material/filter_alt:", on_change="rerun", key="filter") as popover:
            if not popover.open:  # nobody sums up for a list that nobody sees
                return
            name = GROUP + st.selectbox("Tag", tags, key="filter tag")
            values = spend([name], since, sums_only=True)[name].dropna().tolist()
            words, key = "Choose one, the dearest first", f"value of {name}"
            st.selectbox("Value", values, index=None, placeholder=words, key=key, on_change=_choose, args=(name, key))


def _choose(name: str, key: str) -> None:
    """Put the value that was chosen into the address: what is taken away there later is not chosen again."""
    if st.session_state[key] is not None:
        st.query_params[name] = st.session_state[key]


def _total(name: str, group: str, since: datetime, chosen: Only) -> pd.DataFrame:
    """Return the spend by group; over a year of very many attempts without the times, which would take longer than anybody waits."""
    if name == "12 months":
        sums = spend([group], since, only=chosen, sums_only=True)
        if sums["attempts"].sum() > MANY:
            return cast("pd.DataFrame", sums)
    return cast("pd.DataFrame", spend([group], since, only=chosen))


def _metrics(total: pd.DataFrame, timezone: str, chosen: Only) -> None:
    row = {name: int(total[name].sum()) for name in total.columns if str(total[name].dtype).lower() == "int64"}
    cells = st.columns(4)
    cells[0].metric("Spend", money(row["cost_nanos"]), border=True, help=f"Exactly {exact_usd(row['cost_nanos'])} USD")
    cells[1].metric("To month's end", _month_end(timezone, chosen), border=True, help="What this month is likely to come to, whatever span is shown here.")
    more = f"{count(row['offline'])} more were offline, {count(row['cached'])} of these came from the cache."
    cells[2].metric("Attempts", count(row["attempts"] - row["offline"]), border=True, help=more)
    unpriced = "They are in no sum. Give their models a price in hishamos.toml, then: `hishamos reconcile --reprice`"
    cells[3].metric("Unpriced attempts", count(row["unpriced"]), border=True, help=unpriced)
    with st.container(border=True):
        for cell, (name, (label, what)) in zip(st.columns(4), RATES.items(), strict=True):
            cell.metric(label, share(*rate(row, name)), help=f"{what} Here {count(row[name])}.")


def _month_end(timezone: str, chosen: Only) -> str:
    month, here = span_of("month", now(), timezone), datetime.now(ZoneInfo(timezone))
    days = spend(["day"], min(month.starts, span("30 days", timezone)[0]), only=chosen, sums_only=True)
    likely = month_end(days, month.starts.astimezone(here.tzinfo), here, month.ends.astimezone(here.tzinfo))
    return missing() if likely is None else money(likely)


def _chart(since: datetime, step: str, group: str, column: str, chosen: Only) -> None:
    row = st.container(horizontal=True, vertical_alignment="center")
    above = row.container(width="content")
    row.space("stretch")
    chart = row.segmented_control("Chart", CHARTS, default="Spend", required=True, key="chart", bind="query-params", label_visibility="collapsed")
    draw: Callable[..., plotly.graph_objects.Figure]
    if chart == "Spend":
        title, frame = f"Spend by {step} and {title_of(group)}", spend([step, group], since, only=chosen, sums_only=True)
        draw = partial(spend_figure, colour=column)
    else:
        title, frame = f"{chart} by {step}", spend([step], since, only=chosen)
        draw = {"Tokens": tokens_figure, "Times": times_figure, "Rates": rates_figure}[chart]
    above.subheader(title, anchor=False, width="content")
    with row:
        behind(frame, title.lower().replace(" ", "-"))
    st.caption(ABOUT.get(chart, "The dearest first. A click on a bar opens its calls."))
    if chart == "Spend" and not frame["cost_nanos"].sum():
        st.caption("Nothing was spent in this span; offline answers are free.")
        return
    figure = draw(frame, by=step, series=series())
    event = st.plotly_chart(figure, config=BAR, key=f"{chart}-{step}-{group}", alt=title, on_select="rerun", selection_mode="points")
    points = event.selection.points
    if points:
        name = str(points[0]["customdata"][1]) if chart == "Spend" else OTHER
        _open_calls({step: str(points[0]["x"])} | ({} if name == OTHER else {column: "" if name == NO_NAME else name}), since, chosen)


def _top(total: pd.DataFrame, since: datetime, group: str, column: str, chosen: Only) -> None:
    title, heading = f"Top spenders by {title_of(group)}", title_of(group) if group.startswith(GROUP) else group.capitalize()
    with st.container(horizontal=True, vertical_alignment="center"):
        st.subheader(title, anchor=False, width="content")
        st.space("stretch")
        behind(total, f"spend-by-{title_of(group)}")
    ranked = cast("list[dict[str, Any]]", total.head(SHOWN).to_dict("records"))
    rows = [
        {
            heading: named(row[column]) or NO_NAME,
            USD: group_amount(row),
            "Attempts": count(row["attempts"]),
            "Input tokens": count(row["input_tokens"]),
            "Output tokens": count(row["output_tokens"]),
            "Failed": share(*rate(row, "failed")),
            "Fell back": share(*rate(row, "fell_back")),
            **{label: taken(row[name]) for label, name in TIMES.items() if name in row},
        }
        for row in ranked
    ]
    clicked = table(rows, [named(row[column]) for row in ranked], title, right=[name for name in rows[0] if name != heading], opens=heading)
    if "p50_ms" not in total:
        st.caption(f"Without times, for there are more than {count(MANY)} attempts: choose a shorter span, or the chart Times.")
    if len(total) > SHOWN:
        st.caption(f"The dearest {SHOWN} of {count(len(total))}; the file has all of them.")
    if clicked is not None:
        _open_calls({column: clicked}, since, chosen)


def _open_calls(behind_it: dict[str, str], since: datetime, chosen: Only) -> None:
    asked = {name: value or "" for name, value in chosen.items()} | behind_it
    st.switch_page("views/calls.py", query_params=asked | {"since": since.isoformat()})


def _budgets() -> None:
    section("Budgets", "views/budgets.py", "All budgets")
    budgets = workspace().budgets.list()
    for place in range(0, len(budgets), 3):
        for cell, budget in zip(st.columns(3), budgets[place : place + 3], strict=False):
            with cell.container(border=True, height="stretch", gap="xsmall"):
                st.markdown(f"**{plain(budget.name)}**")
                kind = "hard" if budget.hard else "warns only"
                st.caption(plain(f"{kind} · {budget.scope} · {budget.period}" + (" · closed" if budget.closed else "")))
                budget_meter(budget)
    if not budgets:
        st.caption("No budget limits this workspace. Set one: `hishamos budget set month --limit 50`")


page()
