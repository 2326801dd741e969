"""The rows of a CSV text, every cell as text, each with the line it begins in."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence

from hishamos.errors import InvalidInput

LONGEST_CELL = 64 * 2**20
"""Characters; a spreadsheet's cell holds far less, a broken quote swallows the rest of the file."""

OTHER_SEPARATORS = {";": "semicolons", "\t": "tabs"}
"""What spreadsheets of many countries write instead of a comma."""


def csv_rows(text: str, file: str, most: int | None = None) -> tuple[list[str], list[tuple[int, dict[str, str]]]]:
    """Return column names, and rows with the number of their first line; columns are separated by commas.

    ``file``: what the text was read from, for the errors. Raises :class:`InvalidInput` with file and line for what is not well formed, and at the
    first row after ``most``.
    """
    csv.field_size_limit(LONGEST_CELL)
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    rows: list[tuple[int, dict[str, str]]] = []
    try:
        names = _checked_header(next(reader, []), file)
        begins = reader.line_num + 1
        for cells in reader:
            if cells and len(cells) != len(names):
                what = f"The row that ends at line {reader.line_num} has {_cells(len(cells))}, the header has {len(names)}"
                raise InvalidInput(what=what, where=file, next="Put cells that hold a comma or a line break in double quotes.")
            if cells and len(rows) == most:
                raise InvalidInput(what=f"The file has more than {most:,} rows", where=f"{file}, line {begins}", next="Give it in parts.")
            if cells:
                rows.append((begins, dict(zip(names, cells, strict=True))))
            begins = reader.line_num + 1
    except csv.Error as error:
        raise InvalidInput(
            what=f"The file is no well-formed CSV near line {reader.line_num}: {error}", where=file, next="Close every double quote, then try again."
        ) from error
    if not rows:
        raise InvalidInput(what="The file has a header and no rows", where=file, next="Add at least one row.")
    return names, rows


def _cells(number: int) -> str:
    return "1 cell" if number == 1 else f"{number} cells"


def _checked_header(header: Sequence[str], file: str) -> list[str]:
    names = [name.strip() for name in header]
    other = next((sign for sign in OTHER_SEPARATORS if len(names) == 1 and sign in names[0]), None)
    if other:
        what = f"The columns look as if they were separated by {OTHER_SEPARATORS[other]}"
        raise InvalidInput(what=what, where=f"{file}, line 1", next="Save it with commas between them.")
    for place, name in enumerate(names, 1):
        if not name:
            raise InvalidInput(what=f"Column {place} has no name", where=f"{file}, line 1", next="Give every column a name.")
        if names.index(name) != place - 1:
            raise InvalidInput(what=f"Two columns are named {name!r}", where=f"{file}, line 1", next="Rename one of them.")
    return names
