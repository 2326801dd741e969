"""Tool calls on the OpenAI, Anthropic and Gemini wire formats, whole and streamed: what was asked for, judged; the ledger and the provider's book."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator

import pytest

from hishamos.errors import InvalidInput
from hishamos.records.calls import AttemptBegan, CallStatus, Finished, Message, ModelRequest, Outcome, Restarted, StreamEvent, Tags, TextPiece, ToolCalled
from hishamos.records.configuration import PriceSettings, ProviderSettings
from hishamos.records.tools import Tool, ToolCall
from tests.rigs.gateways import MODELS, House, Scripted, build, provider, settings_for
from tests.rigs.simulator import Simulator

Open = Callable[..., House]
WEATHER = Tool(
    name="weather",
    description="The weather of a city",
    parameters={"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"], "additionalProperties": False},
)
CLOCK = Tool(name="clock", parameters={"type": "object", "properties": {}})
CAIRO = {"name": "weather", "arguments": {"city": "القاهرة"}}

both = pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
every = pytest.mark.parametrize("kind", ["openai", "anthropic", "gemini"])


@pytest.fixture(scope="module")
def simulator() -> Iterator[Simulator]:
    with Simulator() as running:
        yield running


@pytest.fixture
def opened(simulator: Simulator) -> Iterator[Open]:
    simulator.clear()
    houses: list[House] = []

    def make(kind: str, **route: object) -> House:
        houses.append(build(settings_for(provider(kind, simulator.url), **route)))
        return houses[-1]

    yield make
    for house in houses:
        house.close()


def script(simulator: Simulator, kind: str, *acts: dict, then: dict | None = None) -> None:
    simulator.script(MODELS[kind].partition("/")[2], *acts, then=then)


def asked(house: House, *messages: Message, stream: bool, key: str = "k", **changes: object) -> tuple[Outcome, list[StreamEvent]]:
    request = ModelRequest(target="default", messages=messages or (Message(role="user", content="weather?"),), **{"tools": (WEATHER, CLOCK), **changes})
    pending = house.gateway.submit(request, key=key, tags=Tags(), stream=stream)
    outcome = pending.outcome.result(30)
    return outcome, list(pending.events())


@both
@every
def test_two_calls_at_once_are_read(opened: Open, simulator: Simulator, kind: str, stream: bool):
    script(simulator, kind, {"text": "I look. ", "calls": [CAIRO, {"name": "clock", "arguments": {}}]})
    house = opened(kind)
    outcome, events = asked(house, stream=stream)
    assert (outcome.status, outcome.text.strip(), outcome.error and outcome.error.message) == (CallStatus.SUCCEEDED, "I look.", None)
    assert [(call.name, call.input, call.problem) for call in outcome.calls] == [("weather", {"city": "القاهرة"}, None), ("clock", {}, None)]
    assert len({call.id for call in outcome.calls}) == 2
    assert [event.call for event in events if isinstance(event, ToolCalled)] == list(outcome.calls)
    assert isinstance(events[0], AttemptBegan)
    assert isinstance(events[-1], Finished)
    (entry,) = simulator.book()
    assert entry["offered"] == ["weather", "clock"]
    (row,) = house.rows()
    assert (row["status"], row["input_tokens"], row["output_tokens"]) == ("succeeded", entry["billed"]["input"], entry["billed"]["output"])
    again, told = asked(house, stream=stream)
    assert (again.calls, again.reused, len(simulator.book())) == (outcome.calls, True, 1)
    assert [event.call for event in told if isinstance(event, ToolCalled)] == list(outcome.calls)


@both
@every
@pytest.mark.parametrize(
    ("call", "told"),
    [
        ({"name": "weather", "arguments": '{"city": "Ca'}, "the arguments are no JSON"),
        ({"name": "weather", "arguments": {"town": "Cairo"}}, "'city' is a required property"),
        ({"name": "weather", "arguments": {"city": 7}}, "7 is not of type 'string'"),
        ({"name": "wether", "arguments": {"city": "Cairo"}}, "there is no tool named 'wether'; did you mean 'weather'?"),
    ],
    ids=["no-json", "lacking", "mistyped", "unknown"],
)
def test_d11_a_broken_call_is_marked_and_never_becomes_another(opened: Open, simulator: Simulator, kind: str, stream: bool, call: dict, told: str):
    script(simulator, kind, {"calls": [call, CAIRO]})
    outcome, _ = asked(opened(kind), stream=stream)
    broken, good = outcome.calls
    assert (outcome.status, broken.input, good.input) == (CallStatus.SUCCEEDED, None, {"city": "القاهرة"})
    assert told in (broken.problem or "")


@both
@every
def test_a_result_goes_back_with_the_call_that_it_answers(opened: Open, simulator: Simulator, kind: str, stream: bool):
    script(simulator, kind, {"calls": [CAIRO | {"signature": "c2lnbmF0dXJl"}, {"name": "wether", "arguments": "{"}]}, {"text": "It is warm."})
    house = opened(kind)
    question = Message(role="user", content="weather?")
    first, _ = asked(house, question, stream=stream)
    results = [
        Message(role="tool", content=json.dumps({"result": name}), answers=call.id) for name, call in zip(("30 °C", "no such tool"), first.calls, strict=True)
    ]
    second, _ = asked(house, question, Message(role="assistant", content="", calls=first.calls), *results, stream=stream, key="k/1")
    assert (second.text, second.calls) == ("It is warm.", ())
    assert [json.loads(told) for told in simulator.book()[1]["results"]] == [{"result": "30 °C"}, {"result": "no such tool"}]
    assert [row["cost_nanos"] is not None for row in house.rows()] == [True, True]


@every
def test_calls_of_one_provider_go_on_at_another(opened: Open, simulator: Simulator, kind: str):
    call = ToolCall(id="call_1__thought__" + "A" * 200, name="weather", arguments='{"city": "Cairo"}', input={"city": "Cairo"})
    script(simulator, kind, {"text": "warm"})
    messages = (
        Message(role="user", content="weather?"),
        Message(role="assistant", content="", calls=(call,)),
        Message(role="tool", content='{"result": 1}', answers=call.id),
    )
    outcome, _ = asked(opened(kind), *messages, stream=False)
    assert outcome.text == "warm"
    assert simulator.book()[0]["results"] == ['{"result": 1}']


@every
def test_a_stream_that_breaks_in_a_call_runs_nothing_and_begins_anew(opened: Open, simulator: Simulator, kind: str):
    act = {"text": "I look.", "calls": [CAIRO]}
    script(simulator, kind, act | {"cut_after": 4 if kind == "anthropic" else 2, "no_finish": True}, act)
    house = opened(kind)
    outcome, events = asked(house, stream=True)
    assert [call.input for call in outcome.calls] == [{"city": "القاهرة"}]
    assert [row["status"] for row in house.rows()] == ["incomplete", "succeeded"]
    assert house.rows()[0]["cost_nanos"] > 0
    assert [type(event) for event in events if isinstance(event, Restarted | ToolCalled)] == [Restarted, ToolCalled]


@both
@every
def test_a_call_that_is_cut_off_at_the_output_limit_is_no_success(opened: Open, simulator: Simulator, kind: str, stream: bool):
    script(simulator, kind, {"calls": [CAIRO], "finish": "length"})
    outcome, events = asked(opened(kind), stream=stream)
    assert (outcome.status, outcome.calls) == (CallStatus.INCOMPLETE, ())
    assert not [event for event in events if isinstance(event, ToolCalled)]


@both
def test_d11_what_gemini_itself_calls_malformed_is_asked_again(opened: Open, simulator: Simulator, stream: bool):
    script(simulator, "gemini", {"text": "call:weather(", "finish": "MALFORMED_FUNCTION_CALL"}, {"calls": [CAIRO]})
    house = opened("gemini")
    outcome, _ = asked(house, stream=stream)
    assert [call.input for call in outcome.calls] == [{"city": "القاهرة"}]
    assert [(row["status"], row["cause"]) for row in house.rows()] == [("incomplete", "incomplete"), ("succeeded", None)]


@both
@every
def test_an_answer_by_a_schema_comes_after_the_tools(opened: Open, simulator: Simulator, kind: str, stream: bool):
    schema = {"type": "object", "properties": {"degrees": {"type": "integer"}}, "required": ["degrees"]}
    script(simulator, kind, {"calls": [CAIRO]}, {"text": '{"degrees": 30}'})
    house = opened(kind)
    first, _ = asked(house, stream=stream, output_schema=schema)
    assert (first.data, first.error, len(first.calls)) == (None, None, 1)
    second, _ = asked(house, stream=stream, output_schema=schema, key="k/1")
    assert second.data == {"degrees": 30}


def test_what_calls_tools_is_not_kept_in_the_cache(opened: Open, simulator: Simulator):
    script(simulator, "openai", then={"calls": [CAIRO]})
    house = opened("openai")
    for key in ("a", "b"):
        assert asked(house, stream=False, key=key, cache="forever")[0].calls
    assert len(simulator.book()) == 2


def test_tools_are_part_of_the_question(opened: Open, simulator: Simulator):
    house = opened("openai")
    texts = [
        asked(house, stream=False, key=key, cache="forever", tools=tools)[0].text for key, tools in (("a", (WEATHER,)), ("b", (CLOCK,)), ("c", (WEATHER,)))
    ]
    assert len(set(texts)) == 1
    assert [row["status"] for row in house.rows()] == ["succeeded", "succeeded", "cached"]


def test_nobody_who_offered_no_tools_gets_a_call(opened: Open, simulator: Simulator):
    script(simulator, "openai", {"calls": [CAIRO]}, {"text": "warm"})
    outcome, events = asked(opened("openai"), stream=True, tools=())
    assert (outcome.text, outcome.calls) == ("warm", ())
    assert [event.text for event in events if isinstance(event, TextPiece)] == ["warm"]


@pytest.mark.parametrize("target", ["offline/extractive", "openai/o3-deep-research", "both"])
def test_a_model_that_cannot_use_tools_is_refused_before_anything_is_sent(target: str):
    real = ProviderSettings(name="openai", kind="openai", api_key="env:OPENAI_API_KEY")
    house = build(settings_for(real, models=("openai/o3-deep-research", "offline/extractive")))
    try:
        with pytest.raises(InvalidInput, match=r"no model here can use tools.*can't use tools"):
            house.ask(target="default" if target == "both" else target, tools=(WEATHER,))
        assert house.rows() == []
    finally:
        house.close()


def test_a_model_that_cannot_use_tools_is_passed_over_and_it_is_said_why(simulator: Simulator):
    real = ProviderSettings(name="real", kind="openai", api_key="env:OPENAI_API_KEY")
    spare = provider("openai", simulator.url, name="spare")
    house = build(settings_for(real, spare, models=("real/o3-deep-research", "spare/gpt-4.1-nano")))
    try:
        outcome = house.ask(tools=(WEATHER,))
        assert outcome.model == "spare/gpt-4.1-nano"
        assert "real/o3-deep-research can't use tools" in outcome.attempts[0].why
    finally:
        house.close()


def test_an_adapter_that_knows_nothing_of_tools_is_passed_over(simulator: Simulator):
    simulator.clear()
    toy = ProviderSettings(name="toy", kind="toy", api_base=simulator.url)
    settings = settings_for(toy, provider("openai", simulator.url), models=("toy/model", MODELS["openai"]))
    adapter = Scripted()
    house = build(settings, adapters={"toy": adapter})
    try:
        outcome = house.ask(tools=(WEATHER,))
        assert (outcome.model, adapter.asked) == (MODELS["openai"], [])
        assert "does not tell models of tools" in outcome.attempts[0].why
        alone = house.ask(target="toy/model", tools=(WEATHER,))
        assert (alone.status, alone.error.type, alone.attempts) == (CallStatus.FAILED, "AdapterBroken", ())
        assert house.ask(target="toy/model").text == "fine"
    finally:
        house.close()


@pytest.mark.parametrize(
    ("tools", "told"),
    [
        ((CLOCK, CLOCK), "two tools are named 'clock'"),
        ((Tool(name="x", parameters={"type": "array"}),), "has the type object"),
        ((Tool(name="x", parameters={"type": "object", "$ref": "http://127.0.0.1/x"}),), "refers to"),
    ],
)
def test_tools_that_cannot_be_called_are_refused(opened: Open, simulator: Simulator, tools: tuple[Tool, ...], told: str):
    house = opened("openai")
    with pytest.raises(InvalidInput, match=told):
        house.ask(tools=tools)
    assert simulator.book() == []


def test_tools_are_reserved_for(simulator: Simulator):
    """A tool's description is billed as input: a budget that the prompt alone would fit refuses it."""
    simulator.clear()
    price = PriceSettings(model="openai/gpt-4.1-mini", input="1", output="1")
    house = build(settings_for(provider("openai", simulator.url), prices=(price,)))
    long = Tool(name="long", description="x" * 40_000, parameters={"type": "object"})
    try:
        budget = 20_000 * 1000
        assert house.ask(run_budget_nanos=budget, tags=Tags(run="a")).status is CallStatus.SUCCEEDED
        assert house.ask(run_budget_nanos=budget, tags=Tags(run="b"), tools=(long,)).status is CallStatus.REFUSED
        assert len(simulator.book()) == 1
    finally:
        house.close()
