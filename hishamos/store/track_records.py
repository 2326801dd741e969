"""How agents did, from the ledger and from what people said of results."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from hishamos.records.picking import TrackRecord
from hishamos.store.statements import statements

if TYPE_CHECKING:
    from hishamos.store.connectors import Connector

SQL = statements("picking")


def track_records(store: Connector, since: datetime) -> dict[str, TrackRecord]:
    """Return how each agent did that made a call since then; one without a call has no entry."""
    ratings = {row["agent"]: row for row in store.fetch(SQL["ratings_of_agents"], {"since": since})}
    found = {row["agent"]: row for row in store.fetch(SQL["track_records"], {"since": since})}
    return {
        agent: TrackRecord(
            agent=agent,
            calls=found[agent]["calls"] if agent in found else 0,
            answered=found[agent]["answered"] if agent in found else 0,
            under_way=found[agent]["under_way"] if agent in found else 0,
            cost_nanos=found[agent]["cost_nanos"] if agent in found else None,
            latency_ms=found[agent]["latency_ms"] if agent in found else None,
            ratings=ratings[agent]["ratings"] if agent in ratings else 0,
            rating=ratings[agent]["points"] / ratings[agent]["ratings"] if agent in ratings else None,
        )
        for agent in {**found, **ratings}
    }
