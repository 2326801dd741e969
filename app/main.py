"""The console's router: groups of pages, and the workspace's state at the sidebar's foot."""

from __future__ import annotations

import streamlit as st

from parts.connection import guarded
from parts.foot import foot

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

st.set_page_config(page_title="HishamOS", page_icon=":material/menu_book:", layout="wide")
STYLE = """<style>
.block-container{padding-top:2.2rem;padding-bottom:3rem}
[data-testid=stMetricValue]{font-variant-numeric:tabular-nums}
/* A link on a page to the page itself, with another thing opened, is no tab that is active. */
[data-testid=stMainBlockContainer] [data-testid=stPageLink-NavLink]{background:transparent;font-weight:400}
[data-testid=stMainBlockContainer] [data-testid=stPageLink-NavLink]:hover{background:rgba(128,128,128,.14)}
/* Figures stand in twos on a phone, not one below the other. */
@media(max-width:640px){
  [data-testid=stColumn]:has(>[data-testid=stVerticalBlock]>[data-testid=stElementContainer]>[data-testid=stMetric]){min-width:calc(50% - 1rem)}
}
</style>"""
st.html(STYLE)

MUTED = {"light": "#5F5C55", "dark": "#9CA39F"}  # of captions: Streamlit's own are text that is seen through, too pale on these grounds
DARK = """<style>
/* White on the dark theme's bright teal can't be read. */
[data-testid=stBaseButton-primary],[data-testid=stBaseButton-primaryFormSubmit]{color:#08201C}
</style>"""
theme = "dark" if st.context.theme.type == "dark" else "light"
st.html(f"<style>[data-testid=stCaptionContainer]{{opacity:1;color:{MUTED[theme]}}} [data-testid=stCaptionContainer] code{{font-size:.9em}}</style>")
if theme == "dark":
    st.html(DARK)

page = st.navigation(PAGES, expanded=True)
with guarded():
    page.run()
with st.sidebar:
    foot()
