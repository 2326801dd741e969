"""Rows in batches through the gateway: collected, handed in once, found again after a death at every instant, billed at batch prices."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from hishamos.errors import InvalidInput, ServerClosing
from hishamos.gateway import batching
from hishamos.records.calls import CallStatus, Outcome, Tags
from hishamos.records.configuration import BudgetSettings, PriceSettings
from hishamos.store.connectors import open_connector
from hishamos.store.migrate import migrate
from tests.rigs.gateways import MODELS, House, build, provider, request, settings_for
from tests.rigs.lengths import shared_out
from tests.rigs.simulator import Simulator


def every(test: Callable[..., None]) -> Callable[..., None]:
    """Test with each provider on each store; the usual run takes two of the four, in which each provider and each store is."""
    pairs = [(store, kind) for store in ("duckdb", "postgres") for kind in ("openai", "anthropic")]
    return pytest.mark.parametrize(("opened", "kind"), shared_out(pairs, usual=[("duckdb", "anthropic"), ("postgres", "openai")]), indirect=["opened"])(test)


Open = Callable[..., House]


@pytest.fixture(scope="module")
def simulator() -> Iterator[Simulator]:
    with Simulator() as running:
        yield running


@pytest.fixture(params=["duckdb", "postgres"])
def opened(request: pytest.FixtureRequest, simulator: Simulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Open]:
    """Opens the gateway on one store, again and again: each is a process in words, of which one lives at a time."""
    for name, value in (("QUIET_S", 0.6), ("FIRST_POLL_S", 0.1), ("LONGEST_POLL_S", 0.3), ("SETTLING_S", 0.5), ("UNCLAIMED_S", 0.5)):
        monkeypatch.setattr(batching, name, value)
    simulator.clear()
    address = str(tmp_path / "store.duckdb") if request.param == "duckdb" else request.getfixturevalue("postgres_url")
    houses: list[House] = []

    def make(kind: str, **route: Any) -> House:
        connector = open_connector(address)
        migrate(connector)
        houses.append(build(settings_for(provider(kind, simulator.url), **route), connector))
        return houses[-1]

    yield make
    for house in houses:
        if not house.gateway._closing:
            house.close()


def send(house: House, count: int = 3, **options: Any) -> list[Any]:
    return [house.gateway.submit(request(f"question {number}", **options), key=f"k{number}", tags=Tags(), batch=True) for number in range(count)]


def ended(calls: list[Any]) -> list[Outcome]:
    return [call.outcome.result(60) for call in calls]


def until(holds: Callable[[], Any], seconds: float = 60) -> Any:
    end = time.monotonic() + seconds
    while not (found := holds()):
        assert time.monotonic() < end
        time.sleep(0.05)
    return found


def die(house: House) -> None:
    """Leave as a killed process does: nothing of what is under way is written."""
    house.gateway._loop.call_soon_threadsafe(house.gateway._loop.stop)
    house.gateway._thread.join()
    house.gateway._closing = True
    house.store.close()


def owed(house: House) -> int:
    rows = house.store.fetch("select cast(coalesce(sum(reserved_nanos), 0) as bigint) as held from ledger_balances")
    return int(rows[0]["held"])


@every
def test_rows_are_handed_in_once_and_billed_at_batch_prices(opened: Open, simulator: Simulator, kind: str):
    house = opened(kind)
    outcomes = ended(send(house))
    assert [(one.status, one.text) for one in outcomes] == [(CallStatus.SUCCEEDED, f"simulated answer to question {number}") for number in range(3)]
    (batch,) = simulator.batches()
    assert batch["format"] == kind
    price = house.gateway.prices.price(MODELS[kind])
    for outcome in outcomes:
        (attempt,) = outcome.attempts
        billed = batch["billed"][attempt.id]
        assert attempt.cost_nanos == billed["input"] * price.batch_input * 1000 + billed["output"] * price.batch_output * 1000
        assert (attempt.usage_source, attempt.tags["mode"], attempt.overrun) == ("provider", "batch", False)
    assert simulator.book() == [], "nothing went the usual way"
    until(lambda: house.store.fetch("select state from ledger_batches") == [{"state": "ended"}])
    assert [one.reused for one in ended(send(house))] == [True] * 3
    assert len(simulator.batches()) == 1


@every
def test_rows_that_fail_or_expire_are_told_and_cost_nothing(opened: Open, simulator: Simulator, kind: str):
    simulator.script("batches", then={"hold": True})
    house = opened(kind)
    calls = send(house)
    (batch,) = until(simulator.batches)
    simulator.script("batches", then={"refuse": batch["rows"][:1], "expire": batch["rows"][1:2], "reverse": True})
    failed, expired, fine = (next(one for one in ended(calls) if one.attempts[0].id == row) for row in batch["rows"])
    assert (failed.status, failed.cost_nanos, "simulated refusal" in failed.error.message) == (CallStatus.FAILED, 0, True)
    assert (expired.status, expired.cost_nanos, "expired" in expired.error.message) == (CallStatus.FAILED, 0, True)
    assert fine.status is CallStatus.SUCCEEDED
    assert len(simulator.batches()) == 1, "nothing is tried again by itself"


@every
def test_a_death_while_the_provider_works_sends_nothing_twice(opened: Open, simulator: Simulator, kind: str):
    simulator.script("batches", then={"hold": True})
    first = opened(kind)
    send(first)
    until(lambda: first.store.fetch("select 1 from ledger_batches where remote_id is not null"))
    die(first)
    simulator.script("batches", then={})
    second = opened(kind)
    outcomes = ended(send(second))
    assert [one.status for one in outcomes] == [CallStatus.SUCCEEDED] * 3
    assert all(len(one.attempts) == 1 for one in outcomes)
    assert len(simulator.batches()) == 1


@every
def test_a_death_before_the_plan_sends_it_anew_and_owes_nothing(opened: Open, simulator: Simulator, kind: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(batching, "QUIET_S", 60.0)
    first = opened(kind)
    send(first)
    until(lambda: len(first.rows()) == 3)
    die(first)
    monkeypatch.setattr(batching, "QUIET_S", 0.2)
    second = opened(kind)
    outcomes = ended(send(second))
    assert [[attempt.status.value for attempt in one.attempts] for one in outcomes] == [["cancelled", "succeeded"]] * 3
    assert [one.attempts[0].cost_nanos for one in outcomes] == [0] * 3
    assert len(simulator.batches()) == 1


@every
@pytest.mark.parametrize("reached", [False, True], ids=["before it was made", "after it was made"])
def test_a_death_between_the_plan_and_the_id(opened: Open, simulator: Simulator, kind: str, reached: bool, monkeypatch: pytest.MonkeyPatch):
    """Whether the provider has the batch is found out before anything is handed in again."""
    first = opened(kind)
    original = type(first.gateway._desk)._made

    async def never(*arguments: Any) -> None:
        await batching.asyncio.sleep(3600)

    monkeypatch.setattr(type(first.gateway._desk), "_made", never)
    if not reached:
        endpoint = {"openai": "OpenAIBatches", "anthropic": "AnthropicBatches"}[kind]
        from hishamos.gateway.adapters import provider_batches

        monkeypatch.setattr(getattr(provider_batches, endpoint), "submit", never)
    send(first)
    until(lambda: first.store.fetch("select 1 from ledger_batches"))
    if reached:
        until(simulator.batches)
    die(first)
    monkeypatch.undo()
    for name, value in (("QUIET_S", 0.6), ("FIRST_POLL_S", 0.1), ("LONGEST_POLL_S", 0.3), ("SETTLING_S", 0.5), ("UNCLAIMED_S", 0.5)):
        monkeypatch.setattr(batching, name, value)
    assert type(first.gateway._desk)._made is original
    second = opened(kind)
    outcomes = ended(send(second))
    if not reached:
        assert [one.status for one in outcomes] == [CallStatus.FAILED] * 3
        assert [one.cost_nanos for one in outcomes] == [0] * 3
        assert simulator.batches() == []
        return
    assert [one.status for one in outcomes] == [CallStatus.SUCCEEDED] * 3
    assert len(simulator.batches()) == 1


@every
def test_a_cut_off_answer_to_the_handing_in_is_looked_for(opened: Open, simulator: Simulator, kind: str):
    simulator.script("batches", *([{}] if kind == "openai" else []), {"lose_answer": True}, then={})
    outcomes = ended(send(opened(kind)))
    assert [one.status for one in outcomes] == [CallStatus.SUCCEEDED] * 3
    assert len(simulator.batches()) == 1


@every
def test_answers_for_which_nobody_waits_are_settled_and_kept(opened: Open, simulator: Simulator, kind: str):
    simulator.script("batches", then={"hold": True})
    first = opened(kind)
    send(first)
    until(lambda: first.store.fetch("select 1 from ledger_batches where remote_id is not null"))
    die(first)
    simulator.script("batches", then={})
    second = opened(kind)
    until(lambda: second.store.fetch("select state from ledger_batches") == [{"state": "ended"}])
    rows = second.rows()
    assert [(row["status"], row["usage_source"]) for row in rows] == [("succeeded", "provider")] * 3
    assert all(row["cost_nanos"] > 0 for row in rows)
    outcomes = ended(send(second))
    assert [(one.reused, one.text) for one in outcomes] == [(True, f"simulated answer to question {number}") for number in range(3)]


@every
def test_a_cancel_reaches_the_provider(opened: Open, simulator: Simulator, kind: str):
    simulator.script("batches", then={"hold": True})
    house = opened(kind)
    calls = send(house)
    until(lambda: house.store.fetch("select 1 from ledger_batches where remote_id is not null"))
    for call in calls:
        call.detach(cancel=True)
    until(lambda: [row["status"] for row in house.rows()] == ["cancelled"] * 3)
    assert all(row["cost_nanos"] > 0 for row in house.rows()), "what the provider may have billed is held at its reservation"
    until(lambda: simulator.batches()[0]["cancelled"])
    until(lambda: house.store.fetch("select state from ledger_batches") == [{"state": "ended"}])


def test_a_leaving_server_leaves_the_batch_to_the_next(opened: Open, simulator: Simulator):
    simulator.script("batches", then={"hold": True})
    first = opened("openai")
    calls = send(first)
    until(lambda: first.store.fetch("select 1 from ledger_batches where remote_id is not null"))
    assert first.gateway.open_calls
    first.close()
    for call in calls:
        with pytest.raises(ServerClosing):
            call.outcome.result(10)
    simulator.script("batches", then={})
    outcomes = ended(send(opened("openai")))
    assert [[attempt.status.value for attempt in one.attempts] for one in outcomes] == [["succeeded"]] * 3


def test_reservations_are_held_until_the_rows_come(opened: Open, simulator: Simulator):
    simulator.script("batches", then={"hold": True})
    house = opened("openai")
    house.settings = house.settings.model_copy(update={"budgets": {"b": BudgetSettings(name="b", limit_usd="5")}})
    house.gateway.reconfigure(house.settings)
    calls = send(house)
    until(simulator.batches)
    assert owed(house) == sum(row["reserved_nanos"] for row in house.rows()) > 0
    simulator.script("batches", then={})
    ended(calls)
    assert owed(house) == 0


def test_a_batch_that_is_full_is_handed_in_and_the_next_begun(opened: Open, simulator: Simulator, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(batching, "MOST_ROWS", 2)
    assert [one.status for one in ended(send(opened("openai"), 5))] == [CallStatus.SUCCEEDED] * 5
    assert sorted(len(batch["rows"]) for batch in simulator.batches()) == [1, 2, 2]


def test_who_has_no_batches_is_passed_over_or_refused(opened: Open, simulator: Simulator):
    house = opened("gemini")
    with pytest.raises(InvalidInput, match=r"no model here takes batches .*gemini-2.5-flash has no batches.*Nothing was sent"):
        ended(send(house, 1))
    with pytest.raises(InvalidInput, match="offline/extractive has no batches"):
        ended(send(house, 1, target="offline/extractive"))


def test_a_refused_batch_fails_its_rows_with_the_reason(opened: Open, simulator: Simulator):
    simulator.script("batches", then={"status": 401, "code": "invalid_api_key", "message": "no such key"})
    outcomes = ended(send(opened("openai")))
    assert {(one.status, one.cost_nanos) for one in outcomes} == {(CallStatus.FAILED, 0)}
    assert all("no such key" in one.error.message for one in outcomes)


def test_a_price_without_batch_kinds_is_unpriced(opened: Open, simulator: Simulator):
    house = opened("openai")
    house.settings = house.settings.model_copy(update={"prices": {"openai/gpt-4.1-mini": PriceSettings(model="openai/gpt-4.1-mini", input="1", output="2")}})
    assert [one.cost_nanos for one in ended(send(house))] == [None] * 3
