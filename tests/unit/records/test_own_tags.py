"""Tags that people give: what is one, what is none and why, how they are written."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import hishamos.gateway
from hishamos.errors import InvalidInput
from hishamos.provenance import kernel_tags, tags_of_process, whence
from hishamos.records.calls import Tags
from hishamos.records.origins import Origin, tagged
from hishamos.records.own_tags import RESERVED, checked, from_pairs, tag_words


def test_values_are_texts_without_blanks_around_them() -> None:
    assert checked({"customer": "  عميل & Söhne, 100% ", "x1_": "v" * 200}) == {"customer": "عميل & Söhne, 100%", "x1_": "v" * 200}
    assert from_pairs(["customer = acme", "note=a=b"], "--tag") == {"customer": "acme", "note": "a=b"}
    assert tag_words({"customer": "acme", "experiment": "b"}) == "customer=acme, experiment=b"


@pytest.mark.parametrize(
    ("tags", "words"),
    [
        ({"Cost-Centre": "1"}, "cost_centre"),
        ({"7up": "1"}, "a letter first: up"),
        ({"عميل": "1"}, "at most 40 of them"),
        ({"a" * 41: "1"}, "a" * 40 + r"\."),
        ({"notebook": "1"}, "each call has a 'notebook' of its own.*my_notebook"),
        ({"own": "1"}, "my_own"),
        ({"a": ""}, "has 0 characters"),
        ({"a": " "}, "1 to 200"),
        ({"a": "v" * 201}, "has 201 characters"),
        ({"a": 7}, 'type int.*Write a="7"'),
        ({"a": None}, "type NoneType"),
        ({"a": "x\ny"}, "one line of text"),
        ({"a": "\0"}, "one line of text"),
        ({"a": "\ud800"}, "one line of text"),
        ({f"a{number}": "x" for number in range(11)}, "11 tags at once.*at most 10"),
    ],
)
def test_what_is_none_is_a_sentence(tags: dict[str, str], words: str) -> None:
    for refused in (lambda: checked(tags), lambda: Origin(own=tags), lambda: Tags(own=tags)):
        with pytest.raises(InvalidInput, match=words):
            refused()


@pytest.mark.parametrize(
    ("pairs", "words"), [(["customer"], "no NAME=VALUE"), (["a=1", "a=2"], "given twice"), (["=x"], "is no name"), (["a="], "0 characters")]
)
def test_pairs_that_are_none_say_where_they_stand(pairs: list[str], words: str) -> None:
    with pytest.raises(InvalidInput, match=words) as refused:
        from_pairs(pairs, "HISHAMOS_TAGS")
    assert "HISHAMOS_TAGS" in str(refused.value)


def test_no_tag_has_the_name_of_something_that_calls_carry_already() -> None:
    written = {
        name
        for file in Path(hishamos.gateway.__file__).parent.glob("*.py")
        for name in re.findall(r'tags\.get\("(\w+)"|\{"(\w+)": [^}]*\} if', file.read_text())
        for name in name
        if name
    }
    assert {"mode", "files", "passed_over"} <= written
    assert set(Tags.model_fields) | written | {"answer_of", "choice", "hidden"} <= RESERVED


def test_more_tags_stand_over_those_that_there_are() -> None:
    here = Origin(notebook="n.ipynb", own={"customer": "acme", "team": "red"})
    assert tagged(here, {}) is here
    assert tagged(here, {"customer": "globex"}) == Origin(notebook="n.ipynb", own={"customer": "globex", "team": "red"})
    assert tagged(None, {"customer": "globex"}) == Origin(own={"customer": "globex"})
    assert tagged(None, {}) is None
    assert Origin().tags() == {}
    with pytest.raises(InvalidInput, match="at most 10"):
        tagged(here, {f"a{number}": "x" for number in range(9)})


def test_the_environment_the_kernel_and_the_call_say_them_in_turn(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("HISHAMOS_EXECUTION", raising=False)
    assert whence(tmp_path, {}) is None
    monkeypatch.setenv("HISHAMOS_TAGS", "customer=acme, team = red,")
    assert tags_of_process() == {"customer": "acme", "team": "red"}
    monkeypatch.setitem(kernel_tags, "team", "blue")
    assert whence(tmp_path, {"customer": "globex"}) == Origin(own={"customer": "globex", "team": "blue"})
    monkeypatch.setenv("HISHAMOS_TAGS", "customer")
    with pytest.raises(InvalidInput, match="HISHAMOS_TAGS"):
        whence(tmp_path, {})
