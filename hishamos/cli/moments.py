"""Days and times as they are typed, in UTC."""

from __future__ import annotations

from datetime import UTC, datetime

import click

DAY = click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"])


def utc(moment: datetime | None) -> datetime | None:
    """Return a typed moment with its zone."""
    return None if moment is None else moment.replace(tzinfo=UTC)
