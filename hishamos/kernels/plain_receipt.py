"""The receipt of a notebook that papermill itself executes with our engine: asked of the workspace's server, where one is up."""

from __future__ import annotations

import importlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import nbformat

from hishamos.contracts.wire import Places
from hishamos.errors import HishamosError
from hishamos.kernels.receipt_cell import receipt_cell, without_receipt
from hishamos.records.origins import EXECUTION, NOTEBOOK
from hishamos.records.record import new_id
from hishamos.settings import find_root


@contextmanager
def introduced(notebook: str | None) -> Iterator[str]:
    """Let the kernel that is started within know its notebook and its execution, whose id this gives.

    Afterwards the process has the environment of before: what it asks itself is not the notebook's.
    """
    execution = new_id(16)
    told = {EXECUTION: execution} | ({NOTEBOOK: os.path.abspath(notebook)} if notebook and "://" not in notebook else {})
    before = {name: os.environ.get(name) for name in told}
    os.environ.update(told)
    try:
        yield execution
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def add_receipt(nb: Any, execution: str) -> None:
    """Let a notebook end in its receipt; one that asked nothing of a workspace, or whose server has left, stays as it is."""
    found = _receipt(execution)
    if found is not None:
        nb.cells = [*without_receipt(nb.cells), nbformat.from_dict(receipt_cell(found, nb))]


def _receipt(execution: str) -> Any:
    root = find_root()
    # By name: clients stand above this floor, and only who runs papermill by hand comes here.
    discovery, opening = importlib.import_module("hishamos.remote.discovery"), importlib.import_module("hishamos.opening")
    if discovery.find(Places(Path(root))) is None:
        return None
    try:
        with opening.open(root) as workspace:
            found = workspace.ledger.receipt(execution)
            return found if found.attempts or found.runs else None
    except HishamosError:
        return None
