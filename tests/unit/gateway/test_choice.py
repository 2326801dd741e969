"""Which model is asked first, and that the record says why."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator
from decimal import Decimal

import pytest

from hishamos.errors import InvalidInput, NoProvider
from hishamos.gateway.adapters.plug import Fault
from hishamos.records.calls import CallStatus
from hishamos.records.configuration import PriceSettings, ProviderSettings, RouteSettings, Settings
from tests.rigs.gateways import House, Scripted, answer, build, settings_for

PRICES = {"toy/terse": ("8", "2"), "toy/wordy": ("1", "10"), "toy/even": ("3", "3")}
"""USD per million tokens in and out: which is cheapest depends on how long the question is and how long the answer may be."""


def toy(**route: object) -> Settings:
    provider = ProviderSettings(name="toy", kind="toy", api_base="http://127.0.0.1:9")
    prices = tuple(PriceSettings(model=model, input=into, output=out) for model, (into, out) in PRICES.items())  # type: ignore[arg-type]
    return settings_for(provider, models=tuple(PRICES), prices=prices, **route)


@pytest.fixture
def opened(request: pytest.FixtureRequest) -> Iterator[Callable[..., tuple[House, Scripted]]]:
    houses: list[House] = []

    def make(*acts: object, store: str = ":memory:", **route: object) -> tuple[House, Scripted]:
        adapter = Scripted([*acts])  # type: ignore[list-item]
        houses.append(build(toy(**route), store, adapters={"toy": adapter}))
        return houses[-1], adapter

    yield make
    for house in houses:
        house.close()


LENGTHS = [(bytes_in, out) for bytes_in in (30, 300, 3_000, 30_000) for out in (10, 100, 400, 1_000, 4_000)]


@pytest.mark.parametrize(("bytes_in", "out"), LENGTHS)
def test_cheapest_is_the_model_that_a_hand_would_reckon(opened, bytes_in: int, out: int):
    house, adapter = opened(choose="cheapest")
    tokens = -(-(bytes_in + 16) // 3)  # three bytes a token, sixteen for the message
    by_hand = {model: tokens * Decimal(into) + out * Decimal(price) for model, (into, price) in PRICES.items()}
    outcome = house.ask("x" * bytes_in, max_output_tokens=out)
    assert outcome.model == min(PRICES, key=lambda model: by_hand[model])
    assert [f"toy/{asked.model}" for asked in adapter.asked] == [outcome.model]


def test_the_hand_reckons_every_model_the_cheapest_sometimes():
    found = set()
    for bytes_in, out in LENGTHS:
        tokens = -(-(bytes_in + 16) // 3)
        found.add(min(PRICES, key=lambda model: tokens * Decimal(PRICES[model][0]) + out * Decimal(PRICES[model][1])))
    assert found == set(PRICES)


def test_the_reason_stands_in_the_record_and_the_next_cheapest_follows(opened):
    house, adapter = opened([Fault("down", transport="refused")], choose="cheapest")
    outcome = house.ask("x" * 284, max_output_tokens=100)
    assert [asked.model for asked in adapter.asked] == ["even", "terse"]
    assert [attempt.tags["choice"] for attempt in outcome.attempts] == ["cheapest: toy/even 0.0006 USD, toy/terse 0.001 USD, toy/wordy 0.0011 USD"] * 2
    assert json.loads(house.rows()[0]["tags"])["choice"].startswith("cheapest: toy/even")


def test_a_route_in_its_own_order_says_nothing(opened):
    house, _ = opened()
    assert house.ask().attempts[0].tags == {}


def test_a_model_without_a_price_comes_last(opened):
    house, adapter = opened(choose="cheapest")
    house.settings = house.settings.model_copy(update={"prices": {}})
    house.ask()
    assert adapter.asked[0].model == "terse", "all unpriced: the route's order"


def ran(house: House, model: str, seconds: float, times: int, status: str = "succeeded") -> None:
    values = "($id, $id, $id, 1, 'toy', $model, 0, $status, 0, false, current_timestamp, '{}', $ms)"
    insert = f"insert into ledger_attempts (id, call_id, idempotency_key, number, provider, model, hop, status, cost_nanos, overrun, started_at, tags, latency_ms) values {values}"
    for number in range(times):
        row = {"id": f"{model}{status}{number}", "model": model, "status": status, "ms": seconds * 1000 + number}
        house.store.transaction(lambda transaction, row=row: transaction.execute(insert, row))


@pytest.mark.parametrize("engine", ["duckdb", "postgres"])
def test_fastest_is_by_the_own_records_and_who_has_none_comes_after(opened, engine: str, request: pytest.FixtureRequest, tmp_path):
    store = request.getfixturevalue("postgres_url") if engine == "postgres" else str(tmp_path / "s.duckdb")
    house, adapter = opened(store=store, choose="fastest")
    ran(house, "toy/even", 0.2, 5)
    ran(house, "toy/wordy", 0.9, 5)
    ran(house, "toy/terse", 0.001, 2)
    outcome = house.ask()
    assert adapter.asked[0].model == "even"
    assert outcome.attempts[0].tags["choice"] == "fastest: toy/even 202 ms, toy/wordy 902 ms, toy/terse not measured"


def test_best_value_is_the_cheapest_of_those_that_answer(opened):
    house, adapter = opened(choose="best value")
    ran(house, "toy/even", 0.2, 5)
    ran(house, "toy/even", 0.2, 5, "failed")
    outcome = house.ask("x" * 284, max_output_tokens=100)
    assert adapter.asked[0].model == "terse"
    assert "toy/even 0.0006 USD, answers 50%" in outcome.attempts[0].tags["choice"]


def test_weights_are_shares_and_the_same_call_draws_the_same(opened):
    house, adapter = opened(choose="weighted", weights={"toy/terse": 6, "toy/wordy": 3})
    served = Counter(house.ask(key=f"k{number}").model for number in range(120))
    assert served["toy/terse"] == pytest.approx(72, abs=14)
    assert served["toy/wordy"] == pytest.approx(36, abs=12)
    again, other = opened(choose="weighted", weights={"toy/terse": 6, "toy/wordy": 3})
    assert [again.ask(key=f"k{number}").model for number in range(20)] == [f"toy/{asked.model}" for asked in adapter.asked[:20]]
    assert len(other.asked) == 20


def test_a_policy_chooses_among_the_models_of_all_routes(opened):
    house, _ = opened()
    free = {"toy/gift": PriceSettings(model="toy/gift", price="free")}
    routes = {**house.settings.routes, "more": RouteSettings(name="more", models=("toy/gift", "offline/extractive"))}
    house.settings = house.settings.model_copy(update={"routes": routes, "prices": {**house.settings.prices, **free}})
    outcome = house.ask(target="cheapest")
    assert (outcome.model, outcome.status) == ("toy/gift", CallStatus.SUCCEEDED)
    assert "offline" not in outcome.attempts[0].tags["choice"]
    assert {"cheapest", "fastest", "best value"} <= set(house.gateway.targets())


def test_a_policy_without_a_model_says_what_to_do():
    house = build(settings_for(models=("openai/gpt-4.1-mini",)))
    house.keys.clear()
    try:
        with pytest.raises(NoProvider):
            house.ask(target="cheapest")
        assert not {"cheapest", "fastest"} & set(house.gateway.targets())
    finally:
        house.close()


def known(*models: str, **route: object) -> House:
    """Return a house of models that litellm's map knows, served by a script; nothing leaves the process."""
    provider = ProviderSettings(name="openai", kind="openai", api_key="env:OPENAI_API_KEY")
    adapter = Scripted([], answer)
    return build(settings_for(provider, models=models, **route), adapters={"openai": adapter})


def test_a_model_whose_context_is_too_short_is_passed_over_and_the_record_says_so():
    house = known("openai/gpt-4", "openai/gpt-4.1")
    try:
        short = house.ask("word " * 20)
        assert (short.model, short.attempts[0].tags) == ("openai/gpt-4", {})
        long = house.ask("word " * 40_000)
        assert long.model == "openai/gpt-4.1"
        assert long.attempts[0].tags["passed_over"].startswith("openai/gpt-4 takes 8,192 tokens, the prompt has at least ")
        assert "passed_over" in json.loads(house.rows()[1]["tags"])
    finally:
        house.close()


def test_a_prompt_longer_than_every_context_is_refused_before_anything_is_sent():
    house = known("openai/gpt-4", "openai/gpt-3.5-turbo")
    try:
        with pytest.raises(InvalidInput, match="openai/gpt-4 takes 8,192 tokens, .*openai/gpt-3.5-turbo takes 16,385 tokens, the prompt has at least 2"):
            house.ask("word " * 200_000)
        assert house.rows() == []
    finally:
        house.close()


def test_long_words_that_fit_are_sent():
    """One token of seventeen bytes, eight thousand times: 136,000 bytes fit into the 8,192 tokens of GPT-4."""
    house = known("openai/gpt-4", "openai/gpt-4.1")
    try:
        assert house.ask(" responsibilities" * 8_000).model == "openai/gpt-4"
        assert house.ask(" responsibilities" * 8_300).model == "openai/gpt-4.1"
    finally:
        house.close()


GEORGIAN = "ყველა ადამიანი იბადება თავისუფალი და თანასწორი თავისი ღირსებითა და უფლებებით. "


def test_where_the_count_is_not_certain_the_provider_decides():
    """Georgian has a sixth of cl100k's tokens in the vocabulary of GPT-4o: 780,000 here may fit into its 128,000."""
    house = known("openai/gpt-4", "openai/gpt-4o")
    try:
        assert house.ask(GEORGIAN * 5_000).model == "openai/gpt-4o"
        with pytest.raises(InvalidInput, match="openai/gpt-4o takes 128,000 tokens"):
            house.ask(GEORGIAN * 15_000)
        with pytest.raises(InvalidInput):
            house.ask("word " * 400_000)
    finally:
        house.close()


def test_a_prompt_too_long_for_the_route_goes_to_its_larger_models_at_once():
    house = known("openai/gpt-4", "openai/gpt-3.5-turbo", on_context_overflow=("openai/gpt-4o",), choose="cheapest")
    try:
        outcome = house.ask("word " * 40_000)
        assert outcome.model == "openai/gpt-4o"
        assert len(outcome.attempts) == 1
        assert outcome.attempts[0].tags["choice"] == "on_context_overflow"
        assert outcome.attempts[0].tags["passed_over"].count("takes") == 2
        with pytest.raises(InvalidInput, match="openai/gpt-4o takes 128,000 tokens"):
            house.ask("word " * 400_000)
    finally:
        house.close()


def test_a_call_that_has_ended_is_given_again_though_its_models_no_longer_take_it():
    house = known("openai/gpt-4.1")
    try:
        first = house.ask("word " * 40_000, key="k")
        routes = {"default": RouteSettings(name="default", models=("openai/gpt-4",))}
        house.settings = house.settings.model_copy(update={"routes": routes})
        again = house.ask("word " * 40_000, key="k")
        assert (again.reused, again.text, again.call_id) == (True, first.text, first.call_id)
    finally:
        house.close()


EMBEDDING, IMAGES = "openai/text-embedding-3-small", "openai/gpt-image-1"


def test_a_model_that_answers_no_questions_is_passed_over_and_the_record_says_so():
    house = known(EMBEDDING, "openai/gpt-4.1", IMAGES)
    try:
        outcome = house.ask()
        assert (outcome.model, len(outcome.attempts)) == ("openai/gpt-4.1", 1)
        assert outcome.attempts[0].tags["passed_over"] == f"{EMBEDDING} is made for embedding; {IMAGES} is made for image generation"
    finally:
        house.close()


def test_a_route_without_a_model_that_answers_is_refused_before_anything_is_sent():
    house = known(EMBEDDING, IMAGES, on_context_overflow=("openai/gpt-4.1",))
    try:
        with pytest.raises(InvalidInput, match=f"no model here answers questions .*{EMBEDDING} is made for embedding"):
            house.ask()
        with pytest.raises(InvalidInput, match=EMBEDDING):
            house.ask(target=EMBEDDING)
        assert house.rows() == []
    finally:
        house.close()


@pytest.mark.parametrize("model", ["openai/gpt-4", "openai/gpt-3.5-turbo", "openai/gpt-5-pro", "openai/newer-than-the-map"])
def test_a_schema_passes_over_no_model(model: str):
    """GPT-4 has no native mode for schemas; it is asked for one in words."""
    house = known(model, "openai/gpt-4.1")
    try:
        outcome = house.ask(output_schema={"type": "object", "properties": {"n": {"type": "integer"}}})
        assert (outcome.model, outcome.attempts[0].tags) == (model, {})
    finally:
        house.close()


def test_the_record_says_whose_key_is_missing_and_whose_was_refused():
    house = known("anthropic/claude-haiku-4-5", "openai/gpt-4.1")
    try:
        assert house.ask().attempts[0].why == "passed over: anthropic/claude-haiku-4-5 has no key"
    finally:
        house.close()
    good = ProviderSettings(name="good", kind="toy", api_base="http://127.0.0.1:9")
    bad = ProviderSettings(name="bad", kind="toy", api_base="http://127.0.0.1:9", api_key="env:OPENAI_API_KEY")
    adapter = Scripted([[Fault("wrong key", status=401)]])
    house = build(settings_for(bad, good, models=("bad/m", "good/m")), adapters={"toy": adapter})
    try:
        assert [attempt.why for attempt in house.ask().attempts] == ["", ""]
        assert [attempt.why for attempt in house.ask().attempts] == ["passed over: bad/m has its key refused"]
    finally:
        house.close()
