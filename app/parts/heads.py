"""The page head: crumbs, title, state, acts."""

from __future__ import annotations

import streamlit as st

from hishamos.charts.formats import state_label
from hishamos.charts.palette import DARK, LIGHT
from hishamos.errors import HishamosError
from parts.plain import plain

STATE_COLOURS = {
    "queued": "gray",
    "running": "blue",
    "waiting": "orange",
    "paused": "orange",
    "succeeded": "green",
    "failed": "red",
    "timed_out": "red",
    "incomplete": "red",
    "cancelled": "gray",
    "orphaned": "violet",
    "ready": "green",
    "failing": "orange",
    "misconfigured": "red",
    "unreachable": "red",
}


def series() -> tuple[str, ...]:
    """Return the chart colours for the theme that the reader sees."""
    return DARK if st.context.theme.type == "dark" else LIGHT


def head(title: str, *, help_text: str) -> None:
    """Draw a page's title with its help behind a small button."""
    left, right = st.columns([6, 1], vertical_alignment="center")
    left.title(title, anchor=False)
    with right.popover("Help", type="tertiary", width="stretch"):
        st.markdown(help_text)


def lost(error: HishamosError, page: str, label: str) -> None:
    """Say that what the address names is not there, and where all of them are."""
    st.warning(plain(str(error)), icon=":material/search_off:")
    st.page_link(page, label=label)


def badge(state: str, *, offline: bool = False) -> None:
    """Draw a state as word and sign, never colour alone."""
    st.badge(state_label(state), color=STATE_COLOURS.get(state, "gray"))
    if offline:
        st.badge(state_label("offline"), color="gray")


def empty(what: str, line: str) -> None:
    """Say what would be here, and give the one act that fills it."""
    with st.container(border=True):
        st.markdown(what)
        st.code(line, language="bash", wrap_lines=True)  # what scrolls sideways can't be reached by keyboard
