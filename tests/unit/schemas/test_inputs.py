"""Inputs against their parameters: every mistake names the parameter, the problem and what to do."""

from __future__ import annotations

import hashlib
from datetime import date

import pytest

from hishamos.errors import InvalidInput
from hishamos.records.definitions import Parameter
from hishamos.schemas.inputs import default_problem, file_facts, validated


def one(value, **declared):
    return validated({"p": Parameter(**declared)}, {"p": value}, "command c")["p"]


@pytest.mark.parametrize(
    ("kind", "given", "expected"),
    [
        ("string", "x", "x"),
        ("string", 5, "5"),
        ("text", "{{ x }}", "{{ x }}"),
        ("integer", 3, 3),
        ("integer", "3", 3),
        ("integer", 3.0, 3),
        ("number", "0.5", 0.5),
        ("number", 2, 2),
        ("boolean", True, True),
        ("boolean", "false", False),
        ("date", "2026-11-23", "2026-11-23"),
        ("date", date(2026, 11, 23), "2026-11-23"),
        ("date", "2026-11-23T10:00:00", "2026-11-23T10:00:00"),
        ("list", ("a", "b"), ["a", "b"]),
        ("object", {"a": 1}, {"a": 1}),
        ("file", "a.csv", "a.csv"),
    ],
)
def test_types(kind, given, expected):
    assert one(given, type=kind) == expected


@pytest.mark.parametrize(
    ("kind", "given"),
    [
        ("string", ["x"]),
        ("string", True),
        ("string", None),
        ("integer", "3.5"),
        ("integer", 3.5),
        ("integer", True),
        ("number", "abc"),
        ("number", "nan"),
        ("number", float("inf")),
        ("number", [1]),
        ("boolean", "yes"),
        ("boolean", 1),
        ("date", "23.11.2026"),
        ("date", "2026-13-01"),
        ("list", "a,b"),
        ("object", [1]),
        ("file", ""),
        ("file", "a\0b"),
    ],
)
def test_wrong_types(kind, given):
    with pytest.raises(InvalidInput, match=r"'p'.*command c.*[Ee]xample"):
        one(given, type=kind)


@pytest.mark.parametrize(
    ("given", "declared", "words"),
    [
        ("abcd", {"type": "text", "max_length": 3}, "4 characters, at most 3"),
        ([1, 2], {"type": "list", "max_length": 1}, "2 items"),
        (5, {"type": "integer", "max": 4}, "at most 4"),
        (0, {"type": "integer", "min": 1}, "at least 1"),
        ("yse", {"type": "choice", "choices": ("yes", "no")}, "did you mean 'yes'"),
    ],
)
def test_limits(given, declared, words):
    with pytest.raises(InvalidInput, match=words):
        one(given, **declared)


def test_unknown_and_missing_names():
    parameters = {"text": Parameter(description="the report"), "n": Parameter(type="integer", default=3), "o": Parameter(optional=True)}
    with pytest.raises(InvalidInput, match="did you mean 'text'"):
        validated(parameters, {"txt": "x"}, "command c")
    with pytest.raises(InvalidInput, match=r"'text' is missing.*the report"):
        validated(parameters, {}, "command c")
    assert validated(parameters, {"text": "x"}, "command c") == {"text": "x", "n": 3, "o": None}
    assert validated(parameters, {"text": "x", "o": None}, "c") == {"text": "x", "n": 3, "o": None}
    with pytest.raises(InvalidInput, match="none"):
        validated({}, {"a": 1}, "c")


def test_files(tmp_path):
    parameters = {"file": Parameter(type="file")}
    path = tmp_path / "bugs.csv"
    path.write_text("id\n")
    assert validated(parameters, {"file": "bugs.csv"}, "workflow w", tmp_path) == {"file": str(path.resolve())}
    facts = file_facts(parameters, {"file": str(path)})["file"]
    assert facts == {"path": str(path), "sha256": hashlib.sha256(b"id\n").hexdigest(), "bytes": 3}
    assert file_facts(parameters, {"file": None}) == {}
    with pytest.raises(InvalidInput, match=r"does not exist.*did you mean 'bugs.csv'"):
        validated(parameters, {"file": "bug.csv"}, "workflow w", tmp_path)
    with pytest.raises(InvalidInput, match="is a folder"):
        validated(parameters, {"file": str(tmp_path)}, "workflow w", tmp_path)
    with pytest.raises(InvalidInput, match="does not exist"):
        validated(parameters, {"file": "/nowhere/at/all.csv"}, "workflow w", tmp_path)


def test_defaults_are_checked():
    assert default_problem("p", Parameter(type="integer", default="x"))
    assert default_problem("p", Parameter(type="integer", default=3)) is None
    assert default_problem("p", Parameter(type="file", default="x")) is None


def test_examples_in_errors():
    with pytest.raises(InvalidInput, match="p=blue"):
        one(1.5, type="integer", example="blue")
    with pytest.raises(InvalidInput, match="p=a"):
        one([], type="choice", choices=("a", "b"))
