"""OpenAI's client as litellm calls it, without what its library does to every request and answer.

The library walks through each request by its type hints, to rename what no chat request has, and builds a model of each answer, which litellm
turns into a dictionary again at once: together a quarter of a call's processor time. Sending, errors and streams stay the library's own.
"""

from __future__ import annotations

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


def openai_client(api_base: str | None, api_key: str, http_client: httpx.AsyncClient) -> AsyncOpenAI:
    """Return a client whose ``chat.completions.with_raw_response.create`` sends what it is given as it is; it neither retries nor renames.

    Imports OpenAI's library, which litellm has loaded by then.
    """
    from openai import AsyncOpenAI

    address = api_base or next((os.environ[name] for name in ADDRESSES if os.environ.get(name)), None)
    client = AsyncOpenAI(api_key=api_key, base_url=address, http_client=http_client, max_retries=0)
    cast("Any", client).chat = _Chat(client)
    return client


class _Chat:
    """``chat``, ``chat.completions`` and ``chat.completions.with_raw_response`` in one: the only path that litellm takes."""

    def __init__(self, client: AsyncOpenAI) -> None:
        from openai import AsyncStream
        from openai.types.chat import ChatCompletionChunk

        self._client = client
        self._streams = AsyncStream[ChatCompletionChunk]
        self._chunk = ChatCompletionChunk
        self.completions = self.with_raw_response = self

    async def create(self, **asked: Any) -> Any:
        """Send a request; returns its answer with ``headers`` and ``parse()``."""
        options = {option: asked.pop(name) for name, option in EXTRAS.items() if asked.get(name) is not None}
        options["headers"] = {**options.get("headers", {}), **RAW}
        how = {"stream": True, "stream_cls": self._streams, "cast_to": self._chunk} if asked.get("stream") else {"cast_to": _untouched()}
        return await cast("Any", self._client).post("/chat/completions", body=asked, options=options, **how)


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
