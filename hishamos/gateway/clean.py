"""An answer as it may be kept and shown: without the key that it was asked with, and in whole characters."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator

from hishamos.gateway.adapters.plug import AdapterEvent, Fault, Text
from hishamos.security import SHORTEST, begun, without


async def cleaned(events: AsyncIterator[AdapterEvent], key: str | None) -> AsyncGenerator[AdapterEvent]:
    """Give an answer's events with clean text; what may be the beginning of the key, or half a character, waits for what follows.

    The pieces of tool calls are as they were: their calls are cleaned when they are whole.
    """
    held = ""
    try:
        async for event in events:
            if not isinstance(event, Text):
                if held:
                    yield Text(clean(held, key))
                    held = ""
                yield event
                continue
            held += event.text
            ready = len(held) - _unfinished(held, key)
            if ready:
                yield Text(clean(held[:ready], key))
                held = held[ready:]
    except Fault:
        if held:
            yield Text(clean(held, key))
        raise
    if held:
        yield Text(clean(held, key))


def clean(text: str, key: str | None) -> str:
    """Return a text without the key, and with a mark in the place of each half of a surrogate pair, which no store keeps."""
    whole = text if text.isascii() else text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return without(whole, [key]) if key else whole


def _unfinished(text: str, key: str | None) -> int:
    if "\ud800" <= text[-1:] <= "\udbff":  # its second half may come next
        return 1
    return begun(text, key) if key and len(key) >= SHORTEST else 0
