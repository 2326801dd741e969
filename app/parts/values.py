"""A value of any kind in the page, as inert text."""

from __future__ import annotations

import json
from typing import Any

import streamlit as st

LONGEST = 100_000


def value_shown(title: str, value: Any) -> None:
    """Show plain data as it is: a model's or a notebook's words are never rendered as markup."""
    st.markdown(f"**{title}**")
    text = value if isinstance(value, str) else json.dumps(value, indent=2, ensure_ascii=False)
    st.code(text if len(text) < LONGEST else text[:LONGEST] + "\n… cut for display", language=None, wrap_lines=True)
