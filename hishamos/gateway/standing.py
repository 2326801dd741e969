"""What the gateway has learnt about providers: whose key was refused, how many calls are under way, how many went lately."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections import deque
from dataclasses import dataclass

from hishamos.gateway.routes import Target
from hishamos.records.configuration import ProviderSettings

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

    def pace(self, provider: ProviderSettings) -> Pace:
        """Return what a provider was sent in the last minute."""
        return self._paces.setdefault(provider.name, Pace())

    def places(self, provider: ProviderSettings) -> asyncio.Semaphore:
        """Return the places for calls under way at a provider (``concurrency``)."""
        known = self._places.get(provider.name)
        if known is None or known[0] != provider.concurrency:
            known = self._places[provider.name] = (provider.concurrency, asyncio.Semaphore(provider.concurrency))
        return known[1]


class Pace:
    """What was sent to a provider in the last minute by this process; who waits is served in order."""

    def __init__(self) -> None:
        self._sent: deque[tuple[float, int]] = deque()
        self._turn = asyncio.Lock()

    async def wait(self, provider: ProviderSettings, tokens: int) -> None:
        """Wait until one more request of at most ``tokens`` fits ``rpm`` and ``tpm``, and count it."""
        async with self._turn:
            while (seconds := self.missing(time.monotonic(), provider, tokens)) > 0:  # noqa: ASYNC110 - time passing is the event
                await asyncio.sleep(seconds)
            self._sent.append((time.monotonic(), tokens))

    def missing(self, moment: float, provider: ProviderSettings, tokens: int) -> float:
        """Return after how many seconds there is room; a request above ``tpm`` itself needs an empty minute."""
        while self._sent and self._sent[0][0] <= moment - MINUTE_S:
            self._sent.popleft()
        requests, spent, until = len(self._sent), sum(count for _, count in self._sent), moment
        for sent, count in self._sent:
            if (provider.rpm is None or requests < provider.rpm) and (provider.tpm is None or spent + tokens <= provider.tpm):
                break
            requests, spent, until = requests - 1, spent - count, sent + MINUTE_S
        return until - moment


def _hash(key: str | None) -> str:
    return hashlib.sha256((key or "").encode()).hexdigest()
