"""The contract of schedules."""

from __future__ import annotations

from builtins import list as List  # noqa: N812 - every contract has a verb named list
from collections.abc import Mapping
from typing import Any, Protocol

from hishamos.contracts.verbs import verb
from hishamos.records.runs import Run
from hishamos.records.schedules import Missed, Overlap, Schedule, ScheduleTime


class Schedules(Protocol):
    """``ws.schedules``: workflows started by the clock. A server stays as long as one of them is enabled."""

    @verb("schedules.read")
    def list(self) -> List[Schedule]:
        """Return all schedules by name."""
        ...

    @verb("schedules.read")
    def get(self, name: str) -> Schedule:
        """Return one schedule; raises :class:`UnknownName` with the nearest name."""
        ...

    @verb("schedules.write", kind="change")
    def create(
        self,
        name: str,
        workflow: str,
        cron: str,
        *,
        timezone: str | None = None,
        inputs: Mapping[str, Any] | None = None,
        model: str | None = None,
        project: str | None = None,
        budget_usd: str | None = None,
        missed: Missed = "once",
        overlap: Overlap = "skip",
        paused: bool = False,
    ) -> Schedule:
        """Have a workflow started at the times of a cron expression.

        ``cron``: minute, hour, day of month, month, day of week, with lists, ranges, steps and names (``0 7 * * mon-fri``), or ``@hourly``,
        ``@daily``, ``@weekly``, ``@monthly``, ``@yearly``. ``timezone``: an IANA name; left out, the workspace's. Where clocks go forward, a time
        that does not exist is due when they have; where they go back, one that comes twice is due the first time, while ``*`` and steps go by
        the time that passes. ``budget_usd``: a hard limit on each run. ``missed``, ``overlap``: see :mod:`hishamos.records.schedules`.
        Raises ``InvalidInput``, ``UnknownName``: whatever the workflow's start would refuse.
        """
        ...

    @verb("schedules.write", kind="change")
    def pause(self, name: str) -> Schedule:
        """Start nothing until it is resumed; runs at work go on."""
        ...

    @verb("schedules.write", kind="change")
    def resume(self, name: str) -> Schedule:
        """Go on with the next time from now; times that passed while it was paused are not missed ones."""
        ...

    @verb("schedules.write", kind="change")
    def remove(self, name: str) -> None:
        """Remove a schedule; its runs stay."""
        ...

    @verb("schedules.write", kind="change")
    def run(self, name: str) -> Run:
        """Start its workflow now, beside its times."""
        ...

    @verb("schedules.read")
    def times(self, name: str, *, limit: int = 100) -> List[ScheduleTime]:
        """Return the times that were due and what came of each, newest first."""
        ...
