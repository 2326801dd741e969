"""Altair's charts as PNG: drawn without a browser, on nothing, in colours that stand on white and on black."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hishamos.charts.palette import ACCENTS

if TYPE_CHECKING:
    import altair

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


def png(chart: altair.Chart | altair.LayerChart) -> bytes:
    """Return a chart as a PNG of twice its size in pixels."""
    import vl_convert

    return bytes(vl_convert.vegalite_to_png({**chart.to_dict(), "config": CONFIG}, scale=SCALE))
