"""Batches of notebooks as their readers see them."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal, get_args

from hishamos.records.record import Record
from hishamos.records.runs import RunState

MOST_ROWS = 10_000
"""Rows of one batch."""
RowStatus = Literal["succeeded", "failed", "cancelled", "pending", "running"]
ROW_STATUSES: tuple[RowStatus, ...] = get_args(RowStatus)


class BatchRow(Record):
    """One notebook of a batch."""

    index: int
    status: RowStatus
    step: str
    """The path of the step that executes it, by which its attempts are found: ``ws.runs.calls(run, step=row.step)``."""
    parameters: dict[str, Any]
    output_path: str | None = None
    """The executed notebook; of a row that failed it holds what had run."""
    error: str | None = None
    cell: int | None = None
    """The cell of the executed notebook at which it failed, from 0; None where that can't be told."""
    reason: str | None = None
    """Why it failed, in words that do not name the row again."""
    cost_nanos: int | None = 0
    seconds: float | None = None
    result: dict[str, Any] | None = None
    """What the notebook gave back by ``hishamos.result``."""
    reused: bool = False
    """Whether it was executed by an earlier batch, and only copied."""


class BatchInfo(Record):
    """A batch as a whole."""

    run: str
    state: RunState
    notebook: str
    """Its path."""
    jobs: int
    reuse: bool
    """Whether kernels were kept for the next notebook."""
    rows: dict[str, int]
    """How many rows there are of each status."""
    folder: str
    """Where the executed notebooks are."""
    summary: str | None = None
    """The notebook that tells how it went; None before all rows have ended once."""
    cost_nanos: int = 0
    """Nano-dollars of all its notebooks; unpriced attempts are not in it."""
    unpriced: int = 0
    attempts: int = 0
    offline: bool = False
    """Whether any answer came from the offline model."""
    created_at: datetime
    started_at: datetime | None = None
    finished_at: datetime | None = None

    @property
    def total(self) -> int:
        """How many rows it has."""
        return sum(self.rows.values())

    @property
    def ended(self) -> int:
        """How many of them succeeded, failed or were cancelled."""
        return sum(number for status, number in self.rows.items() if status not in {"pending", "running"})


class RunnableNotebook(Record):
    """A notebook of the workspace that a batch can execute: one of its cells declares parameters."""

    path: str
    """Within the workspace."""
    parameters: dict[str, str]
    """Name to type: ``int``, ``float``, ``str``, ``bool``, ``list``, ``dict``, or empty where anything is taken."""
