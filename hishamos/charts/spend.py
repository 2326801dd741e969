"""Spend over time or by group: a bar for each day, a colour for each group."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from hishamos.charts.palette import LIGHT, OTHER, top_names

if TYPE_CHECKING:
    import pandas
    import plotly.graph_objects

NANOS = 1e9


def spend_figure(frame: pandas.DataFrame, *, by: str = "day", colour: str | None = None, series: Sequence[str] = LIGHT) -> plotly.graph_objects.Figure:
    """Return spend as stacked bars. ``frame``: rows of ``ws.ledger.spend(by=[by, colour])``; ``series``: the colours, light or dark."""
    import plotly.graph_objects as go

    figure = go.Figure()
    for name, rows in _groups(frame, colour):
        figure.add_bar(
            x=rows[by].astype(str), y=rows["cost_nanos"] / NANOS, name=str(name), hovertemplate="%{x}<br>%{y:.9f} USD<extra>%{fullData.name}</extra>"
        )
    figure.update_layout(
        barmode="stack",
        colorway=list(series),
        xaxis_type="category",
        bargap=0.35 if len(frame[by].unique()) > 4 else 0.75,
        showlegend=colour is not None,
        legend={"orientation": "h", "y": 1.12},
        yaxis_title="USD",
        margin={"l": 0, "r": 0, "t": 24, "b": 0},
        height=300,
    )
    return figure


def spend_png(frame: pandas.DataFrame, *, by: str = "day", colour: str | None = None) -> bytes:
    """Return the same bars as a PNG, drawn without a browser."""
    import altair as alt
    import vl_convert

    rows = [
        {"group": str(name), "by": str(row[by]), "usd": float(row["cost_nanos"]) / NANOS}
        for name, part in _groups(frame, colour)
        for row in part.to_dict("records")
    ]
    chart = alt.Chart(alt.Data(values=rows)).mark_bar().encode(x=alt.X("by:N", title=None, axis=alt.Axis(labelAngle=0)), y=alt.Y("usd:Q", title="USD"))
    if colour is not None:
        chart = chart.encode(color=alt.Color("group:N", title=None, scale=alt.Scale(range=list(LIGHT)), legend=alt.Legend(orient="top")))
    else:
        chart = chart.encode(color=alt.value(LIGHT[0]))
    specification: dict[str, Any] = chart.properties(width=620, height=220).to_dict()
    return bytes(vl_convert.vegalite_to_png(specification, scale=2))


def _groups(frame: pandas.DataFrame, colour: str | None) -> list[tuple[str, pandas.DataFrame]]:
    if colour is None:
        return [("spend", frame)]
    named = frame.assign(**{colour: frame[colour].fillna("–").astype(str)})
    tops = top_names({str(name): float(total) for name, total in named.groupby(colour)["cost_nanos"].sum().items()})
    groups = [(name, named[named[colour] == name]) for name in tops]
    rest = named[~named[colour].isin(tops)]
    return [*groups, (OTHER, rest)] if len(rest) else groups


def bars_png(values: dict[str, float], unit: str) -> bytes:
    """Return one horizontal bar for each name as a PNG; ``unit`` stands on the axis."""
    import altair as alt
    import vl_convert

    rows = [{"name": name, "value": float(value)} for name, value in values.items()]
    chart = (
        alt.Chart(alt.Data(values=rows))
        .mark_bar(color=LIGHT[0])
        .encode(x=alt.X("value:Q", title=unit), y=alt.Y("name:N", title=None, sort="-x"))
        .properties(width=520, height=max(40, 26 * len(rows)))
    )
    return bytes(vl_convert.vegalite_to_png(chart.to_dict(), scale=2))
