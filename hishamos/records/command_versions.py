"""The versions of a command that were asked, how each did, and what people think of it."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from decimal import Decimal

from pydantic import Field

from hishamos.records.record import Record, usd

LONGEST_REMARK = 400
"""Characters of what is said with a rating."""


class CommandRating(Record):
    """What one person thinks of one version of a command; whoever rates it again takes the first one back."""

    command: str
    version: str
    user_name: str
    rating: int = Field(ge=1, le=5)
    comment: str = ""
    """Plain text, never Markdown."""
    rated_at: datetime
    mine: bool = False
    """Whether it is of whoever asks."""


def mean_rating(ratings: Collection[CommandRating]) -> float | None:
    """Return the mean of ratings, from 1 to 5; None where there are none."""
    return sum(one.rating for one in ratings) / len(ratings) if ratings else None


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
    ratings: int = 0
    """How many people rated it, whenever they did."""
    rating: float | None = None
    """Their mean, from 1 to 5."""
    text: str | None = None
    """Its definition as YAML; of an earlier one as a run kept it, None where no run did."""

    @property
    def cost_usd(self) -> Decimal | None:
        """What it cost in USD, exact."""
        return usd(self.cost_nanos)
