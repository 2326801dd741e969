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
from hishamos.store.statements import statements

if TYPE_CHECKING:
    from hishamos.store.connectors import Connector, Transaction
    from hishamos.store.watchers import Watchers

SQL = statements("journal")
_NUMBERS: WeakKeyDictionary[Connector, Iterator[int]] = WeakKeyDictionary()
"""The events' next numbers in a store that this process alone writes."""


class EventLog:
    """The events of a store's runs. ``watchers``: who is told of them."""

    def __init__(self, store: Connector, watchers: Watchers) -> None:
        self._store = store
        self._watchers = watchers
        self._alone = store.dialect == "duckdb"

    def record(self, transaction: Transaction, run: str, events: Sequence[EventDraft]) -> None:
        """Number and keep events."""
        if not events:
            return
        if self._alone:
            made = [self._numbered(transaction, run, event) for event in events]
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

    def _numbered(self, transaction: Transaction, run: str, event: EventDraft) -> RunEvent:
        """Add an event under the next number; this process alone gives numbers, and a commit that fails leaves a gap."""
        numbers = _NUMBERS.get(self._store)
        if numbers is None:
            newest = transaction.fetch_one(SQL["newest_event"])
            numbers = _NUMBERS[self._store] = itertools.count(int(newest["seq"]) + 1 if newest else 1)
        values = {"run_id": run, "seq": next(numbers), "kind": event.kind, "path": event.path, "state": event.state, "message": event.message}
        row = {**values, "data": canonical(event.data), "happened_at": event.happened_at}
        transaction.insert_later(SQL["insert_event"], row)
        return event_of(row)
