"""Answers to requests with a schema."""

from __future__ import annotations

import pytest

from hishamos.gateway.answers import parse

SCHEMA = {"type": "object", "required": ["n"], "properties": {"n": {"type": "integer", "minimum": 0}}}


@pytest.mark.parametrize(
    "text", ['{"n": 3}', ' \n{"n":3}\n', '```json\n{"n": 3}\n```', '```\n{"n": 3}```', 'Here it is:\n```json\n{"n": 3}\n```\nBye', 'Sure! {"n": 3} is it.']
)
def test_is_found_in_what_models_put_around_it(text: str):
    assert parse(text, SCHEMA) == ({"n": 3}, None)


@pytest.mark.parametrize(
    ("text", "words"), [("", "not JSON"), ("three", "not JSON"), ('{"n": "3"}', "$.n"), ("{}", "'n' is a required property"), ('{"n": -1}', "minimum")]
)
def test_a_wrong_answer_says_what_is_wrong(text: str, words: str):
    data, problem = parse(text, SCHEMA)
    assert data is None
    assert problem is not None
    assert words in problem


def test_plain_values_are_answers_too():
    assert parse("3", {"type": "integer"}) == (3, None)
    assert parse("null", {"type": ["string", "null"]}) == (None, None)
