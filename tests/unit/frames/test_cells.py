"""Cells as plain values: what a frame may hold comes out the same in every process, or says what it is."""

from __future__ import annotations

import enum
import subprocess
import sys
import uuid
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from hishamos.frames.cells import NotPlain, plain


class Colour(enum.Enum):
    RED = "red"


@pytest.mark.parametrize(
    ("cell", "value"),
    [
        ("text", "text"),
        (None, None),
        (float("nan"), None),
        (pd.NA, None),
        (pd.NaT, None),
        (np.float64("nan"), None),
        (np.datetime64("NaT"), None),
        (np.int64(7), 7),
        (np.bool_(True), True),
        (np.str_("a"), "a"),
        (2.5, 2.5),
        (Decimal("1.50"), "1.50"),
        (date(2026, 11, 28), "2026-11-28"),
        (pd.Timestamp("2026-11-28T10:00", tz="UTC"), "2026-11-28T10:00:00+00:00"),
        (datetime(2026, 11, 28, tzinfo=UTC), "2026-11-28T00:00:00+00:00"),
        (timedelta(hours=1), "1:00:00"),
        (pd.Period("2026-11"), "2026-11"),
        (np.array([[1, 2], [3, 4]]), [[1, 2], [3, 4]]),
        (("a", [None, float("nan")]), ["a", [None, None]]),
        ({"a": {1: pd.NA}}, {"a": {"1": None}}),
        ({"b", "a", "c"}, ["a", "b", "c"]),
        (b"caf\xc3\xa9", "café"),
        (Colour.RED, "red"),
        (uuid.UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        (Path("a/b"), "a/b"),
    ],
)
def test_cells_as_they_come(cell: object, value: object) -> None:
    assert plain(cell) == value
    assert type(plain(cell)) is type(value)


@pytest.mark.parametrize(
    ("cell", "why"),
    [
        (b"caf\xe9", r"no UTF-8 \(0xe9 at position 3\)"),
        (["fine", b"\xff"], "no UTF-8"),
        ("a\ud800", r"U\+D800 at position 1"),
        ({"\udfff": 1}, r"U\+DFFF"),
        (object(), "a object, which has no plain form"),
        (print, "has no plain form"),
    ],
)
def test_what_can_not_be_sent_says_what_it_is(cell: object, why: str) -> None:
    with pytest.raises(NotPlain, match=why):
        plain(cell)


def test_cells_are_read_without_pandas() -> None:
    code = "import sys; from hishamos.frames.cells import plain; plain([1.5, b'x', {'a'}, 'é']); print({'pandas', 'numpy', 'polars'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "set()"
