"""A process killed while a provider answers: its call is orphaned, and the only kind that is sent twice."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from hishamos.records.calls import AttemptStatus, CallStatus
from tests.rigs.gateways import House, build, provider, settings_for
from tests.rigs.nursery import python
from tests.rigs.simulator import Simulator

CHILD = """
import sys
from tests.rigs.gateways import build, provider, settings_for
url, store = sys.argv[1:]
house = build(settings_for(provider("openai", url)), store, shared=store.startswith("postgresql"))
house.ask("finished before", key="done")
house.ask("under way", key="open", timeout=60)
"""


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    with Simulator() as running:
        yield running


@pytest.fixture(params=["duckdb", "postgres"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return str(request.getfixturevalue("postgres_url") if request.param == "postgres" else tmp_path / "store.duckdb")


def killed_while_a_call_is_under_way(simulator: Simulator, store: str) -> None:
    simulator.script("gpt-4.1-mini", {}, {"delay_s": 30})
    child = python(CHILD, simulator.url, store, folder=Path(__file__).parents[2], asks=True)
    until = time.monotonic() + 60
    while len(simulator.book()) < 2:
        assert child.poll() is None
        assert time.monotonic() < until
        time.sleep(0.05)
    child.kill()
    child.wait(10)


def reopened(simulator: Simulator, store: str, **route: object) -> House:
    return build(settings_for(provider("openai", simulator.url), **route), store, shared=store.startswith("postgresql"))


def test_it_is_sent_again_once_and_what_was_finished_is_not(simulator: Simulator, store: str):
    killed_while_a_call_is_under_way(simulator, store)
    house = reopened(simulator, store)
    try:
        assert house.ask("finished before", key="done").reused
        outcome = house.ask("under way", key="open", timeout=60)
        again = house.ask("under way", key="open")
    finally:
        rows = house.rows()
        house.close()
    assert (outcome.status, outcome.reused, again.reused) == (CallStatus.SUCCEEDED, False, True)
    assert [attempt.status for attempt in outcome.attempts] == [AttemptStatus.ORPHANED, AttemptStatus.SUCCEEDED]
    billed = [entry["marker"] for entry in simulator.book() if entry["billed"]]
    assert len(billed) == 3
    orphans = [row for row in rows if row["status"] == "orphaned"]
    assert len(billed) - len(set(billed)) == len(orphans) == 1
    assert (orphans[0]["usage_source"], orphans[0]["cost_nanos"]) == ("estimated", orphans[0]["reserved_nanos"])
    assert outcome.cost_nanos == sum(row["cost_nanos"] for row in rows if row["idempotency_key"] == "open")


def test_it_fails_where_the_route_says_so(simulator: Simulator, tmp_path: Path):
    store = str(tmp_path / "store.duckdb")
    killed_while_a_call_is_under_way(simulator, store)
    house = reopened(simulator, store, orphans="fail")
    try:
        outcome = house.ask("under way", key="open", timeout=60)
        assert house.ask("under way", key="open").status is CallStatus.FAILED
    finally:
        house.close()
    assert (outcome.status, len(simulator.book())) == (CallStatus.FAILED, 2)
    assert outcome.error is not None
    assert outcome.error.type == "OrphanedCall"
