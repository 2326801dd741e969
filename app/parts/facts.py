"""One attempt at a provider in full, and plain data as text."""

from __future__ import annotations

import json
from typing import Any

import streamlit as st

from hishamos.records.calls import Attempt
from parts.filters import tag_links
from parts.plain import plain

LONGEST = 100_000


def record(attempt: Attempt) -> None:
    """Draw an attempt: its error, why its model was asked, and every fact of it."""
    if attempt.error:
        st.error(plain(attempt.error))
    if attempt.why:
        st.text(attempt.why)
    tag_links(attempt.own_tags)
    value("Record", attempt.model_dump(mode="json"))


def value(title: str, data: Any) -> None:
    """Show plain data as inert text: a model's words are never rendered as markup."""
    st.markdown(f"**{title}**")
    text = data if isinstance(data, str) else json.dumps(data, indent=2, ensure_ascii=False)
    st.code(text if len(text) < LONGEST else text[:LONGEST] + "\n… cut for display", language=None, wrap_lines=True)
