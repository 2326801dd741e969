"""A few numbers that say how the workspace is."""

from __future__ import annotations

from datetime import datetime

from hishamos.store.connectors import Connector
from hishamos.store.statements import statements

SQL = statements("vitals")


def runs_by_state(connector: Connector) -> dict[str, int]:
    """Return how many runs are in each state that has not ended."""
    return {row["state"]: int(row["runs"]) for row in connector.fetch(SQL["runs_by_state"])}


def spend_since(connector: Connector, since: datetime) -> tuple[int, int]:
    """Return the committed spend since an instant in nano-dollars, and how many attempts have no price."""
    row = connector.fetch_one(SQL["spend_since"], {"since": since}) or {}
    return int(row.get("cost_nanos", 0)), int(row.get("unpriced", 0))


def steps_to_approve(connector: Connector) -> int:
    """Return how many steps wait for a person's decision."""
    return int((connector.fetch_one(SQL["steps_to_approve"]) or {}).get("steps", 0))
