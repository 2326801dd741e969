"""How many of a run's steps, and of a step's children, stand where: what a picture of a run tells of its maps and loops."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from hishamos.store.statements import statements

if TYPE_CHECKING:
    from hishamos.store.connectors import Connector

SQL = statements("progress")


@dataclass(frozen=True, slots=True)
class ChildCount:
    """So many children of a step stand in one state."""

    parent: str
    state: str
    count: int


def children(store: Connector, run: str) -> list[ChildCount]:
    """Return how many children of each step of a run stand in which state."""
    return [ChildCount(row["parent"], row["state"], int(row["number"])) for row in store.fetch(SQL["children_of_run"], {"run": run})]


def step_counts(store: Connector, run: str) -> dict[str, int]:
    """Return how many of a run's steps stand in which state."""
    return {row["state"]: int(row["number"]) for row in store.fetch(SQL["steps_by_state"], {"run": run})}
