"""An axis of time on which hours of waiting don't squeeze seconds of work: pauses are drawn shorter, and the ticks count work."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

PAUSE = 0.2
"""Of the work: a time in which nothing works is a pause when it is longer."""
DRAWN = 0.08
"""Of the work: so long a pause is drawn."""
SHORTEST_S = 2.0
TICKS = 6
Spell = tuple[datetime, datetime]


@dataclass(frozen=True)
class WorkAxis:
    """Places of moments on an axis that begins at ``begun``; numbers are seconds."""

    begun: datetime
    pauses: tuple[Spell, ...]
    width: float
    """Of each pause on the axis."""

    def at(self, moment: datetime) -> float:
        """Return where a moment is drawn."""
        place = (moment - self.begun).total_seconds()
        for starts, ends in self.pauses:
            if moment > starts:
                whole, passed = (ends - starts).total_seconds(), (min(moment, ends) - starts).total_seconds()
                place -= passed * (1 - self.width / whole)
        return place

    def of_work(self, seconds: float) -> float:
        """Return where so many seconds of work have been done."""
        place, left = 0.0, seconds
        reached = self.begun
        for starts, ends in self.pauses:
            before = (starts - reached).total_seconds()
            if left <= before:
                return place + left
            place, left, reached = place + before + self.width, left - before, ends
        return place + left

    def ticks(self, until: datetime, unit: float) -> tuple[list[float], list[str]]:
        """Return places and labels of ticks up to a moment, in units of so many seconds of work."""
        work = ((until - self.begun).total_seconds() - sum((ends - starts).total_seconds() for starts, ends in self.pauses)) / unit
        step = _nice(work / TICKS)
        numbers = [step * number for number in range(math.floor(work / step) + 1)]
        return [self.of_work(number * unit) for number in numbers], [f"{number:g}" for number in numbers]


def work_axis(working: Iterable[Spell], begun: datetime, until: datetime) -> WorkAxis:
    """Return the axis for times in which something works; what lies between them, or before ``until``, and is long is a pause."""
    spells: list[Spell] = []
    for starts, ends in sorted(working):
        if spells and starts <= spells[-1][1]:
            spells[-1] = (spells[-1][0], max(ends, spells[-1][1]))
        else:
            spells.append((starts, ends))
    work = sum(((ends - starts) for starts, ends in spells), timedelta()).total_seconds()
    if not work:
        return WorkAxis(begun, (), 0.0)
    edges = [begun, *(moment for spell in spells for moment in spell), until]
    between = list(zip(edges[::2], edges[1::2], strict=True))
    least = max(SHORTEST_S, work * PAUSE)
    pauses = tuple(one for one in between if (one[1] - one[0]).total_seconds() > least)
    return WorkAxis(begun, pauses, min(least, work * DRAWN))


def _nice(length: float) -> float:
    """Return the next length that people count in: 1, 2 or 5 times a power of ten."""
    if length <= 0:
        return 1.0
    power: float = 10.0 ** math.floor(math.log10(length))
    return next(size * power for size in (1, 2, 5, 10) if size * power >= length * 0.999)
