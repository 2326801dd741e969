"""Spend over time or by group, and bars by name: each as an interactive figure and as a PNG of the same rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from hishamos.charts.formats import count, money
from hishamos.charts.palette import BOTH, LIGHT, OTHER, series_colours, top_names
from hishamos.charts.usage import axis_word, over_time

if TYPE_CHECKING:
    import pandas
    import plotly.graph_objects

NANOS = 1e9
MOST_BARS = 12


def spend_figure(frame: pandas.DataFrame, *, by: str = "day", colour: str | None = None, series: Sequence[str] = LIGHT) -> plotly.graph_objects.Figure:
    """Return spend as stacked bars. ``frame``: rows of ``ws.ledger.spend(by=[by, colour])``; ``series``: the colours, light or dark.

    Each bar carries as ``customdata`` where it stands and what it is called: ``–`` for no name, ``other`` for all that have no colour of their own.
    """
    import plotly.graph_objects as go

    groups = {name: points for name, points in _groups(frame, by, colour).items() if any(points.values())}
    figure = go.Figure()
    for (name, points), shade in zip(groups.items(), series_colours(list(groups), list(series)), strict=True):
        words = [f"{axis_word(when)}<br>{money(round(usd * NANOS))}" for when, usd in points.items()]
        figure.add_bar(
            x=list(points),
            y=list(points.values()),
            name=name,
            marker_color=shade,
            hovertext=words,
            hovertemplate="%{hovertext}<extra>%{fullData.name}</extra>",
            customdata=[[when, name] for when in points],
        )
    figure.update_layout(
        barmode="stack", colorway=list(series), bargap=0.35 if len(frame[by].unique()) > 4 else 0.75, showlegend=colour is not None, yaxis_title="USD"
    )
    return over_time(figure, [str(place) for place in frame[by]])


def spend_png(frame: pandas.DataFrame, *, by: str = "day", colour: str | None = None) -> bytes:
    """Return the same bars as a PNG, drawn without a browser."""
    from hishamos.charts.drawing import png

    groups = _groups(frame, by, colour)
    rows = [{"group": name, "by": when, "usd": usd, "place": place} for place, (name, points) in enumerate(groups.items()) for when, usd in points.items()]
    columns = len({row["by"] for row in rows}) or 1
    drawing = {
        "width": 560,
        "height": 180,
        "mark": {"type": "bar", "size": min(44.0, 420 / columns)},
        "encoding": {
            "x": {"field": "by", "type": "nominal", "title": None, "axis": {"labelAngle": 0 if columns <= 8 else -45, "labelOverlap": True, "ticks": False}},
            "y": {"field": "usd", "type": "quantitative", "title": "USD", "axis": {"domain": False, "ticks": False, "tickCount": 4}},
            "color": {
                "field": "group",
                "type": "nominal",
                "title": None,
                "scale": {"domain": list(groups), "range": series_colours(list(groups), BOTH)},
                "legend": None if colour is None else {"columns": 3},
            },
            "order": {"field": "place", "type": "quantitative"},
        },
    }
    return png(rows, drawing)


def bars_figure(values: Mapping[str, float], unit: str, *, series: Sequence[str] = LIGHT) -> plotly.graph_objects.Figure:
    """Return one horizontal bar for each name, the longest first; what it amounts to stands beside it in words."""
    import plotly.graph_objects as go

    shown = _ranked(values)
    figure = go.Figure()
    figure.add_bar(orientation="h", y=list(shown), x=list(shown.values()), text=[_amount(value, unit) for value in shown.values()], marker_color=series[0])
    figure.update_traces(textposition="outside", cliponaxis=False, hovertemplate="%{y}<br>%{x} " + unit + "<extra></extra>")
    figure.update_layout(
        xaxis={"visible": False},
        yaxis={"autorange": "reversed"},
        margin={"l": 0, "r": 60, "t": 8, "b": 0},
        height=max(90, 28 * len(shown) + 30),
        showlegend=False,
    )
    return figure


def bars_png(values: Mapping[str, float], unit: str) -> bytes:
    """Return the same bars as a PNG."""
    from hishamos.charts.drawing import png

    shown = _ranked(values)
    rows = [{"name": name, "value": value, "words": _amount(value, unit)} for name, value in shown.items()]
    drawing = {
        "width": 360,
        "height": 24 * max(1, len(rows)),
        "encoding": {
            "x": {"field": "value", "type": "quantitative", "axis": None, "scale": {"domain": [0, max(shown.values(), default=0) or 1]}},
            "y": {"field": "name", "type": "nominal", "title": None, "sort": None, "axis": {"domain": False, "ticks": False, "labelPadding": 8}},
        },
        "layer": [
            {"mark": {"type": "bar", "color": BOTH[0], "size": 14, "cornerRadiusEnd": 3}},
            {"mark": {"type": "text", "align": "left", "dx": 6}, "encoding": {"text": {"field": "words"}}},
        ],
    }
    return png(rows, drawing)


def _ranked(values: Mapping[str, float]) -> dict[str, float]:
    """Return the largest; what is beyond them is ``other``."""
    ordered = sorted(((str(name), float(value)) for name, value in values.items()), key=lambda item: -item[1])
    kept = dict(ordered) if len(ordered) <= MOST_BARS else dict(ordered[: MOST_BARS - 1])
    return kept if len(kept) == len(ordered) else {**kept, OTHER: sum(value for _, value in ordered[MOST_BARS - 1 :])}


def _amount(value: float, unit: str) -> str:
    return money(round(value * NANOS)) if unit == "USD" else f"{count(value) if value == int(value) else f'{value:,.3g}'} {unit}"


def _groups(frame: pandas.DataFrame, by: str, colour: str | None) -> dict[str, dict[str, float]]:
    """Return the USD of each group at each place of the axis, the groups that cost most first."""
    rows = [(str(row[by]), "spend" if colour is None else _named(row[colour]), float(row["cost_nanos"]) / NANOS) for row in frame.to_dict("records")]
    totals: dict[str, float] = {}
    for _, name, usd in rows:
        totals[name] = totals.get(name, 0.0) + usd
    tops = top_names(totals)
    groups: dict[str, dict[str, float]] = {name: {} for name in tops}
    for when, name, usd in rows:
        points = groups.setdefault(name if name in tops else OTHER, {})
        points[when] = points.get(when, 0.0) + usd
    return groups


def _named(value: Any) -> str:
    return "–" if value is None or value != value else str(value)  # noqa: PLR0124 - NaN
