"""CSV files that people hand in and get back: clear errors in, nothing executable out."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from hishamos.cli.values import nearest_file
from hishamos.errors import InvalidInput

LONGEST_CELL = 64 * 2**20
"""Characters; a spreadsheet's cell holds far less, a broken quote swallows the rest of the file."""
DANGEROUS = ("=", "+", "-", "@", "\t", "\r")
"""A spreadsheet takes a cell that begins so for a formula."""


def read_rows(file: str) -> tuple[list[str], list[dict[str, str]]]:
    """Return a CSV file's column names and rows, every cell as text.

    UTF-8, with or without a byte order mark; columns separated by commas. Raises :class:`InvalidInput` with file and line for a file that
    is missing, empty, not UTF-8 or not well formed.
    """
    text = _text(Path(file).expanduser())
    csv.field_size_limit(LONGEST_CELL)
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        header = next(reader, [])
        names = _checked_header(header, file)
        rows = []
        for cells in reader:
            if not cells:
                continue
            if len(cells) != len(names):
                what = f"The row that ends at line {reader.line_num} has {len(cells)} cells, the header has {len(names)}"
                raise InvalidInput(what=what, where=file, next="Put cells that hold a comma or a line break in double quotes.")
            rows.append(dict(zip(names, cells, strict=True)))
    except csv.Error as error:
        raise InvalidInput(
            what=f"The file is no well-formed CSV near line {reader.line_num}: {error}", where=file, next="Close every double quote, then try again."
        ) from error
    if not rows:
        raise InvalidInput(what="The file has a header and no rows", where=file, next="Add at least one row.")
    return names, rows


def _text(path: Path) -> str:
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise InvalidInput(what="The file does not exist", where=str(path), next=nearest_file(path) or "Give the path of an existing CSV file.") from None
    except IsADirectoryError:
        raise InvalidInput(what="This is a folder", where=str(path), next="Give the path of a CSV file.") from None
    except OSError as error:
        raise InvalidInput(what=f"The file can't be read: {error.strerror}", where=str(path), next="Check its permissions.") from error
    if not data.strip():
        raise InvalidInput(what="The file is empty", where=str(path), next="It needs a line with column names, and rows below it.")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        what = f"The file is not UTF-8: byte 0x{data[error.start]:02x} in line {line}"
        raise InvalidInput(what=what, where=str(path), next=f"Save it as UTF-8, or: iconv -f WINDOWS-1252 -t UTF-8 {path.name} > utf8.csv") from None


def _checked_header(header: Sequence[str], file: str) -> list[str]:
    names = [name.strip() for name in header]
    for place, name in enumerate(names, 1):
        if not name:
            raise InvalidInput(what=f"Column {place} has no name", where=f"{file}, line 1", next="Give every column a name.")
        if names.index(name) != place - 1:
            raise InvalidInput(what=f"Two columns are named {name!r}", where=f"{file}, line 1", next="Rename one of them.")
    return names


def write_rows(file: Path, names: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> None:
    """Write rows as CSV, whole or not at all; cells that a spreadsheet would execute are neutralised."""
    part = file.with_name(f".{file.name}.part")
    with part.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow([neutral(name) for name in names])
        writer.writerows([neutral(row.get(name)) for name in names] for row in rows)
    part.replace(file)


def neutral(cell: Any) -> Any:
    """Return a cell's text with an apostrophe before it where a spreadsheet would take it for a formula; numbers stay numbers."""
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(DANGEROUS) else cell
