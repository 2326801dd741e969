"""An answer as it may be kept: without the key, however the stream is cut, and in whole characters."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator

import pytest

from hishamos.gateway.adapters.plug import AdapterEvent, CallPiece, Fault, Finish, Text
from hishamos.gateway.clean import cleaned
from hishamos.gateway.tool_calls import Called
from hishamos.records.calls import CallStatus
from hishamos.security import HIDDEN
from tests.rigs.gateways import scripted

KEY = "sk-proj/Q7+x=Zr4Lm8TnVb2Kd5Wc"


def read(*events: AdapterEvent | Fault, key: str | None = KEY) -> tuple[list[AdapterEvent], Fault | None]:
    async def told() -> AsyncIterator[AdapterEvent]:
        for event in events:
            if isinstance(event, Fault):
                raise event
            yield event

    async def collect() -> tuple[list[AdapterEvent], Fault | None]:
        found: list[AdapterEvent] = []
        try:
            async for event in cleaned(told(), key):
                found.append(event)
        except Fault as fault:
            return found, fault
        return found, None

    return asyncio.run(collect())


def text_of(events: list[AdapterEvent]) -> str:
    return "".join(event.text for event in events if isinstance(event, Text))


@pytest.mark.parametrize("size", [1, 2, 3, 5, 7, 11, 100])
def test_the_key_is_hidden_however_the_stream_is_cut(size: int):
    said = f"You called me with {KEY}, that is {KEY[3:17]} and so on."
    events, _ = read(*(Text(said[place : place + size]) for place in range(0, len(said), size)), Finish("stop"))
    text = text_of(events)
    assert re.fullmatch(r"You called me with .{0,3}\[redacted\], that is .{0,3}\[redacted\] and so on\.", text), text
    assert text.replace(HIDDEN, "").count("sk-proj") == 0
    assert events[-1] == Finish("stop")


def test_what_is_no_key_after_all_is_told_all_the_same():
    events, _ = read(Text("a word that ends in sk"), Text("y blue"))
    assert text_of(events) == "a word that ends in sky blue"
    events, fault = read(Text("it ends in sk-proj/Q7"), Fault("gone", transport="disconnected"))
    assert (text_of(events), str(fault)) == ("it ends in sk-proj/Q7", "gone")


def test_pieces_are_not_held_back_for_nothing():
    pieces = [Text("one "), Text("two "), Text("threes"), Text("k")]
    assert read(*pieces)[0] == read(*pieces, key=None)[0] == pieces


def test_a_pair_cut_in_two_becomes_one_character_and_a_half_alone_a_mark():
    assert text_of(read(Text("smile \ud83d"), Text("\ude00."), key=None)[0]) == "smile \U0001f600."
    assert text_of(read(Text("half \ud83d"), Text(" of one \ude00"), key=None)[0]) == "half \ufffd of one \ufffd"
    assert text_of(read(Text("half \ud83d"), key=None)[0]) == "half \ufffd"


def test_a_tool_call_has_neither():
    called = Called()
    for piece in (CallPiece(0, id="c", name="say", arguments='{"text": "' + KEY[:9]), CallPiece(0, arguments=KEY[9:] + '\ud83d"}')):
        called.add(piece)
    [call] = called.calls(KEY)
    assert call.arguments == f'{{"text": "{HIDDEN}\ufffd"}}'


@pytest.mark.parametrize("stream", [False, True])
def test_half_a_pair_in_a_plain_answer_is_kept_with_a_mark(stream: bool):
    from hishamos.gateway.adapters.plug import Used
    from hishamos.records.calls import Usage

    house, _ = scripted([Text("half \ud83d of it"), Used(Usage(input=1, output=2)), Finish("stop")])
    try:
        outcome = house.ask("hello", key="k", stream=stream)
        assert (outcome.status, outcome.text) == (CallStatus.SUCCEEDED, "half \ufffd of it")
        assert house.ask("hello", key="k").text == outcome.text
    finally:
        house.close()
