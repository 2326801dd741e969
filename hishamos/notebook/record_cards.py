"""Cards of records that have none of their own: their fields as they are, in the words and numbers of all cards."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime
from enum import Enum
from typing import Any

from hishamos.charts.formats import STATES, clock, count, duration, missing, money
from hishamos.notebook import markup
from hishamos.records.record import Record

COLUMNS, ROWS, LONG = 8, 100, 80
FIRST = frozenset({"id", "index", "key", "name"})
"""What a record is known by stands first."""
PLAIN = (str, int, float, bool, datetime, Enum, type(None))


def record_card(record: Record) -> str:
    """Return a record's fields, one on each line; what is nested is folded."""
    rows, nested = [], ""
    for name in type(record).model_fields:
        value = getattr(record, name)
        if isinstance(value, PLAIN) or not value:
            rows.append((markup.text(_heading(name)), _cell(name, value)))
        else:
            nested += markup.folded(_heading(name), record.model_dump(mode="json", include={name})[name])
    return markup.card(markup.head(_kind(type(record))), markup.table(("field", "value"), rows) + nested)


def records_card(records: Sequence[Record]) -> str:
    """Return many records of one kind as a table of the fields that say something."""
    telling = [name for name in type(records[0]).model_fields if any(_tells(getattr(one, name)) for one in records)]
    names = sorted(telling, key=lambda name: name not in FIRST)[:COLUMNS]
    rows = [tuple(_cell(name, getattr(one, name)) for name in names) for one in records[:ROWS]]
    right = [index for index, name in enumerate(names) if all(_is_number(getattr(one, name)) for one in records)]
    more = markup.line(f"and {count(len(records) - ROWS)} more", muted=True) if len(records) > ROWS else ""
    head = markup.head(_many(_kind(type(records[0]))), count(len(records)))
    return markup.card(head, markup.table([_heading(name) for name in names], rows, right=right) + more)


def _kind(kind: type) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", kind.__name__).capitalize()


def _many(noun: str) -> str:
    if noun.endswith("y"):
        return f"{noun[:-1]}ies"
    return f"{noun}es" if noun.endswith("s") else f"{noun}s"


def _heading(name: str) -> str:
    return re.sub(r"_(nanos|at|ms|s)$", "", name).replace("_", " ")


def _tells(value: Any) -> bool:
    return isinstance(value, PLAIN) and value not in (None, "")


def _is_number(value: Any) -> bool:
    return value is None or (isinstance(value, int | float) and not isinstance(value, bool))


def _cell(name: str, value: Any) -> str:
    if name.endswith("_nanos"):
        return money(value)
    if value is None or value == "" or (not value and not isinstance(value, PLAIN)):
        return missing()
    if name in {"state", "status"} and str(value) in STATES:
        return markup.badge(str(value))
    if isinstance(value, datetime):
        return f'<span title="{value.isoformat()}">{clock(value)}</span>'
    return _number(name, value) if _is_number(value) else markup.text(_words(value))


def _number(name: str, value: float) -> str:
    if name.endswith("_ms"):
        return duration(value / 1000)
    if name == "seconds" or name.endswith("_s"):
        return duration(value)
    return count(value) if value == int(value) else f"{value:,.4g}"


def _words(value: Any) -> str:
    words = str(value).lower() if isinstance(value, bool) else str(value.value if isinstance(value, Enum) else value)
    return words if len(words) <= LONG else f"{words[: LONG - 1]}…"
