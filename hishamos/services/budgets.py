"""``ws.budgets``: limits on spend."""

from __future__ import annotations

import re
from builtins import list as List  # noqa: N812 - every contract has a verb named list
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING

from hishamos.contracts.money import Budgets
from hishamos.errors import InvalidInput, UnknownName
from hishamos.records.configuration import BUDGET_SCOPE, BUDGET_SCOPES, BudgetSettings
from hishamos.records.money import Budget, Period
from hishamos.records.record import nanos
from hishamos.services.service import Service, implements
from hishamos.store import spend as questions

if TYPE_CHECKING:
    from hishamos.store.connectors import Transaction

_NAME = re.compile(r"^[A-Za-z][A-Za-z0-9_.-]*$")
PERIODS = ("day", "month", "total")


@implements(Budgets)
class BudgetsService(Service):
    """Budgets of one workspace for one actor."""

    def list(self) -> List[Budget]:
        return questions.budgets(self.machinery.store, self.machinery.settings().workspace.timezone)

    def get(self, name: str) -> Budget:
        found = {budget.name: budget for budget in self.list()}
        if name not in found:
            raise UnknownName.among("budget", name, [*found], "See: hishamos budget")
        return found[name]

    def set(self, name: str, *, limit_usd: str, scope: str = "workspace", period: Period = "month", hard: bool = True) -> Budget:
        self._not_in_file(name)
        budget = _checked(name, limit_usd, scope, period, hard=hard)

        def work(transaction: Transaction) -> Budget:
            self.machinery.ledger.put_budget(transaction, budget, "stored")
            return Budget(name=name, scope=scope, period=period, limit_nanos=nanos(budget.limit_usd), hard=hard)

        self.change("budgets.set", Budget, work)
        return self.get(name)

    def remove(self, name: str) -> None:
        self._not_in_file(name)
        self.get(name)
        self.change("budgets.remove", type(None), lambda transaction: self.machinery.ledger.drop_budget(transaction, name))

    def _not_in_file(self, name: str) -> None:
        if name in self.machinery.settings().budgets:
            raise InvalidInput(what=f"The budget {name!r} stands in hishamos.toml, which wins", where=f"[budgets.{name}]", next="Change it there.")


def _checked(name: str, limit_usd: str, scope: str, period: str, *, hard: bool) -> BudgetSettings:
    where = f"budget {name!r}"
    if not _NAME.match(name):
        raise InvalidInput(what=f"{name!r} is no name for a budget", where=where, next="Begin with a letter; then letters, digits, _ . -")
    if not BUDGET_SCOPE.match(scope):
        raise InvalidInput(what=f"{scope!r} is no scope", where=where, next=f"Use {BUDGET_SCOPES}.")
    if period not in PERIODS:
        raise InvalidInput(what=f"{period!r} is no period", where=where, next=f"Use one of {', '.join(PERIODS)}.")
    try:
        limit = Decimal(limit_usd)
    except (InvalidOperation, TypeError):
        raise InvalidInput(what=f"{limit_usd!r} is no amount in USD", where=where, next='Give a decimal string such as "50" or "0.25".') from None
    if not limit.is_finite() or limit < 0 or limit >= Decimal(10) ** 9:
        raise InvalidInput(what=f"{limit_usd} USD can't be a limit", where=where, next="Give an amount from 0 up to 999999999.")
    return BudgetSettings(name=name, scope=scope, period=period, limit_usd=limit, hard=hard)
