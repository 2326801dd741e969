"""The one thing a connector adapts in SQL text: the style of ``$name`` parameters."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

_TOKEN = re.compile(
    r"""
      '(?:[^']|'')*'              # a string
    | "(?:[^"]|"")*"              # a quoted name
    | --[^\n]*                    # a comment to the line's end
    | /\*.*?\*/                   # a block comment
    | \$(?P<tag>(?:[A-Za-z_]\w*)?)\$.*?\$(?P=tag)\$   # a dollar-quoted string
    | (?<![\w$])\$(?P<name>[A-Za-z_]\w*)    # a parameter
    | %                           # psycopg wants it doubled
    """,
    re.VERBOSE | re.DOTALL,
)
_VALUES = re.compile(r"\bvalues\s*(\((?:[^()]|\([^()]*\))*\))", re.IGNORECASE)
CHUNK = 200


@lru_cache(maxsize=2048)
def names(sql: str) -> tuple[str, ...]:
    """Return the names of a statement's parameters, each once, in the order they first occur."""
    return tuple(dict.fromkeys(match["name"] for match in _TOKEN.finditer(sql) if match["name"]))


@lru_cache(maxsize=2048)
def percent_style(sql: str) -> str:
    """Return the statement with ``%(name)s`` parameters and other percent signs doubled."""

    def swap(match: re.Match[str]) -> str:
        return f"%({match['name']})s" if match["name"] else match[0].replace("%", "%%")

    return _TOKEN.sub(swap, sql)


def replaced(sql: str, text: Callable[[str], str]) -> str:
    """Return the statement with ``text(name)`` in the place of each parameter."""
    return _TOKEN.sub(lambda match: text(match["name"]) if match["name"] else match[0], sql)


def chosen(sql: str, parameters: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return the values that the statement names; a missing one is an error that says which."""
    given = parameters or {}
    try:
        return {name: given[name] for name in names(sql)}
    except KeyError as missing:
        raise ValueError(f"the statement's parameter ${missing.args[0]} was not given: {' '.join(sql.split())[:120]}") from None


def many_values(sql: str, rows: Sequence[Mapping[str, Any]]) -> list[tuple[str, dict[str, Any]]]:
    """Return an ``insert … values (…)`` for many rows as statements of at most ``CHUNK`` rows each."""
    found = _VALUES.search(sql)
    if found is None:
        raise ValueError(f"executemany takes an insert with one values (…): {sql[:120]}")
    group = found[1]
    if set(names(sql)) - set(names(group)):
        raise ValueError(f"executemany takes parameters only in values (…): {sql[:120]}")
    statements = []
    for start in range(0, len(rows), CHUNK):
        part = rows[start : start + CHUNK]
        text = _repeated(sql[: found.start(1)], group, sql[found.end(1) :], len(part))
        values = {f"{name}_{index}": value for index, row in enumerate(part) for name, value in chosen(group, row).items()}
        statements.append((text, values))
    return statements


@lru_cache(maxsize=512)
def _repeated(head: str, group: str, tail: str, count: int) -> str:
    def numbered(index: int) -> str:
        return _TOKEN.sub(lambda match: f"${match['name']}_{index}" if match["name"] else match[0], group)

    return head + ", ".join(numbered(index) for index in range(count)) + tail


def plain_row(columns: Sequence[str], values: Sequence[Any]) -> dict[str, Any]:
    """Return one row by column name with times in UTC."""
    return {name: value.astimezone(UTC) if isinstance(value, datetime) and value.tzinfo else value for name, value in zip(columns, values, strict=True)}
