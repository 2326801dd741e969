"""How long each step of a workflow took of late, and what it cost."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING

from hishamos.store.statements import statements

if TYPE_CHECKING:
    from hishamos.store.connectors import Connector

SQL = statements("usual")
MOST = 20
"""So many runs are looked at, the latest that succeeded."""


@dataclass(frozen=True, slots=True)
class Usual:
    """What is usual for a step: medians."""

    seconds: float
    nanos: int | None
    """None when a model that was asked has no price."""


def usual_steps(store: Connector, workflow: str) -> dict[str, Usual]:
    """Return what is usual for each step of a workflow that has ever succeeded, whichever version it had."""
    values = {"name": workflow, "most": MOST}
    costs = {(row["run_id"], row["path"]): row for row in store.fetch(SQL["usual_costs"], values)}
    times: dict[str, list[float]] = {}
    spent: dict[str, list[int | None]] = {}
    for row in store.fetch(SQL["usual_times"], values):
        cost = costs.get((row["run_id"], row["path"]))
        taken = (row["finished_at"] - row["started_at"]).total_seconds() if row["started_at"] is not None else 0.0
        times.setdefault(row["path"], []).append(max(0.0, taken))
        spent.setdefault(row["path"], []).append(None if cost is not None and cost["unpriced"] else int(cost["cost_nanos"]) if cost is not None else 0)
    return {path: Usual(median(taken), _middle(spent[path])) for path, taken in times.items()}


def _middle(amounts: list[int | None]) -> int | None:
    known = [one for one in amounts if one is not None]
    return None if len(known) < len(amounts) else int(median(known))
