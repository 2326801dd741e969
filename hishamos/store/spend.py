"""Questions to the ledger: attempts, spend, budgets, how providers did."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from hishamos.errors import InvalidInput, UnknownName, nearest_hint
from hishamos.records.calls import Attempt
from hishamos.records.money import PERIODS, Budget, BudgetWarning
from hishamos.records.record import now
from hishamos.records.spans import BEGINNING, END, span_of
from hishamos.store.ledger import attempt_of
from hishamos.store.statements import statements
from hishamos.store.thresholds import warnings_in

if TYPE_CHECKING:
    import pyarrow

    from hishamos.store.connectors import Connector

SQL = statements("ledger")

GROUPS = (
    "day", "hour", "month", "model", "provider", "status", "cause", "run_id", "step_id", "workflow", "command", "agent", "project",
    "user_name", "key_prefix", "usage_source", "call_id", "notebook", "cell", "git_commit",
)  # fmt: skip
"""What spend can be grouped by. Days, hours and months are those of the workspace's timezone."""

ALIASES = {"run": "run_id", "step": "step_id", "user": "user_name", "key": "key_prefix", "commit": "git_commit"}


def attempts(store: Connector, *, run: str | None, model: str | None, project: str | None, since: datetime | None, limit: int) -> list[Attempt]:
    """Return attempts, newest first."""
    values = {"run": run, "model": model, "project": project, "since": since or BEGINNING, "limit": limit}
    return [attempt_of(row) for row in store.fetch(SQL["attempts_newest_first"], values)]


def spend(
    store: Connector,
    by: str | Sequence[str],
    timezone: str,
    *,
    since: datetime | None = None,
    until: datetime | None = None,
    run: str | None = None,
    project: str | None = None,
) -> pyarrow.Table:
    """Return the spend by groups, the dearest first; see ``ws.ledger.spend``."""
    groups = _groups([by] if isinstance(by, str) else by)
    if len(set(groups)) != len(groups):
        raise InvalidInput(what=f"by names a group twice: {', '.join(groups)}", where="ws.ledger.spend", next="Name each group once.")
    listed = ", ".join(groups)
    text = SQL["spend"].replace("{groups}", f"{listed}," if groups else "")
    text = text.replace("{grouping}", f"group by {listed} order by cost_nanos desc, {listed}" if groups else "")
    values = {"timezone": timezone, "since": since or BEGINNING, "until": until or END, "run": run, "project": project}
    return store.arrow(text, values)


def _groups(names: Sequence[str]) -> list[str]:
    """Return the groups by the names of their columns. A cell says nothing without its notebook, which is therefore put before it."""
    groups = [_group(name) for name in names]
    if "cell" in groups and "notebook" not in groups:
        groups.insert(groups.index("cell"), "notebook")
    return groups


def _group(name: str) -> str:
    group = ALIASES.get(name, name)
    if group not in GROUPS:
        raise UnknownName(kind="group", name=name, hint=nearest_hint(name, [*GROUPS, *ALIASES]), next=f"Spend is grouped by: {', '.join(GROUPS)}.")
    return group


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
