"""Every adapter keeps the plug's promises, whatever the wire format; litellm's against the simulator."""

from __future__ import annotations

import asyncio
import contextlib
import time
import traceback
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Literal

import pytest
from pydantic import BaseModel

from hishamos.gateway.adapters.extractive import ExtractiveAdapter
from hishamos.gateway.adapters.litellm_chat import LitellmAdapter
from hishamos.gateway.adapters.plug import Adapter, AdapterEvent, AdapterRequest, Fault, Finish, Text, Used
from hishamos.gateway.causes import classify
from hishamos.records.calls import Message, Usage
from tests.rigs.gateways import KEYS, MODELS, provider
from tests.rigs.lab_adapter.lab_adapter import LabAdapter
from tests.rigs.simulator import Simulator, marker

KINDS = ["openai", "anthropic", "gemini", "lab"]
"""The wire formats through litellm, and a stranger's adapter for OpenAI's."""
SCHEMA = {"type": "object", "required": ["severity"], "properties": {"severity": {"enum": ["minor", "major"]}}, "additionalProperties": False}


@pytest.fixture(scope="module")
def simulator() -> Iterator[Simulator]:
    with Simulator() as running:
        yield running


@pytest.fixture(autouse=True)
def fresh(simulator: Simulator) -> None:
    simulator.clear()


def asked(kind: str, simulator: Simulator, *, stream: bool, **changes: Any) -> AdapterRequest:
    found = provider("openai" if kind == "lab" else kind, simulator.url).model_copy(update={"kind": kind})
    values: dict[str, Any] = {
        "provider": found,
        "model": model_of(kind),
        "messages": (Message(role="system", content="Be brief."), Message(role="user", content="Is this a bug?")),
        "output_schema": None,
        "max_output_tokens": 77,
        "temperature": 0.5,
        "api_key": KEYS[found.api_key or ""],
        "stream": stream,
        "timeout_s": 10,
    }
    return AdapterRequest(**(values | changes))


def model_of(kind: str) -> str:
    return MODELS["openai" if kind == "lab" else kind].partition("/")[2]


def adapter_of(kind: str) -> Adapter:
    return LabAdapter() if kind == "lab" else LitellmAdapter()


def collect(request: AdapterRequest) -> tuple[list[AdapterEvent], Fault | None]:
    async def read() -> tuple[list[AdapterEvent], Fault | None]:
        adapter = adapter_of(request.provider.kind)
        events: list[AdapterEvent] = []
        try:
            async for event in adapter.stream(request):
                events.append(event)
        except Fault as fault:
            return events, fault
        finally:
            await adapter.close()
        return events, None

    return asyncio.run(read())


def text_of(events: list[AdapterEvent]) -> str:
    return "".join(event.text for event in events if isinstance(event, Text))


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("kind", KINDS)
def test_an_answer_is_text_usage_finish(simulator: Simulator, kind: str, stream: bool):
    events, fault = collect(asked(kind, simulator, stream=stream))
    [entry] = simulator.book()
    assert fault is None
    assert text_of(events) == f"simulated answer to {marker('Is this a bug?')}"
    assert events[-2:] == [Used(Usage(input=entry["billed"]["input"], output=entry["billed"]["output"])), Finish("stop")]
    assert (entry["max_tokens"], entry["key"], entry["model"]) == (77, KEYS[asked(kind, simulator, stream=stream).provider.api_key or ""], model_of(kind))


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("kind", KINDS)
def test_usage_has_its_kinds(simulator: Simulator, kind: str, stream: bool):
    usage = {"input": 1200, "cached": 1000, "output": 80}
    usage |= {"cache_write": 100} if kind == "anthropic" else {"reasoning": 60}
    simulator.script("*", {"usage": usage})
    events, _ = collect(asked(kind, simulator, stream=stream))
    assert [event for event in events if isinstance(event, Used)] == [Used(Usage(**usage))]


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_schema_is_asked_for_in_the_format_that_the_model_has(simulator: Simulator, kind: str, stream: bool):
    events, _ = collect(asked(kind, simulator, stream=stream, output_schema=SCHEMA))
    assert text_of(events) == '{"severity": "minor"}'


class Part(BaseModel):
    name: str
    broken: bool


class Report(BaseModel):
    severity: Literal["minor", "major"]
    part: Part
    note: str | None = None


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_schema_with_references_is_understood(simulator: Simulator, kind: str, stream: bool):
    events, fault = collect(asked(kind, simulator, stream=stream, output_schema=Report.model_json_schema()))
    assert fault is None
    report = Report.model_validate_json(text_of(events))
    assert (report.severity, report.part.broken) == ("minor", True)


def test_a_model_without_schemas_is_told_in_words(simulator: Simulator):
    collect(asked("openai", simulator, stream=False, model="some-local-model", output_schema=SCHEMA))
    [entry] = simulator.book()
    assert entry["marker"] != marker("Is this a bug?")


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("status", "cause"),
    [
        (429, "rate_limit"),
        (500, "server_error"),
        (503, "overloaded"),
        (529, "overloaded"),
        (401, "authentication"),
        (403, "authentication"),
        (404, "unknown_model"),
    ],
)
def test_a_status_is_a_cause_and_is_asked_once(simulator: Simulator, kind: str, stream: bool, status: int, cause: str):
    simulator.script("*", then={"status": status, "retry_after": 3})
    events, fault = collect(asked(kind, simulator, stream=stream))
    assert fault is not None
    assert (events, fault.retry_after_s, len(simulator.book())) == ([], 3.0, 1)
    assert classify(fault).name == cause
    assert f"simulated {status}" in str(fault)


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize(
    ("kind", "act", "seconds"),
    [
        *((kind, {"retry_after": header}, seconds) for kind in KINDS for header, seconds in (("7", 7.0), ("-7", 0.0), ("soon", None), ("1e9", 1e9))),
        *((kind, {"headers": {"retry-after-ms": "1500", "retry-after": "2"}}, 1.5) for kind in KINDS),
        ("gemini", {"retry_delay": "34.5s"}, 34.5),
    ],
)
def test_a_pause_is_read_as_the_provider_tells_it(simulator: Simulator, kind: str, stream: bool, act: dict[str, Any], seconds: float | None):
    simulator.script("*", then={"status": 429, **act})
    _, fault = collect(asked(kind, simulator, stream=stream))
    assert fault is not None
    assert (fault.status, fault.retry_after_s) == (429, seconds)


PATHS = {"anthropic": "/v1/messages", "gemini": "/v1beta/models/gemini-2.5-flash:generateContent"}


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("status", [301, 307, 308])
@pytest.mark.parametrize("kind", KINDS)
def test_a_key_follows_no_redirect_to_another_host(simulator: Simulator, kind: str, status: int, stream: bool):
    with Simulator() as foreign:
        where = foreign.url.replace("127.0.0.1", "localhost") + PATHS.get(kind, "/v1/chat/completions")
        simulator.script("*", then={"status": status, "headers": {"location": where}})
        request = asked(kind, simulator, stream=stream)
        _, fault = collect(request)
        assert request.api_key not in {entry["key"] for entry in foreign.book()}
        assert len(simulator.book()) == 1
        if kind in PATHS:  # whose keys stand in headers that HTTP clients would send along
            assert foreign.book() == []
            assert fault is not None
            assert classify(fault).name == "redirected"


AZURE = "azure-0123456789abcdef"


def of_azure(simulator: Simulator, *, stream: bool) -> AdapterRequest:
    """A request to Azure, whose key stands in a header of its own and which is called through OpenAI's library."""
    there = provider("openai", simulator.url).model_copy(update={"name": "azure", "kind": "azure", "api_base": simulator.url})
    return asked("openai", simulator, stream=stream, provider=there, api_key=AZURE)


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("status", [301, 307, 308])
def test_azure_s_key_follows_no_redirect_either(simulator: Simulator, status: int, stream: bool):
    with Simulator() as foreign:
        where = foreign.url.replace("127.0.0.1", "localhost") + "/openai/deployments/gpt-4.1-mini/chat/completions"
        simulator.script("*", then={"status": status, "headers": {"location": where}})
        _, fault = collect(of_azure(simulator, stream=stream))
        assert ([entry["key"] for entry in simulator.book()], foreign.book()) == ([AZURE], [])
        assert fault is not None
        assert classify(fault).name == "redirected"


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
def test_azure_answers(simulator: Simulator, stream: bool):
    simulator.script("*", {"text": "It is."}, then={"status": 401, "message": "no"})
    events, fault = collect(of_azure(simulator, stream=stream))
    assert fault is None
    assert "".join(event.text for event in events if isinstance(event, Text)) == "It is."
    assert isinstance(events[-1], Finish)
    _, fault = collect(of_azure(simulator, stream=stream))
    assert fault is not None
    assert (fault.status, len(simulator.book())) == (401, 2)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("act", [{"garbled": True}, {"html": True}, {"empty": True}], ids=["garbled", "html", "empty"])
def test_garbage_is_no_answer(simulator: Simulator, kind: str, act: dict[str, Any]):
    simulator.script("*", then=act)
    _, fault = collect(asked(kind, simulator, stream=False))
    assert fault is not None
    assert classify(fault).name == "garbled"
    events, fault = collect(asked(kind, simulator, stream=True))
    assert fault is not None or not any(isinstance(event, Finish) for event in events)


@pytest.mark.parametrize("kind", KINDS)
def test_a_dropped_connection_is_known(simulator: Simulator, kind: str):
    simulator.script("*", then={"drop": True})
    _, fault = collect(asked(kind, simulator, stream=False))
    assert fault is not None
    assert (fault.transport, len(simulator.book())) == ("disconnected", 1)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("act", [{"no_finish": True}, {"cut_after": 4}], ids=["no finish", "cut"])
def test_a_stream_without_its_end_has_no_finish(simulator: Simulator, kind: str, act: dict[str, Any]):
    simulator.script("*", {**act, "text": "one two three four five six seven eight nine ten eleven twelve thirteen"})
    events, _ = collect(asked(kind, simulator, stream=True))
    assert text_of(events).startswith("one two three")
    assert not any(isinstance(event, Finish) for event in events)


def test_a_whole_gemini_answer_without_its_end_has_no_finish(simulator: Simulator):
    simulator.script("*", {"no_finish": True})
    events, fault = collect(asked("gemini", simulator, stream=False))
    assert (fault, [type(event) for event in events]) == (None, [Text, Used])


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
def test_gemini_on_vertex_is_watched_too(simulator: Simulator, monkeypatch: pytest.MonkeyPatch, stream: bool):
    async def signed_in(*_: object, **__: object) -> tuple[str, str]:
        return "token", "project"

    monkeypatch.setattr("litellm.llms.vertex_ai.vertex_llm_base.VertexBase._ensure_access_token_async", signed_in)
    found = provider("gemini", simulator.url, api_base=f"{simulator.url}/v1beta/models/gemini-2.5-flash").model_copy(update={"kind": "vertex_ai"})
    simulator.script("*", {}, {"no_finish": True})
    whole, cut = (collect(asked("gemini", simulator, stream=stream, provider=found))[0] for _ in range(2))
    assert (whole[-1], type(cut[-1])) == (Finish("stop"), Used)


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("finish", "reason"), [("length", "length"), ("content_filter", "content_filter")])
def test_an_answer_says_how_it_ended(simulator: Simulator, kind: str, stream: bool, finish: str, reason: str):
    simulator.script("*", {"finish": finish})
    events, fault = collect(asked(kind, simulator, stream=stream))
    assert (fault, events[-1]) == (None, Finish(reason))


def test_a_gemini_prompt_that_was_refused_is_no_answer(simulator: Simulator):
    simulator.script("*", then={"blocked": "SAFETY"})
    for stream in (False, True):
        events, fault = collect(asked("gemini", simulator, stream=stream))
        assert (fault, events[-1]) == (None, Finish("content_filter"))


@pytest.mark.parametrize("kind", KINDS)
def test_a_stream_that_is_left_lets_go_of_its_connection(simulator: Simulator, kind: str):
    def left() -> bool:
        deadline = time.monotonic() + 5
        while not simulator.book()[0]["left"] and time.monotonic() < deadline:
            time.sleep(0.02)
        return bool(simulator.book()[0]["left"])

    async def read_a_piece() -> bool:
        adapter = adapter_of(kind)
        events = adapter.stream(asked(kind, simulator, stream=True))
        async with contextlib.aclosing(events):
            await anext(events)
        gone = await asyncio.to_thread(left)
        await adapter.close()
        return gone

    simulator.script("*", {"chunk_s": 0.02, "text": "word " * 2000})
    assert asyncio.run(read_a_piece())


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("kind", ["openai", "gemini"])
def test_usage_that_the_provider_did_not_send_is_not_made_up(simulator: Simulator, kind: str, stream: bool):
    simulator.script("*", {"no_usage": True})
    events, fault = collect(asked(kind, simulator, stream=stream))
    if (kind, stream) == ("gemini", False):  # litellm can't read such an answer
        assert fault is not None
        assert classify(fault).name == "garbled", "it was served, so it may be billed: no fault of the request"
    else:
        assert [type(event) for event in events if not isinstance(event, Text)] == [Finish]


@pytest.mark.parametrize("kind", KINDS)
def test_a_refused_connection_and_an_unknown_host_are_known(simulator: Simulator, kind: str):
    for base, transport in (("http://127.0.0.1:9", "refused"), ("http://no-such-host.invalid/v1", "name")):
        found = asked(kind, simulator, stream=False).provider.model_copy(update={"api_base": base})
        _, fault = collect(asked(kind, simulator, stream=False, provider=found))
        assert fault is not None
        assert fault.transport == transport


def test_a_failing_call_writes_no_stack_down(simulator: Simulator, monkeypatch: pytest.MonkeyPatch):
    refused = asked("openai", simulator, stream=False)
    refused = replace(refused, provider=refused.provider.model_copy(update={"api_base": "http://127.0.0.1:9/v1"}))
    collect(refused)  # litellm is loaded
    written: list[str] = []
    monkeypatch.setattr(traceback, "format_exc", lambda *_: written.append("") or "")
    _, fault = collect(refused)
    assert (fault and fault.transport, written) == ("refused", [])


def test_no_key_of_the_environment_is_sent(simulator: Simulator, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-from-the-environment")
    collect(asked("openai", simulator, stream=False, api_key=None))
    assert [entry["key"] for entry in simulator.book()] == ["none"]


def test_the_offline_model_answers_by_the_schema():
    async def read() -> list[AdapterEvent]:
        adapter = ExtractiveAdapter()
        found = provider("openai", "").model_copy(update={"name": "offline", "kind": "offline"})
        messages = (Message(role="user", content="The app crashes on save and the file is lost."),)
        request = AdapterRequest(found, "extractive", messages, SCHEMA, 200, None, None, stream=False, timeout_s=10)
        events = [event async for event in adapter.stream(request)]
        again = [event async for event in adapter.stream(request)]
        assert events == again
        with pytest.raises(Fault):
            [event async for event in adapter.stream(AdapterRequest(found, "other", messages, None, 200, None, None, stream=False, timeout_s=10))]
        await adapter.close()
        return events

    text, used, finish = asyncio.run(read())
    assert isinstance(text, Text)
    assert text.text in ('{"severity": "minor"}', '{"severity": "major"}')
    assert isinstance(used, Used)
    assert used.usage.source == "estimated"
    assert isinstance(finish, Finish)
    assert finish.reason == "stop"
