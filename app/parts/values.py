"""A value of any kind in the page, as inert text."""

from __future__ import annotations

import json
from typing import Any

import streamlit as st

LONGEST = 100_000


def value(title: str, data: Any) -> None:
    """Show plain data under a title."""
    st.markdown(f"**{title}**")
    words(data if isinstance(data, str) else json.dumps(data, indent=2, ensure_ascii=False))


def words(text: str) -> None:
    """Show a text as it is: a model's or a notebook's words are never rendered as markup."""
    st.code(text if len(text) < LONGEST else text[:LONGEST] + "\n… cut for display", language=None, wrap_lines=True)
