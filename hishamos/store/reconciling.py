"""The books held against one another: balances against the ledger, the ledger's days against an invoice's."""

from __future__ import annotations

from datetime import date, datetime, time
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from hishamos.records.invoices import LedgerDay
from hishamos.records.money import BalanceCheck
from hishamos.records.spans import span_of
from hishamos.store.statements import statements

if TYPE_CHECKING:
    from hishamos.store.connectors import Connector

SQL = statements("money")


def balances(store: Connector) -> list[BalanceCheck]:
    """Hold every balance against the sum over the ledger.

    One statement reads all of it, so that all is as it was at one moment, and nobody who calls a model waits for it.
    """
    return [BalanceCheck(**row) for row in store.fetch(SQL["checked_balances"])]


def days_of_models(store: Connector, first: date, last: date, timezone: str) -> list[LedgerDay]:
    """Return what the ledger has by day of a timezone, provider and model, from the first to the last day."""
    noon = [datetime.combine(day, time(12), ZoneInfo(timezone)) for day in (first, last)]
    values = {"timezone": timezone, "since": span_of("day", noon[0], timezone).starts, "until": span_of("day", noon[1], timezone).ends}
    return [LedgerDay(**row) for row in store.fetch(SQL["days_of_models"], values)]
