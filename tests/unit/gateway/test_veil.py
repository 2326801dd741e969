"""What is found, what is left alone, and that a stream may be cut anywhere."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hishamos.gateway.adapters.plug import AdapterEvent, CallPiece, Fault, Finish, Text
from hishamos.gateway.veil import Veil, is_card, unveiled, veiled
from hishamos.records.calls import Message, ModelRequest
from hishamos.records.tools import Tool, ToolCall

ALL = ("email", "phone", "card")


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("a@b.co", "email"),
        ("A.B+c@ex-ample.co.uk", "email"),
        ("someone@مثال.شبكة", "email"),
        ("+44 20 7946 0958", "phone"),
        ("+966501234567", "phone"),
        ("+1 (555) 010-9999", "phone"),
        ("0044 20 7946 0958", "phone"),
        ("(020) 7946 0958", "phone"),
        ("030/1234567", "phone"),
        ("555-123-4567", "phone"),
        ("4111 1111 1111 1111", "card"),
        ("4111-1111-1111-1111", "card"),
        ("378282246310005", "card"),
        ("٤١١١ ١١١١ ١١١١ ١١١١", "card"),
    ],
)
@pytest.mark.parametrize("around", ["{}", "write to {}, please.", "({}) ", '{{"to": "{}"}}', "نص {} نص"])
def test_it_is_found_wherever_it_stands(text: str, kind: str, around: str):
    veil = Veil(ALL)
    hidden = veil.hide(around.format(text))
    assert text not in hidden
    assert (veil.summary, veil.show(hidden)) == (f"1 {kind}", around.format(text))


@pytest.mark.parametrize(
    "text",
    [
        "order 12345678901",
        "4111 1111 1111 1112 is no card",
        "2026-11-24 10:00:00.000000",
        "2026-11-24T10:00:00+02:00",
        "v1.2.3.4 at 192.168.0.1:8080",
        "pi is 3.14159265358979323",
        "1732412345678901 ms",
        "issue 555-1234, lines 10-20",
        "user@localhost and @someone",
        "0000000000000000",
        "sha 4f2a0012345678901234abcd",
    ],
)
def test_what_only_looks_like_it_stays(text: str):
    veil = Veil(ALL)
    assert (veil.hide(text), veil.summary) == (text, "")


def test_only_what_is_asked_for_is_hidden():
    text = "a@b.co +44 20 7946 0958 4111 1111 1111 1111"
    assert Veil(("phone",)).hide(text) == "a@b.co +00 00 0000 0001 4111 1111 1111 1111"
    assert Veil(("card", "email")).hide(text) == "p1@hidden.invalid +44 20 7946 0958 0000 0000 0000 0002"


def test_equal_values_are_equal_and_a_card_ends_where_its_digits_do():
    assert Veil(ALL).hide("a@b.co, c@d.co, a@b.co") == "p1@hidden.invalid, p2@hidden.invalid, p1@hidden.invalid"
    assert Veil(ALL).hide("4111 1111 1111 1111 123 12/29") == "0000 0000 0000 0001 123 12/29"


def test_what_the_model_made_up_or_the_text_held_before_is_nobodys():
    veil = Veil(ALL)
    text = "p2@hidden.invalid wrote to a@b.co and p1@hidden.invalid"
    assert veil.show(veil.hide(text)) == text
    assert veil.show("p9@hidden.invalid, P1@HIDDEN.INVALID, xp1@hidden.invalid") == "p9@hidden.invalid, p2@hidden.invalid, xp1@hidden.invalid"


@settings(deadline=None)  # the machine may be busy
@given(
    st.lists(st.sampled_from(["a@b.co", "c.d@e.org", "+44 20 7946 0958", "555-123-4567", "4111111111111111", "p1", "00 0", "é", " ", ", ", "\n", "0000 0001"]))
)
def test_whatever_is_hidden_is_shown_again(pieces: list[str]):
    veil = Veil(ALL)
    assert veil.show(veil.hide("".join(pieces))) == "".join(pieces)


@settings(deadline=None)  # the machine may be busy
@given(st.lists(st.sampled_from(["a@b.co", "+44 20 7946 0958", "4111111111111111", "p1", "00", " ", ", "]), max_size=12), st.data())
def test_a_stream_may_be_cut_anywhere(pieces: list[str], data: st.DataObject):
    text = "".join(pieces)
    veil = Veil(ALL)
    hidden = veil.hide(text)
    if not veil.found:
        return
    cuts = sorted(data.draw(st.lists(st.integers(0, len(hidden)), max_size=8)))
    events = [Text(hidden[start:end]) for start, end in zip([0, *cuts], [*cuts, len(hidden)], strict=True)]
    assert "".join(event.text for event in read([*events, Finish("stop")], veil) if isinstance(event, Text)) == text


def test_text_that_waits_is_told_when_the_stream_ends_or_breaks():
    veil = Veil(ALL)
    veil.hide("a@b.co")
    assert read([Text("to p1@hid")], veil) == [Text("to "), Text("p1@hid")]
    assert read([Text("to p1@hidden.invalid"), Fault("gone")], veil) == [Text("to "), Text("a@b.co")]
    assert read([Text("to p1@hidden.invalid"), Finish("stop")], veil) == [Text("to "), Text("a@b.co"), Finish("stop")]


def test_tool_calls_get_what_was_hidden():
    veil = Veil(ALL)
    veil.hide("a@b.co")
    pieces = [CallPiece(0, "1", "send", '{"to": "p1@hid'), CallPiece(1, "2", "clock", "{}"), CallPiece(0, arguments='den.invalid"}'), Finish("tool_calls")]
    assert read(pieces, veil) == [CallPiece(0, "1", "send", '{"to": "a@b.co"}'), CallPiece(1, "2", "clock", "{}"), Finish("tool_calls")]


def test_calls_that_a_server_gives_one_place_stay_apart():
    veil = Veil(ALL)
    veil.hide("a@b.co")
    pieces = [CallPiece(0, "1", "send", '{"to": "p1@hidden.invalid"}'), CallPiece(0, "2", "clock", "{"), CallPiece(0, arguments="}"), Finish("tool_calls")]
    assert read(pieces, veil) == [CallPiece(0, "1", "send", '{"to": "a@b.co"}'), CallPiece(0, "2", "clock", "{}"), Finish("tool_calls")]


def test_nothing_of_a_request_is_forgotten():
    asked = ToolCall(id="1", name="send", arguments='{"to": "a@b.co"}', input={"to": "a@b.co"})
    request = ModelRequest(
        target="x/y",
        messages=(
            Message(role="system", content="a@b.co"),
            Message(role="assistant", content="", calls=(asked,)),
            Message(role="tool", content="a@b.co", answers="1"),
        ),
        output_schema={"type": "string", "enum": ["a@b.co"], "description": "not a@b.co"},
        tools=(Tool(name="send", description="To a@b.co.", parameters={"type": "object", "properties": {"to": {"enum": ["a@b.co"]}}}),),
    )
    sent, veil = veiled(request, ALL)
    assert veil is not None
    assert "a@b.co" not in sent.model_dump_json()
    assert sent.model_dump_json().count("p1@hidden.invalid") == 8
    assert veiled(ModelRequest(target="x/y", messages=(Message(role="user", content="hello"),)), ALL)[1] is None


def test_cards_are_told_by_their_check_digit():
    assert [is_card(text) for text in ("4111111111111111", "4111111111111112", "5555 5555 5555 4444", "0000000000000000", "79927398713")] == [
        True, False, True, False, False,
    ]  # fmt: skip


def read(events: list[AdapterEvent | Fault], veil: Veil) -> list[AdapterEvent]:
    async def told() -> AsyncIterator[AdapterEvent]:
        for event in events:
            if isinstance(event, Fault):
                raise event
            yield event

    async def collect() -> list[AdapterEvent]:
        heard: list[AdapterEvent] = []
        try:
            async for event in unveiled(told(), veil):
                heard.append(event)
        except Fault:
            pass
        return heard

    return asyncio.run(collect())
