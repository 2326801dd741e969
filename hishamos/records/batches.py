"""Batches of notebooks as their readers see them."""

from __future__ import annotations

from typing import Any, Literal

from hishamos.records.record import Record

MOST_ROWS = 10_000
"""Rows of one batch."""


class BatchRow(Record):
    """One notebook of a batch."""

    index: int
    status: Literal["succeeded", "failed", "cancelled", "pending", "running"]
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
