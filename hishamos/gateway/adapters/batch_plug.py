"""The batch plug: many requests handed to a provider at once, answered within a day, at batch prices."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Protocol

from hishamos.gateway.adapters.plug import AdapterEvent, AdapterRequest, Fault

RowEnd = Literal["answered", "failed", "cancelled", "expired"]


@dataclass(frozen=True, slots=True)
class BatchRow:
    """One request of a batch; ``name`` comes back with its answer."""

    name: str
    request: AdapterRequest


@dataclass(frozen=True, slots=True)
class BatchLimits:
    """What one batch holds at most."""

    rows: int
    bytes: int


@dataclass(frozen=True, slots=True)
class BatchState:
    """How a batch stands at its provider."""

    id: str
    ended: bool
    rows: int
    """How many requests the provider counts in it; 0 while it has not read them."""
    created_at: datetime
    problem: str | None = None
    """Why the provider refused it whole."""


@dataclass(frozen=True, slots=True)
class RowAnswer:
    """What came of one request: the answer's events, or why there is none. Rows come in any order."""

    name: str
    end: RowEnd
    events: tuple[AdapterEvent, ...] = ()
    fault: Fault | None = None


class Batches(Protocol):
    """The batch endpoints of one kind of provider, with one key and address. Every method raises :class:`Fault`."""

    limits: BatchLimits

    def write(self, row: BatchRow) -> bytes:
        """Return a request as it stands in a batch; for counting bytes, and handed to :meth:`submit`. Blocks."""
        ...

    async def submit(self, name: str, rows: Sequence[bytes]) -> str:
        """Hand the rows in and return the provider's id. ``name``: ours, by which :meth:`find` finds it where the provider keeps names."""
        ...

    def find(self, name: str, since: datetime, rows: int) -> AsyncIterator[BatchState]:
        """Give the batches made since then that can be ours, newest first: by name where the provider keeps names, else by their number of rows.

        Where names are not kept, only the answers of a batch that has ended say whose it is.
        """
        ...

    names_are_kept: bool
    """Whether what :meth:`find` gives is certainly ours."""

    async def state(self, batch: str) -> BatchState:
        """Return how a batch stands."""
        ...

    def answers(self, batch: str) -> AsyncIterator[RowAnswer]:
        """Give what came of each row of a batch that has ended."""
        ...

    async def cancel(self, batch: str) -> None:
        """Ask the provider to stop; what is finished by then is billed."""
        ...

    async def close(self) -> None:
        """Let go of the connections."""
        ...
