"""Columns that grow page by page: each page is packed at once, so that answers are not held twice."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas

WHOLE_BITS = 63


def kind_of(values: Sequence[Any]) -> str:
    """Return what a page holds, missing values left out: ``none``, ``text``, ``truth``, ``whole``, ``number``, else ``object``."""
    kinds = {type(value) for value in values if value is not None}
    if not kinds:
        return "none"
    if kinds == {str}:
        return "text"
    if kinds == {bool}:
        return "truth"
    if kinds == {int}:
        return "whole" if all(value is None or value.bit_length() <= WHOLE_BITS for value in values) else "object"
    return "number" if kinds <= {int, float} else "object"


KIND_OF_TYPE = {"boolean": "truth", "integer": "whole", "number": "number"}
"""A JSON type to the kind of a column without any value."""


def common(kinds: Sequence[str], empty: str) -> str:
    """Return the kind of a whole column from those of its pages. ``empty``: that of a column without any value."""
    found = set(kinds) - {"none"}
    if len(found) <= 1:
        return found.pop() if found else empty
    return "number" if found == {"whole", "number"} else "object"


class PandasColumn:
    """One new column of a DataFrame, packed as pandas holds it."""

    def __init__(self, empty: str) -> None:
        self._empty = empty
        self._pages: list[tuple[str, Any]] = []

    def add(self, values: Sequence[Any]) -> None:
        """Add the next page; None is a missing value."""
        kind = kind_of(values)
        self._pages.append((kind, len(values) if kind == "none" else _packed(kind, values)))

    def finished(self) -> Any:
        """Return the column; whole numbers and truth values are nullable only where one is missing."""
        import pandas as pd

        kind = common([kind for kind, _ in self._pages], self._empty)
        pages, self._pages = self._pages, []
        parts = [_part(kind, own, page) for own, page in pages] or [_packed(kind, [])]
        whole = parts[0] if len(parts) == 1 else pd.concat(parts, ignore_index=True)
        if kind in ("truth", "whole") and not whole.isna().any():
            whole = whole.astype("bool" if kind == "truth" else "int64")
        return whole.array


def _packed(kind: str, values: Sequence[Any]) -> pandas.Series[Any]:
    import pandas as pd

    dtypes: dict[str, Any] = {"text": pd.StringDtype(na_value=float("nan")), "truth": "boolean", "whole": "Int64", "number": "float64", "object": object}
    found: pandas.Series[Any] = pd.Series(list(values), dtype=dtypes[kind])
    return found


def _part(kind: str, own: str, page: Any) -> pandas.Series[Any]:
    """Return a page in the kind of its column."""
    if own == "none":
        return _packed(kind, [None] * page)
    if own == kind:
        found: pandas.Series[Any] = page
        return found
    return _packed(kind, [None if missing else value for value, missing in zip(page.tolist(), page.isna(), strict=True)])


class PolarsColumn:
    """One new column of a polars DataFrame."""

    def __init__(self, empty: str) -> None:
        self._empty = empty
        self._pages: list[tuple[str, Any]] = []

    def add(self, values: Sequence[Any]) -> None:
        """Add the next page; None is a missing value."""
        kind = kind_of(values)
        self._pages.append((kind, list(values) if kind == "object" else _polars(kind, values)))

    def finished(self) -> Any:
        """Return the column; nested values that have no common type are JSON text."""
        import polars as pl

        kind = common([kind for kind, _ in self._pages], self._empty)
        pages, self._pages = self._pages, []
        if kind != "object":
            return pl.concat([page.cast(_polars_type(kind)) for _, page in pages]) if pages else _polars(kind, [])
        return _of_objects([value for _, page in pages for value in (page if isinstance(page, list) else page.to_list())])


def _polars_type(kind: str) -> Any:
    import polars as pl

    return {"none": pl.Null, "text": pl.String, "truth": pl.Boolean, "whole": pl.Int64, "number": pl.Float64}[kind]


def _polars(kind: str, values: Sequence[Any]) -> Any:
    import polars as pl

    return pl.Series(values=list(values), dtype=_polars_type(kind), strict=False)


def _of_objects(values: list[Any]) -> Any:
    import json

    import polars as pl

    try:
        found = pl.Series(values=values)
    except (TypeError, ValueError, OverflowError, pl.exceptions.PolarsError):
        found = None
    if found is not None and found.dtype != pl.Object:
        return found
    return pl.Series(values=[None if value is None else json.dumps(value, ensure_ascii=False, default=str) for value in values], dtype=pl.String)
