"""Reading a CSV file of reports: every fault is told with its file and line, before anything is paid."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

from hishamos.errors import InvalidInput, nearest_hint
from hishamos.text.files import decoded

NEEDED = ("id", "title", "body")
MOST_BYTES = 64 * 1024 * 1024
MOST_ROWS = 10_000
MOST_CHARACTERS = 20_000
"""Of title and body together: what the command ``classify_bug`` takes."""
_TOLD = 5
"""Problems of rows that one error tells; the rest are counted."""


def read_table(file: str) -> list[dict[str, Any]]:
    """Return the file's rows: ``id, title, body``, the line each begins on, and all further columns under ``more``.

    UTF-8, with or without a byte order mark; comma, semicolon or tab between columns, whichever the header uses. Raises
    :class:`InvalidInput`: no such file, wrong encoding, not CSV, a missing column, an id twice, an empty or too long text.
    """
    path = Path(file)
    text = _decoded(path)
    lines = _records(text, path)
    if not lines:
        raise InvalidInput(what="The file is empty", where=str(path), next="It needs a header id,title,body and one row per report.")
    header = [name.strip() for name in lines[0][1]]
    places = _columns(header, path)
    if len(lines) == 1:
        raise InvalidInput(what="The file has a header and no rows", where=str(path), next="Add one row per report below the header.")
    if len(lines) - 1 > MOST_ROWS:
        raise InvalidInput(what=f"The file has {len(lines) - 1:,} rows, more than {MOST_ROWS:,}", where=str(path), next="Split it into several files.")
    return _rows(lines[1:], header, places, path)


def _decoded(path: Path) -> str:
    if path.is_dir():
        raise InvalidInput(what="This is a folder", where=str(path), next="Name the CSV file in it.")
    try:
        size = path.stat().st_size
        if size > MOST_BYTES:
            raise InvalidInput(what=f"The file has {size:,} bytes, more than {MOST_BYTES:,}", where=str(path), next="Split it into several files.")
        raw = path.read_bytes()
    except FileNotFoundError:
        near = [entry.name for entry in path.parent.iterdir()] if path.parent.is_dir() else []
        hint = nearest_hint(path.name, near)
        raise InvalidInput(what=f"There is no such file{hint}", where=str(path), next="Check the path.") from None
    except OSError as error:
        raise InvalidInput(what=f"The file can't be read: {error.strerror}", where=str(path), next="Check its permissions.") from None
    if raw.startswith((b"{", b"[")):
        raise InvalidInput(what="This is JSON, not CSV", where=str(path), next="Export it as CSV in UTF-8 with the columns id,title,body.")
    return decoded(raw, path)


def _records(text: str, path: Path) -> list[tuple[int, list[str]]]:
    """Return the non-empty records with the line each begins on."""
    first = next((line for line in text.splitlines() if line.strip()), "")
    delimiter = max(",;\t", key=first.count)
    before = csv.field_size_limit(MOST_BYTES)  # a long field is told with its row below, not by the parser
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    found: list[tuple[int, list[str]]] = []
    begins = 1
    try:
        for record in reader:
            if any(field.strip() for field in record):
                found.append((begins, record))
            begins = reader.line_num + 1
    except csv.Error as error:
        advice = 'Put a text that holds a comma, a quote or a line break in double quotes, and write a quote inside it twice ("").'
        raise InvalidInput(what=f"This is not well-formed CSV: {error}", where=f"{path}, line {begins}", next=advice) from None
    finally:
        csv.field_size_limit(before)
    return found


def _columns(header: list[str], path: Path) -> dict[str, int]:
    known = [name.casefold() for name in header]
    twice = next((name for name in known if name and known.count(name) > 1), None)
    if twice:
        raise InvalidInput(what=f"The column {twice!r} stands there twice", where=f"{path}, line 1", next="Rename one of them.")
    missing = [name for name in NEEDED if name not in known]
    if missing:
        told = ", ".join(f"{name!r}{nearest_hint(name, [other for other in known if other not in NEEDED])}" for name in missing)
        advice = f"The header has: {', '.join(header)}. It needs id,title,body; more columns are allowed."
        raise InvalidInput(what=f"Missing column{'s' if len(missing) > 1 else ''} {told}", where=f"{path}, line 1", next=advice)
    return {name: known.index(name) for name in NEEDED}


def _rows(lines: list[tuple[int, list[str]]], header: list[str], places: dict[str, int], path: Path) -> list[dict[str, Any]]:
    problems: list[str] = []
    rows: list[dict[str, Any]] = []
    seen: dict[str, int] = {}
    for number, (line, record) in enumerate(lines, 1):
        place = f"row {number} (line {line})"
        fields = record if any(field.strip() for field in record[len(header) :]) else record[: len(header)]
        if len(fields) != len(header):
            problems.append(f"{place} has {len(fields)} fields, the header {len(header)}; is a text with a comma not in double quotes?")
            continue
        row = {name: fields[column].strip() for name, column in places.items()}
        length = len(row["title"]) + len(row["body"])
        if not row["id"]:
            problems.append(f"{place} has no id")
        elif row["id"] in seen:
            problems.append(f"{place} repeats the id {row['id']!r} of line {seen[row['id']]}")
        elif not row["body"]:
            problems.append(f"{place}, id {row['id']!r}, has an empty body")
        elif length > MOST_CHARACTERS:
            problems.append(f"{place}, id {row['id']!r}, has {length:,} characters of text, at most {MOST_CHARACTERS:,} fit; shorten it or leave it out")
        seen.setdefault(row["id"], line)
        further = {name: fields[i].strip() for i, name in enumerate(header) if i not in places.values() and name}
        rows.append({**row, "text": f"{row['title']}\n{row['body']}".strip(), "line": line, "more": further})
    if problems:
        told = "; ".join(problems[:_TOLD]) + (f"; and {len(problems) - _TOLD} more" if len(problems) > _TOLD else "")
        what = f"{len(problems)} of {len(lines)} rows can't be used: {told}"
        raise InvalidInput(what=what, where=str(path), next="Correct these rows and start again; nothing was sent.")
    return rows
