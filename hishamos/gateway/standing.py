"""What the gateway has learnt about providers: whose key was refused, how many calls are under way, how many went lately."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections import deque
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol

from hishamos.gateway.routes import Target

MINUTE_S = 60.0
RECHECK_S = 60.0
"""A provider whose key was refused is asked again this late when a route has no other, for it may have been unlocked meanwhile."""


@dataclass(frozen=True, slots=True)
class Misconfigured:
    """A provider refused its key."""

    key: str
    """The key's hash."""
    reason: str
    since: float


class Standing:
    """Shared by all calls of a gateway."""

    def __init__(self) -> None:
        self._refused: dict[str, Misconfigured] = {}
        self._paces: dict[str, Pace] = {}
        self._places: dict[str, tuple[int, asyncio.Semaphore]] = {}

    def mark(self, target: Target, reason: str) -> None:
        """Keep that a provider refused this key; another key clears it."""
        self._refused[target.provider.name] = Misconfigured(_hash(target.api_key), reason, time.monotonic())

    def clear(self, target: Target) -> None:
        """Forget it: the provider answered."""
        self._refused.pop(target.provider.name, None)

    def refused(self, target: Target) -> Misconfigured | None:
        """Return the mark, if the target's key is the one that was refused."""
        return self.refused_key(target.provider.name, target.api_key)

    def refused_key(self, provider: str, key: str | None) -> Misconfigured | None:
        """Return the mark of a provider whose key is ``key``."""
        mark = self._refused.get(provider)
        return mark if mark is not None and mark.key == _hash(key) else None

    def pace(self, name: str) -> Pace:
        """Return what a provider, or one of its models, was sent in the last minute."""
        return self._paces.setdefault(name, Pace())

    def places(self, name: str, concurrency: int) -> AbstractAsyncContextManager[object]:
        """Return the places for calls under way at a provider, or at one of its models."""
        known = self._places.get(name)
        if known is None or known[0] != concurrency:
            known = self._places[name] = (concurrency, asyncio.Semaphore(concurrency))
        return known[1]


class Rates(Protocol):
    """What may be sent a minute: requests, tokens."""

    @property
    def rpm(self) -> int | None: ...
    @property
    def tpm(self) -> int | None: ...


class Pace:
    """What was sent to a provider or model in the last minute by this process; who waits is served in order."""

    def __init__(self) -> None:
        self._sent: deque[tuple[float, int]] = deque()
        self._tokens = 0
        """The sum over what was sent."""
        self._turn = asyncio.Lock()

    async def wait(self, rates: Rates, tokens: int) -> None:
        """Wait until one more request of at most ``tokens`` fits, and count it."""
        async with self._turn:
            while (seconds := self.missing(time.monotonic(), rates, tokens)) > 0:  # noqa: ASYNC110 - time passing is the event
                await asyncio.sleep(seconds)
            self.count(time.monotonic(), tokens)

    def count(self, moment: float, tokens: int) -> None:
        """Keep that a request was sent, and forget what was sent before the last minute."""
        self._forget(moment)
        self._sent.append((moment, tokens))
        self._tokens += tokens

    def missing(self, moment: float, rates: Rates, tokens: int) -> float:
        """Return after how many seconds there is room; a request above ``tpm`` itself needs an empty minute."""
        self._forget(moment)
        requests, spent, until = len(self._sent), self._tokens, moment
        for sent, count in self._sent:
            if (rates.rpm is None or requests < rates.rpm) and (rates.tpm is None or spent + tokens <= rates.tpm):
                break
            requests, spent, until = requests - 1, spent - count, sent + MINUTE_S
        return until - moment

    def _forget(self, moment: float) -> None:
        while self._sent and self._sent[0][0] <= moment - MINUTE_S:
            self._tokens -= self._sent.popleft()[1]


def _hash(key: str | None) -> str:
    return hashlib.sha256((key or "").encode()).hexdigest()
