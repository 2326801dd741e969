"""Runs the code of a notebook's cell in a child process, as if the cells before it had run: its variables come in and go out as plain data."""

from __future__ import annotations

import importlib
import linecache
import os
from collections.abc import Mapping, Sequence
from typing import Any

from hishamos.errors import InvalidInput, nearest_hint
from hishamos.records.plain import plain_variable


def run_cell(code: str, place: str, setup: Sequence[Mapping[str, str]], values: Mapping[str, Any], gives: Sequence[str], root: str, ws: Any) -> dict[str, Any]:
    """Run a cell and return the variables that it gives.

    ``setup``: cells that run before it; ``values``: variables that it finds; ``ws``: the run's workspace, which ``hishamos.open()`` returns in it.
    """
    # By name: the front door stands above this floor, and only a cell that is run needs it.
    opening: Any = importlib.import_module("hishamos.opening")
    names: dict[str, Any] = {"__name__": "__main__", "display": print, **values}
    opening.run_workspace = ws
    try:
        for one in (*setup, {"code": code, "place": place}):
            _execute(one["code"], os.path.join(root, one["place"]), names)
    finally:
        opening.run_workspace = None  # the next call in this process may be another run's
    missing = [name for name in gives if name not in names]
    if missing:
        hint = nearest_hint(missing[0], [name for name in names if not name.startswith("_")])
        raise InvalidInput(
            what=f"the cell did not set {missing[0]!r}{hint}", where=place, next="A later step reads it, or it is an output: set it on every way."
        )
    return {name: plain_variable(name, names[name]) for name in gives}


def _execute(code: str, file: str, names: dict[str, Any]) -> None:
    # The lines are where tracebacks look for them.
    linecache.cache[file] = (len(code), None, code.splitlines(keepends=True), file)
    exec(compile(code, file, "exec"), names)  # noqa: S102 - running what its owner wrote is what this step is for
