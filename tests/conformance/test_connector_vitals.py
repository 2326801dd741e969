"""The few numbers of a workspace, counted alike on both engines."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from hishamos.store.connectors import open_connector
from hishamos.store.migrate import migrate
from hishamos.store.vitals import runs_by_state, spend_since

ATTEMPT = (
    "insert into ledger_attempts (id, call_id, idempotency_key, number, provider, model, hop, status, cost_nanos, overrun, started_at, tags)"
    " values ($id, 'c', 'k', 1, 'p', 'm', 0, $status, $cost, false, $at, '{}')"
)


@pytest.fixture(params=["duckdb", "postgres"])
def store(request, tmp_path):
    connector = open_connector(request.getfixturevalue("new_postgres_url") if request.param == "postgres" else ":memory:")
    migrate(connector)
    yield connector
    connector.close()


def test_an_empty_workspace_has_spent_nothing(store):
    assert runs_by_state(store) == {}
    assert spend_since(store, datetime(2026, 1, 1, tzinfo=UTC)) == (0, 0)


def test_spend_counts_from_the_instant_and_unpriced_apart(store):
    rows = [
        ("old", "ok", 5, 2025),
        ("a", "ok", 7, 2026),
        ("b", "failed", 10**15, 2026),
        ("c", "ok", None, 2026),
        ("d", "sent", None, 2026),
        ("e", "cancelled", None, 2026),
    ]
    values = [{"id": name, "status": status, "cost": cost, "at": datetime(year, 2, 1, tzinfo=UTC)} for name, status, cost, year in rows]
    store.transaction(lambda t: [t.execute(ATTEMPT, row) for row in values])
    assert spend_since(store, datetime(2026, 1, 1, tzinfo=UTC)) == (7 + 10**15, 1)
