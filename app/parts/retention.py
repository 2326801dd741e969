"""Admin, Storage: letting go of runs that ended long ago."""

from __future__ import annotations

import streamlit as st

from hishamos.charts.storage_lines import pruning_lines
from hishamos.errors import HishamosError
from hishamos.records.storage import Pruning
from parts.connection import workspace
from parts.plain import plain

MEANT, DONE = "to prune", "pruned"


def retention() -> None:
    """Draw the form, what would go, and what went."""
    st.subheader("Prune", anchor=False)
    with st.form("prune"):
        days = st.number_input("Runs that ended so many days ago", min_value=1, max_value=36_500, value=90)
        talks = st.checkbox("Also conversations in which nothing was said for as long")
        st.caption("First it is said what would go. Nothing is changed before you agree. To have it done every day: `keep_runs_days` in `hishamos.toml`.")
        asked = st.form_submit_button("Look what would go")
    if asked:
        try:
            st.session_state[MEANT] = (workspace().health.prune(older_than_days=days, dry_run=True, conversations=talks), int(days), talks)
        except HishamosError as error:
            st.error(plain(str(error)), icon=":material/error:")
    meant: tuple[Pruning, int, bool] | None = st.session_state.get(MEANT)
    if meant:
        _confirm(*meant)
    done: Pruning | None = st.session_state.get(DONE)
    if done:
        st.success("  \n".join(plain(line) for line in pruning_lines(done)), icon=":material/check:")


def _forget() -> None:
    st.session_state.pop(MEANT, None)


@st.dialog("Prune these runs?", width="medium", on_dismiss=_forget)
def _confirm(meant: Pruning, days: int, talks: bool) -> None:
    for line in pruning_lines(meant):
        st.markdown(plain(line))
    with st.container(horizontal=True):
        agreed = bool(meant.runs or meant.conversations) and st.button("Prune for good", type="primary")
        left = st.button("Cancel", key="do not prune")
    if agreed:
        try:
            with st.spinner("Pruning …"):
                st.session_state[DONE] = workspace().health.prune(older_than_days=days, conversations=talks)
        except HishamosError as error:
            st.error(plain(str(error)), icon=":material/error:")
            return
    if agreed or left:
        _forget()
        st.rerun()
