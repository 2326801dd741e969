"""What people think of a command: whose favourite it is, how its versions were rated, and what was said with that."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from hishamos.charts.formats import clock, some
from hishamos.errors import HishamosError
from hishamos.records.command_versions import LONGEST_REMARK, CommandRating, mean_rating
from hishamos.records.definitions import CommandDefinition
from parts.connection import workspace
from parts.plain import plain
from parts.states import keep

SAID = 20
"""Remarks that are shown."""


def marked(name: str) -> str:
    """Return how a favourite is called in a choice: by sign and by word."""
    return f"★ {name}, favourite"


def opinions(command: CommandDefinition, facts: Sequence[str], *, favourite: bool) -> None:
    """Draw a command's facts and its rating, and the acts to rate the version of now and to mark the command."""
    ratings = workspace().commands.ratings(command.name)
    of_now = [one for one in ratings if one.version == command.version]
    mean = mean_rating(of_now)
    told = [*facts, "" if mean is None else f"rated {mean:.1f} of 5 ({some(len(of_now), 'rating')})"]
    with st.container(horizontal=True, vertical_alignment="center"):
        st.caption(plain(" · ".join(fact for fact in told if fact)), width="content")
        st.space("stretch")
        rate(command.name, command.version, ratings)
        words = "Remove from favourites" if favourite else "Add to favourites"
        if st.button(words, key=f"favour {command.name}", type="tertiary", icon=":material/star:"):
            workspace().commands.favour(command.name, on=not favourite)
            keep("command", command.name)  # it moves in the choice, and stays chosen
            st.rerun()


def rate(name: str, version: str, ratings: Sequence[CommandRating], label: str = "Rate") -> None:
    """Draw the way to rate a version, with what whoever looks gave it before."""
    of_it = f"{name} {version}"
    window, kept = f"rate {of_it}", f"rated {of_it}"
    if st.session_state.pop(kept, False):
        st.session_state[window] = False
    with st.popover(label, type="tertiary", icon=":material/rate_review:", key=window, on_change="rerun") as opened:
        if not opened.open:
            return
        mine = next((one for one in ratings if one.mine and one.version == version), None)
        st.caption(plain(f"How good is version {version}?"))
        stars = st.feedback("stars", key=f"stars of {of_it}", default=None if mine is None else mine.rating - 1)
        said = {"placeholder": "Why (optional)", "label_visibility": "collapsed", "max_chars": LONGEST_REMARK, "height": 80}
        comment = st.text_area("Why", value="" if mine is None else mine.comment, key=f"why of {of_it}", **said)
        if not st.button("Save rating", key=f"save rating of {of_it}", disabled=stars is None) or stars is None:
            return
        try:
            workspace().commands.rate(name, stars + 1, version=version, comment=comment)
        except HishamosError as error:
            st.error(plain(str(error)), icon=":material/error:")
            return
    st.session_state[kept] = True
    st.rerun()


def remarks(ratings: Sequence[CommandRating]) -> None:
    """Draw what was said with ratings, newest first."""
    said = [one for one in ratings if one.comment]
    if not said:
        return
    st.subheader("What people said", anchor=False)
    for one in said[:SAID]:
        with st.container(gap="xxsmall"):
            st.caption(plain(f"{one.rating} of 5 for {one.version} · {one.user_name} · {clock(one.rated_at)} UTC"))
            st.text(one.comment)
    if len(said) > SAID:
        st.caption(f"The newest {SAID}.")
