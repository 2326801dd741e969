"""A batch's rows as its caller has them, DataFrame or dicts, as plain values that can be sent."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hishamos.errors import InvalidInput
from hishamos.frames.cells import NotPlain, plain
from hishamos.records.batches import MOST_ROWS
from hishamos.text.files import absolute

WHERE = "ws.batch, rows"


def batch_arguments(arguments: Mapping[str, Any], root: Path) -> dict[str, Any]:
    """Return what a batch is started with: paths as the caller means them, rows as plain values."""
    found: dict[str, Any] = {"notebook": absolute(arguments["notebook"], root), "rows": parameter_rows(arguments["rows"])}
    if arguments.get("output"):
        found["output"] = os.path.abspath(os.path.expanduser(os.fspath(arguments["output"])))
    return found


def parameter_rows(rows: Any) -> list[dict[str, Any]]:
    """Return rows as dicts of plain values; raises :class:`InvalidInput` for what has no rows, too many, or a value that can't be sent.

    ``rows``: a pandas or polars DataFrame, in which a missing value is left out, or dicts.
    """
    if isinstance(rows, (str, bytes, Mapping)) or not hasattr(rows, "__iter__"):
        following = "Give a DataFrame or a list of dicts; a CSV file is read by: hishamos batch NOTEBOOK --rows FILE.csv"
        raise InvalidInput(what=f"a {type(rows).__name__} has no rows of parameters", where=WHERE, next=following)
    if hasattr(rows, "__len__") and len(rows) > MOST_ROWS:
        following = "Give it in parts, or let one notebook do many of them with ws.map."
        raise InvalidInput(what=f"{len(rows):,} rows are too many: a batch has at most {MOST_ROWS:,}", where=WHERE, next=following)
    if hasattr(rows, "to_dicts"):
        return [_row(number, row, leave_out=True) for number, row in enumerate(rows.to_dicts(), 1)]
    if hasattr(rows, "itertuples"):
        names = [str(name) for name in rows.columns]
        return [_row(number, dict(zip(names, row, strict=True)), leave_out=True) for number, row in enumerate(rows.itertuples(index=False, name=None), 1)]
    return [_row(number, row, leave_out=False) for number, row in enumerate(rows, 1)]


def _row(number: int, row: Any, *, leave_out: bool) -> dict[str, Any]:
    if not isinstance(row, Mapping):
        raise InvalidInput(what=f"a {type(row).__name__} is no row of parameters", where=f"{WHERE}, row {number}", next="Give dicts: {parameter: value}.")
    found: dict[str, Any] = {}
    for name, value in row.items():
        try:
            found[str(name)] = plain(value)
        except NotPlain as error:
            following = "Pass plain values: text, numbers, truths, lists, dicts."
            raise InvalidInput(what=f"the value of {name!r} is {error}", where=f"{WHERE}, row {number}", next=following) from None
    return {name: value for name, value in found.items() if value is not None} if leave_out else found
