"""Shares of budgets that are passed, on both stores: told once, in the commit that passed them, whoever passed them."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from hishamos.contracts.ledger import Full, Refused, Reserve, Sent
from hishamos.gateway.costs import cost
from hishamos.records.calls import AttemptStatus, Tags
from hishamos.records.configuration import BudgetSettings
from hishamos.records.record import now
from hishamos.store import reconciling, spend, thresholds
from hishamos.store.connectors import Connector, open_connector
from hishamos.store.ledger import StoreLedger
from hishamos.store.migrate import migrate
from tests.conformance.test_ledger import attempt, call, intend, settle
from tests.rigs.gateways import answer, scripted


@pytest.fixture(params=["duckdb", "postgres"])
def address(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return str(request.getfixturevalue("postgres_url") if request.param == "postgres" else tmp_path / "store.duckdb")


@pytest.fixture
def store(address: str) -> Iterator[Connector]:
    connector = open_connector(address)
    migrate(connector)
    yield connector
    connector.close()


@pytest.fixture
def ledger(store: Connector) -> StoreLedger:
    return StoreLedger(store, shared=store.dialect == "postgres")


def limit(ledger: StoreLedger, nanos: int = 10_000, *, name: str = "b", **facts: Any) -> None:
    values = {"period": "total", "warn_at": (Decimal("0.5"), Decimal("0.80"))} | facts
    ledger.sync_budgets({name: BudgetSettings(name=name, limit_usd=Decimal(nanos) / 10**9, **values)}).result(10)


def told(store: Connector) -> list[tuple[str, str, int]]:
    found = thresholds.warnings(store, run=None, budget=None, limit=100)
    return sorted((one.scope, str(one.share), one.held_nanos) for one in found)


def spent(ledger: StoreLedger, nanos: int, **facts: Any) -> tuple[Any, ...]:
    """Make a call that costs its reservation; return the warnings that it was given."""
    mine = call()
    verdict, draft = intend(ledger, mine, nanos, **facts)
    assert isinstance(verdict, Sent), verdict
    settle(ledger, mine, draft, nanos, bound=nanos)
    return tuple(str(one.share) for one in verdict.warnings)


def test_each_share_is_told_once_by_the_call_whose_reservation_passes_it(ledger: StoreLedger, store: Connector):
    limit(ledger)
    assert [spent(ledger, nanos) for nanos in (4_999, 1, 1, 2_998, 1, 1)] == [(), ("0.5",), (), (), ("0.8",), ()]
    assert told(store) == [("workspace", "0.5", 5_000), ("workspace", "0.8", 8_000)]


def test_both_shares_passed_at_once_are_both_told_and_a_settled_reservation_is_not_told_again(ledger: StoreLedger, store: Connector):
    limit(ledger)
    mine = call()
    verdict, draft = intend(ledger, mine, 9_000)
    assert isinstance(verdict, Sent)
    assert [(one.budget, str(one.share), one.call_id, one.run_id, one.limit_nanos) for one in verdict.warnings] == [
        ("b", "0.5", mine.id, "R", 10_000),
        ("b", "0.8", mine.id, "R", 10_000),
    ]
    assert "has passed 50 %: 0.000009 of 0.00001 USD are spent or reserved." in verdict.warnings[0].message
    settle(ledger, mine, draft, 100, bound=9_000)
    assert spent(ledger, 9_000) == ()
    assert len(told(store)) == 2


def test_budgets_show_what_was_passed_in_their_period(ledger: StoreLedger, store: Connector):
    limit(ledger, period="day")
    before = now()
    spent(ledger, 6_000)
    [budget] = spend.budgets(store, "UTC")
    [warning] = budget.warnings
    assert (warning.share, warning.held_nanos, warning.scope) == (Decimal("0.5"), 6_000, "workspace")
    assert before <= warning.passed_at <= now()
    rows = store.fetch("select kind, state, run_id, message from events")
    assert rows == [{"kind": "budget", "state": "warned", "run_id": "R", "message": warning.message}]


def test_a_soft_budget_lets_the_call_through_and_warns_at_the_whole(ledger: StoreLedger, store: Connector):
    limit(ledger, hard=False, warn_at=())
    assert [spent(ledger, nanos) for nanos in (9_999, 5_000, 50_000)] == [(), ("1",), ()]
    [warning] = thresholds.warnings(store, run="R", budget="b", limit=10)
    assert "It only warns: calls go on." in warning.message
    assert thresholds.warnings(store, run="other", budget=None, limit=10) == []


def test_a_refused_or_waiting_call_passes_nothing(ledger: StoreLedger, store: Connector):
    limit(ledger)
    assert isinstance(intend(ledger, call(), 10_001)[0], Refused)
    intend(ledger, call(), 4_000)
    assert isinstance(intend(ledger, call(), 7_000)[0], Full)
    assert told(store) == []


def test_a_bill_above_its_reservation_passes_shares_too(ledger: StoreLedger, store: Connector):
    limit(ledger)
    mine = call()
    _, draft = intend(ledger, mine, 100)
    settle(ledger, mine, draft, 6_000, bound=100, overrun=True)
    assert told(store) == [("workspace", "0.5", 6_000)]


def test_each_run_and_each_period_has_warnings_of_its_own(ledger: StoreLedger, store: Connector):
    limit(ledger, scope="run")
    assert [spent(ledger, 6_000, run_id=run) for run in ("R1", "R2", "R1")[:2]] == [("0.5",), ("0.5",)]
    assert told(store) == [("run:R1", "0.5", 6_000), ("run:R2", "0.5", 6_000)]
    [budget] = spend.budgets(store, "UTC")
    assert [one.scope for one in budget.warnings] == ["run:R1", "run:R2"]


def test_another_limit_has_shares_of_its_own_and_the_first_is_not_told_twice(ledger: StoreLedger, store: Connector):
    limit(ledger)
    assert spent(ledger, 6_000) == ("0.5",)
    limit(ledger, 20_000)
    assert spend.budgets(store, "UTC")[0].warnings == ()
    assert [spent(ledger, 1_000), spent(ledger, 3_000)] == [(), ("0.5",)]
    limit(ledger, 10_000_000)
    limit(ledger, 20_000)
    assert spent(ledger, 1) == ()
    assert told(store) == [("workspace", "0.5", 6_000), ("workspace", "0.5", 10_000)]


def test_what_a_later_price_adds_passes_shares(ledger: StoreLedger, store: Connector):
    from hishamos.store.corrections import Corrections
    from tests.conformance.test_corrections import PRICE

    limit(ledger, hard=False, warn_at=())
    mine = call()
    _, draft = intend(ledger, mine, None, model="toy/model")
    settle(ledger, mine, draft, None, bound=0, input_tokens=10, output_tokens=5)
    assert told(store) == []
    assert Corrections(store, ledger, "mona", "r").reprice(PRICE, cost) == 1
    assert told(store) == [("workspace", "1", 20_000)]


def test_many_callers_in_two_processes_are_told_once_each_share(address: str, ledger: StoreLedger, store: Connector):
    limit(ledger, 100_000)
    other = open_connector(address) if store.dialect == "postgres" else store
    ledgers = [ledger, StoreLedger(other, shared=True) if other is not store else ledger]
    with ThreadPoolExecutor(16) as pool:
        given = list(pool.map(lambda number: spent(ledgers[number % 2], 1_000), range(90)))
    assert sorted(share for shares in given for share in shares) == ["0.5", "0.8"]
    assert [share for _, share, _ in told(store)] == ["0.5", "0.8"]
    assert all(check.equal for check in reconciling.balances(store))
    if other is not store:
        other.close()


def test_an_attempt_that_costs_nothing_is_written_without_a_word(ledger: StoreLedger, store: Connector):
    limit(ledger, 0, hard=False)
    mine = call()
    done = attempt(mine, status=AttemptStatus.SUCCEEDED, cost_nanos=0, finished_at=now())
    assert ledger.record(mine, done, Reserve(0, None), None).result(10)
    assert spent(ledger, 0) == ()
    assert spent(ledger, 1) == ("0.5", "0.8", "1")


def test_the_calls_result_carries_its_warnings(address: str):
    house, _ = scripted(otherwise=answer, store=address)
    try:
        house.ledger.sync_budgets({"b": BudgetSettings(name="b", limit_usd=Decimal("0.00001"), hard=False)}).result(10)
        first = house.ask("one", tags=Tags(run="R"))
        second = house.ask("two", tags=Tags(run="R"))
    finally:
        house.close()
    assert [(one.budget, one.share, one.call_id) for one in first.warnings] == [("b", 1, first.call_id)]
    assert second.warnings == ()
