"""What Gemini itself says of an answer's end. litellm reports ``stop`` with every chunk, and so at the end of a stream that was cut off."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

from hishamos.gateway.adapters.plug import Fault

REASONS = {"STOP": "stop", "MAX_TOKENS": "length"}
WITHHELD = frozenset({"SAFETY", "RECITATION", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII", "IMAGE_SAFETY", "IMAGE_PROHIBITED_CONTENT", "IMAGE_RECITATION"})
FIELDS = ("event:", "id:", "retry:", ":")
"""Lines of server-sent events that hold no data."""


class GeminiStream:
    """Reads the lines of the provider's events on their way to litellm; keeps how the stream ended."""

    def __init__(self) -> None:
        self.reason: str | None = None
        """Why the provider ended the answer, in the plug's words; None while it did not say so."""
        self.fault: Fault | None = None
        """What was wrong with an event, or the error that one told."""
        self._data: list[str] = []

    async def watch(self, lines: AsyncIterator[str]) -> AsyncIterator[str]:
        """Give the lines on, event by event; end the stream before the first that is no answer."""
        async for line in lines:
            if line.startswith("data:"):
                self._data.append(line)
            elif line.strip() and not line.startswith(FIELDS):
                self.fault = Fault(f"the stream holds a line that is no event: {line[:80]!r}", transport="garbled")
                return
            elif not line.strip():
                for part in self._event():
                    yield part
                if self.fault is not None:
                    return
        for part in self._event():
            yield part

    def _event(self) -> list[str]:
        """Return the lines of the event that has ended, if it is one of an answer."""
        lines, self._data = self._data, []
        data = "\n".join(line.removeprefix("data:") for line in lines).strip()
        if not data:
            return []
        try:
            event = json.loads(data)
        except ValueError:
            event = None
        if not isinstance(event, dict):
            self.fault = Fault(f"an event of the stream is no JSON object: {data[:80]!r}", transport="garbled")
        elif "error" in event:
            self.fault = _told(event["error"])
        else:
            self.reason = _reason(event) or self.reason
        return [] if self.fault else lines


def speaks_gemini(kind: str, model: str) -> bool:
    """Return whether litellm reads a model's answers as Gemini's: Google's own service, and Vertex with its Gemini models."""
    return kind == "gemini" or (kind.startswith("vertex_ai") and "gemini" in model)


def finish_reason(name: str) -> str:
    """Return the plug's word for Gemini's; one that is neither an end nor a refusal stays as it is."""
    return REASONS.get(name) or ("content_filter" if name in WITHHELD else name.lower())


def _reason(event: dict[str, Any]) -> str | None:
    if (event.get("promptFeedback") or {}).get("blockReason"):
        return "content_filter"
    name = next((candidate.get("finishReason") for candidate in event.get("candidates") or ()), None)
    return None if name is None else finish_reason(name)


def _told(error: Any) -> Fault:
    facts = error if isinstance(error, dict) else {"message": str(error)}
    status, code = facts.get("code"), facts.get("status")
    return Fault(str(facts.get("message") or "an error in the stream"), status=status if isinstance(status, int) else 500, code=code)
