"""What functions give, as plain data, and which functions may be named."""

from __future__ import annotations

import dataclasses
import inspect
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from hishamos.engine.functions import argument_problems, function, takes_workspace
from hishamos.engine.schemas import problem_of, read_answer
from hishamos.errors import InvalidInput, UnknownName
from hishamos.records.plain import plain_data
from hishamos.records.results import IssueDraft
from hishamos.records.runs import RunState


@dataclasses.dataclass
class Point:
    x: int
    y: tuple[int, ...]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (None, None),
        (True, True),
        (3, 3),
        (1.5, 1.5),
        ("x", "x"),
        (RunState.FAILED, "failed"),
        ([1, (2, {3})], [1, [2, [3]]]),
        ({"a": {1: "b"}}, {"a": {"1": "b"}}),
        (Point(1, (2, 3)), {"x": 1, "y": [2, 3]}),
        (date(2026, 11, 23), "2026-11-23"),
        (datetime(2026, 11, 23, tzinfo=UTC), "2026-11-23T00:00:00+00:00"),
        (Decimal("0.10"), "0.10"),
        (Path("a/b"), "a/b"),
    ],
)
def test_plain_data(given, expected):
    assert plain_data(given) == expected


def test_records_become_data_and_the_rest_is_refused():
    assert plain_data(IssueDraft(title="t"))["title"] == "t"
    for wrong in (float("nan"), object(), b"x", Point):
        with pytest.raises(TypeError):
            plain_data(wrong)


def test_functions_and_their_arguments():
    read = function("hishamos.library.functions.bugs:read_reports")
    assert argument_problems("read_reports", inspect.signature(read), {"file"}) == []
    assert "needs the argument 'file'" in argument_problems("read_reports", inspect.signature(read), set())[0][1]
    assert takes_workspace(function("hishamos.library.functions.filing:save"))
    assert not takes_workspace(read)

    def anything(a, *, b=1, **more):
        return a, b, more

    assert argument_problems("anything", inspect.signature(anything), {"a", "z"}) == []


@pytest.mark.parametrize(
    "name", ["os:system", "builtins:eval", "hishamos.store.ledger:now", "hishamos.library.functions.bugs", "hishamos.library.functions..:x", "a"]
)
def test_other_places_are_refused(name):
    with pytest.raises(InvalidInput, match="no library function"):
        function(name)


def test_imports_that_break_inside_are_not_hidden():
    with pytest.raises(UnknownName, match="hishamos.library.functions.bugs"):
        function("hishamos.library.functions.bug:read_reports")


@pytest.mark.parametrize(
    ("text", "data", "words"),
    [
        ('{"n": 1}', {"n": 1}, None),
        ('```json\n{"n": 1}\n```', {"n": 1}, None),
        ('  {"n": 1}\n', {"n": 1}, None),
        ('{"n": "x"}', {"n": "x"}, "n: 'x' is not of type 'integer'"),
        ("{}", {}, "'n' is a required property"),
        ("", None, "empty"),
        ("{", None, "not JSON"),
        ('{"n": NaN}', None, "NaN"),
        ("[" * 100_000, None, "not JSON"),
    ],
)
def test_answers_are_read_and_held_against_the_schema(text, data, words):
    found, problem = read_answer(text, {"type": "object", "required": ["n"], "properties": {"n": {"type": "integer"}}})
    assert found == data
    assert (problem is None) if words is None else (words in problem)


def test_many_problems_are_counted():
    schema = {"type": "array", "items": {"type": "integer"}}
    assert problem_of(["a", "b", "c", "d", "e"], schema).endswith("and 2 more")
    assert "[0]" in problem_of(["a"], schema)
