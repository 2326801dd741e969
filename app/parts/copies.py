"""Admin, Storage: a copy of the store, and the way back to one."""

from __future__ import annotations

import streamlit as st

from hishamos.charts.storage_lines import restoring_lines
from hishamos.errors import HishamosError
from hishamos.records.record import now
from hishamos.records.storage import Restoration
from parts.connection import workspace
from parts.plain import plain
from parts.sums import forget


def copies() -> None:
    """Draw the form for a copy and the one for going back to one."""
    _back_up()
    _restore()


def _back_up() -> None:
    st.subheader("Back up", anchor=False)
    with st.form("backup"):
        file = st.text_input("Into the file", f"data/local/backups/hishamos-{now():%Y%m%d-%H%M}.duckdb", help="In the workspace, or an absolute path")
        if st.form_submit_button("Back up", type="primary"):
            try:
                st.session_state["backed up"] = workspace().health.backup(file.strip())
            except HishamosError as error:
                st.session_state.pop("backed up", None)
                st.error(plain(str(error)), icon=":material/error:")
    written = st.session_state.get("backed up")
    if written:
        st.success(plain(f"Written: {written}"), icon=":material/check:")


def _restore() -> None:
    st.subheader("Go back to a copy", anchor=False)
    with st.form("restore"):
        copy = st.text_input("From the file", st.session_state.get("backed up", ""), placeholder="data/local/backups/….duckdb")
        st.caption("First it is said what would be lost: runs, attempts and their spend. Nothing is changed before you agree.")
        asked = st.form_submit_button("Look at the copy")
    if asked:
        try:
            st.session_state["to restore"] = workspace().health.restore(copy.strip(), dry_run=True)
        except HishamosError as error:
            st.error(plain(str(error)), icon=":material/error:")
    meant: Restoration | None = st.session_state.get("to restore")
    if meant:
        _confirm(meant)
    done: Restoration | None = st.session_state.get("restored")
    if done:
        st.success("  \n".join(plain(line) for line in restoring_lines(done)), icon=":material/check:")


def _forget() -> None:
    st.session_state.pop("to restore", None)


@st.dialog("Restore this copy?", width="medium", on_dismiss=_forget)
def _confirm(meant: Restoration) -> None:
    st.markdown(f"**{plain(meant.file)}**")
    for line in restoring_lines(meant):
        st.markdown(plain(line))
    force = bool(meant.at_work or meant.open_calls) and st.checkbox("Stop what is being worked on")
    with st.container(horizontal=True):
        agreed = st.button("Restore", type="primary")
        left = st.button("Cancel")
    if agreed:
        try:
            with st.spinner("Restoring …"):
                st.session_state["restored"] = workspace().health.restore(meant.file, force=force)
                forget()
        except HishamosError as error:
            st.error(plain(str(error)), icon=":material/error:")
            return
    if agreed or left:
        _forget()
        st.rerun()
