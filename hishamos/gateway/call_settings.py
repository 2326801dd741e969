"""The configuration as one call sees it: whether it changed is asked once for what a call looks up in one breath, not a dozen times."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass

from hishamos.records.configuration import Settings

BREATH_S = 0.05


@dataclass
class _Seen:
    settings: Settings | None = None
    until: float = 0.0


_seen: ContextVar[_Seen | None] = ContextVar("_seen", default=None)


def begin_call() -> None:
    """Let the task that this is called in, and those that it starts, be one call."""
    _seen.set(_Seen())


def once_a_breath(read: Callable[[], Settings]) -> Callable[[], Settings]:
    """Return ``read``, asked at most once in :data:`BREATH_S` seconds by each call; outside of calls every time."""

    def settings() -> Settings:
        seen = _seen.get()
        if seen is None:
            return read()
        moment = time.monotonic()
        if seen.settings is None or moment > seen.until:
            seen.settings, seen.until = read(), moment + BREATH_S
        return seen.settings

    return settings
