"""What starts scheduled workflows: looks when something is due, decides once whichever server looks, hands the runs out."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING

from hishamos.engine.timers import Timer
from hishamos.errors import HishamosError
from hishamos.records.actors import Actor
from hishamos.records.record import now
from hishamos.records.schedules import Schedule
from hishamos.services.cron_times import due_times
from hishamos.services.starting import Prepared, drafted, prepared
from hishamos.store import schedules as kept

if TYPE_CHECKING:
    from hishamos.services.machinery import Machinery
    from hishamos.store.connectors import Transaction

log = logging.getLogger(__name__)
LONGEST_S = 30.0
"""The clock is looked at at least so often while a schedule is enabled: it may have been set, or the machine have slept."""
WAITING_S = 2.0
"""How often it is looked whether a run has ended that a time waits for."""


class Scheduler:
    """One for each process that works on runs. ``clock``: the time now, aware."""

    def __init__(self, machinery: Machinery, clock: Callable[[], datetime] = now) -> None:
        self._machinery = machinery
        self._clock = clock
        self._lock = threading.Lock()
        self._timer: Timer | None = None
        self._closed = False

    def ring(self) -> None:
        """Look soon, in the background: at the start, and whenever a schedule was changed."""
        self._machinery.runner.soon(self._look)

    def close(self) -> None:
        """Start nothing any more."""
        with self._lock:
            self._closed = True
            if self._timer is not None:
                self._timer.cancel()

    def look(self) -> list[str]:
        """Decide on everything that is due now; returns the runs that were started."""
        moment, store = self._clock(), self._machinery.store
        started: list[str] = []
        for name in kept.due(store, moment):
            for schedule in kept.found(store, name):
                started += self._decide(schedule, moment)
        for run in dict.fromkeys([*started, *kept.left_queued(store, moment)]):
            self._machinery.dispatcher.dispatch(run)
        return started

    def _decide(self, schedule: Schedule, moment: datetime) -> list[str]:
        due = due_times(schedule.cron, schedule.timezone, schedule.next_at, moment)
        start, problem = None, ""
        try:
            start = starter(self._machinery, schedule)
        except HishamosError as error:
            problem = str(error)
            log.warning("schedule %s can't start %s: %s", schedule.name, schedule.workflow, problem)
        return self._machinery.store.transaction(partial(kept.decide, schedule=schedule, moment=moment, due=due, start=start, problem=problem))

    def _look(self) -> None:
        with self._lock:
            if self._closed:
                return
            seconds: float | None = LONGEST_S
            try:
                self.look()
                seconds = self._pause_s()
            except Exception:  # tried again: a schedule must not end with one failure of the store
                log.exception("schedules could not be looked at")
            if self._timer is not None:
                self._timer.cancel()
            self._timer = None if seconds is None else self._machinery.runner.later(seconds, self.ring)

    def _pause_s(self) -> float | None:
        """Return the seconds until the next look; None where nothing is enabled, and whoever makes a schedule rings."""
        enabled, next_at, waiting = kept.outlook(self._machinery.store)
        if not enabled and self._machinery.journal.exclusive:
            return None
        seconds = LONGEST_S if next_at is None else max(0.01, min(LONGEST_S, (next_at - self._clock()).total_seconds()))
        return min(seconds, WAITING_S) if waiting else seconds


def starter(machinery: Machinery, schedule: Schedule) -> kept.Start:
    """Return what inserts a schedule's run; raises what the workflow's start would raise."""
    workflow = machinery.catalog.workflow(schedule.workflow)
    ready = prepared(machinery, workflow, schedule.inputs, model=schedule.model, project=schedule.project)
    return partial(_insert, machinery, schedule, ready)


def _insert(machinery: Machinery, schedule: Schedule, ready: Prepared, transaction: Transaction, time: datetime, run: str) -> None:
    actor = Actor(name=schedule.user_name or "owner", key_prefix=schedule.key_prefix)
    queued = drafted(
        actor,
        ready.workflow,
        ready.values,
        identity=run,
        model=schedule.model,
        project=ready.project,
        budget_nanos=schedule.budget_nanos,
        own=schedule.own_tags,
    )
    told = f"started by schedule {schedule.name} for {time:%Y-%m-%d %H:%M} UTC"
    machinery.journal.insert(transaction, queued, ready.pinned, files=ready.files, told=told)
