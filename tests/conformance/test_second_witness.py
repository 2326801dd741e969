"""The gateway against aimock, a fake of other people's, in three wire formats."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from hishamos.records.calls import CallStatus
from hishamos.records.configuration import RouteSettings
from tests.rigs.gateways import MODELS, House, build, provider, settings_for

KINDS = ["openai", "anthropic", "gemini"]


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def house(aimock: dict[str, str], kind: str) -> Iterator[House]:
    first = provider(kind, "", api_base=aimock[kind])
    others = [provider(other, "", api_base=aimock[other]) for other in KINDS if other != kind]
    settings = settings_for(first, *others, models=(MODELS[kind],))
    chain = RouteSettings(name="chain", models=(MODELS[kind], *(MODELS[other.kind] for other in others)), attempts=6)
    opened = build(settings.model_copy(update={"routes": {**settings.routes, "chain": chain}}))
    yield opened
    opened.close()


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
def test_an_answer_and_its_bill(house: House, kind: str, stream: bool):
    outcome = house.ask("hello", stream=stream)
    assert (outcome.status, outcome.text) == (CallStatus.SUCCEEDED, "Hi there! This is a deterministic answer.")
    [row] = house.rows()
    assert (row["input_tokens"], row["output_tokens"], row["usage_source"]) == (11, 9, "provider")
    price = house.gateway.prices.price(MODELS[kind])
    assert price is not None
    assert row["cost_nanos"] == int((price.input * 11 + price.output * 9) * 1000)


def test_a_chain_that_is_down_everywhere_fails_with_all_its_hops(house: House):
    outcome = house.ask("boom", target="chain", timeout=60)
    assert outcome.status is CallStatus.FAILED
    assert {attempt.cause for attempt in outcome.attempts} == {"server_error"}
    assert len(outcome.attempts) == 6
    assert outcome.cost_nanos == 0


def test_a_cut_answer_is_no_success(house: House):
    outcome = house.ask("cutoff", stream=True)
    assert outcome.status is CallStatus.FAILED
    assert {attempt.cause for attempt in outcome.attempts} <= {"incomplete", "disconnected"}
    assert {attempt.usage_source for attempt in outcome.attempts} == {"estimated"}


def test_a_limit_reached_is_no_success(house: House):
    outcome = house.ask("maxlen")
    assert (outcome.status, outcome.text) == (CallStatus.INCOMPLETE, "truncated by len")
