"""Calls that wait: for room under a budget, for a place, for a pause, for another process."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Callable, Iterator
from decimal import Decimal

import pytest

from hishamos.gateway.adapters.plug import Fault
from hishamos.gateway.budget_line import BudgetLine
from hishamos.records.calls import CallStatus, Tags
from hishamos.records.configuration import BudgetSettings, RouteSettings
from hishamos.store import reconciling
from tests.rigs.gateways import Act, House, Scripted, answer, build, request, scripted

BOUND = (64 + len("hello") + 16) * 1000 + 100 * 2000
"""What one request of these tests may cost at most, nano-dollars."""

Make = Callable[..., tuple[House, Scripted]]


@pytest.fixture
def opened() -> Iterator[Make]:
    houses: list[House] = []

    def make(*acts: Act, **route: object) -> tuple[House, Scripted]:
        house, adapter = scripted(*acts, **route)  # type: ignore[arg-type]
        houses.append(house)
        return house, adapter

    yield make
    for house in houses:
        house.close()


def limited(house: House, nanos: int, **facts: object) -> None:
    budget = BudgetSettings(**{"name": "all", "limit_usd": Decimal(nanos) / 10**9, **facts})  # type: ignore[arg-type]
    house.settings = house.settings.model_copy(update={"budgets": {"all": budget}})
    house.gateway.reconfigure(house.settings)
    house.store.transaction(lambda transaction: None)  # after the change


def submit(house: House, **facts: object):
    return house.gateway.submit(request(max_output_tokens=100), key=uuid.uuid4().hex, tags=Tags(run="R"), **facts)  # type: ignore[arg-type]


def test_calls_wait_while_open_reservations_hold_the_money(opened: Make):
    house, adapter = opened(otherwise=lambda: [0.05, *answer(input=10, output=5)])
    limited(house, 3 * BOUND)
    pending = [submit(house) for _ in range(12)]
    outcomes = [one.outcome.result(20) for one in pending]
    assert {outcome.status for outcome in outcomes} == {CallStatus.SUCCEEDED}
    assert len(adapter.asked) == 12
    assert all(check.equal for check in reconciling.balances(house.store))


def test_the_money_is_used_up_to_within_one_reservation(opened: Make):
    house, adapter = opened(otherwise=lambda: [0.01, *answer(input=50, output=90)])
    limited(house, 10 * BOUND)
    outcomes = [one.outcome.result(30) for one in [submit(house) for _ in range(40)]]
    spent = sum(outcome.cost_nanos or 0 for outcome in outcomes)
    refused = [outcome for outcome in outcomes if outcome.status is CallStatus.REFUSED]
    assert 10 * BOUND - BOUND < spent <= 10 * BOUND
    assert len(adapter.asked) + len(refused) == 40
    assert {outcome.error.type for outcome in refused if outcome.error} == {"BudgetRefused"}
    assert all(outcome.attempts == () for outcome in refused)


def test_a_refusal_says_what_is_spent_and_what_to_do(opened: Make):
    house, adapter = opened()
    limited(house, BOUND - 1)
    outcome = submit(house).outcome.result(5)
    assert outcome.error is not None
    facts = outcome.error.facts
    assert (facts["budget"], facts["scope"], facts["committed_usd"], facts["limit_usd"]) == ("all", "workspace", "0", "0.000284999")
    assert "hishamos budget set all" in outcome.error.message
    assert adapter.asked == []
    assert house.gateway.submit(request(max_output_tokens=100), key=outcome.key, tags=Tags()).outcome.result(5).reused


def test_a_runs_own_limit_is_refused_in_its_name(opened: Make):
    house, _ = opened()
    assert submit(house, run_budget_nanos=BOUND).outcome.result(5).status is CallStatus.SUCCEEDED
    outcome = submit(house, run_budget_nanos=BOUND).outcome.result(5)
    assert (outcome.status, outcome.error and outcome.error.facts["budget"]) == (CallStatus.REFUSED, "run:R")
    assert "budget_usd" in (outcome.error.message if outcome.error else "")


def test_a_refusal_is_no_cause_for_fallback(opened: Make):
    house, adapter = opened(otherwise=lambda: [Fault("down", status=500)], attempts=4)
    limited(house, BOUND)
    house.settings = house.settings.model_copy(update={"routes": {"default": RouteSettings(name="default", models=("toy/model", "toy/model"), attempts=4)}})
    outcome = house.ask("hello" * 1000)
    assert (outcome.status, adapter.asked) == (CallStatus.REFUSED, [])


def test_waiting_for_money_ends_at_the_deadline(opened: Make):
    house, adapter = opened([2.0, *answer()])
    quick = RouteSettings(name="quick", models=("toy/model",), deadline_s=0.4)
    house.settings = house.settings.model_copy(update={"routes": {**house.settings.routes, "quick": quick}})
    limited(house, BOUND)
    first = submit(house)
    wait_until(lambda: len(adapter.asked) == 1)
    started = time.monotonic()
    outcome = house.ask(target="quick", max_output_tokens=100)
    assert 0.3 < time.monotonic() - started < 1.2
    assert (outcome.status, outcome.attempts) == (CallStatus.REFUSED, ())
    assert "deadline_s = 0.4" in (outcome.error.message if outcome.error else "")
    assert first.outcome.result(5).status is CallStatus.SUCCEEDED


def test_a_call_that_waits_for_money_can_be_cancelled(opened: Make):
    house, adapter = opened([1.0, *answer()])
    limited(house, BOUND)
    first = submit(house)
    wait_until(lambda: len(adapter.asked) == 1)
    second = submit(house)
    time.sleep(0.1)
    second.detach(cancel=True)
    wait_until(lambda: house.gateway.open_calls == 1)
    assert first.outcome.result(5).status is CallStatus.SUCCEEDED
    [cancelled] = [row for row in house.store.fetch("select outcome from ledger_calls") if row["outcome"]]
    assert '"status":"cancelled"' in cancelled["outcome"]
    assert len(adapter.asked) == 1


def test_those_whom_the_last_bill_leaves_no_room_are_refused_one_after_another_without_a_pause(opened: Make, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("hishamos.gateway.meter.BudgetLine", lambda _poll_s: BudgetLine(3600))
    house, adapter = opened([0.2, *answer(input=10, output=99)], deadline_s=20)
    limited(house, BOUND)
    pending = [submit(house) for _ in range(12)]
    outcomes = [one.outcome.result(10) for one in pending]
    assert [outcome.status for outcome in outcomes] == [CallStatus.SUCCEEDED] + [CallStatus.REFUSED] * 11
    assert len(adapter.asked) == 1


def test_a_raised_limit_lets_waiting_calls_go_on(opened: Make):
    house, adapter = opened([2.0, *answer()])
    limited(house, BOUND)
    submit(house)
    wait_until(lambda: len(adapter.asked) == 1)
    second = submit(house)
    time.sleep(0.1)
    limited(house, 5 * BOUND)
    started = time.monotonic()
    assert second.outcome.result(5).status is CallStatus.SUCCEEDED
    assert time.monotonic() - started < 1.5


def test_a_call_that_waits_for_a_pause_can_be_cancelled(opened: Make):
    house, adapter = opened(otherwise=lambda: [Fault("later", status=429, retry_after_s=30.0)])
    pending = submit(house)
    wait_until(lambda: len(adapter.asked) == 1)
    time.sleep(0.05)
    pending.detach(cancel=True)
    wait_until(lambda: house.gateway.open_calls == 0)
    assert '"status":"cancelled"' in house.store.fetch("select outcome from ledger_calls")[0]["outcome"]


def test_a_pause_beyond_the_deadline_is_not_waited_for(opened: Make):
    house, adapter = opened(otherwise=lambda: [Fault("later", status=429, retry_after_s=3600.0)], deadline_s=5)
    started = time.monotonic()
    outcome = submit(house).outcome.result(5)
    assert time.monotonic() - started < 2
    assert (outcome.status, len(adapter.asked)) == (CallStatus.FAILED, 1)


def test_a_place_is_waited_for_until_the_deadline(opened: Make):
    house, adapter = opened([5.0], concurrency=1, deadline_s=0.5)
    first = house.gateway.submit(request(target="toy/model"), key="first", tags=Tags())  # a route of its own, with a longer deadline
    wait_until(lambda: len(adapter.asked) == 1)
    outcome = submit(house).outcome.result(5)
    assert (outcome.status, outcome.attempts) == (CallStatus.FAILED, ())
    assert len(adapter.asked) == 1
    assert len(house.rows()) == 1
    first.detach(cancel=True)


def test_closing_while_calls_wait_leaves_them_open(opened: Make):
    house, adapter = opened([5.0])
    limited(house, BOUND)
    first, second = submit(house), submit(house)
    wait_until(lambda: len(adapter.asked) == 1)
    house.gateway.close(grace_s=0.1)
    for pending in (first, second):
        with pytest.raises(Exception, match="leaving"):
            pending.outcome.result(5)
    assert [row["status"] for row in house.rows()] == ["orphaned"]
    with pytest.raises(Exception, match="leaving"):
        submit(house)


def test_another_process_answer_is_waited_for(postgres_url: str):
    first, adapter = scripted([0.5, *answer("from there")], store=postgres_url)
    try:
        first.ledger._shared = True
        first.ledger.beat(first.gateway.owner).result(5)
        second = build(first.settings, postgres_url, adapters={"toy": adapter}, shared=True)
        try:
            pending = first.gateway.submit(request(), key="k", tags=Tags())
            wait_until(lambda: len(adapter.asked) == 1)
            outcome = second.ask(key="k")
            assert (outcome.text, outcome.reused, len(adapter.asked)) == ("from there", True, 1)
            assert pending.outcome.result(5).call_id == outcome.call_id
        finally:
            second.close()
    finally:
        first.close()


def test_a_process_taken_for_dead_gives_its_callers_the_others_answer(postgres_url: str):
    first, adapter = scripted([1.0, *answer("late")], answer("taken over"), store=postgres_url)
    try:
        pending = first.gateway.submit(request(), key="k", tags=Tags())
        wait_until(lambda: len(adapter.asked) == 1)
        second = build(first.settings, postgres_url, adapters={"toy": adapter})
        try:
            assert second.ask(key="k").text == "taken over"
            assert pending.outcome.result(10).text == "taken over"
            assert sorted(row["status"] for row in second.rows()) == ["orphaned", "succeeded"]
        finally:
            second.close()
    finally:
        first.close()


def test_the_line_keeps_its_order_and_loses_no_wake():
    async def scenario() -> list[int]:
        line, served = BudgetLine(5.0), []

        async def one(number: int) -> None:
            await line.wait("b", line.settled, again=False)
            served.append(number)
            line.wake()

        tasks = [asyncio.create_task(one(number)) for number in range(5)]
        await asyncio.sleep(0.01)
        await line.wait("b", line.settled - 1, again=False)  # something was settled meanwhile: no wait
        line.wake()
        await asyncio.wait_for(asyncio.gather(*tasks), 2)
        return served

    assert asyncio.run(scenario()) == [0, 1, 2, 3, 4]


def wait_until(condition: Callable[[], bool], seconds: float = 5) -> None:
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "it did not happen in time"
        time.sleep(0.01)
