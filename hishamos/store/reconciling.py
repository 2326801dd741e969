"""The books held against one another: balances against the ledger."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hishamos.records.money import BalanceCheck
from hishamos.store.statements import statements

if TYPE_CHECKING:
    from hishamos.store.connectors import Connector

SQL = statements("money")


def balances(store: Connector) -> list[BalanceCheck]:
    """Hold every balance against the sum over the ledger.

    One statement reads all of it, so that all is as it was at one moment, and nobody who calls a model waits for it.
    """
    return [BalanceCheck(**row) for row in store.fetch(SQL["checked_balances"])]
