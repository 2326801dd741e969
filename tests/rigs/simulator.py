"""A provider simulator on loopback: OpenAI, Anthropic and Gemini wire formats, faults on demand, and a book of its own.

Run it (``python tests/rigs/simulator.py --port 0`` prints one JSON line with its port) or use :class:`Simulator` to have it run.

- ``GET /book``: what it received and what it would bill, in order; ``DELETE /book`` forgets it; ``GET /peak``: most requests at once.
- ``GET /v1/models``, ``/v1beta/models``, ``/api/tags`` list its models; ``POST /script`` for the model ``models`` says how (``status, headers, html,
  hang, names``); ``GET /listed``: who asked, with which key.
- ``POST /script {"model": "m", "acts": [{…}, …], "then": {…}}``: how the next requests for a model are answered, and all after them.

An act may hold ``status, code, message, retry_after, retry_delay, headers, delay_s, hang, drop, garbled, html, empty, text, finish,
no_finish, blocked, cut_after, stall_after, hold_after, malformed_after, error_after, told, chunk_s, usage, no_usage, calls, echo``. Times are seconds;
what ends in ``_after`` counts chunks of a stream; ``told`` is the status of an error that a stream tells; one that is held goes on with ``POST /go``.
``calls: [{"name": …, "arguments": {…}}, …]`` has the model ask for tools; arguments that are a string go out as they are. The book keeps the tools
that were ``offered`` and the ``results`` that came back, and of each image and PDF (``files``) its type, hash and size; each is billed by
:data:`FILE_TOKENS`, and one that is not what it says is refused.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import hashlib
import json
import os
import subprocess
import sys
import time
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, ClassVar, Self

if TYPE_CHECKING:
    from tests.rigs.nursery import Child

sys.path.insert(0, str(Path(__file__).parents[2]))  # it runs as a file of its own
from tests.rigs.batch_desk import BatchDesk

CHUNK_WORDS = 3
CALL_PIECES = 2
"""Into so many a stream cuts a tool call's arguments."""
FILE_TOKENS = {"openai": 765, "anthropic": 1_500, "gemini": 258}
"""What each image and PDF is billed."""
MAGIC = {"image/png": b"\x89PNG", "image/jpeg": b"\xff\xd8\xff", "image/gif": b"GIF8", "image/webp": b"RIFF", "application/pdf": b"%PDF-"}
LISTS = {"/v1/models": ("data", "id", ""), "/v1beta/models": ("models", "name", "models/"), "/api/tags": ("models", "name", "")}
"""Where a list of models stands in the answer, and how its names are written."""
LISTED = ["gpt-4.1-mini", "gpt-4.1-nano", "claude-haiku-4-5-20251001", "gemini-2.5-flash", "llama3.2:latest"]
MALFORMED = "data: {not json\n\n"


@dataclass
class Entry:
    """One request as the book keeps it."""

    number: int
    format: str
    model: str
    marker: str
    key: str
    started: float
    stream: bool
    max_tokens: int | None
    said: str = ""
    """The beginning of what the user said last."""
    messages: list[dict[str, Any]] = field(default_factory=list)
    """All that was said, where the format lists it under that name."""
    offered: list[str] = field(default_factory=list)
    results: list[str] = field(default_factory=list)
    """What the tools of this conversation gave so far."""
    files: list[dict[str, Any]] = field(default_factory=list)
    status: int | None = None
    billed: dict[str, int] | None = None
    finished: float | None = None
    left: bool = False
    """Whether the client went away in mid-stream."""


@dataclass
class Book:
    """What was received, and how the next requests are answered."""

    entries: list[Entry] = field(default_factory=list)
    acts: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    then: dict[str, dict[str, Any]] = field(default_factory=dict)
    listed: list[dict[str, str]] = field(default_factory=list)
    gone_on: asyncio.Event = field(default_factory=asyncio.Event)
    under_way: int = 0
    peak: int = 0

    def next_act(self, model: str) -> dict[str, Any]:
        """Return how the next request for a model is answered."""
        for name in (model, "*"):
            if self.acts.get(name):
                return self.acts[name].pop(0)
            if name in self.then:
                return self.then[name]
        return {}


def marker(text: str) -> str:
    """Return what the book knows a request by: a hash of its last user message."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def instance(schema: dict[str, Any], definitions: dict[str, Any] | None = None) -> Any:
    """Return the simplest value that satisfies a plain JSON schema."""
    definitions = definitions or schema.get("$defs") or {}
    if "$ref" in schema:
        schema = definitions[schema["$ref"].rpartition("/")[2]]
    if "const" in schema:
        return schema["const"]
    if schema.get("enum"):
        return schema["enum"][0]
    kind = schema.get("type", "object")
    kind = kind[0] if isinstance(kind, list) else kind
    if kind == "object":
        properties = schema.get("properties", {})
        return {name: instance(properties.get(name, {"type": "string"}), definitions) for name in schema.get("required", properties)}
    if kind == "array":
        return [instance(schema.get("items", {"type": "string"}), definitions) for _ in range(schema.get("minItems", 0))]
    return {"string": "simulated", "integer": int(schema.get("minimum", 0)), "number": schema.get("minimum", 0), "boolean": True}.get(kind)


class Dialect:
    """One wire format: how to read a request and how to write an answer."""

    name = ""

    def read(self, path: str, body: dict[str, Any]) -> tuple[str, str, bool, int | None, dict[str, Any] | None]:
        """Return model, last user message, whether to stream, output limit, JSON schema."""
        raise NotImplementedError

    def whole(self, model: str, text: str, usage: dict[str, int], finish: str | None, body: dict[str, Any]) -> dict[str, Any]:
        """Return a plain answer."""
        raise NotImplementedError

    def chunks(self, model: str, pieces: list[str], usage: dict[str, int], finish: str | None, body: dict[str, Any]) -> list[str]:
        """Return a stream's server-sent events."""
        raise NotImplementedError

    def error(self, status: int, act: dict[str, Any]) -> dict[str, Any]:
        """Return an error's body."""
        raise NotImplementedError

    def tools(self, body: dict[str, Any]) -> tuple[list[str], list[str]]:
        """Return the names of the tools that are offered, and what tools gave so far."""
        raise NotImplementedError

    def files(self, body: dict[str, Any]) -> list[tuple[str, str]]:
        """Return type and base64 of each image and PDF, in order."""
        raise NotImplementedError


def _event(data: Any, name: str | None = None) -> str:
    head = f"event: {name}\n" if name else ""
    return f"{head}data: {data if isinstance(data, str) else json.dumps(data)}\n\n"


class OpenAI(Dialect):
    """``POST /v1/chat/completions``."""

    name = "openai"

    def read(self, path: str, body: dict[str, Any]) -> tuple[str, str, bool, int | None, dict[str, Any] | None]:
        schema = (body.get("response_format") or {}).get("json_schema", {}).get("schema")
        limit = body.get("max_completion_tokens") or body.get("max_tokens")
        return body["model"], _last(body["messages"]), bool(body.get("stream")), limit, schema

    def whole(self, model: str, text: str, usage: dict[str, int], finish: str | None, body: dict[str, Any]) -> dict[str, Any]:
        message: dict[str, Any] = {"role": "assistant", "content": text}
        if body.get("calls"):
            message["tool_calls"] = [self._call(place, call, _raw(call)) for place, call in enumerate(body["calls"])]
        choice: dict[str, Any] = {"index": 0, "message": message, "finish_reason": finish}
        return {"id": "sim", "object": "chat.completion", "created": 1, "model": model, "choices": [choice], "usage": self._usage(usage)}

    def chunks(self, model: str, pieces: list[str], usage: dict[str, int], finish: str | None, body: dict[str, Any]) -> list[str]:
        head = {"id": "sim", "object": "chat.completion.chunk", "created": 1, "model": model}
        deltas: list[dict[str, Any]] = [{"role": "assistant", "content": piece} for piece in pieces]
        calls = list(enumerate(body.get("calls") or ()))
        deltas += [{"tool_calls": [{"index": place, **self._call(place, call, "")}]} for place, call in calls]
        for part in range(CALL_PIECES):  # those of several calls by turns
            deltas += [{"tool_calls": [{"index": place, "function": {"arguments": _part(_raw(call), part)}}]} for place, call in calls]
        events = [_event({**head, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]}) for delta in deltas]
        if finish:
            events.append(_event({**head, "choices": [{"index": 0, "delta": {}, "finish_reason": finish}]}))
            if (body.get("stream_options") or {}).get("include_usage"):
                events.append(_event({**head, "choices": [], "usage": self._usage(usage)}))
            events.append(_event("[DONE]"))
        return events

    def error(self, status: int, act: dict[str, Any]) -> dict[str, Any]:
        return {"error": {"message": act.get("message", f"simulated {status}"), "type": act.get("code", "simulated"), "code": act.get("code")}}

    def tools(self, body: dict[str, Any]) -> tuple[list[str], list[str]]:
        results = [message["content"] for message in body["messages"] if message["role"] == "tool"]
        return [tool["function"]["name"] for tool in body.get("tools") or ()], results

    def files(self, body: dict[str, Any]) -> list[tuple[str, str]]:
        parts = [part for message in body["messages"] if isinstance(message.get("content"), list) for part in message["content"]]
        addresses = [part["image_url"]["url"] if part["type"] == "image_url" else part["file"]["file_data"] for part in parts if part["type"] != "text"]
        return [_data_url(address) for address in addresses]

    @staticmethod
    def _call(place: int, call: dict[str, Any], arguments: str) -> dict[str, Any]:
        return {"id": call.get("id", f"call_sim{place}"), "type": "function", "function": {"name": call["name"], "arguments": arguments}}

    @staticmethod
    def _usage(usage: dict[str, int]) -> dict[str, Any]:
        return {
            "prompt_tokens": usage["input"],
            "completion_tokens": usage["output"],
            "total_tokens": usage["input"] + usage["output"],
            "prompt_tokens_details": {"cached_tokens": usage["cached"]},
            "completion_tokens_details": {"reasoning_tokens": usage["reasoning"]},
        }


class Anthropic(Dialect):
    """``POST /v1/messages``; its ``input_tokens`` leave out what the cache read or wrote."""

    name = "anthropic"
    FINISH: ClassVar = {"stop": "end_turn", "length": "max_tokens", "content_filter": "refusal", "tool_calls": "tool_use"}

    def read(self, path: str, body: dict[str, Any]) -> tuple[str, str, bool, int | None, dict[str, Any] | None]:
        schema = ((body.get("output_config") or {}).get("format") or body.get("output_format") or {}).get("schema")
        if schema is None and self._by_tool(body):
            schema = body["tools"][0]["input_schema"]
        return body["model"], _last(body["messages"]), bool(body.get("stream")), body.get("max_tokens"), schema

    def whole(self, model: str, text: str, usage: dict[str, int], finish: str | None, body: dict[str, Any]) -> dict[str, Any]:
        blocks = [self._tool(text, body)] if self._by_tool(body) else [{"type": "text", "text": text}] if text else []
        blocks += [self._use(place, call, call["arguments"]) for place, call in enumerate(body.get("calls") or ())]
        reason = self.FINISH.get(finish, finish) if finish else None
        return {"id": "sim", "type": "message", "role": "assistant", "model": model, "content": blocks, "stop_reason": reason, "usage": self._usage(usage)}

    def chunks(self, model: str, pieces: list[str], usage: dict[str, int], finish: str | None, body: dict[str, Any]) -> list[str]:
        start = {"id": "sim", "type": "message", "role": "assistant", "model": model, "content": [], "usage": {**self._usage(usage), "output_tokens": 1}}
        block, kind, name = {"type": "text", "text": ""}, "text_delta", "text"
        if self._by_tool(body):
            block, kind, name = {**self._tool("{}", body), "input": {}}, "input_json_delta", "partial_json"
        blocks = [(block, [{"type": kind, name: piece} for piece in pieces])] if pieces else []
        for place, call in enumerate(body.get("calls") or ()):
            parts = [{"type": "input_json_delta", "partial_json": _part(_raw(call), part)} for part in range(CALL_PIECES)]
            blocks.append((self._use(place, call, {}), parts))
        events = [_event({"type": "message_start", "message": start}, "message_start")]
        for index, (opening, deltas) in enumerate(blocks):
            events.append(_event({"type": "content_block_start", "index": index, "content_block": opening}, "content_block_start"))
            events += [_event({"type": "content_block_delta", "index": index, "delta": delta}, "content_block_delta") for delta in deltas]
            if finish or index < len(blocks) - 1:
                events.append(_event({"type": "content_block_stop", "index": index}, "content_block_stop"))
        if finish:
            end = {"type": "message_delta", "delta": {"stop_reason": self.FINISH.get(finish, finish)}, "usage": {"output_tokens": usage["output"]}}
            events += [_event(end, "message_delta"), _event({"type": "message_stop"}, "message_stop")]
        return events

    def error(self, status: int, act: dict[str, Any]) -> dict[str, Any]:
        return {"type": "error", "error": {"type": act.get("code", "api_error"), "message": act.get("message", f"simulated {status}")}}

    def tools(self, body: dict[str, Any]) -> tuple[list[str], list[str]]:
        blocks = [block for message in body["messages"] if isinstance(message["content"], list) for block in message["content"]]
        results = [block["content"] for block in blocks if block["type"] == "tool_result"]
        said = [one if isinstance(one, str) else "".join(part["text"] for part in one) for one in results]
        return [tool["name"] for tool in body.get("tools") or ()], said

    def files(self, body: dict[str, Any]) -> list[tuple[str, str]]:
        blocks = [block for message in body["messages"] if isinstance(message["content"], list) for block in message["content"]]
        sources = {"image": "image/", "document": "application/pdf"}
        found = [(block["source"], sources[block["type"]]) for block in blocks if block["type"] in sources]
        assert all(source["type"] == "base64" and source["media_type"].startswith(kind) for source, kind in found), found
        return [(source["media_type"], source["data"]) for source, _ in found]

    @staticmethod
    def _by_tool(body: dict[str, Any]) -> bool:
        """Whether litellm asks for an answer by a schema as if it were a tool."""
        return bool(body.get("tools")) and body["tools"][0]["name"] == "json_tool_call"

    @staticmethod
    def _use(place: int, call: dict[str, Any], data: Any) -> dict[str, Any]:
        return {"type": "tool_use", "id": call.get("id", f"toolu_sim{place}"), "name": call["name"], "input": data}

    @staticmethod
    def _tool(text: str, body: dict[str, Any]) -> dict[str, Any]:
        return {"type": "tool_use", "id": "toolu_sim", "name": body["tools"][0]["name"], "input": json.loads(text)}

    @staticmethod
    def _usage(usage: dict[str, int]) -> dict[str, Any]:
        return {
            "input_tokens": usage["input"] - usage["cached"] - usage["cache_write"],
            "cache_read_input_tokens": usage["cached"],
            "cache_creation_input_tokens": usage["cache_write"],
            "output_tokens": usage["output"],
        }


class Gemini(Dialect):
    """``POST /v1beta/models/MODEL:generateContent``; thoughts stand beside the candidates' tokens."""

    name = "gemini"
    FINISH: ClassVar = {"stop": "STOP", "length": "MAX_TOKENS", "content_filter": "SAFETY", "tool_calls": "STOP"}

    def read(self, path: str, body: dict[str, Any]) -> tuple[str, str, bool, int | None, dict[str, Any] | None]:
        model, _, method = path.split("?", maxsplit=1)[0].rsplit("/", 1)[1].partition(":")
        config = body.get("generationConfig") or body.get("generation_config") or {}
        schema = config.get("responseJsonSchema") or config.get("response_json_schema") or config.get("responseSchema") or config.get("response_schema")
        texts = ["".join(part.get("text", "") for part in content["parts"]) for content in body["contents"] if content.get("role", "user") == "user"]
        return model, texts[-1], method.startswith("stream"), config.get("maxOutputTokens") or config.get("max_output_tokens"), schema

    def whole(self, model: str, text: str, usage: dict[str, int], finish: str | None, body: dict[str, Any]) -> dict[str, Any]:
        if body.get("blocked"):
            return {"promptFeedback": {"blockReason": body["blocked"]}, "usageMetadata": {"promptTokenCount": usage["input"]}, "modelVersion": model}
        parts: list[dict[str, Any]] = [{"text": text}] if text or not body.get("calls") else []
        for call in body.get("calls") or ():
            part = {"functionCall": {"name": call["name"], "args": call["arguments"]}}
            parts.append(part | ({"thoughtSignature": call["signature"]} if "signature" in call else {}))
        candidate: dict[str, Any] = {"index": 0, "content": {"role": "model", "parts": parts}}
        if finish:
            candidate["finishReason"] = self.FINISH.get(finish, finish)
        counts = {
            "promptTokenCount": usage["input"],
            "candidatesTokenCount": usage["output"] - usage["reasoning"],
            "thoughtsTokenCount": usage["reasoning"],
            "cachedContentTokenCount": usage["cached"],
            "totalTokenCount": usage["input"] + usage["output"],
        }
        return {"candidates": [candidate], "modelVersion": model} | ({} if body.get("no_usage") else {"usageMetadata": counts})

    def chunks(self, model: str, pieces: list[str], usage: dict[str, int], finish: str | None, body: dict[str, Any]) -> list[str]:
        chunks = [(piece, []) for piece in pieces] + [("", [call]) for call in body.get("calls") or ()]  # a call comes whole
        last = len(chunks) - 1
        counted = [usage if place == last else usage | {"output": usage["reasoning"] + place + 1} for place in range(len(chunks))]  # so far
        return [
            _event(self.whole(model, piece, counted[place], finish if place == last else None, body | {"calls": calls}))
            for place, (piece, calls) in enumerate(chunks)
        ]

    def tools(self, body: dict[str, Any]) -> tuple[list[str], list[str]]:
        declared = [one for tool in body.get("tools") or () for one in tool.get("functionDeclarations") or tool.get("function_declarations") or ()]
        parts = [part for content in body["contents"] for part in content["parts"]]
        results = [part.get("functionResponse") or part.get("function_response") for part in parts]
        return [one["name"] for one in declared], [json.dumps(one["response"]) for one in results if one]

    def files(self, body: dict[str, Any]) -> list[tuple[str, str]]:
        parts = [part.get("inlineData") or part.get("inline_data") for content in body["contents"] for part in content["parts"]]
        return [(part.get("mimeType") or part["mime_type"], part["data"]) for part in parts if part]

    def error(self, status: int, act: dict[str, Any]) -> dict[str, Any]:
        error = {"code": status, "message": act.get("message", f"simulated {status}"), "status": act.get("code", "SIMULATED")}
        if "retry_delay" in act:
            error["details"] = [{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": act["retry_delay"]}]
        return {"error": error}


DIALECTS = {"/v1/chat/completions": OpenAI(), "/v1/messages": Anthropic()}


BATCHED = {"openai": OpenAI(), "anthropic": Anthropic()}


def _last(messages: list[dict[str, Any]]) -> str:
    content = next(message["content"] for message in reversed(messages) if message["role"] == "user")
    return content if isinstance(content, str) else "".join(part.get("text", "") for part in content)


def _data_url(address: str) -> tuple[str, str]:
    head, _, data = address.partition(",")
    media = head.removeprefix("data:").removesuffix(";base64")
    assert head == f"data:{media};base64", head
    return media, data


def _raw(call: dict[str, Any]) -> str:
    return call["arguments"] if isinstance(call["arguments"], str) else json.dumps(call["arguments"])


def _part(text: str, part: int) -> str:
    size = -(-len(text) // CALL_PIECES)
    return text[part * size : (part + 1) * size]


class Server:
    """Serves the wire formats and the control endpoints."""

    def __init__(self) -> None:
        self.book, self.desk = Book(), BatchDesk(BATCHED, _usage)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one connection's requests."""
        try:
            while (line := await reader.readline()).strip():
                method, path, _ = line.decode().split(" ", 2)
                headers = {}
                while header := (await reader.readline()).decode().strip():
                    name, _, value = header.partition(":")
                    headers[name.lower()] = value.strip()
                body = await reader.readexactly(int(headers.get("content-length", 0)))
                if not await self._answer(method, path, headers, body, writer):
                    break
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # the client left: that is one of the things the tests do
        finally:
            writer.close()

    async def _answer(self, method: str, path: str, headers: dict[str, str], body: bytes, writer: asyncio.StreamWriter) -> bool:
        bare = path.split("?", maxsplit=1)[0]
        if "batches" in bare or bare.startswith("/v1/files"):
            act = self.book.next_act("batches")
            found = self.desk.serve(method, path, headers, body, act)
            if found is not None:
                return False if found[1] is None else await _reply(writer, *found, act.get("headers"))
        if bare == "/book" and method == "DELETE":
            self.book, self.desk = Book(), BatchDesk(BATCHED, _usage)
            return await _reply(writer, 200, {})
        if bare == "/book":
            return await _reply(writer, 200, [vars(entry) for entry in self.book.entries])
        if bare == "/listed":
            return await _reply(writer, 200, self.book.listed)
        if bare in LISTS and method == "GET":
            return await self._list(bare, headers, writer)
        if bare == "/peak":
            return await _reply(writer, 200, {"peak": self.book.peak})
        if bare == "/go":
            self.book.gone_on.set()
            return await _reply(writer, 200, {})
        if bare == "/script":
            script = json.loads(body)
            self.book.acts[script["model"]] = list(script.get("acts", []))
            self.book.then.pop(script["model"], None)
            if script.get("then") is not None:
                self.book.then[script["model"]] = script["then"]
            return await _reply(writer, 200, {})
        azure = DIALECTS["/v1/chat/completions"] if bare.startswith("/openai/deployments/") else None
        dialect = DIALECTS.get(bare) or azure or (Gemini() if ":" in bare.rsplit("/", 1)[1] else None)
        if dialect is None:
            return await _reply(writer, 404, {"error": {"message": f"no such path {path}"}})
        book = self.book
        book.under_way += 1
        book.peak = max(book.peak, book.under_way)
        try:
            return await self._simulate(dialect, path, headers, json.loads(body), writer)
        finally:
            book.under_way -= 1

    async def _list(self, path: str, headers: dict[str, str], writer: asyncio.StreamWriter) -> bool:
        self.book.listed.append({"path": path, "key": _key(headers)})
        act = self.book.next_act("models")
        if act.get("hang"):
            await asyncio.sleep(3600)
        if act.get("html"):
            return await _reply(writer, 200, b"<html>busy</html>")
        if act.get("status", 200) != 200:
            return await _reply(writer, act["status"], {"error": {"message": act.get("message", "simulated")}}, act.get("headers"))
        place, name, prefix = LISTS[path]
        return await _reply(writer, 200, {place: [{name: prefix + one} for one in act.get("names", LISTED)]})

    async def _simulate(self, dialect: Dialect, path: str, headers: dict[str, str], body: dict[str, Any], writer: asyncio.StreamWriter) -> bool:
        model, message, stream, limit, schema = dialect.read(path, body)
        key = _key(headers)
        entry = Entry(len(self.book.entries), dialect.name, model, marker(message), key, time.time(), stream, limit)
        entry.said = message[:2000]
        entry.messages = body.get("messages", [])
        entry.offered, entry.results = dialect.tools(body)
        files = [(media, base64.b64decode(data, validate=True)) for media, data in dialect.files(body)]
        entry.files = [{"media": media, "sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)} for media, data in files]
        self.book.entries.append(entry)
        act = self.book.next_act(model)
        if any(media not in MAGIC or not data.startswith(MAGIC[media]) for media, data in files):
            act = {"status": 400, "code": "invalid_request_error", "message": "unsupported image"}
        if act.get("drop"):
            return False
        entry.status = act.get("status", 200)
        calls = act.get("calls") or []
        if act.get("echo"):
            act = {**act, "text": message}
        text = (
            act.get("text", "") if calls else act.get("text") or (json.dumps(instance(schema)) if schema is not None else f"simulated answer to {entry.marker}")
        )
        usage = _usage(message, " ".join((text, *map(_raw, calls))))
        usage["input"] += FILE_TOKENS[dialect.name] * len(files)
        usage |= act.get("usage", {})
        if entry.status == 200 and not act.get("hang"):
            entry.billed = usage
        await asyncio.sleep(act.get("delay_s", 0))
        if act.get("hang"):
            await asyncio.sleep(3600)
        entry.finished = time.time()
        if entry.status != 200:
            extra = act.get("headers", {}) | ({"retry-after": str(act["retry_after"])} if "retry_after" in act else {})
            return await _reply(writer, entry.status, dialect.error(entry.status, act), extra)
        if act.get("garbled") or act.get("html") or act.get("empty"):
            raw = b"" if act.get("empty") else b"<html>busy</html>" if act.get("html") else b'{"choices": [{"mess'
            return await _reply(writer, 200, raw)
        finish = None if act.get("no_finish") else act.get("finish", "tool_calls" if calls else "stop")
        if act.get("no_usage"):
            body = body | {"stream_options": {}, "no_usage": True}
        body = body | {"blocked": act.get("blocked"), "calls": calls}
        if not stream:
            answer = dialect.whole(model, text, usage, finish, body)
            return await _reply(writer, 200, {name: value for name, value in answer.items() if not (act.get("no_usage") and name == "usage")})
        try:
            told = _event(dialect.error(act.get("told", 500), act), "error" if isinstance(dialect, Anthropic) else None)
            return await _stream(writer, dialect.chunks(model, _pieces(text) if text or not calls else [], usage, finish, body), act, told, self.book.gone_on)
        except ConnectionError:
            entry.left = True
            raise


def _key(headers: dict[str, str]) -> str:
    return headers.get("authorization", "").removeprefix("Bearer ") or headers.get("x-api-key") or headers.get("x-goog-api-key") or headers.get("api-key") or ""


def _usage(message: str, text: str) -> dict[str, int]:
    return {"input": len(message.encode()) // 4 + 8, "cached": 0, "cache_write": 0, "output": len(text.split()) + 1, "reasoning": 0}


def _pieces(text: str) -> list[str]:
    words = text.split(" ")
    groups = [" ".join(words[start : start + CHUNK_WORDS]) for start in range(0, len(words), CHUNK_WORDS)]
    return [group if place == 0 else " " + group for place, group in enumerate(groups)]


async def _stream(writer: asyncio.StreamWriter, events: list[str], act: dict[str, Any], told: str, gone_on: asyncio.Event) -> bool:
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n")
    for place, event in enumerate(events):
        if place == act.get("cut_after"):
            await writer.drain()
            return False
        if place == act.get("stall_after"):
            await writer.drain()
            await asyncio.sleep(3600)
        if place == act.get("hold_after"):
            await writer.drain()
            await gone_on.wait()
        data = (MALFORMED if act.get("malformed_after") == place else told if act.get("error_after") == place else event).encode()
        writer.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
        if act.get("error_after") == place:
            break
        if act.get("chunk_s"):
            await writer.drain()
            await asyncio.sleep(act["chunk_s"])
    writer.write(b"0\r\n\r\n")
    await writer.drain()
    return True


async def _reply(writer: asyncio.StreamWriter, status: int, body: Any, headers: dict[str, str] | None = None) -> bool:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    lines = [
        f"HTTP/1.1 {status} X",
        "content-type: application/json",
        f"content-length: {len(data)}",
        *(f"{name}: {value}" for name, value in (headers or {}).items()),
    ]
    writer.write("\r\n".join(lines).encode() + b"\r\n\r\n" + data)
    await writer.drain()
    return True


class Simulator:
    """The simulator in a process of its own; use it as a context."""

    def __init__(self, port: int = 0) -> None:
        told, says = os.pipe()
        with open(told) as output, open(says, "wb") as mine:
            self._process = self._start(["--port", str(port)], mine)
            mine.close()
            self.port = int(json.loads(output.readline())["port"])
        self.url = f"http://127.0.0.1:{self.port}"

    def script(self, model: str, *acts: dict[str, Any], then: dict[str, Any] | None = None) -> None:
        """Say how the next requests for a model are answered, and with ``then`` all after them."""
        self._ask("POST", "/script", {"model": model, "acts": acts, "then": then})

    def go_on(self) -> None:
        """Let what is held, and what would be, go on."""
        self._ask("POST", "/go")

    def book(self) -> list[dict[str, Any]]:
        """Return what it received, in order."""
        found: list[dict[str, Any]] = self._ask("GET", "/book")
        return found

    def batches(self) -> list[dict[str, Any]]:
        """Return the batches that it was given, in order."""
        found: list[dict[str, Any]] = self._ask("GET", "/batches")
        return found

    def listed(self) -> list[dict[str, str]]:
        """Return who asked for its list of models, in order."""
        found: list[dict[str, str]] = self._ask("GET", "/listed")
        return found

    def clear(self) -> None:
        """Forget the book and all scripts."""
        self._ask("DELETE", "/book")

    def peak(self) -> int:
        """Return the most requests that were under way at once."""
        return int(self._ask("GET", "/peak")["peak"])

    def _ask(self, method: str, path: str, body: Any = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        with urllib.request.urlopen(urllib.request.Request(self.url + path, data=data, method=method), timeout=10) as answer:
            return json.loads(answer.read())

    def close(self) -> None:
        """End the process."""
        self._process.terminate()
        self._process.wait(10)

    @staticmethod
    def _start(arguments: list[str], output: IO[bytes]) -> subprocess.Popen[bytes] | Child:
        from tests.rigs import nursery  # not there where this file runs by itself

        if not nursery.available():
            return subprocess.Popen([sys.executable, str(Path(__file__)), *arguments], stdout=output)
        return nursery.start("simulator", arguments, [0, output.fileno(), 2], folder=Path(__file__).parent, environment=os.environ)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


async def _main(port: int) -> None:
    server = await asyncio.start_server(Server().serve, "127.0.0.1", port, backlog=1024, limit=2**24)
    print(json.dumps({"port": server.sockets[0].getsockname()[1]}), flush=True)
    async with server:
        await server.serve_forever()


def main(arguments: list[str] | None = None) -> None:
    """Serve until the process is ended; what stands on the command line is ``--port``."""
    parser = argparse.ArgumentParser(description="A provider simulator on loopback.")
    parser.add_argument("--port", type=int, default=0)
    asyncio.run(_main(parser.parse_args(arguments).port))


if __name__ == "__main__":
    main()
