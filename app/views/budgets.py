"""Budgets: how much may be spent, by whom, and how much of it is left."""

from __future__ import annotations

import streamlit as st

from hishamos.errors import HishamosError
from hishamos.records.money import Budget
from parts.connection import guarded, workspace
from parts.heads import empty, head
from parts.meters import budget_meter
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
            if budget.warnings:
                st.badge("⚠ limit passed" if budget.warnings[-1].share >= 1 else "⚠ near its limit", color="orange")
            if budget.closed:
                st.badge("closed: a bill was above its reservation", color="red", icon=":material/lock:")
            st.space("stretch")
            with st.popover("Remove", type="tertiary", key=f"ask-{budget.name}"):
                st.markdown("Remove this budget? What it limited is limited no more; what was spent stays in the ledger.")
                removed = st.button("Remove budget", key=f"remove-{budget.name}")
        budget_meter(budget)
        if removed:
            workspace().budgets.remove(budget.name)
            st.rerun()


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
