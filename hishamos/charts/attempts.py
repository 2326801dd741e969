"""Attempts over time: one line an attempt, its colour its state."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from hishamos.charts.formats import duration, money, state_colour, state_label
from hishamos.charts.palette import ACCENTS
from hishamos.records.calls import Attempt

if TYPE_CHECKING:
    import plotly.graph_objects


def waterfall_figure(attempts: Sequence[Attempt]) -> plotly.graph_objects.Figure:
    """Return a bar for each attempt from its start over its latency, in seconds since the first one's start."""
    import plotly.graph_objects as go

    begun = min(attempt.started_at for attempt in attempts)
    figure = go.Figure()
    for state in dict.fromkeys(attempt.status.value for attempt in attempts):
        part = [(index, attempt) for index, attempt in enumerate(attempts) if attempt.status.value == state]
        figure.add_bar(
            orientation="h",
            y=[f"{index + 1}  {attempt.step_id or attempt.model}" for index, attempt in part],
            x=[max(0.001, (attempt.latency_ms or 0) / 1000) for _, attempt in part],
            base=[(attempt.started_at - begun).total_seconds() for _, attempt in part],
            name=state_label(state),
            marker_color=ACCENTS[state_colour(state)],
            hovertext=[f"{attempt.model}<br>{duration((attempt.latency_ms or 0) / 1000)} · {money(attempt.cost_nanos)}" for _, attempt in part],
            hoverinfo="text",
        )
    figure.update_layout(
        barmode="overlay",
        showlegend=True,
        legend={"orientation": "h", "y": 1.05},
        xaxis_title="seconds since the first attempt",
        yaxis={"autorange": "reversed", "showticklabels": len(attempts) <= 30},
        margin={"l": 0, "r": 0, "t": 24, "b": 0},
        height=max(180, min(640, 16 * len(attempts) + 80)),
    )
    return figure
