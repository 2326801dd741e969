"""The plug of dispatchers: one verb."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, Protocol

Begin = Callable[[str], "Future[Any]"]
"""Starts work on a run and returns at once; the future is resolved when the run ends, waits for a person or is paused."""


class Dispatcher(Protocol):
    """Hands a run to whoever does it. Handing over a run that is already being worked on changes nothing."""

    def dispatch(self, run_id: str) -> None:
        """Have the run worked on."""
        ...
