"""Periods of budgets as spans of time in the workspace's timezone."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from hishamos.records.money import Period
from hishamos.records.record import Record

BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)
END = datetime(3000, 1, 1, tzinfo=UTC)


class Span(Record):
    """One period of a budget: it holds the moments from ``starts`` up to, not including, ``ends``."""

    name: str
    """``2026-11-23``, ``2026-11`` or ``total``; outside UTC the timezone follows."""
    starts: datetime
    ends: datetime


def span_of(period: Period, moment: datetime, timezone: str) -> Span:
    """Return the span of a ``period`` that an aware ``moment`` belongs to in an IANA ``timezone``."""
    if period == "total":
        return Span(name="total", starts=BEGINNING, ends=END)
    local = moment.astimezone(ZoneInfo(timezone))
    return _span(period, local.year, local.month, local.day if period == "day" else 1, timezone)


@lru_cache(maxsize=64)
def _span(period: Period, year: int, month: int, day: int, timezone: str) -> Span:
    zone = ZoneInfo(timezone)
    starts = datetime(year, month, day, tzinfo=zone)
    if period == "day":
        following = date(year, month, day) + timedelta(days=1)
        name = f"{year:04}-{month:02}-{day:02}"
    else:
        following = date(year + month // 12, month % 12 + 1, 1)
        name = f"{year:04}-{month:02}"
    ends = datetime(following.year, following.month, following.day, tzinfo=zone)
    return Span(name=name if timezone == "UTC" else f"{name} {timezone}", starts=starts.astimezone(UTC), ends=ends.astimezone(UTC))
