"""Figures: the same rows as an interactive figure and as a picture."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pandas as pd

from hishamos.charts.attempts import waterfall_png
from hishamos.charts.spend import bars_figure, bars_png, spend_figure, spend_png
from hishamos.records.calls import Attempt, AttemptStatus

DAY = pd.Timestamp("2026-11-23").date()


def spend(groups: int = 2) -> pd.DataFrame:
    return pd.DataFrame([{"day": DAY, "model": f"m/{number}", "cost_nanos": (number + 1) * 10_000_000} for number in range(groups)])


def test_bars_add_up_to_the_spend() -> None:
    figure = spend_figure(spend(12), by="day", colour="model")
    assert len(figure.data) == 9, "eight series of their own, the rest is other"
    assert figure.data[-1].name == "other"
    assert abs(sum(float(value) for trace in figure.data for value in trace.y) - 0.78) < 1e-9


def test_pictures_are_png() -> None:
    for picture in (spend_png(spend(), by="day", colour="model"), spend_png(spend(), by="day"), bars_png({"a": 1, "b": 2.5}, "USD")):
        assert picture.startswith(b"\x89PNG")
        assert len(picture) > 2000


def test_a_waterfall_is_a_png_of_few_or_many_attempts() -> None:
    begun = datetime(2026, 11, 23, tzinfo=UTC)
    attempts = [
        Attempt(
            id=str(number), call_id="c", idempotency_key="k", provider="openai", model="openai/x", status=status, cost_nanos=1, latency_ms=50,
            started_at=begun + timedelta(milliseconds=number),
        )
        for number, status in enumerate([AttemptStatus.FAILED, AttemptStatus.SUCCEEDED, AttemptStatus.SUCCEEDED])
    ]  # fmt: skip
    for picture in (waterfall_png(attempts), waterfall_png(attempts * 40)):
        assert picture.startswith(b"\x89PNG")


def test_bars_are_the_longest_first_and_the_rest_is_other() -> None:
    figure = bars_figure({f"m/{number}": number / 1e9 for number in range(1, 21)}, "USD")
    assert (figure.data[0].y[0], figure.data[0].y[-1], len(figure.data[0].y)) == ("m/20", "other", 12)
    assert abs(sum(figure.data[0].x) - 210 / 1e9) < 1e-15
    assert figure.data[0].text[0] == "0.0000000200 USD"


def test_pictures_stand_on_nothing() -> None:
    import io

    from PIL import Image

    for picture in (spend_png(spend(), by="day", colour="model"), bars_png({"a": 1}, "USD")):
        assert Image.open(io.BytesIO(picture)).convert("RGBA").getpixel((0, 0))[3] == 0
