"""What the ledger says over a span of time, asked once for as long as it stays the same."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pandas as pd
import streamlit as st

from hishamos.records.own_tags import GROUP
from parts.connection import workspace

GROUPS = ("model", "provider", "project", "user", "key", "agent", "command", "workflow", "notebook", "commit")
"""What a page of the console groups spend by."""
COLUMNS = {"user": "user_name", "key": "key_prefix", "commit": "git_commit", "run": "run_id", "step": "step_id"}
"""How the ledger calls a group whose name here is a shorter one."""
NO_NAME = "–"
SPANS = ("24 h", "7 days", "30 days", "this month", "12 months")
"""What a page of the console looks back over."""


def title_of(group: str) -> str:
    """Return how a group is called in a heading: a tag by its name."""
    return group.removeprefix(GROUP)


def named(value: Any) -> str:
    """Return a group's name; of attempts that have none it is empty."""
    return "" if value is None or value != value else str(value)  # noqa: PLR0124 - NaN


def spend(
    by: list[str], since: datetime | None, until: datetime | None = None, only: Mapping[str, str | None] | None = None, *, sums_only: bool = False
) -> Any:
    """Return ``ws.ledger.spend``; asked again only when the ledger has changed."""
    ws = workspace()
    return _kept((ws.root, ws.ledger.version()), tuple(by), since, until, tuple((only or {}).items()), sums_only)


def forget() -> None:
    """Have all sums asked again: a store that went back to a copy comes to stand as it stood before, with other attempts."""
    _kept.clear()


@st.cache_data(max_entries=100, show_spinner=False)
def _kept(
    ledger: tuple[str, str],  # noqa: ARG001 - which workspace's, and how it stands: under it the answer is kept
    by: tuple[str, ...],
    since: datetime | None,
    until: datetime | None,
    only: tuple[tuple[str, str | None], ...],
    sums_only: bool,
) -> pd.DataFrame:
    return workspace().ledger.spend(by=list(by), since=since, until=until, only=dict(only), sums_only=sums_only)


def span(name: str, timezone: str) -> tuple[datetime, str]:
    """Return since when a span lasts, as a whole hour, day or month of the workspace's timezone, and in which steps it is drawn."""
    here = datetime.now(ZoneInfo(timezone)).replace(minute=0, second=0, microsecond=0)
    today = here.replace(hour=0)
    if name == "24 h":
        return (here.astimezone(UTC) - timedelta(hours=23)), "hour"
    if name == "12 months":
        year, month = divmod(today.year * 12 + today.month - 12, 12)
        return today.replace(year=year, month=month + 1, day=1).astimezone(UTC), "month"
    if name == "this month":
        return today.replace(day=1).astimezone(UTC), "day"
    days = {"7 days": 6, "30 days": 29}[name]
    return (today - timedelta(days=days)).astimezone(UTC), "day"
