"""Faults at the provider, on the OpenAI wire format: what the caller gets, what the ledger holds, what the provider's book says."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from itertools import pairwise

import pytest

from hishamos.records.calls import CallStatus
from tests.rigs.gateways import KEYS, House, build, provider, settings_for
from tests.rigs.simulator import Simulator

FIRST, SECOND = "openai/gpt-4.1-mini", "backup/gpt-4.1-nano"


@pytest.fixture(scope="module")
def simulator() -> Iterator[Simulator]:
    with Simulator() as running:
        yield running


Open = Callable[..., House]


@pytest.fixture
def opened(simulator: Simulator) -> Iterator[Open]:
    simulator.clear()
    houses: list[House] = []

    def make(models: tuple[str, ...] = (FIRST, SECOND), base: str | None = None, **route: object) -> House:
        first = provider("openai", simulator.url) if base is None else provider("openai", simulator.url, api_base=base)
        second = provider("openai", simulator.url, name="backup")
        house = build(settings_for(first, second, models=models, **route))
        houses.append(house)
        return house

    yield make
    for house in houses:
        house.close()


def test_d1_rate_limit_is_waited_for(opened: Open, simulator: Simulator):
    simulator.script("gpt-4.1-mini", {"status": 429, "retry_after": 2}, {"status": 429, "retry_after": 2})
    house = opened((FIRST,))
    outcome = house.ask(timeout=60)
    book = simulator.book()
    assert outcome.status is CallStatus.SUCCEEDED
    assert [entry["status"] for entry in book] == [429, 429, 200]
    assert all(after["started"] - before["started"] >= 2 for before, after in pairwise(book))
    assert [(row["status"], row["cause"]) for row in house.rows()] == [("failed", "rate_limit"), ("failed", "rate_limit"), ("succeeded", None)]
    assert [row["cost_nanos"] for row in house.rows()][:2] == [0, 0]
    assert outcome.cost_nanos == book[2]["billed"]["input"] * 400 + book[2]["billed"]["output"] * 1600


@pytest.mark.parametrize("status", [500, 503, 529])
def test_d2_a_provider_that_is_down_is_left_after_bounded_retries(opened: Open, simulator: Simulator, status: int):
    simulator.script("gpt-4.1-mini", then={"status": status})
    house = opened()
    outcome = house.ask(timeout=60)
    assert (outcome.status, outcome.model) == (CallStatus.SUCCEEDED, SECOND)
    assert [(hop.model, hop.hop, hop.status) for hop in outcome.attempts] == [(FIRST, 0, "failed")] * 3 + [(SECOND, 1, "succeeded")]
    starts = [entry["started"] for entry in simulator.book()]
    assert starts[1] - starts[0] >= 0.25
    assert starts[2] - starts[1] >= 0.5
    assert outcome.cost_nanos is None, "a server of one's own under another name has no price of that provider's"


@pytest.mark.parametrize("status", [401, 403])
def test_d4_a_refused_key_is_not_tried_again(opened: Open, simulator: Simulator, status: int):
    key = KEYS["env:OPENAI_API_KEY"]
    simulator.script("gpt-4.1-mini", then={"status": status, "message": f"Incorrect API key provided: {key}"})
    house = opened()
    outcome = house.ask()
    assert (outcome.status, outcome.model, len(outcome.attempts)) == (CallStatus.SUCCEEDED, SECOND, 2)
    assert outcome.attempts[0].cause == "authentication"
    assert house.ask().attempts[0].model == SECOND
    assert [status.state for status in house.gateway.providers() if status.name == "openai"] == ["misconfigured"]
    assert sum(entry["model"] == "gpt-4.1-mini" for entry in simulator.book()) == 1
    house.keys["env:OPENAI_API_KEY"] = "sk-a-new-key-0123456789"
    assert house.ask().attempts[0].model == FIRST
    everything = str(house.store.fetch("select * from ledger_attempts")) + str(house.store.fetch("select * from ledger_calls"))
    assert key not in everything
    assert "Incorrect API key provided" in everything


def test_d4_the_message_names_provider_and_setting_never_the_key(opened: Open, simulator: Simulator):
    key = KEYS["env:OPENAI_API_KEY"]
    simulator.script("gpt-4.1-mini", then={"status": 401, "message": f"Incorrect API key provided: {key}"})
    outcome = opened((FIRST,)).ask()
    assert (outcome.status, len(simulator.book())) == (CallStatus.FAILED, 1)
    assert outcome.error is not None
    assert outcome.error.facts["cause"] == "authentication"
    assert "openai" in outcome.error.message
    assert "env:OPENAI_API_KEY" in outcome.error.message
    assert key not in outcome.model_dump_json()


@pytest.mark.parametrize("base", ["http://127.0.0.1:9/v1", "https://api.openai.com.invalid"], ids=["refused", "no such host"])
def test_d6_an_unreachable_provider_is_left_at_once(opened: Open, simulator: Simulator, base: str):
    house = opened(base=base if base.startswith("http://127") else None)
    if not base.startswith("http://127"):
        unknown = provider("openai", simulator.url, name="elsewhere", api_key=None, api_base=base)
        settings = settings_for(unknown, provider("openai", simulator.url, name="backup"), models=("elsewhere/gpt-4.1-mini", SECOND))
        house.settings = settings
    house.gateway.warm()
    house.ask("warm up")
    started = time.monotonic()
    outcome = house.ask()
    assert time.monotonic() - started < 2
    assert (outcome.status, outcome.model) == (CallStatus.SUCCEEDED, SECOND)
    first, second = outcome.attempts
    assert (first.cause, first.cost_nanos, first.usage_source, second.status) == ("connection", 0, None, "succeeded")
    assert all(entry["model"] == "gpt-4.1-nano" for entry in simulator.book())


def test_d6_nobody_reachable_is_a_typed_failure(opened: Open):
    house = opened((FIRST,), base="http://127.0.0.1:9/v1")
    outcome = house.ask()
    assert outcome.status is CallStatus.FAILED
    assert outcome.error is not None
    assert (outcome.error.type, outcome.error.facts["cause"], outcome.cost_nanos) == ("CallFailed", "connection", 0)
    assert "http://127.0.0.1:9/v1" in outcome.error.message


def test_d7_a_silent_provider_is_ended_by_our_own_deadlines(opened: Open, simulator: Simulator):
    simulator.script("gpt-4.1-mini", then={"hang": True})
    house = opened((FIRST,), deadline_s=1.0)
    house.ask("warm up", target="backup/gpt-4.1-nano")
    started = time.monotonic()
    outcome = house.ask()
    assert 0.9 < time.monotonic() - started < 1.5
    assert (outcome.status, outcome.attempts[0].cause) == (CallStatus.FAILED, "deadline")


def test_rows_equal_the_providers_book_to_the_nano_dollar(opened: Open, simulator: Simulator):
    simulator.script("gpt-4.1-mini", *({"usage": {"input": 1000 + step, "cached": 100 * step, "output": 7 * step, "reasoning": step}} for step in range(8)))
    house = opened((FIRST,))
    for step in range(8):
        house.ask(f"request {step}")
    for row, entry in zip(house.rows(), simulator.book(), strict=True):
        billed = entry["billed"]
        assert (row["input_tokens"], row["cached_tokens"], row["output_tokens"]) == (billed["input"], billed["cached"], billed["output"])
        assert row["cost_nanos"] == (billed["input"] - billed["cached"]) * 400 + billed["cached"] * 100 + billed["output"] * 1600
