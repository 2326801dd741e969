"""Records as plain JSON data: integers stay integers, decimals are strings, times ISO 8601 in UTC, missing is null."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import Enum
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

    from hishamos.records.record import Record


def plain(value: Any) -> Any:
    """Return plain JSON data for records, tables of them, and what they hold. A record's document has its derived values too."""
    for kinds, write in _WRITERS:
        if isinstance(value, kinds):
            return write(value)
    if hasattr(value, "model_fields_set"):
        return _document(value)
    return [plain(item) for item in value] if isinstance(value, Iterable) else str(value)


def decimal_text(value: Decimal) -> str | None:
    """Return an exact decimal without exponent or trailing zeros; None for what is no number."""
    if not value.is_finite():
        return None
    text = format(value, "f")
    return (text.rstrip("0").rstrip(".") or "0") if "." in text else text


def moment(value: datetime) -> str:
    """Return a time as ISO 8601 in UTC; a naive one is taken as UTC."""
    aware = value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
    return aware.isoformat().replace("+00:00", "Z")


_WRITERS: tuple[tuple[Any, Callable[[Any], Any]], ...] = (
    (Enum, lambda value: plain(value.value)),
    (bool | str | None, lambda value: value),
    (int, int),
    (float, lambda value: value if math.isfinite(value) else None),
    (Decimal, decimal_text),
    (datetime, moment),
    (date, date.isoformat),
    (Mapping, lambda value: {str(key): plain(item) for key, item in value.items()}),
)
"""How each kind of value is written; the first that fits, so that an enum is no text and a time no mere date."""


def _document(record: Record) -> dict[str, Any]:
    fields = {name: getattr(record, name) for name in type(record).model_fields}
    derived = {name: getattr(record, name) for name in _derived(type(record)) if name not in fields}
    return {name.rstrip("_"): plain(item) for name, item in {**fields, **derived}.items()}


@cache
def _derived(cls: type) -> tuple[str, ...]:
    own = [base for base in reversed(cls.__mro__) if base.__module__.startswith("hishamos.")]
    return tuple(name for base in own for name, member in vars(base).items() if isinstance(member, property | cached_property) and not name.startswith("_"))


def frame_rows(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Return a DataFrame's rows as objects keyed by column name; what is missing in any of pandas' ways is None."""
    names = [str(name) for name in frame.columns]
    columns = [
        [None if gone is True else value for value, gone in zip(frame.iloc[:, place].tolist(), frame.iloc[:, place].isna().tolist(), strict=True)]
        for place in range(len(names))
    ]
    return [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]
