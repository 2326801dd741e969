"""Forecasts in words: a range, what it leaves out, and how it compares with what was paid."""

from __future__ import annotations

from hishamos.charts.formats import count, duration, money, state_label
from hishamos.records.forecasts import Forecast, ForecastPart
from hishamos.records.runs import Run


def forecast_words(forecast: Forecast) -> str:
    """Return ``0.0391 USD likely (0.0211 USD to 0.0814 USD)``, what is not in it, how long it takes, and what else has to be known."""
    return "; ".join((_cost(forecast), *_more(forecast)))


def _more(forecast: Forecast) -> list[str]:
    told = []
    if forecast.rows is not None and forecast.reused is not None:
        asked = sum(part.times or 0 for part in forecast.parts)
        told.append(f"{count(forecast.rows)} rows: {count(asked)} to ask, {count(forecast.reused)} answered already")
    if forecast.likely_s:
        told.append(f"{duration(forecast.likely_s)} likely ({duration(forecast.low_s)} to {duration(forecast.high_s)})")
    return [*told, *forecast.notes]


def _cost(forecast: Forecast) -> str:
    if not forecast.parts:
        return "nothing to pay: no step asks a model"
    if forecast.offline and not forecast.high_nanos and forecast.whole:
        return f"0 USD, {state_label('offline').partition(' ')[2]}"
    left_out = forecast.left_out
    if len(left_out) == len(forecast.parts):
        return f"not known; not in it: {_left(left_out)}"
    words = f"{money(forecast.likely_nanos)} likely ({money(forecast.low_nanos)} to {money(forecast.high_nanos)})"
    return f"{words}; not in it: {_left(left_out)}" if left_out else words


def compared_words(forecast: Forecast, run: Run) -> str:
    """Return a run's forecast beside what it cost: ``…; actual 0.0402 USD, within the range``, before it has ended ``…; so far 0.0103 USD``.

    Where rows were reused less was asked than the forecast has in it: then only what is above the range is told.
    """
    if forecast.offline and not run.cost_nanos and not run.unpriced:
        return _cost(forecast)
    cost = money(run.cost_nanos) + (f" + {run.unpriced} unpriced" if run.unpriced else "")
    return f"{_cost(forecast)}; {'actual' if run.ended else 'so far'} {cost}{_place(forecast, run)}"


def _place(forecast: Forecast, run: Run) -> str:
    if run.unpriced or not forecast.whole:
        return ""
    if run.cost_nanos > forecast.high_nanos:
        return ", above the range"
    if not run.ended or run.reused:
        return ""
    return ", below the range" if run.cost_nanos < forecast.low_nanos else ", within the range"


def part_amounts(part: ForecastPart) -> tuple[str, str, str]:
    """Return a part's low, likely and high amounts in words; of one time where nobody knows how often."""
    if part.likely_nanos is None:
        return ("unpriced" if part.ground == "unpriced" else "–",) * 3
    each = " each" if part.times is None else ""
    return f"{money(part.low_nanos)}{each}", f"{money(part.likely_nanos)}{each}", f"{money(part.high_nanos)}{each}"


def times_words(part: ForecastPart) -> str:
    """Return how often a part is likely to be done."""
    if part.times is None:
        return "known when it runs"
    return count(part.times) if part.times == int(part.times) else f"{part.times:.1f}"


def _left(parts: tuple[ForecastPart, ...]) -> str:
    return ", ".join(
        f"{part.step} ({'unpriced' if part.ground == 'unpriced' else 'unknown' if part.likely_nanos is None else f'{money(part.likely_nanos)} each'})"
        for part in parts
    )
