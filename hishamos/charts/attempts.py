"""Attempts over time: one line an attempt, its colour its state, as a PNG."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hishamos.charts.formats import state_colour, state_label
from hishamos.charts.palette import ACCENTS
from hishamos.records.calls import Attempt

MOST = 60
"""Attempts that a picture shows, the first ones."""
LABELLED = 30
SHORTEST_S = 0.001


def waterfall_png(attempts: Sequence[Attempt]) -> bytes:
    """Return the bars of the first 60 attempts as a PNG."""
    from hishamos.charts.drawing import png

    rows = _rows(sorted(attempts, key=lambda attempt: attempt.started_at)[:MOST])
    colours = {row["word"]: row["colour"] for row in rows}  # signs are not in every font
    high, named = (16, True) if len(rows) <= LABELLED else (7, False)
    drawing = {
        "width": 460,
        "height": max(40, high * len(rows)),
        "mark": {"type": "bar", "height": 11 if named else 5, "cornerRadius": 2},
        "encoding": {
            "x": {"field": "start", "type": "quantitative", "title": "seconds since the first attempt", "axis": {"ticks": False, "tickCount": 6}},
            "x2": {"field": "end"},
            "y": {
                "field": "name",
                "type": "nominal",
                "title": None,
                "sort": None,
                "axis": {"domain": False, "ticks": False, "labels": named, "labelPadding": 8},
            },
            "color": {"field": "word", "type": "nominal", "title": None, "scale": {"domain": list(colours), "range": list(colours.values())}},
        },
    }
    return png(rows, drawing)


def _rows(attempts: Sequence[Attempt]) -> list[dict[str, Any]]:
    begun = min(attempt.started_at for attempt in attempts)
    rows = []
    for number, attempt in enumerate(attempts, 1):
        seconds = max(SHORTEST_S, (attempt.latency_ms or 0) / 1000)
        start = (attempt.started_at - begun).total_seconds()
        rows.append(
            {
                "name": f"{number}  {attempt.step_id or attempt.model}",
                "word": state_label(attempt.status.value).partition(" ")[2],
                "colour": ACCENTS[state_colour(attempt.status.value)],
                "start": start,
                "end": start + seconds,
            }
        )
    return rows
