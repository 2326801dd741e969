"""Differences name the place, and only the place, at which two pieces of data differ."""

from __future__ import annotations

import pytest

from hishamos.text.differences import differences, renamed


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        ({"a": 1}, {"a": 1}, []),
        ({"a": [1, {"b": "x"}]}, {"a": [1, {"b": "y"}]}, [("a[1].b", "changed", "x", "y")]),
        ([1, 2], [1], [("[1]", "gone", 2, None)]),
        ({"a": None}, {"b": None}, [("a", "gone", None, None), ("b", "added", None, None)]),
        (1, True, [("", "changed", 1, True)]),
        (1, 1.0, [("", "changed", 1, 1.0)]),
        ({"a": []}, {"a": {}}, [("a", "changed", [], {})]),
        (None, {"x": 1}, [("", "changed", None, {"x": 1})]),
    ],
)
def test_places(before, after, told):
    assert [(one.place, one.change, one.before, one.after) for one in differences(before, after)] == told


def test_names_stand_for_others_inside_of_texts_too():
    assert renamed({"OLD": ["see OLD/1", 7, None]}, {"OLD": "NEW"}) == {"NEW": ["see NEW/1", 7, None]}
