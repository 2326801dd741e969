"""Runs that wait without a process: for a time, an event, or a child run. The part of the journal that wakes them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from hishamos.contracts.journal import TIMED, ChildOf, EventDraft, Pinned, Signal
from hishamos.errors import WrongState
from hishamos.records.runs import RUN_ENDED, Run, RunState
from hishamos.store.line import deadline
from hishamos.store.statements import statements

if TYPE_CHECKING:
    from hishamos.store.connectors import Connector, Row, Transaction
    from hishamos.store.event_log import EventLog
    from hishamos.store.history import RunHistory

SQL = statements("journal")
RESUMABLE = frozenset({RunState.PAUSED, RunState.FAILED, RunState.CANCELLED})


class WaitingRuns:
    """What :class:`hishamos.store.journal.StoreJournal` does for runs that wait, with what it has for all runs."""

    history: RunHistory
    _store: Connector
    _clock: Callable[[], datetime]
    _events: EventLog

    if TYPE_CHECKING:

        def insert(self, transaction: Transaction, run: Run, pinned: Pinned, *, options: Any = None, by: datetime | None = None) -> Run: ...
        def wish(self, transaction: Transaction, run: str, wish: str) -> bool: ...
        def _locked(self, transaction: Transaction, run: str) -> Row: ...
        def _settle(self, transaction: Transaction, run: str, state: RunState, moment: datetime) -> None: ...

    def signal(self, run: str, name: str) -> Signal | None:
        """See the port."""
        row = self._store.fetch_one(SQL["signal_of_run"], {"run": run, "name": name})
        return None if row is None else Signal.model_validate_json(row["data"])

    def wake(self) -> tuple[list[str], datetime | None]:
        """See the port."""
        moment, due = self._clock(), self.timed_waits()
        ready = [run for run, at in due.items() if at <= moment] + [row["id"] for row in self._store.fetch(SQL["waits_for_ended_run"])]
        woken = [run for run in dict.fromkeys(ready) if self._store.transaction(partial(self._woken, run))]
        return woken, min((at for at in due.values() if at > moment), default=None)

    def child(self, run: Run, pinned: Pinned, of: ChildOf, *, entered: bool) -> Run | None:
        """See the port."""

        def work(transaction: Transaction) -> bool:
            parent = self._locked(transaction, of.parent)
            if parent["state"] != RunState.RUNNING or parent["wish"]:
                return False
            transaction.lock(f"run:{run.id}")
            found = transaction.fetch_one(SQL["run_for_change"], {"id": run.id})
            if found is None:
                self.insert(transaction, run, pinned, options=of, by=parent["deadline_at"])
                return True
            later = ChildOf.model_validate_json(found["options"]).attempt < of.attempt
            if (later and found["state"] in RESUMABLE) or (entered and found["state"] == RunState.PAUSED):
                transaction.execute(SQL["change_options"], {"run": run.id, "options": of.model_dump_json()})
                ends = deadline(self._clock(), found["deadline_s"], parent["deadline_at"])
                transaction.execute(SQL["set_deadline"], {"run": run.id, "deadline_at": ends})
                self._settle(transaction, run.id, RunState.QUEUED, self._clock())
            return True

        return self.history.get(run.id) if self._store.transaction(work) else None

    def wish_below(self, transaction: Transaction, run: str, wish: str) -> list[str]:
        """Ask the run's open children, and theirs, for the same as the run; returns those whose runner has to be told."""
        told = []
        for row in transaction.fetch(SQL["children_of_run"], {"run": run}):
            if self.wish(transaction, row["id"], wish):
                told.append(row["id"])
            told += self.wish_below(transaction, row["id"], wish)
        return told

    def timed_waits(self) -> dict[str, datetime]:
        """Return when each run is due that nobody works on because it waits for a time, or that has a deadline while it waits."""
        due = {row["id"]: datetime.strptime(row["due"], TIMED).replace(tzinfo=UTC) for row in self._store.fetch(SQL["timed_waits"])}
        for row in self._store.fetch(SQL["deadlines_of_waiting"]):
            due[row["id"]] = min(row["deadline_at"], due.get(row["id"], row["deadline_at"]))
        return due

    def set_signal(self, transaction: Transaction, run: str, signal: Signal) -> bool:
        """Keep that an event was set. Returns whether the run was queued, else its runner has to be told."""
        found = self._locked(transaction, run)
        if found["state"] in RUN_ENDED:
            raise WrongState(run=run, state=found["state"], verb="signal", needed="not ended", next=f"See: hishamos show {run}")
        waits = [row["waiting_for"] for row in transaction.fetch(SQL["waits_of_run"], {"run": run})]
        wanted = any(wait == f"event {signal.name}" or wait.endswith(f" or event {signal.name}") for wait in waits)
        idle = bool(found["state"] == RunState.WAITING) and wanted
        transaction.execute(SQL["count_decision"], {"id": run, "state": RunState.QUEUED.value if idle else found["state"]})
        moment = self._clock()
        events = [EventDraft("signal", None, moment, None, signal.name, signal.model_dump(mode="json"))]
        self._events.record(transaction, run, [*events, EventDraft("run", "queued", moment)] if idle else events)
        return idle

    def _woken(self, run: str, transaction: Transaction) -> bool:
        if self._locked(transaction, run)["state"] != RunState.WAITING:
            return False
        self._settle(transaction, run, RunState.QUEUED, self._clock())
        return True
