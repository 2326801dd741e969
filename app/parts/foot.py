"""The sidebar's foot: which workspace, how its server is, what the month has cost."""

from __future__ import annotations

import streamlit as st

from hishamos.charts.formats import count, money, state_label
from parts.connection import guarded, workspace
from parts.plain import plain
from parts.style import marked


@st.fragment(run_every="10s")
def foot() -> None:
    """Draw the foot; it refreshes by itself."""
    with guarded():
        health = workspace().health.status()
        marked("approvals", health.to_approve)
        unpriced = f" · {count(health.month_unpriced)} unpriced" if health.month_unpriced else ""
        st.caption(f"**This month** {money(health.month_cost_nanos)}{unpriced}")
        st.caption(f"{state_label('running')}: {count(health.running)} · {state_label('waiting')}: {count(health.waiting)}")
        st.caption(f"Server ready · `{health.workspace}`")
        if health.settings_error:
            st.warning(plain(health.settings_error), icon=":material/warning:")
