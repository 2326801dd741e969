"""One call on its way up the ladder: its plan, its deadline, its attempts, and how it is interrupted."""

from __future__ import annotations

import asyncio
import math
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from hishamos.contracts.ledger import CallIntent
from hishamos.errors import HishamosError, to_wire
from hishamos.gateway.causes import Cause
from hishamos.gateway.routes import Plan, Target
from hishamos.records.attachments import Attachment
from hishamos.records.calls import Attempt, CallStatus, ModelRequest, Outcome, StreamEvent, Tags
from hishamos.records.money import BudgetWarning
from hishamos.records.record import Failure
from hishamos.records.tools import ToolCall

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(slots=True)
class Tried:
    """What one attempt came to; ``cause`` is None for a success."""

    target: Target
    attempt: Attempt
    cause: Cause | None
    text: str = ""
    calls: tuple[ToolCall, ...] = ()
    not_judged: tuple[str, ...] = ()
    broken: bool = False
    """The answer had begun, or its end is missing: the route's policy for broken streams decides."""
    retry_after_s: float | None = None
    outcome: Outcome | None = None
    """Set where the attempt's commit has ended the call."""


class Ended(Exception):
    """The call has ended below: its outcome is stored, or another call's is."""

    def __init__(self, outcome: Outcome) -> None:
        self.outcome = outcome
        super().__init__()


@dataclass(slots=True)
class Trip:
    """One call under way; lives on the gateway's loop."""

    intent: CallIntent
    request: ModelRequest
    tags: Tags
    plan: Plan
    stream: bool
    publish: Callable[[StreamEvent], None]
    deadline: float
    """In the loop's time, seconds."""
    attempts: list[Attempt] = field(default_factory=list)
    held: bool = False
    """Whether this process holds the call's row."""
    made: int = 0
    """Attempts made by this process."""
    hop: int = 0
    """Targets tried before the present one."""
    warnings: tuple[BudgetWarning, ...] = ()
    """Shares of budgets that its reservations passed."""
    waiting_targets: int = 0
    """Targets that have not been tried yet."""
    passed_over: dict[str, str] = field(default_factory=dict)
    """Models that were not asked since the last attempt, and why."""
    hidden: str | None = None
    """How much personal data the present target is not sent, by kind."""
    files: tuple[Attachment, ...] = ()
    """All that were handed in; those that are texts stand in the request's words by now."""
    file_tokens: int = 0
    """What the request's images and PDFs are at most at the present target."""
    file_bytes: dict[str, bytes] = field(default_factory=dict)
    """Those of the images and PDFs by their hash, while an attempt is made."""
    batch: bool = False
    """Whether it goes to its provider in a batch, within a day, at batch prices."""
    row: str = ""
    """The present attempt's id: its row's name in a batch."""
    handed_in: bool = False
    """Whether its row was handed in by an earlier process."""
    unsettled: tuple[Future[bool], Attempt] | None = None
    """An attempt that failed and whose settlement is on its way to the store."""
    texted: bool = False
    cancelled: bool = False
    closing: bool = False
    _scope: asyncio.Timeout | None = None

    def scope(self, until: float = math.inf) -> asyncio.Timeout:
        """Return a time limit that ends at ``until``, at the deadline, or when the call is cancelled, whichever comes first."""
        self._scope = asyncio.timeout_at(0 if self.cancelled else min(until, self.deadline))
        return self._scope

    def extend(self, until: float) -> None:
        """Move the current limit; a cancelled call's stays."""
        if self._scope is not None and not self.cancelled:
            self._scope.reschedule(min(until, self.deadline))

    def interrupt(self, *, closing: bool = False) -> None:
        """Cancel: whatever waits ends now."""
        self.cancelled, self.closing = True, closing
        if self._scope is not None and not self._scope.expired():
            try:
                self._scope.reschedule(0)
            except RuntimeError:  # it has just been left
                self._scope = None

    def left(self) -> int:
        """Return how many attempts the route still allows."""
        return self.plan.route.attempts - self.made

    def over(self) -> bool:
        """Return whether the deadline has passed."""
        return asyncio.get_running_loop().time() >= self.deadline

    def outcome(self, status: CallStatus, *, tried: Tried | None = None, error: HishamosError | None = None) -> Outcome:
        """Return how the call ends, with its attempts so far."""
        costs = [attempt.cost_nanos for attempt in self.attempts]
        keeps = tried is not None and status in (CallStatus.SUCCEEDED, CallStatus.INCOMPLETE)
        return Outcome(
            call_id=self.intent.id,
            key=self.intent.key,
            status=status,
            text=tried.text if tried and keeps else "",
            calls=tried.calls if tried and status is CallStatus.SUCCEEDED else (),
            model=tried.attempt.model if tried and keeps else None,
            cost_nanos=None if None in costs else sum(cost for cost in costs if cost is not None),
            attempts=tuple(self.attempts),
            error=None if error is None else failure(error),
            not_judged=tried.not_judged if tried and keeps else (),
            warnings=self.warnings,
        )


class Rung(Protocol):
    """Takes a call to one target, by way of the rung below."""

    async def climb(self, trip: Trip, target: Target) -> Tried:
        """Return what came of it; raises :class:`Ended` where the call has ended below."""
        ...


def output_limit(trip: Trip) -> int:
    """Return the output limit that every attempt is sent with, tokens: the caller's, else the route's."""
    return trip.request.max_output_tokens or trip.plan.route.max_output_tokens


def failure(error: HishamosError) -> Failure:
    """Return a typed error as a record."""
    wire = to_wire(error)
    return Failure(type=wire["type"], message=wire["message"], facts=wire["facts"])
