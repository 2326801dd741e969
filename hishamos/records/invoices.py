"""A provider's invoice held against the ledger."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Literal

from hishamos.records.record import Record, usd


class InvoiceText(Record):
    """An invoice as CSV text, and what it was read from."""

    name: str
    text: str


class InvoiceLine(Record):
    """What a provider asks for a model on a day."""

    line: int
    """Where it stands in the file."""
    day: date
    model: str
    amount_usd: Decimal
    """Exact; negative for a credit."""
    provider: str | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    requests: int | None = None


class LedgerDay(Record):
    """What the ledger has for a model on a day: complete attempts that are neither offline nor from the cache."""

    day: date
    provider: str
    model: str
    attempts: int
    input_tokens: int
    output_tokens: int
    cost_nanos: int
    estimated_nanos: int
    orphaned_nanos: int
    unpriced: int


class InvoiceDifference(Record):
    """A model on a day: ours from the ledger, theirs from the invoice."""

    day: date
    model: str
    """As in the ledger; what only the invoice has, as there."""
    side: Literal["both", "ledger", "invoice"]
    """Which of the two knows the model on this day."""
    ours_nanos: int = 0
    theirs_usd: Decimal = Decimal(0)
    differs: bool = False
    """Whether the two are further apart than the threshold."""
    estimated_nanos: int = 0
    """What of ours is estimated because the provider's usage never came."""
    orphaned_nanos: int = 0
    """What of ours is the reservation of calls whose process died."""
    unpriced: int = 0
    """How many of our attempts have no price: they count as nothing here."""
    attempts: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    invoice_requests: int | None = None
    invoice_input_tokens: int | None = None
    invoice_output_tokens: int | None = None

    @property
    def ours_usd(self) -> Decimal:
        """Our sum in USD, exact."""
        return usd(self.ours_nanos) or Decimal(0)

    @property
    def difference_usd(self) -> Decimal:
        """How much more the invoice asks than the ledger has, USD, exact."""
        return self.theirs_usd - self.ours_usd


class Reconciliation(Record):
    """An invoice held against the ledger by day and model."""

    invoice: str
    timezone: str
    """The days are this timezone's."""
    first: date
    last: date
    providers: tuple[str, ...]
    """Whose attempts were compared."""
    threshold_usd: Decimal
    rows: tuple[InvoiceDifference, ...]
    matched: dict[str, str] = {}
    """The invoice's names that were taken for another name of the ledger."""
    unmatched: dict[str, str] = {}
    """The invoice's names that are no model of the ledger in these days, and why."""

    @property
    def ours_usd(self) -> Decimal:
        """The ledger's sum in USD, exact."""
        return sum((row.ours_usd for row in self.rows), Decimal(0))

    @property
    def theirs_usd(self) -> Decimal:
        """The invoice's sum in USD, exact."""
        return sum((row.theirs_usd for row in self.rows), Decimal(0))

    @property
    def difference_usd(self) -> Decimal:
        """How much more the invoice asks than the ledger has, USD, exact."""
        return self.theirs_usd - self.ours_usd

    @property
    def equal(self) -> bool:
        """Whether no day and model differs by more than the threshold."""
        return not any(row.differs for row in self.rows)
