"""A cell of a frame as a plain value that can be sent: text, number, truth, list, object; None where it is missing."""

from __future__ import annotations

import json
import numbers
from collections.abc import Callable, Mapping
from datetime import timedelta
from enum import Enum
from pathlib import PurePath
from typing import Any
from uuid import UUID

MISSING = frozenset({"NAType", "NaTType"})
"""pandas' own missing values, by their classes' names: telling them apart must not load pandas."""


class NotPlain(ValueError):
    """A cell that can't be sent; its message says what it holds and what to do."""


class Blank(NotPlain):
    """A row in which all that is asked about is missing."""


def plain(value: Any) -> Any:
    """Return a cell's value as JSON has it; None for what is missing (None, NaN, NA, NaT). Raises :class:`NotPlain`."""
    kind = type(value)
    if kind is str:
        return _whole(value)
    if value is None or kind is bool or kind is int:
        return value
    if kind is float:
        return value if value == value else None  # noqa: PLR0124 - NaN is the number that differs from itself
    return next(read(value) for holds, read in FORMS if holds(value))


def _foreign(value: Any) -> bool:
    return isinstance(value, (numbers.Number, timedelta, UUID, PurePath)) or type(value).__module__.partition(".")[0] == "pandas"


def _refused(value: Any) -> Any:
    raise NotPlain(f"a {type(value).__name__}, which has no plain form: turn the column into text, numbers, lists or dicts first")


FORMS: tuple[tuple[Callable[[Any], bool], Callable[[Any], Any]], ...] = (
    (lambda value: isinstance(value, Mapping), lambda value: {_whole(str(name)): plain(inner) for name, inner in value.items()}),
    (lambda value: isinstance(value, (list, tuple)), lambda value: [plain(inner) for inner in value]),
    # In one order, so that the same set is the same question.
    (
        lambda value: isinstance(value, (set, frozenset)),
        lambda value: sorted((plain(inner) for inner in value), key=lambda inner: json.dumps(inner, sort_keys=True)),
    ),
    (lambda value: type(value).__name__ in MISSING, lambda _: None),
    (lambda value: isinstance(value, (bytes, bytearray, memoryview)), lambda value: _decoded(bytes(value))),
    (lambda value: isinstance(value, Enum), lambda value: plain(value.value)),
    (lambda value: hasattr(value, "tolist"), lambda value: plain(value.tolist())),  # an array, or one of numpy's own numbers
    (lambda value: isinstance(value, str), lambda value: _whole(str(value))),
    (lambda value: isinstance(value, float), lambda value: plain(float(value))),
    (lambda value: hasattr(value, "isoformat") and not isinstance(value, timedelta), lambda value: value.isoformat()),
    (lambda value: hasattr(value, "model_dump"), lambda value: plain(value.model_dump(mode="json"))),
    (_foreign, str),
    (lambda _: True, _refused),
)
"""What cells may hold beside plain values, the first that holds; and how it is read."""


def _whole(text: str) -> str:
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError as error:
            problem = f"half a character (U+{ord(text[error.start]):04X} at position {error.start}), which no text may hold: read the file in its own encoding"
            raise NotPlain(problem) from None
    return text


def _decoded(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        problem = f"bytes that are no UTF-8 (0x{data[error.start]:02x} at position {error.start}): decode them first, such as .str.decode('cp1252')"
        raise NotPlain(problem) from None
