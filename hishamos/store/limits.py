"""Budgets that people set: changed in one commit with the audit entry that tells of it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from hishamos.records.record import canonical, usd
from hishamos.store import audit
from hishamos.store.ledger import MONEY, StoreLedger
from hishamos.store.statements import statements

if TYPE_CHECKING:
    from hishamos.records.configuration import BudgetSettings
    from hishamos.store.connectors import Transaction

SQL = statements("ledger")


def change_budget(transaction: Transaction, ledger: StoreLedger, name: str, budget: BudgetSettings | None, *, actor: str, request_id: str) -> None:
    """Set a budget, or remove it (None); what changes nothing writes nothing. ``actor``: who answers for it."""
    transaction.lock(MONEY)
    before = _terms(transaction, name)
    if budget is None:
        ledger.drop_budget(transaction, name)
    else:
        ledger.put_budget(transaction, budget, "stored")
    after = _terms(transaction, name)
    if before != after:
        action = "budgets.remove" if budget is None else "budgets.set"
        audit.note(transaction, request_id, actor=actor, action=action, subject=name, value_before=before, value_after=after)


def _terms(transaction: Transaction, name: str) -> str | None:
    row = transaction.fetch_one(SQL["budget_by_name"], {"name": name})
    if row is None:
        return None
    facts = {"scope": row["scope"], "period": row["period"], "hard": row["hard"], "warn_at": json.loads(row["warn_at"])}
    return canonical({"limit_usd": f"{usd(row['limit_nanos']):f}", **facts})
