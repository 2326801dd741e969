"""Attempts over time: one line an attempt, its colour its state, as an interactive figure and as a PNG of the same rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from hishamos.charts.formats import duration, money, state_colour, state_label
from hishamos.charts.palette import ACCENTS
from hishamos.records.calls import Attempt

if TYPE_CHECKING:
    import plotly.graph_objects

MOST = 60
"""Attempts that a picture shows, the first ones."""
LABELLED = 30
SHORTEST_S = 0.001


def waterfall_figure(attempts: Sequence[Attempt]) -> plotly.graph_objects.Figure:
    """Return a bar for each attempt from its start over its latency, in seconds since the first one's start."""
    import plotly.graph_objects as go

    rows = _rows(attempts)
    figure = go.Figure()
    for state in dict.fromkeys(row["state"] for row in rows):
        part = [row for row in rows if row["state"] == state]
        figure.add_bar(
            orientation="h",
            y=[row["name"] for row in part],
            x=[row["seconds"] for row in part],
            base=[row["start"] for row in part],
            name=state,
            marker_color=part[0]["colour"],
            hovertext=[row["words"] for row in part],
            hoverinfo="text",
        )
    figure.update_layout(
        barmode="overlay",
        showlegend=True,
        legend={"orientation": "h", "y": 1.05},
        xaxis_title="seconds since the first attempt",
        yaxis={"autorange": "reversed", "showticklabels": len(rows) <= LABELLED},
        margin={"l": 0, "r": 0, "t": 24, "b": 0},
        height=max(180, min(640, 16 * len(rows) + 80)),
    )
    return figure


def waterfall_png(attempts: Sequence[Attempt]) -> bytes:
    """Return the bars of the first 60 attempts as a PNG."""
    import altair as alt

    from hishamos.charts.drawing import png

    rows = _rows(sorted(attempts, key=lambda attempt: attempt.started_at)[:MOST])
    colours = {row["word"]: row["colour"] for row in rows}  # signs are not in every font
    high = 16 if len(rows) <= LABELLED else 7
    names = alt.Axis(domain=False, ticks=False, labels=len(rows) <= LABELLED, labelPadding=8)
    chart = (
        alt.Chart(alt.Data(values=rows))
        .mark_bar(height=high - 5 if high > 8 else 5, cornerRadius=2)
        .encode(
            x=alt.X("start:Q", title="seconds since the first attempt", axis=alt.Axis(ticks=False, tickCount=6)),
            x2="end:Q",
            y=alt.Y("name:N", title=None, sort=None, axis=names),
            color=alt.Color("word:N", title=None, scale=alt.Scale(domain=list(colours), range=list(colours.values()))),
        )
        .properties(width=460, height=max(40, high * len(rows)))
    )
    return png(chart)


def _rows(attempts: Sequence[Attempt]) -> list[dict[str, Any]]:
    begun = min(attempt.started_at for attempt in attempts)
    rows = []
    for number, attempt in enumerate(attempts, 1):
        seconds = max(SHORTEST_S, (attempt.latency_ms or 0) / 1000)
        start = (attempt.started_at - begun).total_seconds()
        rows.append(
            {
                "name": f"{number}  {attempt.step_id or attempt.model}",
                "state": state_label(attempt.status.value),
                "word": state_label(attempt.status.value).partition(" ")[2],
                "colour": ACCENTS[state_colour(attempt.status.value)],
                "start": start,
                "seconds": seconds,
                "end": start + seconds,
                "words": f"{attempt.model}<br>{duration((attempt.latency_ms or 0) / 1000)} · {money(attempt.cost_nanos)}",
            }
        )
    return rows
