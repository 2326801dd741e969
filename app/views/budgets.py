"""Budgets: how much may be spent, by whom, and how much of it is left."""

from __future__ import annotations

import streamlit as st

from hishamos.charts.formats import clock, money, share
from hishamos.errors import HishamosError
from hishamos.records.money import Budget
from parts.connection import guarded, workspace
from parts.heads import empty, head
from parts.plain import plain

HELP = """A **hard** budget is never passed: money is reserved before a call is sent, and a call that does not fit is refused. One that is not hard warns.
Periods follow the workspace's time zone. Budgets that stand in `hishamos.toml` are changed there.

Same in a notebook: `ws.budgets.set("month", limit_usd="50")`. In a terminal: `hishamos budget set month --limit 50`."""
PERIODS = ("month", "day", "total")


@st.fragment(run_every="5s")
def listing() -> None:
    """Draw all budgets; refreshes by itself."""
    with guarded():
        found = workspace().budgets.list()
        for budget in found:
            _card(budget)
        if not found:
            empty("No budget yet: nothing limits what is spent. Set one below, or in a terminal:", "hishamos budget set month --limit 50")


def _card(budget: Budget) -> None:
    with st.container(border=True):
        with st.container(horizontal=True, vertical_alignment="center"):
            st.markdown(f"**{plain(budget.name)}** · {plain(budget.scope)} · {budget.period}", width="content")
            st.badge("hard" if budget.hard else "warns only", color="gray")
            if budget.closed:
                st.badge("closed: a bill was above its reservation", color="red", icon=":material/lock:")
            st.space("stretch")
            removed = st.button("Remove", key=f"remove-{budget.name}")
        held = budget.committed_nanos + budget.reserved_nanos
        st.progress(min(1.0, held / budget.limit_nanos) if budget.limit_nanos else 1.0, text=_words(budget))
        for warning in budget.warnings:
            st.caption(plain(f"⚠ {warning.message} {clock(warning.passed_at)} UTC"))
        if removed:
            workspace().budgets.remove(budget.name)
            st.rerun()


def _words(budget: Budget) -> str:
    spent = f"{money(budget.committed_nanos)} of {money(budget.limit_nanos)} spent ({share(budget.committed_nanos, budget.limit_nanos)})"
    return f"{spent}, {money(budget.reserved_nanos)} reserved by calls under way" if budget.reserved_nanos else spent


def _form() -> None:
    with st.form("budget", border=True):
        st.markdown("**Set a budget**")
        left, middle, right = st.columns(3)
        name = left.text_input("Name", placeholder="month")
        limit = middle.text_input("Limit, USD", placeholder="50")
        period = right.selectbox("Period", PERIODS)
        left, middle, right = st.columns(3, vertical_alignment="bottom")
        scope = left.text_input("Scope", value="workspace", help="`workspace`, `project:KEY`, `user:NAME`, `key:PREFIX`, `workflow:NAME` or `run`")
        shares = middle.text_input("Warn at", placeholder="0.5, 0.8", help="Shares of the limit, separated by commas")
        hard = right.toggle("Hard: refuse what does not fit", value=True)
        if st.form_submit_button("Set budget", type="primary"):
            warn_at = [part.strip() for part in shares.split(",") if part.strip()]
            try:
                workspace().budgets.set(name.strip(), limit_usd=limit.strip(), scope=scope.strip(), period=period, hard=hard, warn_at=warn_at)
            except HishamosError as error:  # the form stays as it was filled in
                st.error(plain(str(error)), icon=":material/error:")
            else:
                st.rerun()


head("Budgets", help_text=HELP)
listing()
_form()
