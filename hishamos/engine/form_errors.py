"""What pydantic finds wrong with a form, in words for people who write YAML."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hishamos.errors import nearest_hint

WORDS = {
    "model_type": "has to be a mapping of keys to values",
    "model_attributes_type": "has to be a mapping of keys to values",
    "dict_type": "has to be a mapping of keys to values",
    "tuple_type": "has to be a list",
    "list_type": "has to be a list",
    "string_type": "has to be text; put a number, true or null in quotes",
    "invalid_key": "has to be a mapping whose keys are text; put them in quotes",
    "bool_type": "has to be true or false",
    "bool_parsing": "has to be true or false",
    "int_type": "has to be a whole number",
    "int_parsing": "has to be a whole number",
    "float_type": "has to be a number",
    "float_parsing": "has to be a number",
}
FORMS = frozenset({"word", "jump", "[key]"})
"""What stands in a place for the form of a union, and in no text."""


def in_words(error: Mapping[str, Any], place: str) -> str:
    """Return what one of pydantic's errors says of the value at ``place``."""
    if error["type"] == "literal_error":
        expected = [one.strip("'") for one in str(error["ctx"]["expected"]).replace(" or ", ", ").split(", ")]
        given = error["input"]
        hint = nearest_hint(given, expected) if isinstance(given, str) else ""
        return f"{place} is {given!r}, which is none of {', '.join(expected)}{hint}"
    told = WORDS.get(error["type"])
    return f"{place} {told}" if told else f"{place}: {str(error['msg']).removeprefix('Value error, ')}"
