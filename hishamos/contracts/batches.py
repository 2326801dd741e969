"""The book of batches as the gateway sees it: what was handed to providers in one piece, so that no crash hands it in twice."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from hishamos.contracts.ledger import Reserve
from hishamos.records.calls import Attempt, Outcome


@dataclass(frozen=True, slots=True)
class KeptBatch:
    """One batch that is planned, or at its provider."""

    id: str
    model: str
    """``provider/model``."""
    rows: int
    made_at: datetime
    owner: str
    """The process that looks after it."""
    remote_id: str | None = None
    """The provider's id; None while nobody knows whether the provider has it."""


@dataclass(frozen=True, slots=True)
class WaitingRow:
    """An attempt that is under way in a batch."""

    attempt: Attempt
    reserve: Reserve


class BatchBook(Protocol):
    """Batches, durable. Every future is resolved after the commit that holds its work."""

    def plan(self, batch: KeptBatch, attempts: Sequence[str]) -> Future[None]:
        """Write that these attempts are about to be handed in; before anything is sent."""
        ...

    def made(self, batch: str, remote_id: str) -> Future[None]:
        """Write the provider's id."""
        ...

    def unsent(self, batch: str) -> Future[None]:
        """Write that the provider certainly has no such batch: its attempts were never sent."""
        ...

    def end(self, batch: str) -> Future[bool]:
        """Close a batch unless one of its attempts is still under way; returns whether it is closed."""
        ...

    def take(self, owner: str) -> Future[Sequence[KeptBatch]]:
        """Make the open batches that no other living process looks after those of ``owner``, and return them."""
        ...

    def waiting(self, batch: str) -> Sequence[WaitingRow]:
        """Return a batch's attempts that are under way; reads the store in the calling thread."""
        ...

    def settle(self, row: WaitingRow, attempt: Attempt, outcome: Outcome | None) -> Future[bool]:
        """Complete an attempt for whose answer nobody waits; False where somebody else has."""
        ...
