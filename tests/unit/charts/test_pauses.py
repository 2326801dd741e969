"""An axis of time counts work, and draws a long pause shorter."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from hishamos.charts.pauses import work_axis

BEGUN = datetime(2026, 11, 23, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return BEGUN + timedelta(seconds=seconds)


def test_a_pause_is_drawn_shorter_and_ticks_count_work() -> None:
    axis = work_axis([(at(0), at(6)), (at(4), at(10)), (at(3600), at(3610))], at(0), at(3610))
    assert axis.pauses == ((at(10), at(3600)),)
    assert [axis.at(at(seconds)) for seconds in (0, 10, 3600, 3610)] == pytest.approx([0, 10, 11.6, 21.6])
    assert axis.at(at(10 + 3590 / 2)) == pytest.approx(10.8)
    assert [axis.of_work(seconds) for seconds in (5, 10, 15)] == pytest.approx([5, 10, 16.6])
    places, labels = axis.ticks(at(3610), 1)
    assert labels == ["0", "5", "10", "15", "20"]
    assert places == pytest.approx([0, 5, 10, 16.6, 21.6])


def test_a_pause_at_the_end_and_one_at_the_beginning() -> None:
    axis = work_axis([(at(100), at(110))], at(0), at(500))
    assert axis.pauses == ((at(0), at(100)), (at(110), at(500)))
    assert axis.at(at(500)) == pytest.approx(10 + 2 * 0.8)
    assert axis.of_work(5) == pytest.approx(5.8)


@pytest.mark.parametrize("working", [[], [(at(0), at(0))], [(at(0), at(10)), (at(11), at(20))]])
def test_without_work_or_without_a_pause_nothing_is_shortened(working: list[tuple[datetime, datetime]]) -> None:
    axis = work_axis(working, at(0), at(20))
    assert axis.pauses == ()
    assert axis.at(at(20)) == 20
