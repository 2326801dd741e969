"""Rows that a commit keeps as one text, its note, until many of them are written into their tables at once.

What DuckDB spends on an insert of one row grows with the columns of its table, some 0.1 ms each: one into a table of a single column, without an
index, takes a third of what a step's row takes. A note and its row change places in one commit, so that a row is always in exactly one of them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from hishamos.store.connectors.connector import Parameters
from hishamos.store.connectors.waiting import shape

CREATE = ("create schema if not exists connector", "create table if not exists connector.notes (note text not null)")
READ = "select note from connector.notes"
CLEAR = "delete from connector.notes"
LONGEST = 16_000
"""Bytes of a row in a note; what is longer is not worth writing twice."""


def noted(sql: str, values: Parameters) -> str:
    """Return a plain insert of one row as text: its table, and its values by column.

    Raises ``ValueError`` for a statement that is no plain insert whose columns are filled by parameters alone.
    """
    written = shape(sql)
    if written is None or not written.bare:
        raise ValueError(f"only an insert of parameters can be noted: {' '.join(sql.split())[:120]}")
    return json.dumps([written.table, {column: _plain(values[name]) for column, name in written.columns.items()}], ensure_ascii=False, separators=(",", ":"))


def keeping(rows: Sequence[str]) -> tuple[str, dict[str, Any]]:
    """Return the statement that keeps a commit's rows as its note."""
    return "insert into connector.notes (note) values ($note)", {"note": f"[{','.join(rows)}]"}


def insertions(note: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Give the inserts of a note, and their values."""
    for table, row in json.loads(note):
        sql = f"insert into {table} ({', '.join(row)}) values ({', '.join(f'${column}' for column in row)})"
        yield sql, {column: datetime.fromisoformat(value[0]) if isinstance(value, list) else value for column, value in row.items()}


def _plain(value: Any) -> Any:
    """Return a column's value as JSON holds it: a time is a list of its text, for nothing else is a list."""
    return [value.isoformat()] if isinstance(value, datetime) else value
