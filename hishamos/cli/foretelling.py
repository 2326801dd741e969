"""``--forecast``: what something will cost, shown instead of done."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hishamos.cli.face import Face

if TYPE_CHECKING:
    from hishamos.records.forecasts import Forecast


def show_forecast(face: Face, forecast: Forecast) -> None:
    """Show a forecast: the range in one line, then each step with how its amounts were found."""
    face.show(forecast, lambda: _parts(forecast))


def _parts(forecast: Forecast) -> list[Any]:
    from hishamos.charts.ranges import forecast_words, part_amounts, times_words
    from hishamos.cli.tables import table

    words = f"{forecast.name}  {forecast_words(forecast)}"
    if not forecast.parts:
        return [words]
    rows = [(part.step, part.subject, ", ".join(part.models), times_words(part), *part_amounts(part), part.how) for part in forecast.parts]
    columns = ("Step", "Asks", "Model", "Times", "Low", "Likely", "High", "How it was found")
    return [words, "", table("Forecast", columns, rows, right=("Times", "Low", "Likely", "High")), "Nothing was sent or paid. Retries are not in it."]
