"""Secrets in texts: found whole, escaped, encoded and in parts; nothing else is touched."""

from __future__ import annotations

import base64
import html
import json
import random
import string
from urllib.parse import quote, quote_plus

import pytest

from hishamos.security import HIDDEN, begun, redact, without

KEY = 'sk-proj/Q7+x=Zr"4Lm&Xy8TnVb2Kd5Wc'


def in_base64(ahead: str, behind: str = "") -> str:
    return base64.b64encode(f"{ahead}{KEY}{behind}".encode()).decode()


@pytest.mark.parametrize(
    "written",
    [
        KEY,
        quote(KEY, safe=""),
        quote_plus(KEY),
        json.dumps({"key": KEY}),
        html.escape(KEY),
        *(in_base64("x" * ahead) for ahead in range(4)),
        in_base64("user:", ":more"),
        base64.urlsafe_b64encode(KEY.encode()).decode(),
    ],
)
def test_however_it_is_written(written: str):
    text = without(f"before {written} after", [KEY])
    assert HIDDEN in text
    assert text.startswith("before ")
    assert text.endswith(" after")
    assert all(written[place : place + 12] not in text for place in range(len(written) - 11) if written[place : place + 12] in KEY)
    assert without(text, [KEY]) == text


@pytest.mark.parametrize("first", range(0, len(KEY) - 12, 3))
@pytest.mark.parametrize("ahead", range(9))
def test_twelve_characters_of_it_are_found_wherever_they_stand(first: int, ahead: int):
    part = KEY[first : first + 12]
    assert without("." * ahead + part + "!", [KEY]) == "." * ahead + HIDDEN + "!"


def test_fewer_than_twelve_are_words():
    assert without(f"it begins with {KEY[:11]} and ends with {KEY[-11:]}", [KEY]) == f"it begins with {KEY[:11]} and ends with {KEY[-11:]}"


def test_several_and_repeated():
    other = "0123456789abcdef0123"
    assert without(f"{KEY}{KEY} {other}, {other[4:]}", [KEY, other]) == f"{HIDDEN}{HIDDEN} {HIDDEN}, {HIDDEN}"


def test_a_short_secret_is_found_whole_and_one_too_short_is_none():
    assert without("password hunter22 and hunter2", ["hunter22", "and"]) == f"password {HIDDEN} and hunter2"


def test_patterns_of_known_keys_are_for_messages_not_for_answers():
    text = "Write sk-0123456789abcdef in the file"
    assert without(text, [KEY]) == text
    assert redact(text) == f"Write {HIDDEN} in the file"


def test_any_text_without_it_stays_as_it_is():
    dice = random.Random(7)
    for _ in range(200):
        text = "".join(dice.choices(string.printable, k=dice.randrange(200)))
        assert without(text, [KEY]) == text


@pytest.mark.parametrize("cut", range(1, len(KEY)))
def test_a_beginning_at_the_end_of_a_piece_waits(cut: int):
    assert begun(f"I was called with {KEY[:cut]}", KEY) == (cut if cut >= 4 else 0)


def test_a_piece_that_ends_in_something_else_does_not_wait():
    assert begun("I was called with", KEY) == 0
    assert begun("", KEY) == 0
