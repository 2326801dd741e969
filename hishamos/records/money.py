"""Prices, budgets and spend."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import Literal, get_args

from hishamos.records.record import Record, usd

Period = Literal["day", "month", "total"]
PERIODS: tuple[Period, ...] = get_args(Period)


class PriceTier(Record):
    """What every token of a request costs whose input is longer than a threshold, USD per million tokens and kind."""

    above_tokens: int
    input: Decimal
    output: Decimal
    cached_input: Decimal | None = None
    cache_write: Decimal | None = None
    reasoning: Decimal | None = None


class Price(Record):
    """What a model costs from a day on, USD per million tokens and kind. A kind left out costs what its parent kind costs."""

    model: str
    since: date
    source: str
    """``litellm 1.106.2``, ``hishamos.toml``, ``free``."""
    input: Decimal
    output: Decimal
    cached_input: Decimal | None = None
    cache_write: Decimal | None = None
    reasoning: Decimal | None = None
    batch_input: Decimal | None = None
    batch_output: Decimal | None = None
    tiers: tuple[PriceTier, ...] = ()
    """Dearer prices of long requests, by ascending threshold."""


class BudgetWarning(Record):
    """A share of a budget's limit that committed and reserved money has passed: told once per budget, period and share."""

    budget: str
    scope: str
    period: str
    share: Decimal
    """Of the limit; 1 for a soft budget that is used up."""
    held_nanos: int
    """Committed and reserved when it was passed."""
    limit_nanos: int
    call_id: str | None = None
    """The call whose reservation, or bill, passed it."""
    run_id: str | None = None
    message: str
    passed_at: datetime


class Budget(Record):
    """A limit on the spend of a scope over a period, with its balance now."""

    name: str
    scope: str
    """``workspace``, ``project:KEY``, ``user:NAME``, ``key:PREFIX``, ``workflow:NAME``, ``run`` (every run) or ``run:ID``."""
    period: Period
    limit_nanos: int
    hard: bool = True
    warn_at: tuple[Decimal, ...] = ()
    committed_nanos: int = 0
    reserved_nanos: int = 0
    closed: bool = False
    """Closed by a bill above its reservation."""
    warnings: tuple[BudgetWarning, ...] = ()
    """The shares that were passed in the current period, in the order they were."""

    @property
    def limit_usd(self) -> Decimal:
        """The limit in USD, exact."""
        return usd(self.limit_nanos) or Decimal(0)

    @property
    def committed_usd(self) -> Decimal:
        """Committed spend in USD, exact."""
        return usd(self.committed_nanos) or Decimal(0)


class BalanceCheck(Record):
    """One balance of a budget held against the sums over the ledger, all as of one moment. Amounts are nano-dollars."""

    budget: str
    scope: str
    period: str
    committed_nanos: int
    """What the balance says is spent."""
    ledger_committed_nanos: int
    """What the attempts cost that are complete."""
    reserved_nanos: int
    """What the balance says is held for calls under way."""
    ledger_reserved_nanos: int
    """What the attempts that are under way may cost at most."""
    orphaned_nanos: int
    """What of the ledger's committed sum is the reservation of orphans, whose true cost nobody knows yet."""

    @property
    def equal(self) -> bool:
        """Whether the balance agrees with the ledger to the last digit."""
        return (self.committed_nanos, self.reserved_nanos) == (self.ledger_committed_nanos, self.ledger_reserved_nanos)
