"""Tool calls from pieces, and what is wrong with them."""

from __future__ import annotations

import json

import pytest

from hishamos.gateway.adapters.plug import CallPiece
from hishamos.gateway.answers import parse
from hishamos.gateway.tool_calls import MOST_CALLS, Called, judged
from hishamos.records.tools import Tool

ANY = Tool(name="any", parameters={"type": "object"})


def one(arguments: str, name: str = "any") -> tuple[object, str | None]:
    called = Called()
    called.add(CallPiece(0, "a", name, arguments))
    (call,) = judged(called, [ANY])
    return call.input, call.problem


@pytest.mark.parametrize("arguments", ["", "  ", "{}"])
def test_no_arguments_are_an_empty_object(arguments: str):
    assert one(arguments) == ({}, None)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ("[]", "no JSON object"),
        ("null", "no JSON object"),
        ('{"a": NaN}', "no JSON"),
        ('{"a": 1} {"b": 2}', "no JSON"),
        ('{"a": ' * 50_000, "no JSON"),
        ('{"a": ' * 150 + "1" + "}" * 150, "nested more than 100 levels"),
        (r'{"a": "\ud800"}', "half of a surrogate pair"),
    ],
)
def test_what_is_broken_is_said(arguments: str, told: str):
    data, problem = one(arguments)
    assert data is None
    assert told in (problem or "")
    assert len(problem or "") < 1000


def test_an_answer_that_no_store_keeps_is_sent_back():
    for text in (r'{"a": "\ud800"}', '{"a": ' * 150 + "1" + "}" * 150):
        data, problem = parse(text, {"type": "object"})
        assert data is None
        assert problem is not None


def test_pieces_of_several_calls_come_by_turns():
    called = Called()
    for piece in (
        CallPiece(0, "a", "any", ""),
        CallPiece(1, "b", "any", '{"n"'),
        CallPiece(0, arguments='{"m": '),
        CallPiece(1, arguments=": 2}"),
        CallPiece(0, arguments="1}"),
    ):
        called.add(piece)
    assert [(call.id, call.input) for call in judged(called, [ANY])] == [("a", {"m": 1}), ("b", {"n": 2})]
    assert called.text == 'any{"m": 1}any{"n": 2}'


def test_calls_at_one_place_are_told_apart_by_their_ids_and_get_one_each():
    called = Called()
    for name in ("a", "b", "b", ""):
        called.add(CallPiece(0 if name else 1, name, "any", json.dumps({"id": name})))
    called.add(CallPiece(2, "a", "any", "{}"))
    calls = judged(called, [ANY])
    assert [call.id for call in calls] == ["a", "b", "call_2", "call_3"]
    assert calls[1].problem is not None  # two objects in one call


def test_calls_are_bounded():
    called = Called()
    for place in range(MOST_CALLS + 1):
        called.add(CallPiece(place, f"id{place}", "any", "{}"))
    problems = [call.problem for call in judged(called, [ANY])]
    assert problems[:-1] == [None] * MOST_CALLS
    assert f"more than {MOST_CALLS}" in str(problems[-1])


def test_names_that_are_no_text_are_mended():
    called = Called()
    called.add(CallPiece(0, "\ud800", "no\ud800", '{"a": "\ud800"}'))
    (call,) = judged(called, [ANY])
    assert call.model_dump_json()
    assert "no tool named 'no\ufffd'" in str(call.problem)
