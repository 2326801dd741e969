"""The plug of dispatchers: one verb."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Any, Protocol

from hishamos.contracts.journal import InLine

Begin = Callable[[str], "Future[Any]"]
"""Starts work on a run and returns at once; the future is resolved when the run ends, waits for a person or is paused."""
Line = Callable[[int], Sequence[InLine]]
"""Returns the runs that nobody works on, the next one first, at most so many: the order of work comes from the store, wherever the work is done."""


class Dispatcher(Protocol):
    """Hands a run to whoever does it. Handing over a run that is already being worked on changes nothing."""

    @property
    def address(self) -> str:
        """The broker's address without its password; ``local`` where none is needed."""
        ...

    def messages(self) -> int | None:
        """Return how many messages wait in the broker, None without one; raises :class:`BrokerError` where it does not answer."""
        ...

    def dispatch(self, run_id: str) -> None:
        """Have the run worked on, when it is its turn."""
        ...

    def close(self) -> None:
        """Have nothing more worked on; what is at work goes on."""
        ...
