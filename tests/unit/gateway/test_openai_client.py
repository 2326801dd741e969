"""OpenAI's client as litellm calls it: what goes out is what was given, what comes in is left alone."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import httpx
import openai
import pytest

from hishamos.gateway.adapters.openai_client import openai_client

ANSWER = {"id": "x", "choices": [{"index": 0, "message": {"role": "assistant", "content": "yes"}, "finish_reason": "stop"}], "beside": {"a": [1]}}
ASKED = {"model": "m", "messages": [{"role": "user", "content": "hello"}], "max_tokens": 5}


def asked(answer: httpx.Response, **more: Any) -> tuple[Any, httpx.Request]:
    """Ask once; return what litellm is given, and the request."""
    seen: list[httpx.Request] = []

    def serve(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return answer

    async def ask() -> Any:
        async with openai_client("http://127.0.0.1:9/v1", "sk-test", httpx.AsyncClient(transport=httpx.MockTransport(serve))) as client:
            raw = await client.chat.completions.with_raw_response.create(**ASKED, timeout=7, **more)
            assert raw.headers["content-type"] == answer.headers["content-type"]
            return raw.parse()

    found = asyncio.run(ask())
    return found, seen[0]


def test_a_request_goes_out_as_it_was_given():
    answer, request = asked(httpx.Response(200, json=ANSWER), extra_body={"seed": 1}, extra_headers={"x-own": "yes"}, extra_query={"v": "2"})
    assert json.loads(request.content) == {**ASKED, "seed": 1}
    assert (str(request.url), request.headers["authorization"], request.headers["x-own"]) == (
        "http://127.0.0.1:9/v1/chat/completions?v=2",
        "Bearer sk-test",
        "yes",
    )
    assert request.extensions["timeout"]["read"] == 7
    assert answer.model_dump() == ANSWER


def test_later_requests_have_what_the_first_one_had_and_their_own_body():
    seen: list[httpx.Request] = []

    def serve(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(200, json=ANSWER, headers={"set-cookie": "a=1"})

    async def ask() -> None:
        async with openai_client("http://127.0.0.1:9/v1", "sk-test", httpx.AsyncClient(transport=httpx.MockTransport(serve))) as client:
            create = client.chat.completions.with_raw_response.create
            for text in ("one", "two, longer, with é"):
                await create(model="m", messages=[{"role": "user", "content": text}], timeout=7)
            await create(model="m", messages=[], timeout=8, extra_headers={"x-own": "yes"})
            client.api_key = "sk-other"
            await create(model="m", messages=[], timeout=8)

    asyncio.run(ask())
    first, second, third, fourth = seen
    own = {"content-length", "cookie"}
    same = [{name: value for name, value in request.headers.items() if name not in own} for request in (first, second)]
    assert (same[0], first.url, first.extensions) == (same[1], second.url, second.extensions)
    assert json.loads(second.content)["messages"] == [{"role": "user", "content": "two, longer, with é"}]
    assert int(second.headers["content-length"]) == len(second.content) > len(first.content)
    assert (third.headers["x-own"], third.extensions["timeout"]["read"]) == ("yes", 8)
    assert (fourth.headers["authorization"], "x-own" in fourth.headers) == ("Bearer sk-other", False)


def test_json_by_another_name_is_json():
    answer, _ = asked(httpx.Response(200, text=json.dumps(ANSWER)))
    assert answer.model_dump() == ANSWER


@pytest.mark.parametrize("answer", [httpx.Response(200, html="<html>busy</html>"), httpx.Response(200, json=[1]), httpx.Response(200, json="no")])
def test_what_is_no_object_is_no_answer(answer: httpx.Response):
    found, _ = asked(answer)
    assert not hasattr(found, "model_dump"), "litellm calls that an invalid response"


def test_an_error_is_the_librarys_own():
    with pytest.raises(openai.RateLimitError, match="slowly"):
        asked(httpx.Response(429, json={"error": {"message": "slowly"}}))


@pytest.mark.parametrize("name", ["OPENAI_BASE_URL", "OPENAI_API_BASE"])
def test_an_address_from_the_environment(monkeypatch: pytest.MonkeyPatch, name: str):
    monkeypatch.setenv(name, "http://127.0.0.1:9/own")
    assert str(openai_client(None, "sk-test", httpx.AsyncClient()).base_url) == "http://127.0.0.1:9/own/"
