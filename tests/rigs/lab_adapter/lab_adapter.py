"""A stranger's adapter: speaks OpenAI's wire format with httpx, knows of HishamOS only the plug."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import httpx

from hishamos.gateway.adapters.faults import retry_after
from hishamos.gateway.adapters.plug import AdapterEvent, AdapterRequest, Fault, Finish, Text, Used
from hishamos.records.calls import Usage


class LabAdapter:
    """One client for all requests."""

    def __init__(self) -> None:
        self._client: httpx.AsyncClient | None = None

    async def stream(self, request: AdapterRequest) -> AsyncIterator[AdapterEvent]:
        if self._client is None:
            self._client = httpx.AsyncClient(timeout=None)
        messages = [{"role": message.role, "content": message.content} for message in request.messages]
        body: dict[str, Any] = {"model": request.model, "messages": messages, "max_tokens": request.max_output_tokens}
        if request.output_schema is not None:
            body["response_format"] = {"type": "json_schema", "json_schema": {"name": "answer", "schema": request.output_schema}}
        if request.stream:
            body |= {"stream": True, "stream_options": {"include_usage": True}}
        headers = {"authorization": f"Bearer {request.api_key or 'none'}"}
        try:
            async with self._client.stream("POST", f"{request.provider.api_base}/chat/completions", json=body, headers=headers) as response:
                if response.status_code != 200:
                    raise _refused(response, await response.aread())
                events = self._pieces(response) if request.stream else self._whole(response)
                async for event in events:
                    yield event
        except httpx.ConnectError as error:
            raise Fault(str(error), transport="name" if "ame or service" in str(error) or "name resolution" in str(error) else "refused") from error
        except httpx.TransportError as error:
            raise Fault(str(error), transport="disconnected") from error

    @staticmethod
    async def _whole(response: httpx.Response) -> AsyncIterator[AdapterEvent]:
        try:
            data = json.loads(await response.aread())
            choice = data["choices"][0]
        except (ValueError, LookupError, TypeError) as error:
            raise Fault(f"no answer of the format: {error}", transport="garbled") from error
        yield Text(choice["message"]["content"])
        if data.get("usage"):
            yield Used(_usage(data["usage"]))
        if choice.get("finish_reason"):
            yield Finish(choice["finish_reason"])

    @staticmethod
    async def _pieces(response: httpx.Response) -> AsyncIterator[AdapterEvent]:
        reason, seen = None, False
        async for line in response.aiter_lines():
            if not line.startswith("data: ") or line == "data: [DONE]":
                continue
            try:
                data = json.loads(line.removeprefix("data: "))
            except ValueError as error:
                raise Fault(f"no event of the format: {error}", transport="garbled") from error
            seen = True
            for choice in data["choices"]:
                if choice["delta"].get("content"):
                    yield Text(choice["delta"]["content"])
                reason = choice.get("finish_reason") or reason
            if data.get("usage"):
                yield Used(_usage(data["usage"]))
        if not seen:
            raise Fault("the stream is empty", transport="garbled")
        if reason:
            yield Finish(reason)

    def warm(self) -> None:
        """Nothing to import."""

    async def close(self) -> None:
        if self._client is not None:
            await self._client.aclose()


def _refused(response: httpx.Response, body: bytes) -> Fault:
    try:
        error = json.loads(body)["error"]
    except (ValueError, LookupError, TypeError):
        error = {}
    milliseconds = retry_after(response.headers.get("retry-after-ms"))
    seconds = retry_after(response.headers.get("retry-after")) if milliseconds is None else milliseconds / 1000
    return Fault(error.get("message") or f"status {response.status_code}", status=response.status_code, code=error.get("code"), retry_after_s=seconds)


def _usage(found: dict[str, Any]) -> Usage:
    read, written = found.get("prompt_tokens_details") or {}, found.get("completion_tokens_details") or {}
    return Usage(
        input=found["prompt_tokens"], cached=read.get("cached_tokens") or 0, output=found["completion_tokens"], reasoning=written.get("reasoning_tokens") or 0
    )
