"""The events of runs: numbered, kept, and told to their followers after the commit that holds them."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from hishamos.contracts.journal import EventDraft
from hishamos.records.record import canonical
from hishamos.records.runs import RunEvent
from hishamos.store.history import event_of
from hishamos.store.journal_columns import parsed
from hishamos.store.statements import statements

if TYPE_CHECKING:
    from hishamos.store.connectors import Connector, Transaction
    from hishamos.store.watchers import Watchers

SQL = statements("journal")
LONGEST_MESSAGE = 1000
GAP = 100_000
"""More than the events that a process can have told and not written."""
_NUMBERS: WeakKeyDictionary[Connector, Iterator[int]] = WeakKeyDictionary()
"""The events' next numbers in a store that this process alone writes."""


class EventLog:
    """The events of a store's runs. ``watchers``: who is told of them."""

    def __init__(self, store: Connector, watchers: Watchers) -> None:
        self._store = store
        self._watchers = watchers
        self._alone = store.dialect == "duckdb"

    def record(self, transaction: Transaction, run: str, events: Sequence[EventDraft], *, late: bool = False) -> None:
        """Number and keep events; ``late``: a step's may be written later, for its row says the same."""
        if not events:
            return
        if self._alone:
            made = [self._numbered(transaction, run, event, late=late and event.kind == "step") for event in events]
        else:
            columns = {
                "run": run,
                "number": list(range(len(events))),
                "kind": [event.kind for event in events],
                "path": [event.path for event in events],
                "state": [event.state for event in events],
                "message": [event.message for event in events],
                "data": [canonical(event.data) for event in events],
                "happened_at": [event.happened_at for event in events],
            }
            made = sorted((event_of(row) for row in transaction.fetch(SQL["insert_events"], columns)), key=lambda event: event.seq)
        transaction.after_commit(lambda: self._watchers.publish(run, made))

    def lost(self, transaction: Transaction, run: str) -> list[EventDraft]:
        """Return what was put off about steps when their process died: their rows say it again."""
        rows = transaction.fetch(SQL["steps_not_told"], {"run": run}) if self._alone else []
        words = [parsed(row["error"])["message"] if row["error"] else row["waiting_for"] or "" for row in rows]
        return [EventDraft("step", row["state"], row["moment"], row["path"], text[:LONGEST_MESSAGE]) for row, text in zip(rows, words, strict=True)]

    def _numbered(self, transaction: Transaction, run: str, event: EventDraft, *, late: bool) -> RunEvent:
        """Add an event under the next number; this process alone gives numbers, and a commit that fails leaves a gap.

        So does a process that died: numbers that it had told somebody and not written are given to nothing else.
        """
        numbers = _NUMBERS.get(self._store)
        if numbers is None:
            newest = transaction.fetch_one(SQL["newest_event"])
            numbers = _NUMBERS[self._store] = itertools.count(int(newest["seq"]) + GAP if newest and newest["seq"] else 1)
        values = {"run_id": run, "seq": next(numbers), "kind": event.kind, "path": event.path, "state": event.state, "message": event.message}
        row = {**values, "data": canonical(event.data), "happened_at": event.happened_at}
        (transaction.put_off if late else transaction.insert)(SQL["insert_event"], row)
        return event_of(row)
