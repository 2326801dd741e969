"""Answers that may be given again: which attempt of the ledger holds the answer to exactly this question."""

from __future__ import annotations

from concurrent.futures import Future
from typing import TYPE_CHECKING

from hishamos.contracts.ledger import CachedAnswer
from hishamos.records.calls import Outcome
from hishamos.records.record import now
from hishamos.store.statements import statements

if TYPE_CHECKING:
    from hishamos.store.connectors import Connector, Transaction

SQL = statements("cache")


class StoreCache:
    """:class:`hishamos.contracts.ledger.Cache` on a connector."""

    def __init__(self, connector: Connector) -> None:
        self._store = connector

    def find(self, key: str) -> CachedAnswer | None:
        """See the port."""
        row = self._store.fetch_one(SQL["cached_answer"], {"key": key})
        if row is None or row["outcome"] is None:
            return None
        text = Outcome.model_validate_json(row["outcome"]).text
        return CachedAnswer(row["id"], row["call_id"], row["provider"], row["model"], text, row["made_at"])

    def keep(self, key: str, attempt_id: str) -> Future[None]:
        """See the port."""
        values = {"key": key, "attempt_id": attempt_id, "made_at": now()}

        def work(transaction: Transaction) -> None:
            transaction.lock("cache")
            if transaction.fetch_one(SQL["entry"], {"key": key}) is None:
                transaction.insert(SQL["insert_entry"], values)
            else:
                transaction.execute(SQL["replace_entry"], values)

        return self._store.submit(work)
