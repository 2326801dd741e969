"""Circuit breakers: a model that fails again and again is left alone for a while, then one call tries whether it has come back."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass

from hishamos.gateway import causes
from hishamos.gateway.routes import Target
from hishamos.gateway.trips import Rung, Tried, Trip
from hishamos.records.workspaces import CircuitStatus

FAILURES = 5
"""So many failures in a row open a circuit. A healthy model that fails three times of ten does so once in four hundred calls."""
FIRST_PAUSE_S = 1.0
LONGEST_PAUSE_S = 30.0

SICK = frozenset(
    cause.name for cause in (causes.SERVER_ERROR, causes.OVERLOADED, causes.TIMEOUT, causes.DISCONNECTED, causes.GARBLED, causes.INCOMPLETE, causes.CONNECTION)
)
"""Causes that speak of a model's health. A rate limit does not: it is waited for where it was asked for."""
NEITHER = frozenset(cause.name for cause in (causes.RATE_LIMIT, causes.DEADLINE, causes.CANCELLED, causes.CLOSING))
"""Causes that say nothing of it. All others are answers: the provider is there."""

log = logging.getLogger(__name__)


class CircuitOpen(Exception):
    """A target was not asked, for its circuit is open."""

    def __init__(self, last: Tried | None = None) -> None:
        self.last = last
        """What its last attempt in this call came to, if it was asked before."""
        super().__init__()


@dataclass(slots=True)
class Circuit:
    """One model's circuit. Lives on the gateway's loop; ``clock`` gives seconds."""

    model: str
    clock: Callable[[], float] = time.monotonic
    failures: int = 0
    """In a row."""
    cause: str = ""
    """Of the last failure."""
    pause_s: float = 0.0
    """How long it stays open; 0 while it is closed."""
    until: float = 0.0
    """When the next call may try it, on the clock."""
    probe: object | None = None
    """The call that tries it now."""

    @property
    def open(self) -> bool:
        """Whether calls are kept from the model."""
        return self.pause_s > 0

    @property
    def left_s(self) -> float | None:
        """In how many seconds a call may try it: 0 at once, None while another call tries it."""
        if not self.open:
            return 0.0
        return None if self.probe is not None else max(0.0, self.until - self.clock())

    def admit(self, caller: object) -> bool:
        """Return whether a call may be sent; the first one after the pause is the probe."""
        if self.left_s != 0.0:
            return False
        if self.open:
            self.probe = caller
        return True

    def note(self, caller: object, cause: str | None) -> bool:
        """Take what a call came to (``cause``: None for a success); return whether the circuit has opened or closed."""
        probing = self.probe is caller
        if probing:
            self.probe = None
        if cause in NEITHER:
            return probing
        if cause not in SICK:
            was_open, self.failures, self.pause_s = self.open, 0, 0.0
            return was_open
        self.failures, self.cause = self.failures + 1, cause or ""
        if probing or (not self.open and self.failures >= FAILURES):
            self.pause_s = min(LONGEST_PAUSE_S, self.pause_s * 2 if probing else FIRST_PAUSE_S)
            self.until = self.clock() + self.pause_s
            return True
        return False

    def __str__(self) -> str:
        return f"the circuit of {self.model} is open after {self.failures} failures in a row ({self.cause.replace('_', ' ')})"

    @property
    def status(self) -> CircuitStatus:
        """Return the circuit as people see it."""
        left = self.left_s
        state = "closed" if not self.open else "half-open" if left in (None, 0.0) else "open"
        return CircuitStatus(model=self.model, state=state, failures=self.failures, cause=self.cause or None, retry_in_s=left or None)


class Circuits:
    """The circuits of all models of a gateway."""

    def __init__(self) -> None:
        self._circuits: dict[str, Circuit] = {}
        self._changed = asyncio.Event()

    def of(self, target: Target) -> Circuit:
        """Return a model's circuit."""
        return self._circuits.setdefault(target.reference, Circuit(target.reference))

    async def admit(self, circuit: Circuit, caller: object) -> bool:
        """Return whether a call may be sent; the first one after the pause is the probe."""
        return circuit.admit(caller)

    async def note(self, circuit: Circuit, caller: object, cause: str | None) -> None:
        """Take what a call came to, and wake those who wait for the circuit."""
        was_open = circuit.open
        if circuit.note(caller, cause):
            self._changed.set()
            self._changed = asyncio.Event()
            if circuit.open is not was_open:
                log.warning("%s", circuit if circuit.open else f"the circuit of {circuit.model} is closed again")

    async def wait(self, targets: Iterable[Target]) -> Target:
        """Return the first of the targets that may be asked, as soon as one may."""
        targets = tuple(targets)
        while True:
            left = {target: seconds for target in targets if (seconds := self.of(target).left_s) is not None}
            soonest = min(left, key=lambda target: left[target], default=None)
            if soonest is not None and left[soonest] <= 0:
                return soonest
            with suppress(TimeoutError):
                async with asyncio.timeout(None if soonest is None else left[soonest]):
                    await self._changed.wait()

    def statuses(self) -> list[CircuitStatus]:
        """Return the circuits of the models that were asked, as people see them."""
        return [circuit.status for circuit in list(self._circuits.values())]


class Breaker:
    """Sends nothing to a model whose circuit is open."""

    def __init__(self, below: Rung, circuits: Circuits) -> None:
        self._below, self._circuits = below, circuits

    async def climb(self, trip: Trip, target: Target) -> Tried:
        """Return what the attempt came to; raises :class:`CircuitOpen` where none is made. A row of a batch says nothing of the moment."""
        if trip.batch:
            return await self._below.climb(trip, target)
        circuit = self._circuits.of(target)
        if not await self._circuits.admit(circuit, trip):
            trip.passed_over[target.reference] = str(circuit)
            raise CircuitOpen
        cause: str | None = causes.CANCELLED.name  # whatever ends the call here says nothing of the model
        try:
            tried = await self._below.climb(trip, target)
            cause = None if tried.cause is None else tried.cause.name
            trip.passed_over.clear()
            return tried
        finally:
            await self._circuits.note(circuit, trip, cause)
