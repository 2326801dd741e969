"""Times of cron expressions, also where clocks are changed."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from itertools import islice

import pytest

from hishamos.errors import InvalidInput
from hishamos.services.cron_times import checked_cron, checked_zone, due_times, times_after


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def first(cron: str, zone: str, after: str, number: int = 4) -> list[str]:
    return [f"{one:%m-%d %H:%M}" for one in islice(times_after(cron, zone, at(after)), number)]


@pytest.mark.parametrize(
    ("cron", "times"),
    [
        ("0 7 * * *", ["11-28 07:00", "11-29 07:00", "11-30 07:00", "12-01 07:00"]),
        ("*/20 8-9 * * *", ["11-28 08:00", "11-28 08:20", "11-28 08:40", "11-28 09:00"]),
        ("30 6 * * mon-fri", ["11-30 06:30", "12-01 06:30", "12-02 06:30", "12-03 06:30"]),
        ("0 0 1,15 jan *", ["01-01 00:00", "01-15 00:00", "01-01 00:00", "01-15 00:00"]),
        ("0 12 * * sun#1", ["12-06 12:00", "01-03 12:00", "02-07 12:00", "03-07 12:00"]),
        ("0 0 13 * fri", ["12-04 00:00", "12-11 00:00", "12-13 00:00", "12-18 00:00"]),
        ("@weekly", ["11-29 00:00", "12-06 00:00", "12-13 00:00", "12-20 00:00"]),
        ("@Monthly", ["12-01 00:00", "01-01 00:00", "02-01 00:00", "03-01 00:00"]),
    ],
)
def test_fields_names_ranges_and_steps(cron, times):
    assert first(cron, "UTC", "2026-11-28 00:30") == times


def test_a_time_that_does_not_exist_is_due_when_the_clocks_have_gone_forward():
    # In Berlin it is 02:00 and then 03:00, at 01:00 UTC on 29 March 2026.
    assert first("30 2 * * *", "Europe/Berlin", "2026-03-27 12:00") == ["03-28 01:30", "03-29 01:00", "03-30 00:30", "03-31 00:30"]


def test_a_time_that_comes_twice_is_due_the_first_time():
    # In Berlin 02:00 to 03:00 comes twice, from 00:00 UTC on 25 October 2026.
    assert first("30 2 * * *", "Europe/Berlin", "2026-10-23 12:00") == ["10-24 00:30", "10-25 00:30", "10-26 01:30", "10-27 01:30"]


def test_steps_go_by_the_time_that_passes():
    assert first("*/30 * * * *", "Europe/Berlin", "2026-10-25 00:10", 5) == ["10-25 00:30", "10-25 01:00", "10-25 01:30", "10-25 02:00", "10-25 02:30"]
    assert first("30 * * * *", "Europe/Berlin", "2026-03-29 00:00", 3) == ["03-29 00:30", "03-29 01:30", "03-29 02:30"]


def test_every_time_comes_once_and_later_than_the_one_before():
    for cron in ("30 2,3 * * *", "*/7 2 * * *", "0 0-5 * * *"):
        found = list(islice(times_after(cron, "Europe/Berlin", at("2026-03-28 12:00")), 50))
        assert found == sorted(set(found))


@pytest.mark.parametrize(
    "cron", ["", "0 7 * *", "0 0 0 7 * *", "61 * * * *", "0 0 30 2 *", "0 7 * * noday", "@sometimes", "a b c d e", "*/0 * * * *", "5-1 * * * *"]
)
def test_what_is_no_cron_expression_is_refused_with_an_example(cron):
    with pytest.raises(InvalidInput, match="mon-fri"):
        checked_cron(cron)


@pytest.mark.parametrize("zone", ["Mars/Base", "", "../etc/passwd", "/etc/localtime"])
def test_what_is_no_time_zone_is_refused(zone):
    with pytest.raises(InvalidInput, match="Europe/Berlin"):
        checked_zone(zone)


def test_due_times_are_those_from_the_next_one_on():
    due = due_times("0 * * * *", "UTC", at("2026-11-28 07:00"), at("2026-11-28 09:30"))
    assert [f"{time:%H:%M}" for time in due.times] == ["07:00", "08:00", "09:00"]
    assert due.next_at == at("2026-11-28 10:00")
    assert not due.more
    nothing = due_times("0 * * * *", "UTC", at("2026-11-28 07:00"), at("2026-11-28 06:59"))
    assert (nothing.times, nothing.next_at) == ((), at("2026-11-28 07:00"))


def test_years_of_missed_minutes_are_not_gone_through():
    began = time.perf_counter()
    due = due_times("* * * * *", "Europe/Berlin", at("2021-01-01 00:00"), at("2026-11-28 09:30"))
    assert time.perf_counter() - began < 20  # going through all of them takes minutes
    assert len(due.times) == 101
    assert due.more
    assert due.times[-1] == at("2026-11-28 09:30")
    yearly = due_times("0 0 1 1 *", "UTC", at("2021-01-01 00:00"), at("2026-11-28 09:30"))
    assert [one.year for one in yearly.times] == [2021, 2022, 2023, 2024, 2025, 2026]
    assert yearly.next_at is not None
    assert yearly.next_at - at("2026-12-31 00:00") == timedelta(days=1)
