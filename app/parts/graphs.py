"""The graph of a workflow or a run in the page."""

from __future__ import annotations

import base64
import html

import streamlit as st

from hishamos.records.pictures import Picture


def drawn_graph(picture: Picture) -> None:
    """Draw an SVG picture: as an image, in which nothing is ever run, with its words for those who can't see it."""
    st.html(f'<div style="max-height:42rem;overflow:auto">{_image(picture.data, picture.words, f"{picture.width}px")}</div>')


def drawn_svg(svg: str, words: str) -> None:
    """Draw an SVG of ours over the page's width, as far as its few bars need it."""
    st.html(f'<div style="max-width:52rem">{_image(svg.encode(), words, "100%")}</div>')


def _image(data: bytes, words: str, width: str) -> str:
    source = base64.b64encode(data).decode()
    return f'<img alt="{html.escape(words)}" style="width:{width};max-width:100%;height:auto" src="data:image/svg+xml;base64,{source}">'
