"""Forecasts in words."""

from __future__ import annotations

from datetime import UTC, datetime

from hishamos.charts.ranges import compared_words, forecast_words, part_amounts, times_words
from hishamos.records.forecasts import Forecast, ForecastPart
from hishamos.records.runs import Run

USD = 1_000_000_000


def part(**facts) -> ForecastPart:
    return ForecastPart(
        **{"step": "a", "subject": "command x", "models": ("m/x",), "ground": "history", "how": "", "low_nanos": 1, "likely_nanos": 2, "high_nanos": 3, **facts}
    )


def forecast(*parts: ForecastPart, **facts) -> Forecast:
    return Forecast(name="flow", version="1", parts=parts, made_at=datetime.now(UTC), **facts)


def run(cost_nanos: int, **facts) -> Run:
    return Run(**{"id": "r", "name": "flow", "version": "1", "state": "succeeded", "created_at": datetime.now(UTC), "cost_nanos": cost_nanos, **facts})


def test_a_range_is_told_with_what_it_leaves_out():
    whole = forecast(part(), low_nanos=21_100_000, likely_nanos=39_100_000, high_nanos=81_400_000)
    assert forecast_words(whole) == "0.0391 USD likely (0.0211 USD to 0.0814 USD)"
    torn = whole.model_copy(update={"whole": False, "parts": (part(), part(step="b", times=None), part(step="c", likely_nanos=None, ground="unpriced"))})
    assert forecast_words(torn).endswith("not in it: b (0.00000000200 USD each), c (unpriced)")
    assert forecast_words(forecast(part(step="z", likely_nanos=None, ground="unknown"), whole=False)) == "not known; not in it: z (unknown)"
    assert forecast_words(forecast()) == "nothing to pay: no step asks a model"


def test_the_offline_model_is_never_only_free():
    offline = forecast(part(models=("offline/extractive",), low_nanos=0, likely_nanos=0, high_nanos=0), offline=True)
    assert forecast_words(offline) == "0 USD, offline model, not a real answer"
    assert compared_words(offline, run(0)) == forecast_words(offline)


def test_it_is_held_against_what_was_paid():
    whole = forecast(part(), low_nanos=USD, likely_nanos=2 * USD, high_nanos=3 * USD)
    assert compared_words(whole, run(2 * USD)).endswith("actual 2.00 USD, within the range")
    assert compared_words(whole, run(USD // 2)).endswith("actual 0.500 USD, below the range")
    assert compared_words(whole, run(4 * USD)).endswith("actual 4.00 USD, above the range")
    assert compared_words(whole, run(4 * USD, unpriced=2)).endswith("actual 4.00 USD + 2 unpriced")


def test_what_goes_on_and_what_reused_answers_is_not_called_cheaper_than_forecast():
    whole = forecast(part(), low_nanos=USD, likely_nanos=2 * USD, high_nanos=3 * USD)
    assert compared_words(whole, run(USD // 2, state="running")).endswith("; so far 0.500 USD")
    assert compared_words(whole, run(USD // 2, reused=61)).endswith("; actual 0.500 USD")
    assert compared_words(whole, run(4 * USD, state="running")).endswith("; so far 4.00 USD, above the range")


def test_amounts_of_one_time_say_each():
    assert part_amounts(part(times=None, low_nanos=0, likely_nanos=USD, high_nanos=USD)) == ("0 USD each", "1.00 USD each", "1.00 USD each")
    assert part_amounts(part(likely_nanos=None, ground="unpriced")) == ("unpriced",) * 3
    assert [times_words(part(times=times)) for times in (1, 2.5, None)] == ["1", "2.5", "known when it runs"]
