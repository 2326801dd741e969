"""Personal data stays at home: placeholders go to the provider, and what stood for them comes back into its answer.

Found by form alone: e-mail addresses, phone numbers and payment card numbers. A name, an address or a number in words is not found. A placeholder
has the form of what it stands for (an address of a reserved domain, a number of the same shape that nobody has), so that a model and a schema's
``pattern`` can still work with it; equal values get equal placeholders within a request, also in its tools and schema.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Iterator
from dataclasses import replace
from functools import cached_property
from typing import Any

from hishamos.gateway.adapters.plug import AdapterEvent, CallPiece, Fault, Text
from hishamos.records.calls import Message, ModelRequest
from hishamos.records.configuration import PersonalData

DOMAIN = "hidden.invalid"
"""Reserved by RFC 2606: no address of it can ever be somebody's."""
CARD_DIGITS, PHONE_DIGITS = range(13, 20), range(8, 16)
"""How many digits payment cards (ISO/IEC 7812) and phone numbers (ITU-T E.164: at most 15) have."""

EMAIL = r"(?<![\w.+-])[\w.+-]+@(?:\w(?:[\w-]*\w)?\.)+[^\W\d_]{2,}(?![\w-])"
CARD = r"(?<![\w.+-])\d(?:[ -]?\d){12,18}(?![\w-])(?!\.\d)"
PHONE = (
    r"(?<![\w.+/:-])(?:"
    r"(?:\+|00)[1-9](?:[ ./-]?\(?\d\)?){6,14}"  # international
    r"|\(0?\d{1,5}\)[ ./-]?\d(?:[ ./-]?\d){4,10}"  # the area in brackets
    r"|0\d{1,5}[ ./-]\d(?:[ ./-]?\d){4,10}"  # national, in groups
    r"|\d{3}[ .-]\d{3}[ .-]\d{4}"  # North America
    r")(?![\w-])(?!\.\d)"
)
FOUND = re.compile(f"(?P<email>{EMAIL})|(?P<card>{CARD})|(?P<phone>{PHONE})")
BEGINNING = re.compile(r"(?<!\w)[p0+(]")
"""Where a placeholder can begin."""


class Veil:
    """What one request's placeholders stand for. ``kinds``: what is hidden."""

    def __init__(self, kinds: Iterable[PersonalData]) -> None:
        self.kinds = frozenset(kinds)
        self.found: Counter[str] = Counter()
        """How many different values of each kind are hidden."""
        self._stands_for: dict[str, str] = {}
        self._placeholders: dict[str, str] = {}
        """By the value."""

    @property
    def summary(self) -> str:
        """How much is hidden, in words."""
        return ", ".join(f"{count} {kind}" for kind, count in sorted(self.found.items()))

    def hide(self, text: str) -> str:
        """Return the text with a placeholder in each finding's place."""
        return FOUND.sub(self._replaced, text)

    def show(self, text: str) -> str:
        """Return the text with what its placeholders stand for; those that the model made up stay."""
        lowered, parts, done = text.lower(), list[str](), 0
        for start in self._starts(lowered, 0):
            end = next((start + length for length in self._lengths if lowered[start : start + length] in self._stands_for), 0)
            if start >= done and end and not lowered[end : end + 1].isalnum():
                parts += [text[done:start], self._stands_for[lowered[start:end]]]
                done = end
        return "".join((*parts, text[done:]))

    def settled(self, text: str) -> int:
        """Return how much of a stream's text can be shown: no placeholder can begin in it and end in what is still to come."""
        lowered = text.lower()
        for start in self._starts(lowered, max(0, len(text) - self._lengths[0])):
            # One that seems to have ended may go on: what stands here can be the beginning of a longer number.
            tail = lowered[start:]
            following = bisect_left(self._ordered, tail)
            if following < len(self._ordered) and self._ordered[following].startswith(tail):
                return start
        return len(text)

    @staticmethod
    def _starts(lowered: str, after: int) -> Iterator[int]:
        return (found.start() for found in BEGINNING.finditer(lowered, after))

    @cached_property
    def _ordered(self) -> list[str]:
        return sorted(self._stands_for)

    @cached_property
    def _lengths(self) -> list[int]:
        """Of all placeholders, the longest first."""
        return sorted({len(placeholder) for placeholder in self._stands_for}, reverse=True)

    def _replaced(self, found: re.Match[str]) -> str:
        text, kind = found[0], found.lastgroup
        if kind == "card":
            ends = [*(place.start() for place in re.finditer("[ -]", text)), len(text)]
            end = next((end for end in reversed(ends) if is_card(text[:end])), None)
            if "card" in self.kinds and end is not None:
                return self._placeholder("card", text[:end]) + self.hide(text[end:])
            kind = "phone" if re.fullmatch(PHONE, text) else None
        if kind == "phone" and "phone" in self.kinds and is_phone(text):
            return self._placeholder("phone", text)
        return self._placeholder("email", text) if kind == "email" and "email" in self.kinds else text

    def _placeholder(self, kind: PersonalData, value: str) -> str:
        if value not in self._placeholders:
            number = len(self._stands_for) + 1
            made = f"p{number}@{DOMAIN}" if kind == "email" else _same_shape(value, number)
            self._placeholders[value], self._stands_for[made] = made, value
            self.found[kind] += 1
        return self._placeholders[value]


def _same_shape(value: str, number: int) -> str:
    """Return a number of the same shape that begins with more zeros than any country, bank or network gives out."""
    digits = iter(str(number).rjust(sum(sign.isdigit() for sign in value), "0"))
    return "".join(next(digits) if sign.isdigit() else sign for sign in value)


def veiled(request: ModelRequest, kinds: tuple[PersonalData, ...]) -> tuple[ModelRequest, Veil | None]:
    """Return the request as a provider may see it, and the veil that reads its answer; the request itself where nothing is found."""
    veil = Veil(kinds)
    hidden = request.model_copy(
        update={
            "messages": tuple(_message(message, veil) for message in request.messages),
            "output_schema": _strings(request.output_schema, veil.hide),
            "tools": tuple(
                tool.model_copy(update={"description": veil.hide(tool.description), "parameters": _strings(tool.parameters, veil.hide)})
                for tool in request.tools
            ),
        }
    )
    return (hidden, veil) if veil.found else (request, None)


async def unveiled(events: AsyncIterator[AdapterEvent], veil: Veil) -> AsyncGenerator[AdapterEvent]:
    """Give an answer's events with what their placeholders stand for; text that may be the beginning of one waits for its end."""
    text, calls = "", dict[int, CallPiece]()
    try:
        async for event in events:
            if isinstance(event, Text):
                text += event.text
                ready = veil.settled(text)
                if ready:
                    yield Text(veil.show(text[:ready]))
                    text = text[ready:]
            elif isinstance(event, CallPiece):
                known = calls.get(event.place)
                if known is not None and event.id and known.id and event.id != known.id:  # a server that gives all its calls one place
                    yield replace(known, arguments=veil.show(known.arguments))
                    known = None
                calls[event.place] = event if known is None else replace(known, arguments=known.arguments + event.arguments)
            else:
                for held in _rest(text, calls, veil):
                    yield held
                text = ""
                calls.clear()
                yield event
    except Fault:
        for held in _rest(text, calls, veil):
            yield held
        raise
    for held in _rest(text, calls, veil):
        yield held


def is_card(text: str) -> bool:
    """Return whether the digits can be a payment card's number: its length, and the check digit of ISO/IEC 7812-1 (Luhn)."""
    digits = [int(sign) for sign in text if sign.isdigit()]
    doubled = (sum(divmod(digit * 2, 10)) for digit in digits[-2::-2])
    return len(digits) in CARD_DIGITS and (sum(digits[-1::-2]) + sum(doubled)) % 10 == 0 and any(digits)


def is_phone(text: str) -> bool:
    """Return whether there are as many digits as a phone number has."""
    return sum(sign.isdigit() for sign in text) in PHONE_DIGITS


def _rest(text: str, calls: dict[int, CallPiece], veil: Veil) -> Iterator[AdapterEvent]:
    if text:
        yield Text(veil.show(text))
    for piece in calls.values():
        yield replace(piece, arguments=veil.show(piece.arguments))


def _message(message: Message, veil: Veil) -> Message:
    calls = tuple(call.model_copy(update={"arguments": veil.hide(call.arguments), "input": _strings(call.input, veil.hide)}) for call in message.calls)
    return message.model_copy(update={"content": veil.hide(message.content), "calls": calls})


def _strings(value: Any, change: Callable[[str], str]) -> Any:
    if isinstance(value, str):
        return change(value)
    if isinstance(value, dict):
        return {key: _strings(inner, change) for key, inner in value.items()}
    if isinstance(value, list):
        return [_strings(inner, change) for inner in value]
    return value
