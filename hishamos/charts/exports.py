"""A frame as a file to take along: CSV that no spreadsheet executes, Parquet that loses nothing."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from hishamos.text.spreadsheets import neutral

if TYPE_CHECKING:
    import pandas


def csv_bytes(frame: pandas.DataFrame) -> bytes:
    """Return a frame without its index as CSV in UTF-8; cells and names that a spreadsheet would take for formulas are neutralised."""
    named = frame.rename(columns={name: neutral(str(name)) for name in frame.columns})
    return named.map(neutral).to_csv(index=False).encode()


def parquet_bytes(frame: pandas.DataFrame) -> bytes:
    """Return a frame without its index as Parquet: types, zones and every cell as they are."""
    sink = io.BytesIO()
    frame.to_parquet(sink, index=False)
    return sink.getvalue()
