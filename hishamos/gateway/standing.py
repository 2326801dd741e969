"""What the gateway has learnt about providers: whose key was refused, and how many calls each may have under way."""

from __future__ import annotations

import asyncio
import hashlib
import time
from dataclasses import dataclass

from hishamos.gateway.routes import Target
from hishamos.records.configuration import ProviderSettings

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

    def places(self, provider: ProviderSettings) -> asyncio.Semaphore:
        """Return the places for calls under way at a provider (``concurrency``)."""
        known = self._places.get(provider.name)
        if known is None or known[0] != provider.concurrency:
            known = self._places[provider.name] = (provider.concurrency, asyncio.Semaphore(provider.concurrency))
        return known[1]


def _hash(key: str | None) -> str:
    return hashlib.sha256((key or "").encode()).hexdigest()
