"""Shares of budgets that money has passed: told once per budget, period and share, in the commit that passed them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from hishamos.charts.formats import exact_usd, share
from hishamos.records.calls import Attempt
from hishamos.records.money import BudgetWarning
from hishamos.records.record import now
from hishamos.store.statements import statements

if TYPE_CHECKING:
    from hishamos.store.connectors import Connector, Transaction

SQL = statements("money")


@dataclass(frozen=True, slots=True)
class Passed:
    """Shares of one balance that are passed and have not been told."""

    budget: Mapping[str, Any]
    scope: str
    period: str
    shares: tuple[str, ...]
    told: tuple[str, ...]
    held_nanos: int


def passed(budget: Mapping[str, Any], balance: Mapping[str, Any], scope: str, period: str, held_nanos: int) -> Passed | None:
    """Return the shares of a budget that its balance has passed without a word yet, at what is committed and reserved now."""
    if held_nanos <= 0 or (budget["hard"] and budget["warn_at"] == "[]"):
        return None
    declared = {Decimal(text) for text in json.loads(budget["warn_at"])} | (set() if budget["hard"] else {Decimal(1)})
    told = tuple(json.loads(balance["warned"] or "[]"))
    reached = [f"{one.normalize():f}" for one in sorted(declared) if held_nanos >= one * budget["limit_nanos"]]
    shares = tuple(one for one in reached if one not in told)
    return Passed(budget, scope, period, shares, told, held_nanos) if shares else None


def tell(transaction: Transaction, found: Sequence[Passed], attempt: Attempt | None = None) -> tuple[BudgetWarning, ...]:
    """Write what was passed and return it; ``attempt``: the one that passed it. The caller holds the lock on money."""
    told: list[BudgetWarning] = []
    for one in found:
        place = {"budget": one.budget["name"], "scope": one.scope, "period": one.period}
        for text in one.shares:
            warning = _warning(one, text, attempt)
            # A limit that was changed and changed back has been told of before.
            if transaction.execute(SQL["insert_warning"], {**warning.model_dump(), "share": text}):
                told.append(warning)
        transaction.execute(SQL["mark_warned"], {**place, "warned": json.dumps([*one.told, *one.shares])})
    return tuple(told)


def _warning(found: Passed, text: str, attempt: Attempt | None) -> BudgetWarning:
    name, limit = found.budget["name"], found.budget["limit_nanos"]
    part = share(float(text), 1).replace(".0 %", " %")
    message = f"Budget {name} ({found.scope}, {found.period}) has passed {part}: {exact_usd(found.held_nanos)} of {exact_usd(limit)} USD are spent or reserved."
    if not found.budget["hard"] and Decimal(text) >= 1:
        message += " It only warns: calls go on."
    return BudgetWarning(
        budget=name,
        scope=found.scope,
        period=found.period,
        share=Decimal(text),
        held_nanos=found.held_nanos,
        limit_nanos=limit,
        call_id=attempt.call_id if attempt else None,
        run_id=attempt.run_id if attempt else None,
        message=message,
        passed_at=now(),
    )


def warnings(store: Connector, *, run: str | None, budget: str | None, limit: int) -> list[BudgetWarning]:
    """Return what was told, newest first."""
    return [_of(row) for row in store.fetch(SQL["warnings_found"], {"run": run, "budget": budget, "limit": limit})]


def warnings_in(store: Connector, periods: Sequence[str]) -> list[BudgetWarning]:
    """Return what was told in these periods under the limits in force, in order."""
    return [_of(row) for row in store.fetch(SQL["warnings_in_periods"], {"periods": list(periods)})]


def _of(row: Mapping[str, Any]) -> BudgetWarning:
    return BudgetWarning(**{**row, "share": Decimal(row["share"])})
