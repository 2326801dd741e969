"""Budgets as the ledger's commits touch them: which apply, whether they leave room, reservations and settlements."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from hishamos.contracts.ledger import CallIntent, Full, Refused, Reserve
from hishamos.records.calls import Attempt
from hishamos.records.spans import span_of
from hishamos.store.statements import statements
from hishamos.store.thresholds import Passed, passed, tell

if TYPE_CHECKING:
    from hishamos.store.connectors import Transaction

SQL = statements("ledger")
MONEY_SQL = statements("money")


def scopes(attempt: Attempt) -> dict[str, str | None]:
    """Return the scopes that an attempt's money belongs to, beside the workspace, as parameters of the statements."""
    return {
        "project": attempt.project and f"project:{attempt.project}",
        "user_name": attempt.user_name and f"user:{attempt.user_name}",
        "key_prefix": attempt.key_prefix and f"key:{attempt.key_prefix}",
        "workflow": attempt.workflow and f"workflow:{attempt.workflow}",
        "run": attempt.run_id and f"run:{attempt.run_id}",
    }


class Accounts:
    """The budgets' accounts. ``shared``: other processes write them too; otherwise what can't have changed is not read again."""

    def __init__(self, *, shared: bool) -> None:
        self._shared = shared
        self._budgets: list[dict[str, Any]] | None = None
        self._changes = 0
        self._balances = True
        """Whether any balance may exist."""

    def forget(self) -> None:
        """Read budgets again before the next decision: they have changed."""
        self._budgets, self._balances = None, True
        self._changes += 1

    def admit(self, transaction: Transaction, call: CallIntent, attempt: Attempt, ask: Reserve, timezone: str) -> Refused | Full | list[Passed]:
        """Return what keeps the attempt from being sent, else the shares of budgets that its reservation will pass.

        Missing balances are started from the ledger's sum.
        """
        mine = scopes(attempt)
        in_force = self._in_force(transaction, call.run_budget_nanos, attempt, set(mine.values()))
        found: list[Passed | None] = []
        if not in_force:
            return []
        rows = transaction.fetch(SQL["balances_in_force"], {**mine, "moment": attempt.started_at})
        balances = {(row["budget"], row["scope"], row["period"]): row for row in rows}
        full: Full | None = None
        for budget in in_force:
            scope = f"run:{attempt.run_id}" if budget["scope"] == "run" else budget["scope"]
            span = span_of(budget["period"], attempt.started_at, timezone)
            balance = balances.get((budget["name"], scope, span.name))
            if balance is None:
                values = {"budget": budget["name"], "scope": scope, "period": span.name}
                transaction.execute(SQL["start_balance"], {**values, **subject(scope), "starts_at": span.starts, "ends_at": span.ends})
                balance = transaction.fetch(SQL["balance"], values)[0]
                self._balances = True
            obstacle = _room(budget, scope, span.name, balance, ask) if budget["hard"] else None
            if isinstance(obstacle, Refused):
                return obstacle
            full = full or obstacle
            held = balance["committed_nanos"] + balance["reserved_nanos"] + (ask.bound_nanos or 0)
            found.append(passed(budget, balance, scope, span.name, held))
        return full or [one for one in found if one]

    def reserve(self, transaction: Transaction, attempt: Attempt, amount: int) -> None:
        """Add an attempt's reservation to every balance that it belongs to."""
        if amount and self._kept(transaction):
            transaction.execute(SQL["reserve"], {**scopes(attempt), "moment": attempt.started_at, "amount": amount})

    def settle(self, transaction: Transaction, attempt: Attempt, reserved: int) -> None:
        """Turn an attempt's reservation into its cost on every balance that it belongs to."""
        cost = attempt.cost_nanos or 0
        if (reserved or cost) and self._kept(transaction):
            mine = scopes(attempt)
            values = {"moment": attempt.started_at, "reserved": reserved, "cost": cost, "overrun": attempt.overrun}
            transaction.execute(SQL["settle_balances"], {**mine, **values})
            if cost > reserved:
                rows = transaction.fetch(SQL["balances_in_force"], {**mine, "moment": attempt.started_at})
                self._tell(transaction, rows, attempt)

    def _tell(self, transaction: Transaction, balances: Sequence[Mapping[str, Any]], attempt: Attempt | None = None) -> None:
        """Tell the shares that balances have passed by what a bill or a correction added."""
        budgets = {budget["name"]: budget for budget in transaction.fetch(SQL["limits"], {})}
        known = [(budgets[row["budget"]], row) for row in balances if row["budget"] in budgets]
        found = [passed(budget, row, row["scope"], row["period"], row["committed_nanos"] + row["reserved_nanos"]) for budget, row in known]
        tell(transaction, [one for one in found if one], attempt)

    def correct(self, transaction: Transaction, added: Sequence[tuple[Attempt, int]]) -> None:
        """Add to every balance what complete attempts turned out to cost more, nano-dollars; less is negative."""
        by_scope: dict[str, list[tuple[datetime, int]]] = defaultdict(list)
        for attempt, nanos in added:
            for scope in ("workspace", *scopes(attempt).values()):
                if scope:
                    by_scope[scope].append((attempt.started_at, nanos))
        changed = []
        for row in transaction.fetch(MONEY_SQL["balances_of_scopes"], {"scopes": list(by_scope)}):
            total = sum(nanos for moment, nanos in by_scope[row["scope"]] if row["starts_at"] <= moment < row["ends_at"])
            if total:
                transaction.execute(MONEY_SQL["add_committed"], {**row, "added": total})
                changed.append({**row, "committed_nanos": row["committed_nanos"] + total})
        self._tell(transaction, changed)

    def _remember(self, budgets: list[dict[str, Any]], changes: int) -> None:
        if not self._shared and changes == self._changes:
            self._budgets = budgets

    def _in_force(self, transaction: Transaction, run_budget_nanos: int | None, attempt: Attempt, mine: set[str | None]) -> list[dict[str, Any]]:
        budgets = self._budgets
        if budgets is None:
            budgets = [dict(row) for row in transaction.fetch(SQL["limits"], {})]
            transaction.after_commit(partial(self._remember, budgets, self._changes))
        found = [budget for budget in budgets if budget["scope"] == "workspace" or budget["scope"] in mine or (budget["scope"] == "run" and attempt.run_id)]
        if run_budget_nanos is not None and attempt.run_id:
            name = f"run:{attempt.run_id}"
            found.append({"name": name, "scope": name, "period": "total", "limit_nanos": run_budget_nanos, "hard": True, "warn_at": "[]"})
        return found

    def _kept(self, transaction: Transaction) -> bool:
        if self._balances and not self._shared:
            self._balances = transaction.fetch_one(SQL["any_balance"], {}) is not None
        return self._balances


def _room(budget: Mapping[str, Any], scope: str, period: str, balance: Mapping[str, Any], ask: Reserve) -> Refused | Full | None:
    bound, limit, committed = ask.bound_nanos, budget["limit_nanos"], balance["committed_nanos"]
    if bound == 0:
        return None  # what costs nothing can't be over a limit, not even over a closed one
    if bound is None or balance["closed"] or committed + bound > limit:
        return Refused(
            budget=budget["name"],
            scope=scope,
            period=period,
            limit_nanos=limit,
            committed_nanos=committed,
            closed=balance["closed"],
            unpriced=bound is None,
        )
    if committed + balance["reserved_nanos"] + bound > limit:
        return Full(budget=budget["name"], scope=scope, period=period, limit_nanos=limit, committed_nanos=committed)
    return None


def subject(scope: str) -> dict[str, str]:
    """Return a scope as the parameters ``kind`` and ``subject``."""
    kind, _, name = scope.partition(":")
    return {"kind": kind, "subject": name}
