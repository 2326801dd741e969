"""States to choose one of, kept in the address under their plain names, whatever they are called on the page."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

import streamlit as st

from hishamos.charts.formats import state_label

State = TypeVar("State", bound=str)


def state_filter(name: str, states: Sequence[State], *, label: Callable[[str], str] = state_label, key: str = "") -> State | None:
    """Draw states to choose one of, as signs and words, and return the one that is chosen.

    ``name``: in the address; ``key``: distinguishes the field from those of other things, where ``name`` alone does not.
    """
    asked = st.query_params.get(name)
    default = asked if asked in states else None
    chosen: State | None = st.pills(
        name.capitalize(), states, default=default, format_func=label, key=key or f"{name} filter", label_visibility="collapsed", wrap=True
    )
    keep(name, chosen)
    return chosen


def keep(name: str, value: str | None) -> None:
    """Write a value into the address, or take it away."""
    if value:
        st.query_params[name] = value
    elif name in st.query_params:
        del st.query_params[name]
