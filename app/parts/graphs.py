"""The graph of a workflow or a run in the page."""

from __future__ import annotations

import base64
import html
from collections.abc import Callable

import streamlit as st

from hishamos.records.pictures import Picture

PHONE = 350
"""Pixels that a phone has for a picture."""
TALL, TALL_ON_A_PHONE = 640, 960
"""Pixels of a picture that are seen at once."""


def drawn_graph(picture: Picture, narrow: Callable[[], Picture]) -> None:
    """Draw an SVG picture: as an image, in which nothing is ever run, with its words for those who can't see it.

    ``narrow``: gives what a phone shows in place of a picture that is wider than it; the window's width says which of the two is seen.
    """
    if picture.width is None or picture.width <= PHONE:
        st.html(_scrolled(picture, TALL))
        return
    st.html(_scrolled(picture, TALL, "hish-wide") + _scrolled(narrow(), TALL_ON_A_PHONE, "hish-narrow"))


def drawn_svg(svg: str, words: str) -> None:
    """Draw an SVG of ours over the page's width, as far as its few bars need it."""
    st.html(f'<div style="max-width:52rem">{_image(svg.encode(), words, "100%")}</div>')


def _scrolled(picture: Picture, tall: int, kind: str = "") -> str:
    """Return a picture in a frame that scrolls, also by keyboard, where the picture is taller than so many pixels."""
    reached = ' tabindex="0"' if (picture.height or 0) > tall else ""
    return f'<div class="{kind}"{reached} style="max-height:{tall}px;overflow:auto">{_image(picture.data, picture.words, f"{picture.width}px")}</div>'


def _image(data: bytes, words: str, width: str) -> str:
    source = base64.b64encode(data).decode()
    return f'<img alt="{html.escape(words)}" style="width:{width};max-width:100%;height:auto" src="data:image/svg+xml;base64,{source}">'
