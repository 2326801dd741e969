"""``ws.budgets``: limits on spend."""

from __future__ import annotations

import re
from builtins import list as List  # noqa: N812 - every contract has a verb named list
from collections.abc import Sequence
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING

from hishamos.contracts.money import Budgets
from hishamos.errors import InvalidInput, UnknownName
from hishamos.records.configuration import BUDGET_SCOPE, BUDGET_SCOPES, BudgetSettings
from hishamos.records.money import PERIODS, Budget, BudgetWarning, Period
from hishamos.records.record import nanos
from hishamos.services.service import Service, implements
from hishamos.store import spend as questions
from hishamos.store import thresholds
from hishamos.store.limits import change_budget

if TYPE_CHECKING:
    from hishamos.store.connectors import Transaction

_NAME = re.compile(r"^[A-Za-z][A-Za-z0-9_.-]*$")


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

    def warnings(self, *, run: str | None = None, budget: str | None = None, limit: int = 100) -> List[BudgetWarning]:
        return thresholds.warnings(self.machinery.store, run=run, budget=budget, limit=limit)

    def set(self, name: str, *, limit_usd: str, scope: str = "workspace", period: Period = "month", hard: bool = True, warn_at: Sequence[str] = ()) -> Budget:
        self._not_in_file(name)
        budget = _checked(name, limit_usd, scope, period, hard=hard, warn_at=warn_at)
        who = {"actor": self.actor.name, "request_id": self.change_id()}

        def work(transaction: Transaction) -> Budget:
            change_budget(transaction, self.machinery.ledger, name, budget, **who)
            return Budget(name=name, scope=scope, period=period, limit_nanos=nanos(budget.limit_usd), hard=hard, warn_at=budget.warn_at)

        self.change("budgets.set", Budget, work)
        return self.get(name)

    def remove(self, name: str) -> None:
        self._not_in_file(name)
        self.get(name)
        ledger, who = self.machinery.ledger, {"actor": self.actor.name, "request_id": self.change_id()}
        self.change("budgets.remove", type(None), lambda transaction: change_budget(transaction, ledger, name, None, **who))

    def _not_in_file(self, name: str) -> None:
        if name in self.machinery.settings().budgets:
            raise InvalidInput(what=f"The budget {name!r} stands in hishamos.toml, which wins", where=f"[budgets.{name}]", next="Change it there.")


def _checked(name: str, limit_usd: str, scope: str, period: Period, *, hard: bool, warn_at: Sequence[str]) -> BudgetSettings:
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
    return BudgetSettings(name=name, scope=scope, period=period, limit_usd=limit, hard=hard, warn_at=tuple(_share(text, where) for text in warn_at))


def _share(text: str, where: str) -> Decimal:
    try:
        share = Decimal(text)
    except (InvalidOperation, TypeError):
        share = Decimal("nan")
    if not share.is_finite() or not 0 < share <= 10:
        raise InvalidInput(what=f"{text!r} is no share of the limit", where=where, next='Give a decimal string such as "0.8" for 80 %.')
    return share
