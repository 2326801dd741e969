"""The console's router: groups of pages, and the workspace's state at the sidebar's foot."""

from __future__ import annotations

import streamlit as st

from parts.connection import guarded
from parts.foot import foot
from parts.style import dressed

PAGES = {
    "Observe": [
        st.Page("views/home.py", title="Home", icon=":material/home:", default=True),
        st.Page("views/runs.py", title="Runs", icon=":material/play_circle:"),
        st.Page("views/run.py", title="Run", visibility="hidden"),
        st.Page("views/approvals.py", title="Approvals", icon=":material/front_hand:"),
        st.Page("views/batches.py", title="Batches", icon=":material/table_rows:"),
        st.Page("views/costs.py", title="Costs", icon=":material/payments:"),
        st.Page("views/calls.py", title="Calls", visibility="hidden"),
        st.Page("views/budgets.py", title="Budgets", icon=":material/savings:"),
        st.Page("views/providers.py", title="Providers", icon=":material/hub:"),
    ],
    "Work": [
        st.Page("views/workflows.py", title="Workflows", icon=":material/account_tree:"),
        st.Page("views/commands.py", title="Commands", icon=":material/terminal:"),
        st.Page("views/agents.py", title="Agents", icon=":material/badge:"),
        st.Page("views/chat.py", title="Chat", icon=":material/forum:"),
        st.Page("views/results.py", title="Results", icon=":material/description:"),
    ],
    "Workspace": [
        st.Page("views/sql.py", title="SQL", icon=":material/database:"),
        st.Page("views/admin.py", title="Admin", icon=":material/tune:"),
    ],
}

LISTED_AS = {"run": "runs", "calls": "costs"}
"""Pages that the navigation does not list, and the one that each belongs to."""

page = st.navigation(PAGES, expanded=True)
st.set_page_config(page_title=f"{page.title} · HishamOS", page_icon=":material/menu_book:", layout="wide")
dressed(LISTED_AS.get(page.url_path, ""))
with guarded():
    page.run()
with st.sidebar:
    foot()
