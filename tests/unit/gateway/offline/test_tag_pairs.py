"""Pairs of tags are found as one regular expression for both tags would find them; no prompt takes time that grows faster than its length."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hishamos.gateway.offline import extract
from hishamos.gateway.offline.material import MOST_CHARACTERS, read_prompt
from hishamos.gateway.offline.tag_pairs import stands_in, tag_pairs, without

REFERENCE = re.compile(r"^[ \t]*<([A-Za-z][\w-]*)>\s*?\n?(?P<inner>.*?)\n?[ \t]*</\1>[ \t]*$", re.DOTALL | re.MULTILINE)
PIECES = ("<p>", "</p>", "<q-1>", "</q-1>", "<P>", "</P>", "<1>", "</1>", "<", "</", ">", "p", "x", " ", "\t", "\n", "\r", "\f", "\u00a0", "\u2028", "é", "-")


@settings(max_examples=600, deadline=None)
@given(st.lists(st.sampled_from(PIECES), max_size=24).map("".join))
def test_pairs_are_those_of_the_regular_expression(text):
    matches = list(REFERENCE.finditer(text))
    pairs = tag_pairs(text)
    assert [(pair.start, pair.end, pair.inner) for pair in pairs] == [(*match.span(), match["inner"]) for match in matches]
    assert without(pairs, text) == REFERENCE.sub("\n", text)
    spans = [match.span() for match in matches]
    assert [stands_in(pairs, place) for place in range(len(text))] == [any(start <= place < end for start, end in spans) for place in range(len(text))]


MEGABYTE = 1_000_000
REPEATED = (
    *("<p>\n", "<br>\n", "</p>\n", "<p>\n</p>\n", " ", "\n", " \n", '"""', '"""\n', "```", "```\n", "```a\n", "---\n", "---   x\n", "-"),
    *("{", "[", "(", "(\n", '[{"a":', "Sort:\n", "a", "\u0301\u0323", "\n\nFile ", "\n\nData (JSON)"),
)


@pytest.mark.timeout(60)  # each is read in less than a second; where the time is quadratic, most of them take hours
@pytest.mark.parametrize("piece", REPEATED)
@pytest.mark.parametrize(("head", "tail"), [("", ""), ("x", "\nx"), ("<p>", "x"), ("[" * 199 + '"', "")], ids=["alone", "text", "tag", "brackets"])
def test_a_hostile_prompt_is_read_at_once(head, piece, tail):
    material = read_prompt("", head + piece * (MEGABYTE // len(piece)) + tail)
    assert len(material.text) <= MOST_CHARACTERS


@pytest.mark.timeout(8)  # a quarter of a second
def test_brackets_that_nothing_closes_are_not_each_read_to_the_end():
    assert read_prompt("", "[" * 199 + "1," * (MEGABYTE // 2)).data is None


@pytest.mark.parametrize("brackets", [1, 150])
def test_data_behind_brackets_that_nothing_closes_is_found(brackets):
    assert read_prompt("", "[" * brackets + ' see: [{"title": "It crashes at the start", "note": "' + "It is slow. " * 40 + '"}]').data[0]["title"]


@pytest.mark.timeout(8)  # a quarter of a second
def test_one_long_word_is_searched_once_for_an_address():
    schema = {"type": "object", "required": ["x"], "properties": {"x": {"type": "string", "format": "email"}}}
    assert extract("", "1" * MOST_CHARACTERS, schema, 800).not_judged == ("x",)
    assert extract("", "Mail a.b+c@example.org now, or (d@example.com)", schema, 800).text == '{"x": "a.b+c@example.org"}'
