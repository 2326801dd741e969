"""Vega-Lite drawings as PNG: drawn without a browser, on nothing, in colours that stand on white and on black.

The drawings are written as Vega-Lite has them. Altair would write the same, and takes longer to load than all else that a card needs.
"""

from __future__ import annotations

from typing import Any

from hishamos.charts.palette import ACCENTS

SCALE = 2
GREY = ACCENTS["muted"]
_FAINT = "rgba(128,128,128,0.25)"
_TEXT = {"labelColor": GREY, "titleColor": GREY, "labelFontSize": 11, "titleFontSize": 11, "titleFontWeight": "normal"}
CONFIG: dict[str, Any] = {
    "background": None,
    "font": "sans-serif",
    "view": {"stroke": None},
    "axis": {**_TEXT, "gridColor": _FAINT, "domainColor": _FAINT, "tickColor": _FAINT, "labelLimit": 220},
    "legend": {**_TEXT, "orient": "top", "symbolType": "square", "labelLimit": 260, "offset": 6},
    "text": {"color": GREY, "fontSize": 11},
}


def png(rows: list[dict[str, Any]], drawing: dict[str, Any]) -> bytes:
    """Return a Vega-Lite drawing of rows as a PNG of twice its size in pixels."""
    import vl_convert

    return bytes(vl_convert.vegalite_to_png({"data": {"values": rows}, **drawing, "config": CONFIG}, scale=SCALE))
