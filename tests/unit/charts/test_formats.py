"""Words and numbers that all faces share."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from hishamos.charts.formats import STATES, clock, count, duration, exact_usd, money, share, state_label


@pytest.mark.parametrize(
    ("nanos", "words"),
    [
        (None, "unpriced"),
        (0, "0 USD"),
        (1, "0.00000000100 USD"),
        (41_234_567, "0.0412 USD"),
        (999_999_999, "1.00 USD"),
        (1_000_000_000, "1.00 USD"),
        (1_234_567_891_234, "1,234.57 USD"),
    ],
)
def test_money(nanos: int | None, words: str) -> None:
    assert money(nanos) == words


def test_exact_money_loses_nothing() -> None:
    assert [exact_usd(nanos) for nanos in (None, 0, 1, 10, 41_234_567, 1_500_000_000)] == [None, "0", "0.000000001", "0.00000001", "0.041234567", "1.5"]


@pytest.mark.parametrize(("seconds", "words"), [(None, "–"), (float("nan"), "–"), (0.34, "340 ms"), (33.2, "33.2 s"), (250, "4 min 10 s"), (7500, "2 h 5 min")])
def test_duration(seconds: float | None, words: str) -> None:
    assert duration(seconds) == words


def test_counts_shares_and_times() -> None:
    assert (count(18204), count(None), share(1, 32), share(0, 0)) == ("18,204", "–", "3.1 %", "–")
    assert (clock(datetime(2026, 11, 3, 14, 5, tzinfo=UTC)), clock(None)) == ("3 Nov 14:05", "–")


def test_every_state_has_word_and_sign() -> None:
    from hishamos.records.calls import AttemptStatus
    from hishamos.records.runs import RunState, StepState

    for state in [*RunState, *StepState, *AttemptStatus]:
        assert state in STATES
        sign, _, word = state_label(state).partition(" ")
        assert sign
        assert word
