"""Schedules: a workflow that is started at times a cron expression tells."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal, get_args

from hishamos.records.own_tags import OwnTags
from hishamos.records.record import Record

Missed = Literal["skip", "once", "all"]
"""What becomes of times at which no server ran: nothing, one run for all of them, or a run for each (the last 100 at most)."""
Overlap = Literal["skip", "queue", "allow"]
"""What becomes of a time at which the schedule's last run has not ended: nothing, a run once it has, or a run at once."""
MISSED: tuple[Missed, ...] = get_args(Missed)
OVERLAPS: tuple[Overlap, ...] = get_args(Overlap)


class Schedule(Record):
    """When a workflow is started, with what, and how that goes."""

    name: str
    workflow: str
    cron: str
    """Minute, hour, day of month, month, day of week."""
    timezone: str
    """The IANA name of the time zone whose clock it goes by."""
    inputs: dict[str, Any] = {}
    model: str | None = None
    project: str | None = None
    budget_nanos: int | None = None
    """A hard limit on each run."""
    missed: Missed = "once"
    overlap: Overlap = "skip"
    enabled: bool = True
    """False while it is paused."""
    user_name: str | None = None
    """Who made it: its runs are that person's."""
    key_prefix: str | None = None
    own_tags: OwnTags = {}
    """The tags of whoever made it: its runs have them."""
    created_at: datetime
    next_at: datetime | None = None
    """When it is due next; None while it is paused, or when no time is left."""
    upcoming: tuple[datetime, ...] = ()
    """The next three times."""
    waiting: int = 0
    """How many times wait for the last run to end (``overlap="queue"``)."""
    last_run: str | None = None
    problem: str = ""
    """Why the last time started no run; empty when it did."""


class ScheduleTime(Record):
    """A time at which a schedule was due, and what came of it: one record a time, whatever crashed and however many servers ran."""

    schedule: str
    due_at: datetime
    outcome: Literal["started", "skipped", "failed", "by hand"]
    run_id: str | None = None
    note: str = ""
    decided_at: datetime
