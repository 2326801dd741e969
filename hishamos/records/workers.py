"""Who does the work, what waits for it, and what was given up."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from hishamos.records.record import Record


class WorkerStatus(Record):
    """A process of the workspace that was heard of in the last seconds."""

    owner: str
    """The name under which it holds runs."""
    kind: Literal["server", "worker"]
    host: str
    pid: int
    places: int
    """How many runs at once; 0 for a server that hands all of them out."""
    at_work: int
    """Runs that it works on now, those within others included."""
    started_at: datetime
    seen_at: datetime


class QueueStatus(Record):
    """The runs of one priority that wait for a place."""

    priority: int
    queued: int
    oldest_s: float
    """For how many seconds the one that was queued first has waited."""


class TaskStatus(Record):
    """A run at work."""

    run: str
    name: str
    priority: int
    user_name: str | None
    owner: str | None
    """Who works on it."""
    seconds: float
    """Since it was taken."""
    deaths: int
    """Processes in a row that died at work on it."""


class DeadLetter(Record):
    """A run that was given up because whoever worked on it died."""

    run: str
    name: str
    user_name: str | None
    deaths: int
    reason: str
    failed_at: datetime | None


class Workforce(Record):
    """Everything about who does the work."""

    broker: str
    """``local``, or the broker's address."""
    messages: int | None
    """How many messages wait in the broker; None without one, or where it does not answer."""
    problem: str = ""
    """Why the broker is of no use now."""
    workers: tuple[WorkerStatus, ...]
    queues: tuple[QueueStatus, ...]
    """The highest priority first."""
    tasks: tuple[TaskStatus, ...]
    """The one at work for longest first."""
    retries: int
    """Steps of open runs that are in a further try or wait for one."""
    dead: tuple[DeadLetter, ...]
    """The newest first."""

    @property
    def queued(self) -> int:
        """How many runs wait for a place."""
        return sum(queue.queued for queue in self.queues)
