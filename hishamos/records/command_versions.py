"""The versions of a command that were asked, and how each did."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from hishamos.records.record import Record, usd


class CommandVersion(Record):
    """One version of a command, and what the ledger says of it over the last 90 days."""

    version: str
    current: bool
    """Whether it is the one that is asked now."""
    attempts: int = 0
    offline: int = 0
    """Attempts of the offline model: they are free, and count in no rate."""
    cached: int = 0
    """Answers that were given again for nothing."""
    failed: int = 0
    fell_back: int = 0
    retried: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cost_nanos: int = 0
    """Nano-dollars of all that has a price."""
    unpriced: int = 0
    p50_ms: float | None = None
    """Half of its successful attempts took at most so many milliseconds."""
    p95_ms: float | None = None
    first_at: datetime | None = None
    last_at: datetime | None = None
    """When it was asked first and last."""
    text: str | None = None
    """Its definition as YAML; of an earlier one as a run kept it, None where no run did."""

    @property
    def cost_usd(self) -> Decimal | None:
        """What it cost in USD, exact."""
        return usd(self.cost_nanos)
