"""Questions to the ledger: budgets, how providers did."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from hishamos.records.money import PERIODS, Budget, BudgetWarning
from hishamos.records.record import now
from hishamos.records.spans import span_of
from hishamos.store.statements import statements
from hishamos.store.thresholds import warnings_in

if TYPE_CHECKING:
    from hishamos.store.connectors import Connector

SQL = statements("ledger")


def budgets(store: Connector, timezone: str) -> list[Budget]:
    """Return all budgets with their balance in the current period; one on every run shows its limit only."""
    moment = now()
    rows = {(row["budget"], row["scope"], row["period"]): row for row in store.fetch(SQL["all_balances"], {})}
    periods = {period: span_of(period, moment, timezone).name for period in PERIODS}
    told = warnings_in(store, list(periods.values()))

    def of(row: dict[str, Any]) -> Budget:
        name, span = row["name"], periods[row["period"]]
        return _budget(row, rows.get((name, row["scope"], span)), [one for one in told if (one.budget, one.period) == (name, span)])

    return [of(row) for row in store.fetch(SQL["all_budgets"], {})]


def _budget(row: dict[str, Any], balance: dict[str, Any] | None, told: Sequence[BudgetWarning]) -> Budget:
    return Budget(
        name=row["name"],
        scope=row["scope"],
        period=row["period"],
        limit_nanos=row["limit_nanos"],
        hard=row["hard"],
        warn_at=tuple(Decimal(share) for share in json.loads(row["warn_at"])),
        committed_nanos=balance["committed_nanos"] if balance else 0,
        reserved_nanos=balance["reserved_nanos"] if balance else 0,
        closed=bool(balance and balance["closed"]),
        warnings=tuple(told),
    )


def providers_of_late(store: Connector, since: datetime) -> dict[str, dict[str, Any]]:
    """Return attempts, failures, spend and latencies by provider since a moment."""
    return {row["provider"]: row for row in store.fetch(SQL["providers_of_late"], {"since": since})}


def last_error(store: Connector, provider: str, since: datetime) -> str | None:
    """Return a provider's latest failure since a moment, in words."""
    row = store.fetch_one(SQL["last_error"], {"provider": provider, "since": since})
    return None if row is None else row["error"] or row["cause"]
