"""Periods as spans of time in a timezone."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from hishamos.records.spans import span_of


@pytest.mark.parametrize(
    ("period", "moment", "timezone", "name", "hours"),
    [
        ("day", "2026-11-23T23:59:59", "UTC", "2026-11-23", 24),
        ("day", "2026-11-23T23:59:59", "Africa/Cairo", "2026-11-24 Africa/Cairo", 24),
        ("day", "2026-03-29T12:00:00", "Europe/Berlin", "2026-03-29 Europe/Berlin", 23),
        ("day", "2026-10-25T12:00:00", "Europe/Berlin", "2026-10-25 Europe/Berlin", 25),
        ("month", "2026-12-31T23:00:00", "UTC", "2026-12", 31 * 24),
        ("month", "2026-12-31T23:00:00", "Asia/Tokyo", "2027-01 Asia/Tokyo", 31 * 24),
        ("month", "2028-02-10T00:00:00", "UTC", "2028-02", 29 * 24),
    ],
)
def test_a_span_holds_its_moment(period: str, moment: str, timezone: str, name: str, hours: int):
    when = datetime.fromisoformat(moment).replace(tzinfo=UTC)
    span = span_of(period, when, timezone)  # type: ignore[arg-type]
    assert span.name == name
    assert span.starts <= when < span.ends
    assert span.ends - span.starts == timedelta(hours=hours)
    assert span_of(period, span.ends, timezone).starts == span.ends  # type: ignore[arg-type]


def test_total_holds_everything():
    assert span_of("total", datetime(2026, 1, 1, tzinfo=UTC), "UTC") == span_of("total", datetime(2999, 1, 1, tzinfo=UTC), "Asia/Tokyo")
