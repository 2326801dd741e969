"""An answer as it may be kept and shown: without the key that it was asked with, and in whole characters."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator

from hishamos.gateway.adapters.plug import AdapterEvent, Fault, Text
from hishamos.security import SHORTEST, begun, without

AHEAD = 3
"""So many characters of a key may have been told before a fourth shows what they are."""


async def cleaned(events: AsyncIterator[AdapterEvent], key: str | None) -> AsyncGenerator[AdapterEvent]:
    """Give an answer's events with clean text; what may be the beginning of the key, or half a character, waits for what follows.

    The pieces of tool calls are as they were: their calls are cleaned when they are whole.
    """
    text = _Text(key)
    try:
        async for event in events:
            if isinstance(event, Text):
                ready = text.add(event.text)
                if ready:
                    yield Text(ready)
                continue
            if text.held:
                yield Text(text.rest())
            yield event
    except Fault:
        if text.held:
            yield Text(text.rest())
        raise
    if text.held:
        yield Text(text.rest())


def clean(text: str, key: str | None) -> str:
    """Return a text without the key, and with a mark in the place of each half of a surrogate pair, which no store keeps."""
    whole = text if text.isascii() else text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return without(whole, [key]) if key else whole


class _Text:
    """An answer's text as it comes: what is held back, and the last of what was told."""

    def __init__(self, key: str | None) -> None:
        self.held = ""
        self._key = key if key and len(key) >= SHORTEST else None
        self._told = ""

    def add(self, piece: str) -> str:
        """Take the next piece; return what can be told now."""
        self.held += piece
        waiting = 1 if "\ud800" <= self.held[-1:] <= "\udbff" else 0  # its second half may come next
        if self._key and not waiting:
            waiting = min(begun(self._told + self.held, self._key), len(self.held))
        return self._tell(len(self.held) - waiting)

    def rest(self) -> str:
        """Return what was held back."""
        return self._tell(len(self.held))

    def _tell(self, count: int) -> str:
        said, ahead = self.held[:count], self._told
        self.held = self.held[count:]
        if not said:
            return ""
        text = clean(ahead + said, self._key)
        self._told = (ahead + said)[-AHEAD:] if self._key else ""
        shared = next(place for place in range(len(ahead), -1, -1) if text.startswith(ahead[:place]))
        return text[shared:]
