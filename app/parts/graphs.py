"""The graph of a workflow or a run in the page."""

from __future__ import annotations

import base64
import html

import streamlit as st

from hishamos.records.pictures import Picture


def drawn_graph(picture: Picture) -> None:
    """Draw an SVG picture: as an image, in which nothing is ever run, with its words for those who can't see it."""
    data = base64.b64encode(picture.data).decode()
    image = f'<img alt="{html.escape(picture.words)}" style="width:{picture.width}px;max-width:100%;height:auto" src="data:image/svg+xml;base64,{data}">'
    st.html(f'<div style="max-height:42rem;overflow:auto">{image}</div>')
