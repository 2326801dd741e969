"""Columns that grow page by page have the type that all pages together ask for."""

from __future__ import annotations

from decimal import Decimal

import pandas as pd
import polars as pl
import pytest

from hishamos.frames.typed_columns import PandasColumn, PolarsColumn


def pandas_column(*pages: list[object], empty: str = "text") -> pd.Series:
    column = PandasColumn(empty)
    for page in pages:
        column.add(page)
    return pd.Series(column.finished())


@pytest.mark.parametrize(
    ("pages", "dtype", "values"),
    [
        ([["a"], ["b", "c"]], "str", ["a", "b", "c"]),
        ([[1], [2]], "int64", [1, 2]),
        ([[1], [True]], "object", [1, True]),
        ([[True], [False]], "bool", [True, False]),
        ([[1], [2.5]], "float64", [1.0, 2.5]),
        ([[1], [2**70]], "object", [1, 2**70]),
        ([["a"], [{"b": 1}], [[1, 2], [3, 4]]], "object", ["a", {"b": 1}, [1, 2], [3, 4]]),
        ([[Decimal("1.5")], [Decimal(0)]], "object", [Decimal("1.5"), Decimal(0)]),
        ([[0], ["x"]], "object", [0, "x"]),
    ],
)
def test_pages_become_one_column(pages: list[list[object]], dtype: str, values: list[object]) -> None:
    found = pandas_column(*pages)
    assert str(found.dtype) == dtype
    assert found.tolist() == values


def test_missing_values_make_types_nullable_and_stay_missing() -> None:
    assert str(pandas_column([None, None], [1]).dtype) == "Int64"
    assert str(pandas_column([True], [None]).dtype) == "boolean"
    assert pandas_column([None], [1.5]).isna().tolist() == [True, False]
    assert pandas_column(["a", None], [7, None]).tolist() == ["a", None, 7, None]
    assert [str(pandas_column(empty=kind).dtype) for kind in ("text", "truth", "whole", "number")] == ["str", "bool", "int64", "float64"]
    assert str(pandas_column([None], empty="truth").dtype) == "boolean"


def test_polars_columns() -> None:
    def made(*pages: list[object], empty: str = "text") -> pl.Series:
        column = PolarsColumn(empty)
        for page in pages:
            column.add(page)
        return column.finished()

    assert made([1, None], [2]).to_list() == [1, None, 2]
    assert made([1], [2.5]).dtype == pl.Float64
    assert made([None], ["a"]).dtype == pl.String
    assert made([None], empty="truth").dtype == pl.Boolean
    assert made(empty="whole").dtype == pl.Int64
    assert made([["a"], ["b", "c"]]).dtype == pl.List(pl.String)
    assert made([Decimal("1.5")], [Decimal(0)]).to_list() == [Decimal("1.5"), Decimal(0)]
    assert made([{"a": 1}], [["x"]]).to_list() == ['{"a": 1}', '["x"]'], "what has no common type is JSON"
