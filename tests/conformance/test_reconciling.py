"""The books held against one another on both stores: what is wrong is found, what is right is never called wrong."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from pathlib import Path

import pytest

from hishamos.records.calls import Tags
from hishamos.records.configuration import BudgetSettings
from hishamos.records.money import BalanceCheck
from hishamos.store import reconciling
from tests.rigs.gateways import House, answer, scripted


@pytest.fixture(params=["duckdb", "postgres"])
def address(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return str(request.getfixturevalue("postgres_url") if request.param == "postgres" else tmp_path / "store.duckdb")


@pytest.fixture
def house(address: str) -> Iterator[House]:
    """A workspace's gateway with a budget on everything and one on a project; each answer costs 10 input tokens at 1000 nanos, 5 at 2000."""
    made, _ = scripted(otherwise=lambda: [0.02, *answer()], store=address)
    limits = {
        "all": BudgetSettings(name="all", period="total", limit_usd=Decimal(100)),
        "p": BudgetSettings(name="p", scope="project:P", period="month", limit_usd=Decimal(100)),
    }
    made.ledger.sync_budgets(limits).result(10)
    yield made
    made.close()


def test_balances_that_equal_the_ledger_are_told_with_both_figures(house: House):
    house.ask("one", tags=Tags(project="P"))
    house.ask("two")
    found = {check.budget: check for check in reconciling.balances(house.store)}
    assert {name: (check.committed_nanos, check.ledger_committed_nanos, check.reserved_nanos) for name, check in found.items()} == {
        "all": (40_000, 40_000, 0),
        "p": (20_000, 20_000, 0),
    }
    assert all(check.equal for check in found.values())


@pytest.mark.parametrize(("column", "equal_again"), [("committed_nanos", -7), ("reserved_nanos", -7)])
def test_a_balance_that_somebody_changed_by_hand_is_found(house: House, column: str, equal_again: int):
    house.ask("one", tags=Tags(project="P"))
    spoil = f"update ledger_balances set {column} = {column} + $nanos where budget = 'p'"
    house.store.transaction(lambda transaction: transaction.execute(spoil, {"nanos": 7}))
    [wrong] = [check for check in reconciling.balances(house.store) if not check.equal]
    assert (wrong.budget, wrong.scope) == ("p", "project:P")
    assert getattr(wrong, column) - getattr(wrong, f"ledger_{column}") == 7
    house.store.transaction(lambda transaction: transaction.execute(spoil, {"nanos": equal_again}))
    assert all(check.equal for check in reconciling.balances(house.store))


def test_a_missing_attempt_is_found(house: House):
    house.ask("one")
    house.store.transaction(lambda transaction: transaction.execute("delete from ledger_attempts"))
    [check] = reconciling.balances(house.store)
    assert (check.committed_nanos, check.ledger_committed_nanos, check.equal) == (20_000, 0, False)


def test_orphans_are_counted_at_what_is_held_for_them(house: House):
    from hishamos.contracts.ledger import CallIntent, Reserve
    from hishamos.records.calls import Attempt, AttemptStatus
    from hishamos.records.record import now

    of = CallIntent("C", "k", "h", "default", "dead")
    sent = Attempt(id="A", call_id="C", idempotency_key="k", provider="toy", model="toy/model", status=AttemptStatus.SENT, started_at=now())
    house.ledger.intend(of, sent, Reserve(600, None), first=True).result(10)
    [under_way] = reconciling.balances(house.store)
    assert (under_way.reserved_nanos, under_way.ledger_reserved_nanos, under_way.orphaned_nanos, under_way.equal) == (600, 600, 0, True)
    house.ledger.recover("me").result(10)
    [orphaned] = reconciling.balances(house.store)
    assert (orphaned.committed_nanos, orphaned.ledger_committed_nanos, orphaned.orphaned_nanos, orphaned.equal) == (600, 600, 600, True)


def test_no_false_alarm_while_64_calls_run(house: House):
    seen: list[BalanceCheck] = []
    stop = threading.Event()

    def check() -> None:
        while not stop.wait(0.02):  # the calls need the processors too
            seen.extend(reconciling.balances(house.store))

    checker = threading.Thread(target=check)
    checker.start()
    try:
        with ThreadPoolExecutor(64) as pool:
            list(pool.map(lambda number: house.ask(f"call {number}", tags=Tags(project="P" if number % 2 else None)), range(128)))
    finally:
        stop.set()
        checker.join()
    assert [one for one in seen if not one.equal] == []
    assert any(one.reserved_nanos for one in seen), "it was looked at while calls were under way"
    assert {one.budget: one.committed_nanos for one in reconciling.balances(house.store)} == {"all": 128 * 20_000, "p": 64 * 20_000}


def test_days_and_models_of_the_ledger_are_summed_in_a_timezone(house: House):
    from datetime import UTC, date, datetime

    from hishamos.contracts.ledger import CallIntent, Reserve
    from hishamos.records.calls import Attempt, AttemptStatus

    rows = [(1, 22, 5, "orphaned", "estimated"), (1, 21, 7, "succeeded", "provider"), (2, 21, 11, "incomplete", "estimated"), (2, 23, 13, "succeeded", None)]
    for number, (day, hour, cost, status, source) in enumerate(rows):
        of = CallIntent(f"C{number}", f"K{number}", "h", "default", "me")
        facts = {
            "status": AttemptStatus(status),
            "usage_source": source,
            "cost_nanos": cost,
            "input_tokens": 3,
            "started_at": datetime(2026, 11, day, hour, 30, tzinfo=UTC),
        }
        done = Attempt(id=f"A{number}", call_id=of.id, idempotency_key=of.key, provider="toy", model="toy/m", **facts)
        assert house.ledger.record(of, done, Reserve(0, None), None).result(10)
    found = reconciling.days_of_models(house.store, date(2026, 11, 1), date(2026, 11, 2), "Africa/Cairo")
    assert [(one.day.day, one.attempts, one.cost_nanos, one.estimated_nanos, one.orphaned_nanos, one.input_tokens) for one in found] == [
        (1, 1, 7, 0, 0, 3),
        (2, 2, 16, 11, 5, 6),
    ]
