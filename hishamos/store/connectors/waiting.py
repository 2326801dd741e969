"""What waits, so that equal statements become one: inserts for their commit's end, and what was put off for a later commit.

What DuckDB spends on a statement hardly depends on the number of its rows, if their values come as one list a column. Nobody may notice that
rows wait: a statement that could see one has it written first.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from hishamos.store.connectors.connector import Parameters
from hishamos.store.connectors.parameters import chosen, many_values

MOST = 2000
"""Rows in one statement."""

_INSERT = re.compile(r"insert\s+into\s+(\w+)\s*\(([^()]*)\)\s*values\s*\(([^()]*(?:\([^()]*\)[^()]*)*)\)\s*", re.IGNORECASE)
_LOOKUP = re.compile(
    r"(?:select\s.+?\sfrom\s+(?P<read>\w+)|delete\s+from\s+(?P<gone>\w+)|update\s+(?P<changed>\w+)\s+set\s.+?)"
    r"\s+where\s+(?P<column>\w+)\s*=\s*\$(?P<parameter>\w+)(?P<rest>\s.*)?",
    re.IGNORECASE | re.DOTALL,
)
_CHANGE = re.compile(r"\s*(?:update|insert\s+into)\s+(\w+)\s", re.IGNORECASE)
_MORE = re.compile(r"\b(?:from|join|or|union|intersect|except|select)\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Reach:
    """The one table that a statement reads, by equality of one column; ``column`` None: it only adds rows and reads nothing."""

    table: str
    column: str | None = None
    parameter: str | None = None


@dataclass(frozen=True, slots=True)
class Shape:
    """A plain insert: its table, and for each column the parameter that fills it."""

    table: str
    columns: dict[str, str]
    folded: str | None
    """The same insert of many rows, each parameter a list of their values; None where an expression stands among them."""
    bare: bool
    """Whether each column is filled by a parameter."""


@lru_cache(maxsize=2048)
def shape(sql: str) -> Shape | None:
    """Return a plain ``insert into t (…) values (…)``; None for any other statement."""
    found = _INSERT.fullmatch(sql.strip())
    if found is None:
        return None
    columns = [column.strip() for column in found[2].split(",")]
    values = [value.strip() for value in re.split(r",(?![^(]*\))", found[3])]
    if len(columns) != len(values):
        return None
    bare = [re.fullmatch(r"\$\w+", value) is not None for value in values]
    filled = {column.lower(): value[1:] for column, value, plain in zip(columns, values, bare, strict=True) if plain}
    folds = all(plain or "$" not in value for value, plain in zip(values, bare, strict=True)) and any(bare)
    taken = ", ".join(f"unnest({value})" if plain else value for value, plain in zip(values, bare, strict=True))
    return Shape(found[1].lower(), filled, f"insert into {found[1]} ({found[2]}) select {taken}" if folds else None, all(bare))


@lru_cache(maxsize=2048)
def reach(sql: str) -> Reach | None:
    """Return what a statement reads where that is one row of one table; None where it may read anything."""
    inserted = shape(sql)
    if inserted is not None:
        return Reach(inserted.table)
    found = _LOOKUP.fullmatch(sql.strip())
    if found is None:
        return None
    table = found["read"] or found["gone"] or found["changed"]
    body = sql.strip()[: found.start("column")]
    allowed = 2 if found["read"] else (1 if found["gone"] else 0)  # its own "select … from", "delete from"
    if len(_MORE.findall(body)) > allowed or _MORE.search(found["rest"] or ""):
        return None
    return Reach(table.lower(), found["column"].lower(), found["parameter"])


def together(sql: str, rows: Sequence[Parameters]) -> list[tuple[str, Mapping[str, Any]]]:
    """Return an ``insert … values (…)`` of many rows as few statements."""
    written = shape(sql)
    if len(rows) == 1:
        return [(sql, rows[0])]
    if written is None or written.folded is None:
        return [(text, values) for text, values in many_values(sql, rows)]
    found: list[tuple[str, Mapping[str, Any]]] = []
    for start in range(0, len(rows), MOST):
        part = [chosen(sql, row) for row in rows[start : start + MOST]]
        found.append((written.folded, {name: [row[name] for row in part] for name in part[0]}))
    return found


class WaitingInserts:
    """The waiting inserts of one commit. ``is_table``: whether a name is a table and no view, behind which any table may stand."""

    def __init__(self, is_table: Callable[[str], bool]) -> None:
        self._is_table = is_table
        self._rows: dict[str, list[Parameters]] = {}

    def add(self, sql: str, values: Parameters) -> bool:
        """Keep a row back; False if the statement is no plain insert and has to be run now."""
        if shape(sql) is None:
            return False
        self._rows.setdefault(sql, []).append(values)
        return True

    def due(self, sql: str | None = None, parameters: Parameters | None = None) -> Iterator[tuple[str, list[Parameters]]]:
        """Give up, in order, the inserts that have to run before a statement; all of them at the commit's end."""
        if not self._rows:
            return
        reads = reach(sql) if sql is not None else None
        if reads is not None and not self._is_table(reads.table):
            reads = None
        # All or none: rows of one work keep their order among its tables.
        if reads is None or any(_seen(insert, rows, reads, parameters) for insert, rows in self._rows.items()):
            rows, self._rows = self._rows, {}
            yield from rows.items()


class PutOff:
    """What was committed to be written later, at the latest before anybody could see that it is missing."""

    def __init__(self) -> None:
        self._rows: dict[str, list[Parameters]] = {}
        self._noted: dict[str, list[Parameters]] = {}

    def __len__(self) -> int:
        return sum(len(rows) for rows in (*self._rows.values(), *self._noted.values()))

    @property
    def noted(self) -> bool:
        """Whether notes have been made of some of it."""
        return bool(self._noted)

    def add(self, sql: str, values: Parameters, *, noted: bool = False) -> None:
        """Keep a row of a plain insert, or of an update that takes each parameter as a list; ``noted``: a note of it is committed."""
        (self._noted if noted else self._rows).setdefault(sql, []).append(values)

    def take(self, others: PutOff) -> None:
        """Keep what others kept."""
        for mine, theirs in ((self._rows, others._rows), (self._noted, others._noted)):
            for sql, rows in theirs.items():
                mine.setdefault(sql, []).extend(rows)

    def clear(self, *, noted_only: bool = False) -> None:
        """Forget what has been written; ``noted_only``: what notes have been made of."""
        self._noted = {}
        if not noted_only:
            self._rows = {}

    def seen_by(self, sql: str, parameters: Parameters | None, is_table: Callable[[str], bool]) -> bool:
        """Whether a statement might read something that has been put off; ``is_table``: see :class:`WaitingInserts`."""
        if not self:
            return False
        reads = reach(sql)
        if reads is None or (reads.column is not None and not is_table(reads.table)):
            return True
        # Copies, for another thread may add to them.
        return any(_seen(late, rows, reads, parameters) for late, rows in [*self._noted.items(), *self._rows.items()])

    def together(self, *, careful: bool = False) -> Iterator[tuple[str, Mapping[str, Any]]]:
        """Give what has been put off, as few statements as possible; ``careful``: rows whose keys are there already are left out."""
        for sql, rows in (*self._noted.items(), *self._rows.items()):
            if shape(sql) is not None:
                yield from ((f"{text} on conflict do nothing" if careful else text, values) for text, values in together(sql, rows))
            else:
                yield sql, {name: [row[name] for row in rows] for name in rows[0]}


def _seen(late: str, rows: Sequence[Parameters], reads: Reach, parameters: Parameters | None) -> bool:
    """Whether what ``reads`` says can see one of the rows that an insert or update will write."""
    if reads.column is None or reads.parameter is None or reads.table != table_of(late):
        return False
    written = shape(late)
    filled_by = written.columns.get(reads.column) if written is not None else None
    if filled_by is None or parameters is None:
        return True
    wanted = parameters.get(reads.parameter)
    return any(row.get(filled_by) == wanted for row in rows)


@lru_cache(maxsize=128)
def table_of(change: str) -> str:
    """Return the table that an insert or update changes."""
    found = _CHANGE.match(change)
    if found is None:
        raise ValueError(f"only an insert or update can be put off: {' '.join(change.split())[:120]}")
    return found[1].lower()
