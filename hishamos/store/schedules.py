"""Schedules in the store, and the decision what a due time comes to: one transaction, so that it is made once."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from hishamos.errors import UnknownName
from hishamos.records.record import derived_id
from hishamos.records.schedules import Schedule, ScheduleTime
from hishamos.store.statements import statements

if TYPE_CHECKING:
    from hishamos.store.connectors import Connector, Row, Transaction

SQL = statements("schedules")
ON_TIME = timedelta(seconds=60)
"""A time that is decided on later than this was missed."""
MOST = 100
"""How many missed or waiting times are kept at most; of more the latest."""
LEFT_ALONE = timedelta(seconds=30)
"""A run that is queued for longer was left by a process that died between starting it and working on it."""

Start = Callable[["Transaction", datetime, str], None]
"""Inserts the run for a due time under the id it is given."""


@dataclass(frozen=True)
class DueTimes:
    """The times of a schedule from its next one up to a moment, and the first one behind that."""

    times: tuple[datetime, ...]
    more: bool
    """Whether there were earlier ones, which are too many to be looked at."""
    next_at: datetime | None


def found(store: Connector, name: str | None = None) -> list[Schedule]:
    """Return schedules by name, without their coming times."""
    return [_schedule(row) for row in store.fetch(SQL["schedules"], {"name": name})]


def add(transaction: Transaction, schedule: Schedule) -> bool:
    """Add a schedule; False when its name is taken."""
    transaction.lock(f"schedule:{schedule.name}")
    if transaction.fetch_one(SQL["schedule_by_name"], {"name": schedule.name}) is not None:
        return False
    columns = {
        **{name: getattr(schedule, name) for name in _COLUMNS},
        "id": derived_id(f"{schedule.name} {schedule.created_at.isoformat()}", 16),
        "inputs": json.dumps(schedule.inputs),
        "own_tags": json.dumps(schedule.own_tags),
    }
    transaction.execute(SQL["insert_schedule"], columns)
    return True


def switch(transaction: Transaction, name: str, *, enabled: bool, next_at: datetime | None) -> None:
    """Pause a schedule or let it go on; its waiting times are dropped."""
    row = _locked(transaction, name)
    transaction.execute(SQL["set_schedule"], {"id": row["id"], "enabled": enabled, "next_at": next_at, "waiting": "[]"})


def drop(transaction: Transaction, name: str) -> None:
    """Remove a schedule; what its times came to stays."""
    _locked(transaction, name)
    transaction.execute(SQL["delete_schedule"], {"name": name})


def by_hand(transaction: Transaction, name: str, moment: datetime, start: Start) -> str:
    """Start a schedule's run beside its times; returns the run's id."""
    row = _locked(transaction, name)
    run = _run_id(row, moment)
    start(transaction, moment, run)
    _note(transaction, row, moment, moment, "by hand", run)
    return run


def decide(transaction: Transaction, schedule: Schedule, moment: datetime, due: DueTimes, start: Start | None, problem: str) -> list[str]:
    """Decide on all times of a schedule that are due at ``moment``, and on those that waited; returns the runs that it started.

    ``schedule``: as it was read; when it is another one by now, somebody else has decided. ``start`` is None when the workflow can't be started, and
    ``problem`` says why.
    """
    transaction.lock(f"schedule:{schedule.name}")
    row = transaction.fetch_one(SQL["schedule_by_name"], {"name": schedule.name})
    if row is None or not row["enabled"] or (row["created_at"], row["next_at"]) != (schedule.created_at, schedule.next_at):
        return []
    waiting = [datetime.fromisoformat(text) for text in json.loads(row["waiting"])]
    kept = _kept(row["missed"], due.times, moment)
    dropped = [time for time in due.times if time not in kept]
    if dropped:
        _note(transaction, row, dropped[-1], moment, "skipped", None, _missed(len(dropped), more=due.more))
    waiting += kept
    started = []
    while waiting:
        time = waiting[0]
        at_work = None if row["overlap"] == "allow" else transaction.fetch_one(SQL["open_run"], {"id": row["id"]})
        if at_work is not None and row["overlap"] == "queue":
            break
        waiting.pop(0)
        if at_work is not None:
            _note(transaction, row, time, moment, "skipped", None, f"run {at_work['id']} had not ended")
        elif start is None:
            _note(transaction, row, time, moment, "failed", None, problem)
        else:
            run = _run_id(row, time)
            start(transaction, time, run)
            _note(transaction, row, time, moment, "started", run)
            started.append(run)
    left = json.dumps([time.isoformat() for time in waiting[-MOST:]])
    transaction.execute(SQL["set_schedule"], {"id": row["id"], "enabled": True, "next_at": due.next_at, "waiting": left})
    return started


def due(store: Connector, moment: datetime) -> list[str]:
    """Return the names of schedules on which something has to be decided."""
    return [row["name"] for row in store.fetch(SQL["due_schedules"], {"moment": moment})]


def left_queued(store: Connector, moment: datetime) -> list[str]:
    """Return the runs of schedules that somebody started and nobody took."""
    return [row["id"] for row in store.fetch(SQL["runs_left_queued"], {"before": moment - LEFT_ALONE, "moment": moment})]


def outlook(store: Connector) -> tuple[int, datetime | None, bool]:
    """Return how many schedules are enabled, when the first is due, and whether times wait for runs to end."""
    row = store.fetch_one(SQL["enabled_schedules"]) or {"number": 0, "next_at": None, "waiting": 0}
    return int(row["number"]), row["next_at"], bool(row["waiting"])


def times_of(store: Connector, name: str, limit: int) -> list[ScheduleTime]:
    """Return what came of a schedule's times, newest first."""
    return [ScheduleTime(**row) for row in store.fetch(SQL["times_of_schedule"], {"name": name, "limit": limit})]


_COLUMNS = (
    "name", "workflow", "cron", "timezone", "model", "project", "budget_nanos", "missed", "overlap", "enabled", "user_name", "key_prefix", "next_at",
    "created_at",
)  # fmt: skip


def _schedule(row: Row) -> Schedule:
    facts: dict[str, Any] = {name: row[name] for name in _COLUMNS}
    facts |= {"inputs": json.loads(row["inputs"]), "own_tags": json.loads(row["own_tags"] or "{}")}
    outcome = (row["last_outcome"] or "").partition(": ")
    problem = outcome[2] if outcome[0] in {"failed", "skipped"} else ""
    return Schedule(**facts, waiting=len(json.loads(row["waiting"])), last_run=row["last_run"], problem=problem)


def _locked(transaction: Transaction, name: str) -> Row:
    transaction.lock(f"schedule:{name}")
    row = transaction.fetch_one(SQL["schedule_by_name"], {"name": name})
    if row is None:
        raise UnknownName(kind="schedule", name=name, hint="", next="See: hishamos schedule")
    return row


def _kept(policy: str, times: Sequence[datetime], moment: datetime) -> list[datetime]:
    """Return the due times that come to a run: of those that were missed none, the last, or the last hundred."""
    late = [time for time in times if moment - time > ON_TIME]
    on_time = [time for time in times if moment - time <= ON_TIME]
    match policy:
        case "all":
            return [*late, *on_time][-MOST:]
        case "once":
            return on_time or late[-1:]
        case _:
            return on_time


def _missed(number: int, *, more: bool) -> str:
    words = "more times than are counted were missed" if more else "1 time was missed" if number == 1 else f"{number:,} times were missed"
    return f"{words}: no server ran"


def _run_id(row: Row, time: datetime) -> str:
    return derived_id(f"schedule {row['id']} {time.astimezone(UTC).isoformat()}")


def _note(transaction: Transaction, row: Row, time: datetime, moment: datetime, outcome: str, run: str | None, note: str = "") -> None:
    values = {"schedule_id": row["id"], "due_at": time, "outcome": outcome, "run_id": run, "note": note, "decided_at": moment}
    transaction.execute(SQL["insert_time"], values)
