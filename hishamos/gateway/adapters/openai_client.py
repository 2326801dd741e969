"""OpenAI's client as litellm calls it, without what its library does anew for every request and answer.

The library walks through each request by its type hints, to rename what no chat request has; puts together address and headers, which are always
the same; looks for cookies, which no provider's API needs to see again; and builds a model of each answer, which litellm turns into a dictionary
again at once: a third of a call's processor time. Sending, errors and streams stay the library's own.
"""

from __future__ import annotations

import json
import os
from functools import cache
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    import httpx
    from openai import AsyncOpenAI

EXTRAS = {"extra_headers": "headers", "extra_query": "params", "extra_body": "extra_json", "timeout": "timeout"}
"""What is no part of a request's body, and the names of its options."""
RAW = {"X-Stainless-Raw-Response": "true"}
"""Asks the library for the answer's headers too."""
ADDRESSES = ("OPENAI_BASE_URL", "OPENAI_API_BASE")
"""Where litellm looks for an address that no setting gives."""
OWN_LENGTH = frozenset({"content-length", "transfer-encoding"})
MOST = 64
"""Most kinds of requests whose address and headers are kept."""


def openai_client(api_base: str | None, api_key: str, http_client: httpx.AsyncClient) -> AsyncOpenAI:
    """Return a client whose ``chat.completions.with_raw_response.create`` sends what it is given as it is; it neither retries nor renames.

    Imports OpenAI's library, which litellm has loaded by then.
    """
    cast("Any", http_client.cookies).extract_cookies = _unread
    address = api_base or next((os.environ[name] for name in ADDRESSES if os.environ.get(name)), None)
    client: AsyncOpenAI = _client_class()(api_key=api_key, base_url=address, http_client=http_client, max_retries=0)
    cast("Any", client).chat = _Chat(client)
    return client


class _Chat:
    """``chat``, ``chat.completions`` and ``chat.completions.with_raw_response`` in one: the only path that litellm takes."""

    def __init__(self, client: AsyncOpenAI) -> None:
        from openai import AsyncStream
        from openai.types.chat import ChatCompletionChunk

        self._client = client
        self._streamed = {"stream": True, "stream_cls": AsyncStream[ChatCompletionChunk], "cast_to": ChatCompletionChunk}
        self._whole = {"cast_to": _untouched()}
        self.completions = self.with_raw_response = self

    async def create(self, **asked: Any) -> Any:
        """Send a request; returns its answer with ``headers`` and ``parse()``."""
        options = {option: asked.pop(name) for name, option in EXTRAS.items() if asked.get(name) is not None}
        options["headers"] = {**options.get("headers", {}), **RAW}
        how = self._streamed if asked.get("stream") else self._whole
        return await cast("Any", self._client).post("/chat/completions", body=asked, options=options, **how)


def _unread(response: httpx.Response) -> None:
    """Keep no cookie."""


class _Body:
    """An answer's JSON object as it came."""

    def __init__(self, data: dict[str, Any]) -> None:
        self._data = data

    def model_dump(self) -> dict[str, Any]:
        return self._data


@cache
def _untouched() -> Any:
    """Return the type that tells OpenAI's library to hand out an answer's JSON as it is."""
    from openai import BaseModel

    class Untouched(BaseModel):
        @classmethod
        def build(cls, *, response: Any, data: Any) -> Any:  # noqa: ARG003 - the library's signature
            return _Body(data) if isinstance(data, dict) else data

    return Untouched


@cache
def _client_class() -> Any:
    """Return OpenAI's client, which puts address and headers together once for all requests that have the same."""
    import httpx
    from openai import AsyncOpenAI

    class Client(AsyncOpenAI):
        def __init__(self, **options: Any) -> None:
            super().__init__(**options)
            self._kinds: dict[tuple[object, ...], tuple[httpx.Request, httpx.Headers]] = {}

        def _build_request(self, options: Any, *, retries_taken: int = 0) -> httpx.Request:
            plain = isinstance(options.json_data, dict) and not (options.params or options.extra_json or options.content or options.files or retries_taken)
            if not plain:
                return super()._build_request(options, retries_taken=retries_taken)
            kind = (options.url, *options.headers.items(), str(options.timeout), self.api_key, self.organization)
            known = self._kinds.get(kind)
            if known is None:
                made = super()._build_request(options, retries_taken=retries_taken)
                if len(self._kinds) < MOST:
                    self._kinds[kind] = made, httpx.Headers([(name, value) for name, value in made.headers.raw if name.decode().lower() not in OWN_LENGTH])
                return made
            first, headers = known
            text = json.dumps(options.json_data, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
            return httpx.Request(first.method, first.url, headers=headers, content=text.encode(), extensions=dict(first.extensions))

    return Client
