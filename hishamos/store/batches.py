"""The book of batches in the store."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import asdict, replace
from typing import TYPE_CHECKING

from hishamos.contracts.batches import KeptBatch, WaitingRow
from hishamos.records.calls import Attempt, Outcome
from hishamos.store.ledger import left_behind
from hishamos.store.statements import statements

if TYPE_CHECKING:
    from hishamos.store.connectors import Connector, Transaction
    from hishamos.store.ledger import StoreLedger

SQL = statements("batches")
LOCK = "money"
"""Whether an attempt is in a batch decides what becomes of its money."""


class StoreBatches:
    """:class:`hishamos.contracts.batches.BatchBook` on a connector."""

    def __init__(self, connector: Connector, ledger: StoreLedger) -> None:
        self._store, self._ledger = connector, ledger

    def plan(self, batch: KeptBatch, attempts: Sequence[str]) -> Future[None]:
        """See the port."""

        def work(transaction: Transaction) -> None:
            transaction.lock(LOCK)
            transaction.insert(SQL["insert_batch"], asdict(batch))
            for attempt in attempts:
                transaction.insert(SQL["insert_row"], {"attempt_id": attempt, "batch_id": batch.id})

        return self._store.submit(work)

    def made(self, batch: str, remote_id: str) -> Future[None]:
        """See the port."""

        def work(transaction: Transaction) -> None:
            transaction.execute(SQL["made"], {"id": batch, "remote_id": remote_id})

        return self._store.submit(work)

    def unsent(self, batch: str) -> Future[None]:
        """See the port."""

        def work(transaction: Transaction) -> None:
            transaction.lock(LOCK)
            transaction.execute(SQL["unsent"], {"id": batch})

        return self._store.submit(work)

    def end(self, batch: str) -> Future[bool]:
        """See the port."""

        def work(transaction: Transaction) -> bool:
            transaction.lock(LOCK)
            if transaction.fetch_one(SQL["under_way"], {"id": batch}) is not None:
                return False
            transaction.execute(SQL["end"], {"id": batch})
            return True

        return self._store.submit(work)

    def take(self, owner: str) -> Future[Sequence[KeptBatch]]:
        """See the port."""

        def work(transaction: Transaction) -> Sequence[KeptBatch]:
            transaction.lock(LOCK)
            found = [KeptBatch(**row) for row in transaction.fetch(SQL["open_batches"], {})]
            free = [kept for kept in found if kept.owner == owner or not self._ledger.alive(transaction, kept.owner)]
            for kept in free:
                transaction.execute(SQL["take"], {"id": kept.id, "owner": owner, "before": kept.owner})
            return [replace(kept, owner=owner) for kept in free]

        return self._store.submit(work)

    def waiting(self, batch: str) -> Sequence[WaitingRow]:
        """See the port."""
        return [WaitingRow(*left_behind(row["id"], row["under_way"], row["sent"])) for row in self._store.fetch(SQL["waiting_rows"], {"id": batch})]

    def settle(self, row: WaitingRow, attempt: Attempt, outcome: Outcome | None) -> Future[bool]:
        """See the port."""
        return self._ledger.settle(attempt, row.reserve, outcome)
