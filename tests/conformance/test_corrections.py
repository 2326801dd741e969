"""Costs that became known later, on both stores: beside the attempt, on the budgets, in the audit, in one commit, once."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from hishamos.contracts.ledger import CallIntent, Reserve
from hishamos.errors import InvalidInput, UnknownName
from hishamos.gateway.costs import cost
from hishamos.records.calls import Attempt, AttemptStatus, Tags
from hishamos.records.configuration import BudgetSettings, ProviderSettings
from hishamos.records.money import Price
from hishamos.records.record import now
from hishamos.store import audit, reconciling, spending
from hishamos.store.connectors import open_connector
from hishamos.store.corrections import Corrections, unpriced_models
from hishamos.store.ledger import StoreLedger
from tests.rigs.gateways import House, Scripted, answer, build, settings_for

PRICE = Price(model="toy/model", since=date(2026, 11, 24), source="hishamos.toml", input=Decimal(1), output=Decimal(2), cached_input=Decimal("0.25"))


@pytest.fixture(params=["duckdb", "postgres"])
def address(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return str(request.getfixturevalue("postgres_url") if request.param == "postgres" else tmp_path / "store.duckdb")


@pytest.fixture
def house(address: str) -> Iterator[House]:
    """A gateway whose only model has no price, under soft budgets on everything and on a project."""
    adapter = Scripted(otherwise=lambda: answer(cached=4))
    toy = ProviderSettings(name="toy", kind="toy", api_base="http://127.0.0.1:9")
    made = build(settings_for(toy, models=("toy/model",)), address, adapters={"toy": adapter}, shared=address.startswith("postgresql"))
    limits = [
        BudgetSettings(name="all", period="total", limit_usd=Decimal(1), hard=False),
        BudgetSettings(name="p", scope="project:P", limit_usd=Decimal(1), hard=False),
    ]
    made.ledger.sync_budgets({limit.name: limit for limit in limits}).result(10)
    yield made
    made.close()


def corrections(house: House, request: str = "r", actor: str = "mona") -> Corrections:
    return Corrections(house.store, house.ledger, actor, request)


def committed(house: House) -> dict[str, int]:
    checks = reconciling.balances(house.store)
    assert [check for check in checks if not check.equal] == []
    return {check.budget: check.committed_nanos for check in checks}


def test_what_was_unpriced_gets_its_cost_where_everybody_looks(house: House):
    first = house.ask("one", key="k", tags=Tags(project="P", run="R"))
    house.ask("two")
    assert (first.cost_nanos, committed(house)) == (None, {"all": 0, "p": 0})
    [unpriced] = unpriced_models(house.store)
    assert (unpriced.model, unpriced.known_usage, unpriced.unknown_usage) == ("toy/model", 2, 0)
    assert corrections(house).reprice(PRICE, cost) == 2
    each = 6 * 1000 + 4 * 250 + 5 * 2000
    assert [row["cost_nanos"] for row in house.rows()] == [each, each]
    assert all('"source":"hishamos.toml"' in row["price"] for row in house.rows("price"))
    assert committed(house) == {"all": 2 * each, "p": each}
    [sums] = spending.spend(house.store, [], "UTC").to_pylist()
    assert (sums["cost_nanos"], sums["unpriced"]) == (2 * each, 0)
    known = house.ask("one", key="k", tags=Tags(project="P", run="R"))
    assert (known.reused, known.cost_nanos, [found.cost_nanos for found in known.attempts]) == (True, each, [each])
    assert house.store.fetch("select cost_nanos, price from ledger_attempts") == [{"cost_nanos": None, "price": None}] * 2, "the rows are as they were written"
    assert house.ledger.price_rows("toy/model")[0].source == "hishamos.toml"


def test_the_audit_tells_who_when_which_and_how_much(house: House):
    house.ask("one")
    before = now()
    corrections(house, "r1").reprice(PRICE, cost)
    [entry] = audit.entries(house.store)
    assert (entry.actor, entry.action, entry.subject, entry.value_before, entry.attempts, entry.added_nanos) == (
        "mona", "ledger.reprice", "toy/model", None, 1, 17_000,
    )  # fmt: skip
    assert Price.model_validate_json(entry.value_after or "") == PRICE
    assert before <= entry.happened_at <= now()
    assert audit.entries(house.store, request_id="r1") == [entry]
    assert house.store.fetch("select action, actor, added_nanos from audit") == [{"action": "ledger.reprice", "actor": "mona", "added_nanos": 17_000}]


def test_a_second_time_there_is_nothing_to_do(house: House):
    house.ask("one")
    assert corrections(house).reprice(PRICE, cost) == 1
    assert corrections(house, "again").reprice(PRICE.model_copy(update={"input": Decimal(9)}), cost) == 0
    assert committed(house)["all"] == 17_000
    assert len(audit.entries(house.store)) == 1


def test_batches_by_two_processes_at_once_price_each_attempt_once(house: House, address: str):
    other = open_connector(address) if house.store.dialect == "postgres" else house.store
    theirs = Corrections(other, StoreLedger(other, shared=True), "omar", "r2") if other is not house.store else corrections(house, "r2", "omar")
    for number in range(130):
        of = CallIntent(f"C{number}", f"K{number}", "h", "default", "me")
        facts = {"input_tokens": 10, "output_tokens": 5, "started_at": now(), "project": "P" if number % 2 else None}
        done = Attempt(id=f"A{number}", call_id=of.id, idempotency_key=of.key, provider="toy", model="toy/model", status=AttemptStatus.SUCCEEDED, **facts)
        house.ledger.record(of, done, Reserve(None, None), None)
    house.ask("one", tags=Tags(project="P"))  # its admission begins the balances with the sum so far

    def all_batches(of: Corrections) -> int:
        made = 0
        while done := of.reprice(PRICE, cost, limit=20):
            made += done
        return made

    with ThreadPoolExecutor(2) as pool:
        made = list(pool.map(all_batches, (corrections(house, "r1"), theirs)))
    entries = audit.entries(house.store)
    assert sum(made) == 131 == sum(entry.attempts or 0 for entry in entries)
    total = 130 * 20_000 + 17_000
    assert sum(entry.added_nanos or 0 for entry in entries) == total
    assert committed(house) == {"all": total, "p": 65 * 20_000 + 17_000}
    assert max(entry.attempts or 0 for entry in entries) == 20
    if other is not house.store:
        other.close()


def orphan(house: House, bound: int | None = 600, name: str = "O") -> None:
    of = CallIntent(f"C{name}", f"k{name}", "h", "default", "dead")
    sent = Attempt(
        id=f"A{name}", call_id=of.id, idempotency_key=of.key, provider="toy", model="toy/model", status=AttemptStatus.SENT, started_at=now(), project="P"
    )
    house.ledger.intend(of, sent, Reserve(bound, None), first=True).result(10)
    house.ledger.recover("me").result(10)


@pytest.mark.parametrize(("declared", "bound"), [(0, 600), (450, 600), (900, 600), (450, None)])
def test_what_an_orphan_held_is_replaced_by_what_a_person_declares(house: House, declared: int, bound: int | None):
    orphan(house, bound)
    assert committed(house) == {"all": bound or 0, "p": bound or 0}
    entry = house.store.transaction(lambda transaction: corrections(house).settle(transaction, "CO", declared))
    assert (entry.action, entry.subject, entry.value_before, entry.value_after) == ("ledger.settle", "AO", None if bound is None else str(bound), str(declared))
    assert entry.added_nanos == declared - (bound or 0)
    assert committed(house) == {"all": declared, "p": declared}
    assert house.rows("status, cost_nanos, usage_source") == [{"status": "orphaned", "cost_nanos": declared, "usage_source": "declared"}]
    assert all(check.orphaned_nanos == 0 for check in reconciling.balances(house.store))


def test_a_declaration_can_be_corrected_and_each_is_told(house: House):
    orphan(house)
    for nanos in (100, 70, 70):
        house.store.transaction(lambda transaction, nanos=nanos: corrections(house).settle(transaction, "AO", nanos))
    assert committed(house) == {"all": 70, "p": 70}
    assert [entry.added_nanos for entry in reversed(audit.entries(house.store, action="ledger.settle"))] == [-500, -30, 0]


def test_only_an_estimate_can_be_declared(house: House):
    house.ask("one", key="mine")
    call_id = house.rows("call_id")[0]["call_id"]
    orphan(house)
    settle = corrections(house).settle
    with pytest.raises(InvalidInput, match="the provider's own figures stand"):
        house.store.transaction(lambda transaction: settle(transaction, call_id, 1))
    with pytest.raises(UnknownName, match="nothing-like-it"):
        house.store.transaction(lambda transaction: settle(transaction, "nothing-like-it", 1))
    again = CallIntent("new", "kO", "h", "default", "dead")
    second = Attempt(id="B", call_id="CO", idempotency_key="kO", provider="toy", model="toy/model", status=AttemptStatus.SENT, started_at=now())
    house.ledger.intend(again, second, Reserve(5, None), first=True).result(10)
    house.ledger.recover("me").result(10)
    with pytest.raises(InvalidInput, match="2 attempts whose cost is an estimate: AO, B"):
        house.store.transaction(lambda transaction: settle(transaction, "CO", 1))
    assert audit.entries(house.store) == []


def test_a_budget_that_begins_later_begins_with_the_corrected_sum(house: House):
    house.ask("one")
    corrections(house).reprice(PRICE, cost)
    late = BudgetSettings(name="late", period="total", limit_usd=Decimal(1), hard=False)
    house.ledger.sync_budgets({"late": late}).result(10)
    house.ask("two")
    assert committed(house) == {"late": 17_000}
