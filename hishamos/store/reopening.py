"""Steps of a run that are to be done again: what they did stays in the journal, and a new attempt of each stands pending."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from hishamos.contracts.journal import StepRow
from hishamos.records.runs import STEP_ENDED, StepState


def reopened(rows: Sequence[StepRow], from_step: str, moment: datetime) -> list[StepRow]:
    """Return what is written so that the steps of ``rows``, their latest attempts, are done again because somebody resumed from a step."""
    written = []
    for row in rows:
        if row.state not in STEP_ENDED:
            written.append(replace(row, state=StepState.CANCELLED, finished_at=moment, waiting_for=None))
        number, told = row.attempt + 1, f"done again from {from_step}"
        written.append(StepRow(path=row.path, attempt=number, first=number, position=row.position, type=row.type, state=StepState.PENDING, waiting_for=told))
    return written
