"""Why a run may not go on: its deadline has passed, or whoever works on it dies."""

from __future__ import annotations

from collections.abc import Callable

from hishamos.contracts.journal import Claim
from hishamos.engine.timers import Timer
from hishamos.engine.tools import Tools
from hishamos.errors import HishamosError, RunTimedOut, WorkerDied

LOOK_AGAIN_S = 3600.0
"""A later deadline is looked at now and then: the clock may be set, and a machine may sleep."""


def why_over(claim: Claim, tools: Tools, at_work: list[str]) -> HishamosError | None:
    """Return why a run that has just been taken is to end at once; None where it is to go on. ``at_work``: the steps that had begun."""
    run, deaths = claim.run, claim.deaths
    if deaths > tools.settings().max_retries:
        where = f"; at work: {', '.join(at_work[:5])}" if at_work else ""
        following = f"Look at what it does there, then: hishamos resume {run.id}"
        return WorkerDied(workflow=run.name, times=deaths, where=where, next=following)
    if claim.deadline is not None and tools.clock() >= claim.deadline:
        seconds = (claim.deadline - run.created_at).total_seconds()
        return RunTimedOut(workflow=run.name, seconds=f"{seconds:g}", next=f"To give it as long once more: hishamos resume {run.id}")
    return None


def dies_of_undoing(claim: Claim, tools: Tools) -> bool:
    """Return whether processes went on dying while they took back what the run had done."""
    return claim.deaths > 2 * tools.settings().max_retries + 1


class Deadline:
    """Ends a run at its deadline. ``over``: told why."""

    def __init__(self, claim: Claim, tools: Tools, over: Callable[[HishamosError], None]) -> None:
        self._claim, self._tools, self._over = claim, tools, over
        self._timer: Timer | None = None
        self._look(first=True)

    def drop(self) -> None:
        """Have the run end by itself."""
        if self._timer is not None:
            self._timer.cancel()

    def _look(self, *, first: bool = False) -> None:
        if self._claim.deadline is None:
            return
        left = (self._claim.deadline - self._tools.clock()).total_seconds()
        if left > 0 or first:
            self._timer = self._tools.timers.after(min(max(0.0, left), LOOK_AGAIN_S), self._look)
            return
        reason = why_over(self._claim, self._tools, [])
        if reason is not None:
            self._over(reason)
