"""Costs that became known later. An attempt's row stays as it was written; its correction stands beside it, and the views show that."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hishamos.errors import InvalidInput, UnknownName
from hishamos.records.audit import AuditEntry
from hishamos.records.calls import Attempt, AttemptStatus, Usage
from hishamos.records.money import Price
from hishamos.records.record import now
from hishamos.store import audit
from hishamos.store.ledger import MONEY, StoreLedger, attempt_of
from hishamos.store.statements import statements

if TYPE_CHECKING:
    from hishamos.store.connectors import Connector, Transaction

SQL = statements("money")
BATCH = 500
"""Attempts in one commit: nobody who calls a model waits long for it."""


@dataclass(frozen=True, slots=True)
class Unpriced:
    """A model's attempts without a cost: those whose tokens are known, and the others."""

    model: str
    known_usage: int
    unknown_usage: int


def unpriced_models(store: Connector, model: str | None = None) -> list[Unpriced]:
    """Return the models that have complete attempts without a cost."""
    return [Unpriced(**row) for row in store.fetch(SQL["unpriced_models"], {"model": model})]


class Corrections:
    """Writes corrections with the balances they change and the audit entry that tells of them, in one commit each.

    ``actor``: who answers for them; ``request_id``: the changing call that they belong to.
    """

    def __init__(self, store: Connector, ledger: StoreLedger, actor: str, request_id: str) -> None:
        self._store, self._ledger, self._actor, self._request_id = store, ledger, actor, request_id

    def reprice(self, price: Price, costing: Callable[[Price, Usage], int], limit: int = BATCH) -> int:
        """Give at most ``limit`` unpriced attempts of a price's model their cost; return how many there were. Any number may do so at once."""

        def work(transaction: Transaction) -> int:
            transaction.lock(MONEY)
            rows = transaction.fetch(SQL["unpriced_attempts"], {"model": price.model, "limit": limit})
            costs = [(attempt, costing(price, _usage(attempt))) for attempt in map(attempt_of, rows)]
            if costs:
                self._write_prices(transaction, price, costs)
            return len(costs)

        return self._store.transaction(work)

    def _write_prices(self, transaction: Transaction, price: Price, costs: Sequence[tuple[Attempt, int]]) -> None:
        text = price.model_dump_json(exclude_none=True)
        entry = audit.note(
            transaction,
            self._request_id,
            actor=self._actor,
            action="ledger.reprice",
            subject=price.model,
            value_after=text,
            attempts=len(costs),
            added_nanos=sum(cost for _, cost in costs),
        )
        facts = {"price": text, "usage_source": None, "audit_id": entry.id, "made_at": entry.happened_at}
        transaction.executemany(SQL["insert_correction"], [{"attempt_id": attempt.id, "cost_nanos": cost, **facts} for attempt, cost in costs])
        self._ledger.note_price(transaction, price)
        self._ledger.accounts.correct(transaction, costs)

    def settle(self, transaction: Transaction, name: str, cost_nanos: int) -> AuditEntry:
        """Replace an estimated cost by what a person declares; ``name``: the attempt's id, or its call's."""
        transaction.lock(MONEY)
        attempt = self._estimated(transaction, name)
        added = cost_nanos - (attempt.cost_nanos or 0)
        entry = audit.note(
            transaction,
            self._request_id,
            actor=self._actor,
            action="ledger.settle",
            subject=attempt.id,
            value_before=None if attempt.cost_nanos is None else str(attempt.cost_nanos),
            value_after=str(cost_nanos),
            attempts=1,
            added_nanos=added,
        )
        transaction.execute(SQL["declare_cost"], {"attempt_id": attempt.id, "cost_nanos": cost_nanos, "audit_id": entry.id, "made_at": now()})
        self._ledger.accounts.correct(transaction, [(attempt, added)])
        return entry

    @staticmethod
    def _estimated(transaction: Transaction, name: str) -> Attempt:
        found = [attempt_of(row) for row in transaction.fetch(SQL["attempts_named"], {"name": name})]
        if not found:
            raise UnknownName(kind="call or attempt", name=name, hint="", next="See: hishamos sql \"select call_id from attempts where status = 'orphaned'\"")
        estimated = [attempt for attempt in found if attempt.usage_source in ("estimated", "declared")]
        if len(estimated) == 1:
            return estimated[0]
        if estimated:
            ids = ", ".join(attempt.id for attempt in estimated)
            raise InvalidInput(what=f"Call {name} has {len(estimated)} attempts whose cost is an estimate: {ids}", where="settle", next="Name one of them.")
        under_way = any(attempt.status is AttemptStatus.SENT for attempt in found)
        why = "is still under way" if under_way else "has no attempt whose cost is an estimate: the provider's own figures stand"
        raise InvalidInput(what=f"Call {name} {why}", where="settle", next="Only orphans and other estimates can be declared.")


def _usage(attempt: Attempt) -> Usage:
    kinds = ("input", "cached", "cache_write", "output", "reasoning")
    return Usage(**{kind: getattr(attempt, f"{kind}_tokens") or 0 for kind in kinds})
