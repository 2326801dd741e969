"""What something will cost, as a range, with how that was found."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from hishamos.records.record import Record

Ground = Literal["history", "other models", "counted", "limit", "unpriced", "unknown"]
"""Tokens of earlier calls on the same model; of earlier calls on other models; the prompt, counted, and the output limit; nothing but
the agent's limit of money; the model has no price; nobody can tell before it runs."""


class ForecastPart(Record):
    """One step, or the command of a map, on one model. Amounts are nano-dollars for all its times, or for one where nobody knows how many."""

    step: str
    """Its path: ``classify[]`` is what a map does with each item."""
    subject: str
    """``command classify_bug``, ``agent bug-triage``."""
    models: tuple[str, ...]
    """The model that is asked first, or all among which its route chooses."""
    times: float | None = 1
    """How often it is likely to be done; None where only the run will tell."""
    low_nanos: int | None = None
    likely_nanos: int | None = None
    high_nanos: int | None = None
    ground: Ground
    how: str
    """In words."""


class Forecast(Record):
    """What a workflow, a command or a map will cost. Retries and jumps back are not in it; rows of a map that are answered already cost nothing."""

    name: str
    version: str
    parts: tuple[ForecastPart, ...] = ()
    low_nanos: int = 0
    """Sum over the parts whose number and price are known."""
    likely_nanos: int = 0
    high_nanos: int = 0
    rows: int | None = None
    """How many rows a map has; None where it is none."""
    reused: int | None = None
    """How many different rows are answered already; an estimate where ``notes`` say that only some were looked at."""
    low_s: float | None = None
    """Seconds that it takes, from the times of earlier answers; None without them, and for workflows."""
    likely_s: float | None = None
    high_s: float | None = None
    notes: tuple[str, ...] = ()
    """What has to be known beside the numbers, a sentence each."""
    whole: bool = True
    """Whether all parts are in the sums."""
    offline: bool = False
    """Whether the offline model answers: it costs nothing, and no real model was asked."""
    made_at: datetime

    @property
    def left_out(self) -> tuple[ForecastPart, ...]:
        """The parts that the sums don't hold: unpriced, unknown, or done nobody knows how often."""
        return tuple(part for part in self.parts if part.times is None or part.likely_nanos is None)
