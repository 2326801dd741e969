"""Things to choose one of, kept in the address under their plain names, whatever they are called on the page."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

import streamlit as st

from hishamos.charts.formats import state_label

State = TypeVar("State", bound=str)


def pills_filter(name: str, states: Sequence[State], *, label: Callable[[str], str] = state_label, key: str = "") -> State | None:
    """Draw states, or other names, to choose one of, and return the one that is chosen; states as signs and words.

    ``name``: in the address; ``key``: distinguishes the field from those of other things, where ``name`` alone does not.
    """
    asked = st.query_params.get(name)
    default = asked if asked in states else None
    chosen: State | None = st.pills(
        name.capitalize(), states, default=default, format_func=label, key=key or f"{name} filter", label_visibility="collapsed", wrap=True
    )
    keep(name, chosen)
    return chosen


def one_of(
    label: str,
    names: Sequence[str],
    param: str,
    *,
    first: str | None = None,
    optional: bool = False,
    labelled: bool = False,
    width: int | None = None,
    told: Callable[[str], str] = str,
    key: str = "",
) -> str | None:
    """Draw names to choose one of, kept in the address under ``param``; one that is not among them is as none.

    ``first``: who is chosen where the address names none, left out the first of them, or nobody where it is ``optional``; ``width``: in pixels;
    ``told``: what a name is called there; ``key``: another one where names are called otherwise than before, which a field that stays would not show.

    Not by Streamlit's own ``bind``: in a window that goes back to another page, that takes the bound name out of the address, also where it
    means something else on that page (an agent to read about, a filter of costs).
    """
    asked, usual = st.query_params.get(param), first if first in names else None if optional else next(iter(names), None)
    begins = asked if asked in names else usual
    chosen: str | None = st.selectbox(
        label,
        names,
        index=0 if st.session_state.pop(f"moved {param}", False) else None if begins is None else names.index(begins),
        format_func=told,
        placeholder=label if optional else None,
        key=f"chosen {param} {key}".strip(),
        label_visibility="visible" if labelled else "collapsed",
        width=width or "stretch",
    )
    if asked is not None or chosen != usual:
        keep(param, chosen)
    return chosen


def choose(param: str, name: str) -> None:
    """Have the field of :func:`one_of` choose something else, where a button was pressed; the page is drawn with it."""
    st.session_state[f"chosen {param}"] = name
    st.session_state[f"moved {param}"] = True  # Streamlit warns of a value that is set beside an index
    keep(param, name)


def keep(name: str, value: str | None) -> None:
    """Write a value into the address, or take it away."""
    if value and st.query_params.get(name) != value:
        st.query_params[name] = value
    elif not value and name in st.query_params:
        del st.query_params[name]
