"""A graph in, a picture out: SVG, PNG, Mermaid or lines of text."""

from __future__ import annotations

from hishamos.charts.graph_svg import graph_svg
from hishamos.charts.graph_words import graph_mermaid, graph_sentence, graph_text
from hishamos.records.pictures import Graph, Ground, Picture, PictureFormat

SCALE = 2.0
SUFFIXES: dict[str, PictureFormat] = {".svg": "svg", ".png": "png", ".mmd": "mermaid", ".mermaid": "mermaid", ".txt": "text"}
"""What a file's name says about the picture in it."""


def graph_picture(graph: Graph, format: PictureFormat = "svg", ground: Ground = "light", *, narrow: bool = False) -> Picture:
    """Return a picture of a graph. ``ground``: what it will stand on; its own is transparent. ``narrow``: in one column; texts are alike."""
    words = graph_sentence(graph)
    if format in {"mermaid", "text"}:
        text = graph_mermaid(graph) if format == "mermaid" else graph_text(graph)
        return Picture(name=graph.name, format=format, words=words, data=text.encode())
    svg, width, height = graph_svg(graph, ground, words, narrow=narrow)
    data = svg.encode() if format == "svg" else _png(svg)
    return Picture(name=graph.name, format=format, words=words, width=width, height=height, data=data)


def _png(svg: str) -> bytes:
    import vl_convert

    return bytes(vl_convert.svg_to_png(svg, scale=SCALE))
