"""A map in words: how many rows asked nobody, how many were asked, rows a second, spend, what is left."""

from __future__ import annotations

from hishamos.charts.formats import count, duration, money, outlook, some, state_label
from hishamos.records.runs import Run, RunKind

MOST_QUICK_S = 1.0
"""Before so many seconds have passed, a rate says nothing."""


def rows_told(run: Run) -> str:
    """Return how many rows of a map asked nobody, how many were asked and, once it has ended, how many have no answer: ``98 reused, 2 new``."""
    failed = _failed(run)
    told = f"{count(run.reused)} reused, {count(max(0, run.steps_done - run.reused - failed))} new"
    return f"{told}, {count(failed)} without an answer" if failed else told


def unanswered(run: Run) -> str:
    """Return how many rows of a map that went through have no answer: the map succeeds all the same. Empty for all other runs."""
    failed = _failed(run) if run.kind is RunKind.MAP else 0
    return f"{count(failed)} of {some(run.steps_total, 'row')} without an answer" if failed else ""


def _failed(run: Run) -> int:
    counts = run.outputs.get("counts", {}) if isinstance(run.outputs, dict) else {}
    found: int = counts.get("failed", 0)
    return found


def spend_told(run: Run) -> str:
    """Return a map's spend: ``0.00 USD`` where it cost nothing, offline named as such."""
    if run.offline and not run.cost_nanos and not run.unpriced:
        return f"{money(0)}, {state_label('offline').partition(' ')[2]}"
    unpriced = f" + {count(run.unpriced)} unpriced" if run.unpriced else ""
    return ("0.00 USD" if not run.cost_nanos and not run.unpriced else money(run.cost_nanos)) + unpriced


def pace(run: Run, taken_s: float) -> str:
    """Return where a map stands: ``600 of 1,000 rows, 41.3 rows/s, 98 reused, 502 new, 0.0201 USD, about 9.7 s and 0.0134 USD left``.

    ``taken_s``: how long it has been watched.
    """
    parts = [f"{count(run.steps_done)} of {some(run.steps_total, 'row')}"]
    if run.steps_done and taken_s >= MOST_QUICK_S:
        parts.append(f"{run.steps_done / taken_s:,.1f} rows/s")
    parts += [rows_told(run), spend_told(run)]
    left = outlook(None, run.left_s, run.left_nanos)
    return ", ".join([*parts, *([left] if left and not run.ended else [])])


def map_outcome(run: Run, taken_s: float) -> str:
    """Return how a map ended: ``100 rows: 100 reused, 0 new, 0.00 USD, 340 ms``. ``taken_s``: how long it took."""
    parts = [rows_told(run), spend_told(run), duration(taken_s)]
    if not run.ended:
        parts.insert(0, f"{count(run.steps_done)} done, the rest goes on in the server")
    return f"{run.name}  {some(run.steps_total, 'row')}: {', '.join(parts)}"
