"""Personal data that a provider is not sent, on the three wire formats, whole and streamed: its book is the witness."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from hishamos.records.calls import CallStatus, Message, ModelRequest, Tags, TextPiece
from hishamos.records.tools import Tool
from tests.rigs.gateways import MODELS, House, build, provider, settings_for
from tests.rigs.simulator import Simulator

TEXT = "Write to jane.roe@example.com or call +44 20 7946 0958; the card is 4111 1111 1111 1111."
SENT = "Write to p1@hidden.invalid or call +00 00 0000 0002; the card is 0000 0000 0000 0003."
HIDE = ("email", "phone", "card")
SEND = Tool(name="send", parameters={"type": "object", "properties": {"to": {"type": "string"}}, "required": ["to"]})

both = pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
every = pytest.mark.parametrize("kind", ["openai", "anthropic", "gemini"])


@pytest.fixture(scope="module")
def simulator() -> Iterator[Simulator]:
    with Simulator() as running:
        yield running


@pytest.fixture
def house(simulator: Simulator, request: pytest.FixtureRequest) -> Iterator[House]:
    simulator.clear()
    kind = request.getfixturevalue("kind") if "kind" in request.fixturenames else "openai"
    made = build(settings_for(provider(kind, simulator.url, hide=HIDE)))
    yield made
    made.close()


def echo(simulator: Simulator, kind: str) -> None:
    simulator.script(MODELS[kind].partition("/")[2], then={"echo": True})


@both
@every
def test_the_provider_sees_placeholders_and_the_answer_holds_what_they_stand_for(house: House, simulator: Simulator, kind: str, stream: bool):
    echo(simulator, kind)
    request = ModelRequest(target="default", messages=(Message(role="user", content=TEXT),))
    pending = house.gateway.submit(request, key="k", tags=Tags(), stream=stream)
    outcome = pending.outcome.result(30)
    assert outcome.text == TEXT
    assert "".join(event.text for event in pending.events() if isinstance(event, TextPiece)) == TEXT
    [entry] = simulator.book()
    assert entry["said"] == SENT
    [attempt] = outcome.attempts
    assert attempt.tags["hidden"] == "1 card, 1 email, 1 phone"
    assert attempt.why == "hidden from it: 1 card, 1 email, 1 phone"


@both
@every
def test_a_tool_is_called_with_what_was_hidden(house: House, simulator: Simulator, kind: str, stream: bool):
    simulator.script(MODELS[kind].partition("/")[2], then={"calls": [{"name": "send", "arguments": {"to": "p1@hidden.invalid"}}]})
    outcome = house.ask(TEXT, tools=(SEND,), stream=stream)
    assert [call.input for call in outcome.calls] == [{"to": "jane.roe@example.com"}]


@every
def test_an_answer_in_a_shape_holds_it_and_the_schema_is_sent_without_it(house: House, simulator: Simulator, kind: str):
    schema = {"type": "object", "required": ["who"], "properties": {"who": {"enum": ["jane.roe@example.com", "nobody"]}}}
    simulator.script(MODELS[kind].partition("/")[2], then={"text": '{"who": "p1@hidden.invalid"}'})
    assert house.ask(TEXT, output_schema=schema).data == {"who": "jane.roe@example.com"}


def test_each_provider_of_a_route_is_sent_what_its_own_line_allows(simulator: Simulator):
    simulator.clear()
    simulator.script("gpt-4.1-mini", then={"status": 500})
    echo(simulator, "anthropic")
    house = build(settings_for(provider("openai", simulator.url, hide=("email",)), provider("anthropic", simulator.url), attempts=2))
    try:
        outcome = house.ask(TEXT)
        assert [entry["said"][:26] for entry in simulator.book()] == ["Write to p1@hidden.invalid", TEXT[:26]]
        assert (outcome.text, [attempt.tags.get("hidden") for attempt in outcome.attempts]) == (TEXT, ["1 email", None])
    finally:
        house.close()


def test_an_answer_is_cached_as_it_is_told_and_hiding_is_another_question(house: House, simulator: Simulator):
    echo(simulator, "openai")
    assert [house.ask(TEXT, cache="forever").text for _ in range(2)] == [TEXT, TEXT]
    assert len(simulator.book()) == 1
    house.settings = settings_for(provider("openai", simulator.url))
    assert house.ask(TEXT, cache="forever").text == TEXT
    assert [entry["said"] for entry in simulator.book()] == [SENT, TEXT]


def test_a_part_that_waited_for_its_end_is_kept(house: House, simulator: Simulator):
    simulator.script("gpt-4.1-mini", then={"text": "it is p1@hidden.invalid and more words follow it here", "cut_after": 1, "chunk_s": 0.01})
    outcome = house.ask(TEXT, stream=True)
    assert outcome.status is not CallStatus.SUCCEEDED
    assert all(attempt.status == "incomplete" for attempt in outcome.attempts)


def test_the_reservation_holds_for_what_is_sent(simulator: Simulator):
    """Placeholders can be longer than what they stand for."""
    simulator.clear()
    house = build(settings_for(provider("openai", simulator.url, hide=HIDE)))
    try:
        short = " ".join(f"a{number}@b.co" for number in range(200))
        house.ask(short, run_budget_nanos=10**9, tags=Tags(run="r"))
        [row] = house.rows("reserved_nanos")
        plain = build(settings_for(provider("openai", simulator.url)))
        plain.ask(short, run_budget_nanos=10**9, tags=Tags(run="r"))
        [other] = plain.rows("reserved_nanos")
        plain.close()
        assert row["reserved_nanos"] > other["reserved_nanos"]
    finally:
        house.close()
