"""The batch endpoints of OpenAI (files and batches) and Anthropic (message batches), over HTTP that follows no redirect."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import UTC, datetime
from typing import Any

import httpx

from hishamos.gateway.adapters.batch_plug import BatchLimits, BatchRow, BatchState, RowAnswer, RowEnd
from hishamos.gateway.adapters.plug import AdapterEvent, Fault, Transport
from hishamos.records.configuration import ProviderSettings

Write = Callable[[BatchRow], dict[str, Any]]
Read = Callable[[dict[str, Any]], Sequence[AdapterEvent]]
NAME = "hishamos"
"""The key of our name in OpenAI's metadata."""
PAGE = 100
UPLOAD_S = 600.0
"""Seconds for the two long ways: rows up, answers down."""


class _Endpoint:
    """What both have in common. ``write``: a request's body; ``read``: the events of an answer's body."""

    names_are_kept = True
    BASE = ""

    def __init__(self, provider: ProviderSettings, key: str | None, write: Write, read: Read) -> None:
        self._provider, self._write, self._read = provider, write, read
        base = (provider.api_base or self.BASE).rstrip("/")
        timeout = httpx.Timeout(provider.timeout_s, read=UPLOAD_S, write=UPLOAD_S)
        self._http = httpx.AsyncClient(base_url=base, headers=self._headers(key or "none"), timeout=timeout, follow_redirects=False, trust_env=True)

    def _headers(self, key: str) -> dict[str, str]:
        raise NotImplementedError

    async def close(self) -> None:
        """Let go of the connections."""
        await self._http.aclose()

    async def _ask(self, method: str, path: str, **content: Any) -> dict[str, Any]:
        response = await self._raw(method, path, **content)
        try:
            found: dict[str, Any] = response.json()
        except ValueError:
            raise Fault(f"{method} {path} gave no JSON", transport="garbled") from None
        return found

    async def _raw(self, method: str, path: str, **content: Any) -> httpx.Response:
        try:
            response = await self._http.request(method, path, **content)
        except httpx.HTTPError as error:
            raise _fault(error) from error
        if response.status_code >= 300:
            raise _refusal(response)
        return response

    async def _lines(self, path: str) -> AsyncIterator[dict[str, Any]]:
        try:
            async with self._http.stream("GET", path) as response:
                if response.status_code >= 300:
                    await response.aread()
                    raise _refusal(response)
                async for line in response.aiter_lines():
                    if line.strip():
                        yield json.loads(line)
        except httpx.HTTPError as error:
            raise _fault(error) from error
        except ValueError as error:
            raise Fault(f"{path} holds a line that is no JSON", transport="garbled") from error

    def _row(self, name: str, status: int, body: dict[str, Any]) -> RowAnswer:
        if status >= 300:
            told = body.get("error") or {}
            return RowAnswer(name, "failed", fault=Fault(str(told.get("message") or body)[:2000], status=status, code=told.get("code") or told.get("type")))
        try:
            return RowAnswer(name, "answered", tuple(self._read(body)))
        except Fault as fault:
            return RowAnswer(name, "failed", fault=fault)


class OpenAIBatches(_Endpoint):
    """``/files`` and ``/batches``: the rows go up as a file, our name stands in the batch's metadata."""

    BASE = "https://api.openai.com/v1"
    limits = BatchLimits(rows=50_000, bytes=200_000_000)
    """developers.openai.com/api/reference/resources/batches: 50,000 requests, 200 MB."""
    _ENDED: dict[str, bool] = {"completed": True, "failed": True, "expired": True, "cancelled": True}

    def _headers(self, key: str) -> dict[str, str]:
        return {"authorization": f"Bearer {key}"}

    def write(self, row: BatchRow) -> bytes:
        """See the plug."""
        told = {"custom_id": row.name, "method": "POST", "url": "/v1/chat/completions", "body": self._write(row)}
        return json.dumps(told, ensure_ascii=False).encode() + b"\n"

    async def submit(self, name: str, rows: Sequence[bytes]) -> str:
        """See the plug."""
        file = await self._ask("POST", "/files", data={"purpose": "batch"}, files={"file": (f"{name}.jsonl", b"".join(rows), "application/jsonl")})
        asked = {"input_file_id": file["id"], "endpoint": "/v1/chat/completions", "completion_window": "24h", "metadata": {NAME: name}}
        return str((await self._ask("POST", "/batches", json=asked))["id"])

    async def find(self, name: str, since: datetime, rows: int) -> AsyncIterator[BatchState]:  # noqa: ARG002 - names are kept
        """See the plug."""
        after: dict[str, Any] = {}
        while True:
            page = await self._ask("GET", "/batches", params={"limit": PAGE, **after})
            for told in page["data"]:
                state = self._state(told)
                if state.created_at < since:
                    return
                if (told.get("metadata") or {}).get(NAME) == name:
                    yield state
            if not page.get("has_more"):
                return
            after = {"after": page["data"][-1]["id"]}

    async def state(self, batch: str) -> BatchState:
        """See the plug."""
        return self._state(await self._ask("GET", f"/batches/{batch}"))

    async def answers(self, batch: str) -> AsyncIterator[RowAnswer]:
        """See the plug. Rows that nobody answered stand in neither file."""
        told = await self._ask("GET", f"/batches/{batch}")
        for file in (told.get("output_file_id"), told.get("error_file_id")):
            if file:
                async for line in self._lines(f"/files/{file}/content"):
                    yield self._answer(line)

    async def cancel(self, batch: str) -> None:
        """See the plug."""
        await self._ask("POST", f"/batches/{batch}/cancel")

    def _answer(self, line: dict[str, Any]) -> RowAnswer:
        name, error, response = str(line["custom_id"]), line.get("error"), line.get("response")
        if response is not None:
            return self._row(name, int(response["status_code"]), response["body"])
        code = str((error or {}).get("code"))
        ends: dict[str, RowEnd] = {"batch_expired": "expired", "batch_cancelled": "cancelled"}
        return RowAnswer(name, ends.get(code, "failed"), fault=Fault(str((error or {}).get("message") or code), code=code))

    def _state(self, told: dict[str, Any]) -> BatchState:
        problems = [str(one.get("message")) for one in ((told.get("errors") or {}).get("data") or ())]
        problem = "; ".join(problems) or "the provider refused the batch" if told["status"] == "failed" else None
        counts = told.get("request_counts") or {}
        return BatchState(told["id"], told["status"] in self._ENDED, counts.get("total", 0), datetime.fromtimestamp(told["created_at"], UTC), problem)


class AnthropicBatches(_Endpoint):
    """``/v1/messages/batches``: no name is kept; whose a batch is, its answers tell when it has ended."""

    BASE = "https://api.anthropic.com"
    names_are_kept = False
    limits = BatchLimits(rows=100_000, bytes=256_000_000)
    """platform.claude.com/docs/en/build-with-claude/batch-processing: 100,000 requests, 256 MB."""

    def _headers(self, key: str) -> dict[str, str]:
        return {"x-api-key": key, "anthropic-version": "2023-06-01", "anthropic-beta": "structured-outputs-2025-11-13"}

    def write(self, row: BatchRow) -> bytes:
        """See the plug."""
        return json.dumps({"custom_id": row.name, "params": self._write(row)}, ensure_ascii=False).encode()

    async def submit(self, name: str, rows: Sequence[bytes]) -> str:  # noqa: ARG002 - there is no place for it
        """See the plug."""
        body = b'{"requests": [' + b",".join(rows) + b"]}"
        told = await self._ask("POST", "/v1/messages/batches", content=body, headers={"content-type": "application/json"})
        return str(told["id"])

    async def find(self, name: str, since: datetime, rows: int) -> AsyncIterator[BatchState]:  # noqa: ARG002 - no name is kept
        """See the plug."""
        after: dict[str, Any] = {}
        while True:
            page = await self._ask("GET", "/v1/messages/batches", params={"limit": PAGE, **after})
            for told in page["data"]:
                state = self._state(told)
                if state.created_at < since:
                    return
                if state.rows == rows:
                    yield state
            if not page.get("has_more"):
                return
            after = {"after_id": page["last_id"]}

    async def state(self, batch: str) -> BatchState:
        """See the plug."""
        return self._state(await self._ask("GET", f"/v1/messages/batches/{batch}"))

    async def answers(self, batch: str) -> AsyncIterator[RowAnswer]:
        """See the plug. The provider's own address of the results is not followed: the key goes where it is known to belong."""
        async for line in self._lines(f"/v1/messages/batches/{batch}/results"):
            yield self._answer(line)

    async def cancel(self, batch: str) -> None:
        """See the plug."""
        await self._ask("POST", f"/v1/messages/batches/{batch}/cancel")

    def _answer(self, line: dict[str, Any]) -> RowAnswer:
        name, result = str(line["custom_id"]), line["result"]
        if result["type"] == "succeeded":
            return self._row(name, 200, result["message"])
        if result["type"] == "errored":
            told = result.get("error") or {}
            inner = told.get("error") or told
            return RowAnswer(
                name, "failed", fault=Fault(str(inner.get("message") or told)[:2000], status=_STATUS.get(str(inner.get("type"))), code=inner.get("type"))
            )
        ends: dict[str, RowEnd] = {"canceled": "cancelled", "expired": "expired"}
        end = ends.get(str(result["type"]), "failed")
        return RowAnswer(name, end, fault=Fault(f"the provider says {result['type']}", code=str(result["type"])))

    def _state(self, told: dict[str, Any]) -> BatchState:
        counts = told.get("request_counts") or {}
        made = datetime.fromisoformat(told["created_at"])
        return BatchState(told["id"], told["processing_status"] == "ended", sum(counts.values()), made)


_STATUS = {
    "invalid_request_error": 400,
    "authentication_error": 401,
    "permission_error": 403,
    "not_found_error": 404,
    "rate_limit_error": 429,
    "api_error": 500,
    "overloaded_error": 529,
}


def _fault(error: httpx.HTTPError) -> Fault:
    kinds: tuple[tuple[type[httpx.HTTPError], Transport], ...] = ((httpx.ConnectError, "refused"), (httpx.TimeoutException, "timeout"))
    transport: Transport = next((name for kind, name in kinds if isinstance(error, kind)), "disconnected")
    return Fault(str(error) or type(error).__name__, transport=transport)


def _refusal(response: httpx.Response) -> Fault:
    try:
        told = response.json().get("error") or {}
    except (ValueError, AttributeError):
        told = {}
    wait = response.headers.get("retry-after", "")
    return Fault(
        str(told.get("message") or f"HTTP {response.status_code}")[:2000],
        status=response.status_code,
        code=told.get("code") or told.get("type"),
        retry_after_s=float(wait) if wait.isdigit() else None,
    )
