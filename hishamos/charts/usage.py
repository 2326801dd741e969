"""How a ledger was used over time: tokens by kind, times to an answer, rates; and what a month is likely to come to."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from hishamos.charts.formats import count, duration
from hishamos.charts.palette import LIGHT

if TYPE_CHECKING:
    import pandas
    import plotly.graph_objects

Row = dict[str, Any]
MOST_TICKS = 7
SHORT = {7: ("%Y-%m", "%b %Y"), 10: ("%Y-%m-%d", "{day} %b"), 16: ("%Y-%m-%d %H:00", "%H:%M")}
"""How a month, a day and an hour are written in the ledger, by length, and on an axis."""

TOKENS: dict[str, Callable[[Row], float]] = {
    "input": lambda row: row["input_tokens"] - row["cached_tokens"] - row["cache_write_tokens"],
    "input, from the provider's cache": lambda row: row["cached_tokens"],
    "input, written to the provider's cache": lambda row: row["cache_write_tokens"],
    "output": lambda row: row["output_tokens"] - row["reasoning_tokens"],
    "output, reasoning": lambda row: row["reasoning_tokens"],
}
"""Kinds of tokens that exclude each other: together they are all tokens."""
TIMES = {"answer, p50": "p50_ms", "answer, p95": "p95_ms", "first token, p50": "ttft_p50_ms", "first token, p95": "ttft_p95_ms"}
RATES = ("failed", "retried", "fell_back", "cached")


def tokens_figure(frame: pandas.DataFrame, *, by: str, series: Sequence[str] = LIGHT) -> plotly.graph_objects.Figure:
    """Return tokens by kind as stacked bars. ``frame``: rows of ``ws.ledger.spend(by=by)``."""
    import plotly.graph_objects as go

    rows = _rows(frame, by)
    figure = go.Figure()
    for (kind, amount), shade in zip(TOKENS.items(), series, strict=False):
        amounts = [int(amount(row)) for row in rows]
        if any(amounts):
            words = [f"{axis_word(str(row[by]))}<br>{count(value)} tokens" for row, value in zip(rows, amounts, strict=True)]
            figure.add_bar(x=[row[by] for row in rows], y=amounts, name=kind, marker_color=shade, hovertext=words, hovertemplate=_hover())
    figure.update_layout(barmode="stack", yaxis_title="tokens")
    return over_time(figure, [str(row[by]) for row in rows])


def times_figure(frame: pandas.DataFrame, *, by: str, series: Sequence[str] = LIGHT) -> plotly.graph_objects.Figure:
    """Return the median and the 95th percentile of the time to a whole answer and to its first token, as lines, in seconds."""
    import plotly.graph_objects as go

    rows = _rows(frame, by)
    figure = go.Figure()
    for (name, column), shade in zip(TIMES.items(), (series[0], series[0], series[1], series[1]), strict=True):
        seconds = [None if _missing(row[column]) else float(row[column]) / 1000 for row in rows]
        words = [f"{axis_word(str(row[by]))}<br>{duration(value)}" for row, value in zip(rows, seconds, strict=True)]
        line = {"color": shade, "width": 2, "dash": "dot" if name.endswith("p95") else "solid"}
        figure.add_scatter(x=[row[by] for row in rows], y=seconds, name=name, mode="lines+markers", line=line, hovertext=words, hovertemplate=_hover())
    figure.update_layout(yaxis_title="seconds", yaxis_rangemode="tozero")
    return over_time(figure, [str(row[by]) for row in rows])


def rates_figure(frame: pandas.DataFrame, *, by: str, series: Sequence[str] = LIGHT) -> plotly.graph_objects.Figure:
    """Return the shares of attempts that failed, asked the first target again, fell back, or were answered by the cache, as lines, in percent."""
    import plotly.graph_objects as go

    rows = _rows(frame, by)
    figure = go.Figure()
    for name, shade in zip(RATES, (series[3], series[1], series[2], series[0]), strict=True):
        shares = [100 * part / whole if whole else None for part, whole in (rate(row, name) for row in rows)]
        words = [
            f"{axis_word(str(row[by]))}<br>{share:.1f} %, {count(row[name])} attempts" if share is not None else ""
            for row, share in zip(rows, shares, strict=True)
        ]
        label = name.replace("_", " ")
        figure.add_scatter(
            x=[row[by] for row in rows], y=shares, name=label, mode="lines+markers", line={"color": shade, "width": 2}, hovertext=words, hovertemplate=_hover()
        )
    figure.update_layout(yaxis_title="% of attempts", yaxis_rangemode="tozero")
    return over_time(figure, [str(row[by]) for row in rows])


def rate(row: Row, name: str) -> tuple[int, int]:
    """Return how many attempts of a row of spend are in a rate and of how many: offline ones are in none, the cache's only in its own."""
    asked = int(row["attempts"]) - int(row["offline"])
    return int(row[name]), asked if name == "cached" else asked - int(row["cached"])


def month_end(days: pandas.DataFrame, starts: datetime, today: datetime, ends: datetime, *, over: int = 14) -> int | None:
    """Return what a month is likely to cost, in nano-dollars: what it has cost, and for the time that is left the mean of the last whole days.

    ``days``: rows of ``ws.ledger.spend(by="day")``; ``starts``, ``today``, ``ends``: of the month and now, in the workspace's timezone; ``over``: of
    how many days the mean is. None while there is no whole day to go by.
    """
    costs = {str(row["day"]): int(row["cost_nanos"]) for row in days.to_dict("records")}
    begun = min(costs, default="")
    whole = [f"{today - timedelta(days=back):%Y-%m-%d}" for back in range(1, over + 1)]
    whole = [day for day in whole if day >= begun] if begun else []
    if not whole:
        return None
    so_far = sum(cost for day, cost in costs.items() if day >= f"{starts:%Y-%m-%d}")
    mean = sum(costs.get(day, 0) for day in whole) / len(whole)
    return so_far + round(mean * ((ends - today).total_seconds() / 86_400))


def over_time(figure: plotly.graph_objects.Figure, places: Sequence[str]) -> plotly.graph_objects.Figure:
    """Give a figure an axis of hours, days or months that is short to read, and the legend of all charts."""
    ordered = sorted(set(places))
    every = max(1, -(-len(ordered) // MOST_TICKS))
    ticks = ordered[::every]
    figure.update_layout(
        xaxis={
            "type": "category", "categoryorder": "array", "categoryarray": ordered, "tickmode": "array", "tickvals": ticks,
            "ticktext": [axis_word(tick) for tick in ticks], "tickangle": 0, "fixedrange": True,
        },
        yaxis_fixedrange=True,
        legend={"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0, "traceorder": "normal"},
        margin={"l": 0, "r": 0, "t": 24, "b": 0},
        height=320,
    )  # fmt: skip
    return figure


def axis_word(place: str) -> str:
    """Return ``28 Nov``, ``14:00`` or ``Nov 2026`` for a day, an hour or a month of the ledger; anything else as it is."""
    form = SHORT.get(len(place))
    try:
        moment = datetime.strptime(place, form[0]) if form else None  # noqa: DTZ007 - it is shown in the ledger's own timezone
    except ValueError:
        moment = None
    return moment.strftime(form[1].format(day=moment.day)) if moment and form else place


def _rows(frame: pandas.DataFrame, by: str) -> list[Row]:
    return sorted(frame.to_dict("records"), key=lambda row: str(row[by]))  # type: ignore[arg-type]  # names are texts


def _hover() -> str:
    return "%{hovertext}<extra>%{fullData.name}</extra>"


def _missing(value: Any) -> bool:
    return value is None or value != value  # noqa: PLR0124 - NaN
