"""Tools and their calls in litellm's form, which is OpenAI's."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from hishamos.gateway.adapters.file_wire import wire_content
from hishamos.gateway.adapters.plug import CallPiece
from hishamos.records.calls import Message
from hishamos.records.tools import Tool, ToolCall

SIGNED = "__thought__"
"""litellm hides Gemini's signature of a call behind this in the call's id; other providers refuse an id of that length."""
_STRANGE = re.compile(r"[^A-Za-z0-9_-]")


def wire_tools(tools: Sequence[Tool]) -> list[dict[str, Any]]:
    """Return what a model is told of its tools."""
    return [{"type": "function", "function": tool.model_dump(mode="json")} for tool in tools]


def wire_message(message: Message, *, gemini: bool, files: Mapping[str, bytes]) -> dict[str, Any]:
    """Return a message with its files, and with the tools that were called in it or the result that it is."""
    told: dict[str, Any] = {"role": message.role, "content": wire_content(message.content, message.files, files)}
    if message.answers is not None:
        told["tool_call_id"] = _id(message.answers, gemini=gemini)
    if message.calls:
        told["content"] = message.content or None
        told["tool_calls"] = [_call(call, gemini=gemini) for call in message.calls]
    return told


def call_pieces(calls: Sequence[Any] | None) -> Iterator[CallPiece]:
    """Give what litellm found of tool calls, in an answer or in a chunk of one."""
    for number, call in enumerate(calls or ()):
        place = getattr(call, "index", None)
        function = call.function
        yield CallPiece(number if place is None else place, call.id or "", function.name or "", function.arguments or "")


def _call(call: ToolCall, *, gemini: bool) -> dict[str, Any]:
    """A broken call is told in a form that providers take; what was wrong with it stands in its result."""
    name = _STRANGE.sub("_", call.name)[:64] or "unknown"
    arguments = call.arguments if _is_object(call.arguments) else "{}"
    return {"id": _id(call.id, gemini=gemini), "type": "function", "function": {"name": name, "arguments": arguments}}


def _is_object(text: str) -> bool:
    try:
        return isinstance(json.loads(text), dict)
    except (ValueError, RecursionError):
        return False


def _id(name: str, *, gemini: bool) -> str:
    return name if gemini else name.partition(SIGNED)[0]
