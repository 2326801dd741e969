"""``ws.schedules``: workflows started by the clock."""

from __future__ import annotations

import re
from builtins import list as List  # noqa: N812 - every contract has a verb named list
from collections.abc import Mapping
from datetime import datetime
from itertools import islice
from typing import TYPE_CHECKING, Any

from hishamos.contracts.schedules import Schedules
from hishamos.errors import InvalidInput, UnknownName
from hishamos.records.record import now
from hishamos.records.runs import Run
from hishamos.records.schedules import MISSED, OVERLAPS, Missed, Overlap, Schedule, ScheduleTime
from hishamos.services.cron_times import checked_cron, checked_zone, times_after
from hishamos.services.scheduler import starter
from hishamos.services.service import Service, implements, present_origin
from hishamos.services.starting import budget_nanos, prepared
from hishamos.store import schedules as kept

if TYPE_CHECKING:
    from hishamos.store.connectors import Transaction

SHOWN = 3
_NAME = re.compile(r"^[A-Za-z][A-Za-z0-9_.-]{0,99}$")


@implements(Schedules)
class SchedulesService(Service):
    """The schedules of one workspace for one actor."""

    def list(self) -> List[Schedule]:
        return [_with_times(one) for one in kept.found(self.machinery.store)]

    def get(self, name: str) -> Schedule:
        found = kept.found(self.machinery.store, name)
        if not found:
            raise UnknownName.among("schedule", name, [one.name for one in kept.found(self.machinery.store)], "See: hishamos schedule")
        return _with_times(found[0])

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
        if not _NAME.match(name):
            raise InvalidInput(what=f"{name!r} is no name for a schedule", where="name", next="Begin with a letter; then letters, digits, _ . -")
        _among("missed", missed, MISSED)
        _among("overlap", overlap, OVERLAPS)
        expression, zone = checked_cron(cron), checked_zone(timezone or self.machinery.settings().workspace.timezone)
        prepared(self.machinery, self.machinery.catalog.workflow(workflow), inputs, model=model, project=project)
        moment, present = now(), present_origin()
        schedule = Schedule(
            name=name,
            workflow=workflow,
            cron=expression,
            timezone=zone,
            inputs=dict(inputs or {}),
            model=model,
            project=project,
            budget_nanos=budget_nanos(budget_usd),
            missed=missed,
            overlap=overlap,
            enabled=not paused,
            user_name=self.actor.name,
            key_prefix=self.actor.key_prefix,
            own_tags=present.own if present else {},
            created_at=moment,
            next_at=None if paused else next(times_after(expression, zone, moment), None),
        )
        if not self.change("schedules.create", bool, lambda transaction: kept.add(transaction, schedule)):
            raise InvalidInput(what=f"there is a schedule {name!r} already", where="name", next=f"Remove it first: hishamos schedule remove {name}")
        self.machinery.schedules_changed()
        return self.get(name)

    def pause(self, name: str) -> Schedule:
        self.get(name)
        return self._switched("schedules.pause", name, enabled=False, next_at=None)

    def resume(self, name: str) -> Schedule:
        found = self.get(name)
        if found.enabled:
            return found
        return self._switched("schedules.resume", name, enabled=True, next_at=next(times_after(found.cron, found.timezone, now()), None))

    def remove(self, name: str) -> None:
        self.get(name)
        self.change("schedules.remove", type(None), lambda transaction: kept.drop(transaction, name))

    def run(self, name: str) -> Run:
        start = starter(self.machinery, self.get(name))
        moment = now()

        def work(transaction: Transaction) -> str:
            return kept.by_hand(transaction, name, moment, start)

        run = self.change("schedules.run", str, work)
        self.machinery.dispatcher.dispatch(run)
        return self.machinery.journal.history.get(run)

    def times(self, name: str, *, limit: int = 100) -> List[ScheduleTime]:
        self.get(name)
        return kept.times_of(self.machinery.store, name, limit)

    def _switched(self, verb: str, name: str, *, enabled: bool, next_at: datetime | None) -> Schedule:
        self.change(verb, type(None), lambda transaction: kept.switch(transaction, name, enabled=enabled, next_at=next_at))
        self.machinery.schedules_changed()
        return self.get(name)


def _with_times(schedule: Schedule) -> Schedule:
    if not schedule.enabled or schedule.next_at is None:
        return schedule
    later = islice(times_after(schedule.cron, schedule.timezone, schedule.next_at), SHOWN - 1)
    return schedule.model_copy(update={"upcoming": (schedule.next_at, *later)})


def _among(name: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise InvalidInput(what=f"{value!r} is none of {', '.join(known)}", where=name, next=f"Use one of {', '.join(known)}.")
