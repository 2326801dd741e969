"""The page head: crumbs, title, state, acts."""

from __future__ import annotations

import streamlit as st

from hishamos.charts.formats import state_label
from hishamos.charts.palette import DARK, LIGHT
from hishamos.errors import HishamosError
from parts.plain import plain
from parts.style import theme

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
    return DARK if theme() == "dark" else LIGHT


def head(title: str, *, help_text: str, above: tuple[str, str] | None = None, here: str = "") -> None:
    """Draw a page's title with its help behind a small button.

    ``above``: the page that this one belongs to and what it is called, a link; ``here``: what this one is there, such as a run's short id.
    """
    with st.container(gap=None):
        if above is not None:
            with st.container(horizontal=True, vertical_alignment="center", gap="xsmall"):
                st.page_link(above[0], label=above[1])
                st.caption(plain(f"/ {here}"), width="content")
        with st.container(horizontal=True, vertical_alignment="center", wrap=False):
            st.title(title, anchor=False)
            with st.popover("Help", icon=":material/help:", type="tertiary"):
                st.markdown(help_text)


def section(title: str, page: str = "", label: str = "") -> None:
    """Draw the title of a page's part, with a link to the page that has all of it."""
    st.space("xxsmall")
    with st.container(horizontal=True, vertical_alignment="center"):
        st.subheader(title, anchor=False, width="content")
        if page:
            st.space("stretch")
            st.page_link(page, label=label)


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
