"""Inputs that are typed as key=value are read by their declared type."""

from __future__ import annotations

import pytest

from hishamos.cli.values import parse_inputs
from hishamos.errors import InvalidInput, UnknownName
from hishamos.records.definitions import Parameter

PARAMETERS = {kind: Parameter(type=kind) for kind in ("string", "text", "integer", "number", "boolean", "choice", "date", "list", "object")}


def _parse(*pairs):
    return parse_inputs(pairs, PARAMETERS, of="command demo", root="/")


def test_text_stays_text_whatever_it_looks_like():
    assert _parse("text=12", "string=true", "choice=[1]", "date=2026-11-23") == {"text": "12", "string": "true", "choice": "[1]", "date": "2026-11-23"}


def test_a_value_may_hold_an_equals_sign_or_be_empty():
    assert _parse("text=a=b", "string=") == {"text": "a=b", "string": ""}


def test_typed_values_are_json():
    found = _parse("integer=12", "number=0.5", "boolean=true", 'list=["a", 1]', 'object={"a": null}')
    assert found == {"integer": 12, "number": 0.5, "boolean": True, "list": ["a", 1], "object": {"a": None}}


@pytest.mark.parametrize("pair", ["integer=1.5", "integer=true", "integer=x", "number=x", "boolean=yes", "boolean=1", "list={}", "list=a,b", "object=[]"])
def test_a_value_of_the_wrong_type_is_told_how_to_write_it(pair):
    with pytest.raises(InvalidInput, match=r"Write it as JSON, for example") as raised:
        _parse(pair)
    assert pair.partition("=")[0] in str(raised.value)


def test_an_unknown_input_comes_with_the_nearest():
    with pytest.raises(UnknownName, match="did you mean 'integer'"):
        _parse("integr=1")


def test_a_pair_without_a_value_and_one_given_twice_are_refused():
    with pytest.raises(InvalidInput, match="KEY=VALUE"):
        _parse("text")
    with pytest.raises(InvalidInput, match="twice"):
        _parse("text=a", "text=b")


def test_a_file_is_looked_for_here_and_in_the_workspace(tmp_path, monkeypatch):
    here, root = tmp_path / "here", tmp_path / "root"
    for folder in (here, root):
        folder.mkdir()
        (folder / "both.csv").write_text("x")
    (root / "bugs.csv").write_text("x")
    monkeypatch.chdir(here)
    parameters = {"file": Parameter(type="file")}

    def parse(text):
        return parse_inputs([f"file={text}"], parameters, of="workflow demo", root=str(root))["file"]

    assert parse("both.csv") == str(here / "both.csv")
    assert parse("bugs.csv") == str(root / "bugs.csv")
    with pytest.raises(InvalidInput, match=r"bug\.csv does not exist"):
        parse("bug.csv")
    with pytest.raises(InvalidInput, match=r"Did you mean .*both\.csv"):
        parse(str(here / "bot.csv"))
    (here / "dir.csv").mkdir()
    with pytest.raises(InvalidInput, match=r"^dir\.csv is a folder \(-i file, workflow demo\)\. Give the path of a file\.$"):
        parse("dir.csv")
