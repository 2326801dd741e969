"""The ledger as the gateway sees it: one commit writes an intent, one commit writes an outcome."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Protocol

from hishamos.records.calls import Attempt, Outcome
from hishamos.records.configuration import BudgetSettings
from hishamos.records.money import BudgetWarning, Price

BATCH = "batch"
"""The tag ``mode`` of an attempt that goes to its provider in a batch."""
Orphans = Literal["retry", "fail", "ask"]


@dataclass(frozen=True, slots=True)
class CallIntent:
    """A call as its key, its request and its process identify it."""

    id: str
    """Used when the key is new; a known key keeps the id it has."""
    key: str
    request_hash: str
    target: str
    owner: str
    """The process that holds the provider's connection."""
    fresh: bool = False
    """Whether the key is new as far as anybody knows, so that the store is asked only when it turns out to be wrong."""
    orphans: Orphans = "retry"
    run_budget_nanos: int | None = None


@dataclass(frozen=True, slots=True)
class Reserve:
    """What an attempt may cost at most, and the price that this was reckoned with."""

    bound_nanos: int | None
    """None: the model has no price."""
    price: Price | None


@dataclass(frozen=True, slots=True)
class Sent:
    """The intent is written: the request may go out, as attempt ``number`` of the call ``call_id``."""

    call_id: str
    number: int
    earlier: tuple[Attempt, ...] = ()
    """Attempts that the call has from before this process held it."""
    warnings: tuple[BudgetWarning, ...] = ()
    """Shares of budgets that the reservation passed."""


@dataclass(frozen=True, slots=True)
class Known:
    """The key's call has ended; nothing was written."""

    outcome: Outcome


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """Another living process holds the key's call; nothing was written."""

    owner: str


@dataclass(frozen=True, slots=True)
class Full:
    """Committed money leaves room, open reservations do not: ask again when one is settled; nothing was written."""

    budget: str
    scope: str
    period: str
    limit_nanos: int
    committed_nanos: int


@dataclass(frozen=True, slots=True)
class Refused:
    """A hard budget refuses the attempt; nothing was written."""

    budget: str
    scope: str
    period: str
    limit_nanos: int
    committed_nanos: int
    closed: bool
    unpriced: bool


@dataclass(frozen=True, slots=True)
class Abandoned:
    """The call's process died while a provider was answering, and the policy is not to send it again. ``call_id`` is left open."""

    call_id: str
    attempts: tuple[Attempt, ...]


@dataclass(frozen=True, slots=True)
class InBatch:
    """The call's attempt waits in a batch at its provider; this process goes on waiting for it. Nothing is to be sent."""

    attempt: Attempt
    reserve: Reserve
    earlier: tuple[Attempt, ...] = ()


Verdict = Sent | Known | Elsewhere | Full | Refused | Abandoned | InBatch


@dataclass(frozen=True, slots=True)
class CachedAnswer:
    """An answer that was given before, and the attempt that paid for it."""

    attempt_id: str
    call_id: str
    provider: str
    model: str
    text: str
    made_at: datetime


@dataclass(frozen=True, slots=True)
class Record:
    """How a model did of late."""

    succeeded: int
    failed: int
    p50_ms: float | None
    """The median time of its answers."""


class Cache(Protocol):
    """Answers that may be given again, by the hash of everything that can change them. Thread-safe."""

    def find(self, key: str) -> CachedAnswer | None:
        """Return the latest answer under a key, however old; reads the store in the calling thread."""
        ...

    def keep(self, key: str, attempt_id: str) -> Future[None]:
        """Let a successful attempt's answer be found under a key, instead of an earlier one's."""
        ...


class Ledger(Protocol):
    """Calls, attempts and money, durable. Every future is resolved after the commit that holds its work."""

    def intend(self, call: CallIntent, attempt: Attempt, reserve: Reserve, *, first: bool) -> Future[Verdict]:
        """Write the intent: the call if its key is new, the attempt as ``sent``, the reservations.

        ``first``: the process does not hold this call yet, so its key is looked up. Raises ``KeyReused`` for a key that was used
        for another request. An open call whose process died is taken over: its attempts under way become ``orphaned`` at their
        reservation. A cancelled call is opened again.
        """
        ...

    def record(self, call: CallIntent, attempt: Attempt, reserve: Reserve, outcome: Outcome | None) -> Future[bool]:
        """Write a call and its complete attempt in one commit, for what costs nothing and would be answered the same again.

        Gives False, and writes nothing, if the key is known: then :meth:`intend` says what becomes of it.
        """
        ...

    def settle(self, attempt: Attempt, reserve: Reserve, outcome: Outcome | None) -> Future[bool]:
        """Complete a sent attempt, settle what ``intend`` reserved and, with ``outcome``, end the call.

        Gives False, and writes nothing, if another process took the call over meanwhile.
        """
        ...

    def finish(self, call: CallIntent, outcome: Outcome) -> Future[bool]:
        """End a call outside an attempt (refused, out of time, given up); its row is made if the key is new."""
        ...

    def find(self, key: str, request_hash: str) -> Future[Outcome | None]:
        """Return the stored outcome of an ended call; raises ``KeyReused`` if the key was used for another request."""
        ...

    def recover(self, owner: str) -> Future[int]:
        """Orphan the attempts that dead processes left under way; returns their number. ``owner``: the process that asks."""
        ...

    def records(self, since: datetime) -> Mapping[str, Record]:
        """Return how each model did since a moment, by ``provider/model``; reads the store in the calling thread."""
        ...

    def beat(self, owner: str) -> Future[None]:
        """Say that the process ``owner`` lives; needed where several processes share a store."""
        ...

    def leave(self, owner: str) -> Future[None]:
        """Say that the process ``owner`` goes: its open calls are free to be taken over."""
        ...

    def quote(self, prices: Sequence[Price]) -> Future[None]:
        """Keep dated price rows; a price equal to the model's latest row is not written again."""
        ...

    def sync_budgets(self, budgets: Mapping[str, BudgetSettings]) -> Future[None]:
        """Make the store's budgets from the configuration file those of ``budgets``; stored ones of other names stay."""
        ...

    @property
    def shared(self) -> bool:
        """Whether several processes share the store, so that owners have to show that they live."""
        ...
