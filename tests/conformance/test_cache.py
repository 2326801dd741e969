"""The cache: the same question is paid once for as long as its command says, and nothing else is taken for the same question."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest

from hishamos.gateway import cache as rung
from hishamos.records.calls import AttemptStatus, CallStatus, Tags
from hishamos.records.record import now
from tests.rigs.gateways import House, build, provider, settings_for
from tests.rigs.simulator import Simulator


@pytest.fixture(params=["duckdb", "postgres"])
def address(request: pytest.FixtureRequest, tmp_path) -> str:
    return request.getfixturevalue("postgres_url") if request.param == "postgres" else str(tmp_path / "store.duckdb")


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    with Simulator() as running:
        yield running


@pytest.fixture
def house(simulator: Simulator, address: str) -> Iterator[House]:
    made = build(settings_for(provider("openai", simulator.url)), address)
    yield made
    made.close()


def wait_for_writes(house: House) -> None:
    house.store.transaction(lambda transaction: None)


def test_the_same_question_is_paid_once_and_the_second_answer_says_whose_it_is(house: House, simulator: Simulator):
    first = house.ask("why?", cache="forever")
    second = house.ask("why?", cache="forever")
    wait_for_writes(house)
    assert len(simulator.book()) == 1
    assert (second.text, second.model, second.status, second.cost_nanos) == (first.text, first.model, CallStatus.SUCCEEDED, 0)
    [attempt] = second.attempts
    assert (attempt.status, attempt.cost_nanos, attempt.tags["answer_of"]) == (AttemptStatus.CACHED, 0, first.attempts[0].id)
    assert [(row["status"], row["cost_nanos"] == 0) for row in house.rows("status, cost_nanos")] == [("succeeded", False), ("cached", True)]


def test_a_command_that_says_nothing_is_never_cached(house: House, simulator: Simulator):
    house.ask("why?")
    house.ask("why?")
    assert len(simulator.book()) == 2
    assert house.store.fetch("select * from cache_entries") == []


@pytest.mark.parametrize(
    "change",
    [
        {"text": "why not?"},
        {"temperature": 0.5},
        {"max_output_tokens": 77},
        {"output_schema": {"type": "object", "required": [], "properties": {}}},
        {"target": "openai/gpt-4.1"},
        {"tags": Tags(command="say@2")},
        {"sample": 2},
    ],
    ids=lambda change: next(iter(change)),
)
def test_what_can_change_the_answer_is_another_question(house: House, simulator: Simulator, change: dict):
    house.ask("why?", cache="forever", tags=Tags(command="say@1"))
    house.ask(**{"text": "why?", "cache": "forever", "tags": Tags(command="say@1"), **change})
    assert len(simulator.book()) == 2


def test_another_address_is_another_question(simulator: Simulator, address: str):
    with Simulator() as other:
        for url in (simulator.url, other.url):
            house = build(settings_for(provider("openai", url)), address)
            house.ask("why?", cache="forever")
            house.close()
        assert (len(simulator.book()), len(other.book())) == (1, 1)


def test_an_answer_lives_as_long_as_who_asks_allows(house: House, simulator: Simulator, monkeypatch: pytest.MonkeyPatch):
    house.ask("why?", cache="7d")
    house.ask("why?", cache="1h")
    assert len(simulator.book()) == 1
    later = now() + timedelta(hours=2)
    monkeypatch.setattr(rung, "now", lambda: later)
    house.ask("why?", cache="7d")
    house.ask("why?", cache="forever")
    assert len(simulator.book()) == 1
    house.ask("why?", cache="1h")
    assert len(simulator.book()) == 2


def test_asked_anew_the_new_answer_takes_the_place(house: House, simulator: Simulator):
    simulator.script("gpt-4.1-mini", {"text": "old"}, {"text": "new"})
    assert house.ask("why?", cache="forever").text == "old"
    assert house.ask("why?", cache="forever", refresh=True).text == "new"
    wait_for_writes(house)
    assert house.ask("why?", cache="forever").text == "new"
    assert len(simulator.book()) == 2


def test_each_sample_is_kept_beside_the_others(house: House, simulator: Simulator):
    simulator.script("gpt-4.1-mini", {"text": "one"}, {"text": "two"}, {"text": "two again"})
    assert [house.ask("why?", cache="forever", sample=number).text for number in (1, 2, 1, 2)] == ["one", "two", "one", "two"]
    assert house.ask("why?", cache="forever", sample=2, refresh=True).text == "two again"
    wait_for_writes(house)
    assert [house.ask("why?", cache="forever", sample=number).text for number in (1, 2)] == ["one", "two again"]


@pytest.mark.parametrize("act", [{"status": 400}, {"finish": "length"}, {"text": "no JSON"}], ids=["refused", "cut off", "invalid"])
def test_what_is_no_good_answer_is_not_kept(house: House, simulator: Simulator, act: dict):
    simulator.script("gpt-4.1-mini", act)
    schema = {"type": "object", "required": [], "properties": {}}
    first = house.ask("why?", cache="forever", output_schema=schema)
    assert first.status is not CallStatus.SUCCEEDED or first.error is not None
    house.ask("why?", cache="forever", output_schema=schema)
    assert len(simulator.book()) == 2


def test_a_key_that_is_known_keeps_its_own_outcome(house: House, simulator: Simulator):
    simulator.script("gpt-4.1-mini", {"text": "mine"}, {"text": "another"})
    mine = house.ask("why?", key="k")
    assert house.ask("why?", cache="forever").text == "another"
    wait_for_writes(house)
    again = house.ask("why?", key="k", cache="forever")
    assert (again.text, again.reused, again.call_id) == ("mine", True, mine.call_id)
    given = house.ask("why?", key="new", cache="forever")
    repeated = house.ask("why?", key="new", cache="forever")
    assert (given.text, repeated.text, repeated.reused) == ("another", "another", True)
    assert len(simulator.book()) == 2


def test_a_stream_gets_the_cached_answer_whole(house: House, simulator: Simulator):
    first = house.ask("why?", cache="forever")
    from tests.rigs.gateways import request

    pending = house.gateway.submit(request("why?", cache="forever"), key="s", tags=Tags(), stream=True)
    events = pending.events()
    assert pending.outcome.result(10).text == first.text
    taken, ended = events.take()
    assert ended
    assert "".join(event.text for event in taken if event.kind == "text") == first.text
    assert len(simulator.book()) == 1


def test_the_offline_model_is_not_cached(house: House):
    house.ask("why?", cache="forever", target="offline/extractive")
    house.ask("why?", cache="forever", target="offline/extractive")
    assert house.store.fetch("select * from cache_entries") == []
    assert [row["status"] for row in house.rows("status")] == ["succeeded", "succeeded"]
