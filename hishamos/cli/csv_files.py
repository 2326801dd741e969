"""CSV files that people hand in and get back: clear errors in, nothing executable out."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from hishamos.frames.csv_rows import csv_rows
from hishamos.text.files import read_text
from hishamos.text.spreadsheets import neutral


def read_rows(file: str, *, most: int | None = None) -> tuple[list[str], list[dict[str, str]]]:
    """Return a CSV file's column names and rows, every cell as text.

    Raises :class:`InvalidInput` with file and line for a broken one, and for one that has more than ``most`` rows.
    """
    names, rows = csv_rows(read_text(Path(file).expanduser()), file, most)
    return names, [row for _, row in rows]


def write_rows(file: Path, names: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> None:
    """Write rows as CSV, whole or not at all; cells that a spreadsheet would execute are neutralised."""
    part = file.with_name(f".{file.name}.part")
    with part.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow([neutral(name) for name in names])
        writer.writerows([neutral(row.get(name)) for name in names] for row in rows)
    part.replace(file)
