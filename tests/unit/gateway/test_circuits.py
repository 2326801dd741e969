"""Circuits: who fails again and again is left alone, who comes back is asked again, and nobody loses a call by it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from concurrent.futures import wait

import pytest

from hishamos.errors import CallFailed
from hishamos.gateway.adapters.plug import AdapterRequest, Fault, Finish, Text
from hishamos.gateway.circuit import FAILURES, FIRST_PAUSE_S, LONGEST_PAUSE_S, Circuit
from hishamos.records.calls import CallStatus, Tags
from hishamos.records.configuration import PriceSettings, ProviderSettings
from tests.rigs.gateways import House, Scripted, build, request, settings_for


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def circuit(clock: Clock) -> Circuit:
    return Circuit("toy/model", clock)


def fail(circuit: Circuit, times: int = 1, cause: str = "server_error") -> None:
    for _ in range(times):
        caller = object()
        circuit.admit(caller)
        circuit.note(caller, cause)


def test_it_opens_after_failures_in_a_row(circuit: Circuit):
    fail(circuit, FAILURES - 1)
    assert circuit.admit("another")
    fail(circuit)
    assert not circuit.admit("another")
    assert circuit.status.state == "open"
    assert circuit.status.retry_in_s == FIRST_PAUSE_S


@pytest.mark.parametrize("answer", [None, "invalid_request", "length", "content_policy", "authentication"])
def test_any_answer_ends_the_row(circuit: Circuit, answer: str | None):
    fail(circuit, FAILURES - 1)
    circuit.note("another", answer)
    fail(circuit, FAILURES - 1)
    assert circuit.status.state == "closed"


@pytest.mark.parametrize("cause", ["rate_limit", "deadline", "cancelled", "owner_died"])
def test_what_says_nothing_of_its_health_is_not_counted(circuit: Circuit, cause: str):
    fail(circuit, FAILURES - 1)
    fail(circuit, 20, cause)
    assert circuit.status.state == "closed"
    fail(circuit)
    assert circuit.status.state == "open"


def test_one_call_tries_it_after_the_pause_and_closes_it(circuit: Circuit, clock: Clock):
    fail(circuit, FAILURES)
    clock.now += FIRST_PAUSE_S
    assert circuit.status.state == "half-open"
    assert [circuit.admit(caller) for caller in ("first", "second", "third")] == [True, False, False]
    circuit.note("first", None)
    assert circuit.status.state == "closed"
    assert all(circuit.admit(caller) for caller in ("second", "third"))


def test_a_failed_try_doubles_the_pause_up_to_its_limit(circuit: Circuit, clock: Clock):
    fail(circuit, FAILURES)
    pauses = []
    for _ in range(7):
        pauses.append(circuit.left_s)
        clock.now += circuit.left_s or 0
        fail(circuit)
    assert pauses == [1, 2, 4, 8, 16, 30, 30] == [min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2**number) for number in range(7)]


def test_a_cancelled_try_leaves_its_place_to_the_next(circuit: Circuit, clock: Clock):
    fail(circuit, FAILURES)
    clock.now += FIRST_PAUSE_S
    assert circuit.admit("first")
    circuit.note("first", "cancelled")
    assert circuit.admit("second")


def test_late_failures_of_calls_sent_before_it_opened_change_nothing(circuit: Circuit, clock: Clock):
    fail(circuit, FAILURES)
    clock.now += FIRST_PAUSE_S / 2
    circuit.note("sent before", "timeout")
    assert circuit.left_s == FIRST_PAUSE_S / 2


class Switchable(Scripted):
    """A provider that is up or down."""

    up = True

    async def stream(self, request: AdapterRequest):
        self.asked.append(request)
        await asyncio.sleep(0.001)
        if not self.up:
            raise Fault("down for maintenance", status=500)
        for event in (Text("fine"), Finish("stop")):
            yield event


def two(**route: object) -> tuple[House, Switchable, Switchable]:
    """Return a house whose route asks ``ill/model`` first, then ``well/model``."""
    adapters = {"ill": Switchable(), "well": Switchable()}
    providers = [ProviderSettings(name=name, kind=name, api_base="http://127.0.0.1:9") for name in adapters]
    prices = tuple(PriceSettings(model=f"{name}/model", input="1", output="2") for name in adapters)
    models = route.pop("models", tuple(f"{name}/model" for name in adapters))
    house = build(settings_for(*providers, models=models, prices=prices, **route), adapters=adapters)  # type: ignore[arg-type]
    return house, adapters["ill"], adapters["well"]


@pytest.fixture
def houses() -> Iterator[list[House]]:
    opened: list[House] = []
    yield opened
    for house in opened:
        house.close()


def break_it(house: House, adapter: Switchable) -> None:
    """Fail until the circuit is open."""
    adapter.up = False
    while house.gateway.circuits.statuses() == [] or house.gateway.circuits.statuses()[0].state == "closed":
        house.ask()


def test_the_next_model_is_asked_at_once_and_the_record_says_why(houses: list[House]):
    house, ill, _ = two(deadline_s=20)
    houses.append(house)
    break_it(house, ill)
    asked, circuit = len(ill.asked), house.gateway.circuits._circuits["ill/model"]
    circuit.clock = lambda: circuit.until - FIRST_PAUSE_S  # the pause does not end: who waited for it would wait in vain
    outcome = house.ask()
    assert (outcome.status, outcome.model, len(ill.asked)) == (CallStatus.SUCCEEDED, "well/model", asked)
    [attempt] = outcome.attempts
    assert attempt.hop == 1
    assert (
        attempt.tags["passed_over"]
        == f"the circuit of ill/model is open after {house.gateway.circuits.statuses()[0].failures} failures in a row (server error)"
    )


def test_it_is_asked_again_when_it_is_back(houses: list[House]):
    house, ill, _ = two(deadline_s=20)
    houses.append(house)
    break_it(house, ill)
    ill.up = True
    deadline = time.monotonic() + 15
    while house.ask().model != "ill/model":
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert {status.state for status in house.gateway.circuits.statuses()} == {"closed"}
    assert [house.ask().model for _ in range(5)] == ["ill/model"] * 5


def test_a_route_of_one_model_waits_for_it_and_one_call_tries_it(houses: list[House]):
    house, ill, _ = two(models=("ill/model",), deadline_s=30, attempts=2)
    houses.append(house)
    ill.up = False
    for _ in range(3):
        assert house.ask().status is CallStatus.FAILED  # two attempts each: the fifth failure opens the circuit
    ill.up, asked = True, len(ill.asked)
    calls = [house.gateway.submit(request(f"{number}"), key=f"k{number}", tags=Tags()) for number in range(20)]
    assert not wait([call.outcome for call in calls], timeout=0.2).done
    assert len(ill.asked) == asked
    assert [call.outcome.result(20).status for call in calls] == [CallStatus.SUCCEEDED] * 20
    assert len(ill.asked) == asked + 20
    first = sorted(house.rows("started_at, finished_at"), key=lambda row: row["started_at"])[-20:]
    assert first[0]["finished_at"] <= first[1]["started_at"]  # one tried it, then the others went


def test_at_the_deadline_the_error_names_the_open_circuit(houses: list[House]):
    house, ill, _ = two(models=("ill/model",), deadline_s=30, attempts=2)
    houses.append(house)
    ill.up = False
    for _ in range(3):
        house.ask()
    house.settings = house.settings.model_copy(update={"routes": {"default": house.settings.routes["default"].model_copy(update={"deadline_s": 0.2})}})
    outcome = house.ask()
    assert outcome.status is CallStatus.FAILED
    assert outcome.attempts == ()
    assert outcome.error is not None
    assert outcome.error.type == CallFailed.__name__
    failures = house.gateway.circuits.statuses()[0].failures
    assert f"the circuit of ill/model is open after {failures} failures in a row (server error)" in outcome.error.message


def test_providers_show_it(houses: list[House]):
    house, ill, _ = two(deadline_s=20)
    houses.append(house)
    break_it(house, ill)
    states = {status.name: status for status in house.gateway.providers()}
    assert [circuit.model for circuit in states["ill"].circuits] == ["ill/model"]
    assert states["well"].circuits == ()
