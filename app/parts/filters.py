"""Filters that stand in the address: which part of the ledger a page shows."""

from __future__ import annotations

from collections.abc import Mapping

import streamlit as st

from hishamos.records.own_tags import GROUP
from parts.plain import plain
from parts.sums import COLUMNS, GROUPS, NO_NAME, title_of

NAMES = [*(COLUMNS.get(name, name) for name in GROUPS), "day", "hour", "month", "cause", "run_id", "step_id", "cell", "usage_source", "call_id"]
SHORT = {column: name for name, column in COLUMNS.items()}
Only = dict[str, str | None]
"""The value that each group is to have; None where it is to have none."""


def is_filter(name: str) -> bool:
    """Return whether something in the address chooses a part of the ledger."""
    return name in NAMES or name.startswith(GROUP)


def only() -> Only:
    """Return the values that the address asks for; None where a group is to have none."""
    return {name: value or None for name, value in st.query_params.items() if is_filter(name)}


def chips(page: str, asked: Mapping[str, str], kept: Mapping[str, str]) -> None:
    """Draw each filter as a link to the page without it; ``kept``: what else stands in its address."""
    for name, value in asked.items():
        rest = {other: given for other, given in asked.items() if other != name}
        words = plain(f"{SHORT.get(name, title_of(name))}: {value[:80] or NO_NAME}")
        st.page_link(page, label=words, icon=":material/close:", query_params={**kept, **rest}, help="Take this filter away", width="content")


def tag_links(own: Mapping[str, str]) -> None:
    """Draw tags that people gave, each as a link to what it cost."""
    if own:
        with st.container(horizontal=True):
            for name, value in own.items():
                words = plain(f"{name}: {value}")
                st.page_link("views/costs.py", label=words, icon=":material/sell:", query_params={GROUP + name: value}, help="Its costs", width="content")
