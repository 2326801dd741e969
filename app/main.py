"""The console's router: groups of pages, and the workspace's state at the sidebar's foot."""

from __future__ import annotations

import streamlit as st

from parts.connection import guarded
from parts.foot import foot

PAGES = {
    "Observe": [
        st.Page("pages/home.py", title="Home", icon=":material/home:", default=True),
        st.Page("pages/runs.py", title="Runs", icon=":material/play_circle:"),
        st.Page("pages/run.py", title="Run", visibility="hidden"),
        st.Page("pages/costs.py", title="Costs", icon=":material/payments:"),
    ],
}

st.set_page_config(page_title="HishamOS", page_icon=":material/menu_book:", layout="wide")
st.html("<style>.block-container{padding-top:2.2rem;padding-bottom:3rem} [data-testid=stMetricValue]{font-variant-numeric:tabular-nums}</style>")

page = st.navigation(PAGES)
with guarded():
    page.run()
with st.sidebar:
    foot()
