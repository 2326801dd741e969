"""Who is picked for a task: the weights, each agent's track record, and why one was preferred."""

from __future__ import annotations

from decimal import Decimal

from pydantic import Field

from hishamos.records.record import Record, usd


class PickWeights(Record):
    """How much each criterion counts. They are shares of their sum, so any scale will do."""

    capability: float = Field(0.60, ge=0, allow_inf_nan=False)
    """How well the agent's capabilities match the task, against the best match."""
    success: float = Field(0.15, ge=0, allow_inf_nan=False)
    """The share of its calls that were answered."""
    rating: float = Field(0.10, ge=0, allow_inf_nan=False)
    """How people rated the results of runs that it worked in."""
    load: float = Field(0.05, ge=0, allow_inf_nan=False)
    """How many of its calls are under way."""
    cost: float = Field(0.05, ge=0, allow_inf_nan=False)
    """The median cost of its calls, against the other candidates."""
    speed: float = Field(0.05, ge=0, allow_inf_nan=False)
    """The median time of its calls, against the other candidates."""


class TrackRecord(Record):
    """How an agent did in the last 90 days, by the ledger. The offline model's answers and cancelled calls don't count."""

    agent: str
    calls: int = 0
    """Calls that have ended."""
    answered: int = 0
    """Those that a model answered whole."""
    under_way: int = 0
    ratings: int = 0
    """How many results of runs that it worked in were rated."""
    rating: float | None = None
    """Their mean, 1 to 5."""
    cost_nanos: int | None = None
    """The median cost of an answered call in nano-dollars; None without a priced one."""
    latency_ms: float | None = None
    """The median time of an answered call, milliseconds."""

    @property
    def success(self) -> float | None:
        """The share of calls that were answered; None without a call."""
        return self.answered / self.calls if self.calls else None

    @property
    def cost_usd(self) -> Decimal | None:
        """The median cost in USD, exact."""
        return usd(self.cost_nanos)


class Candidate(Record):
    """One agent as it was weighed, each criterion from 0 to 1."""

    agent: str
    description: str
    score: float
    """The weighted mean of the criteria."""
    capability: float
    success: float
    rating: float
    load: float
    cost: float
    speed: float
    why: str
    """A sentence: what matches, and how it did so far."""
    record: TrackRecord


class Pick(Record):
    """An agent picked for a task, with all that were weighed, the best first."""

    task: str
    agent: str
    why: str
    matched: bool
    """Whether anything in the task matches any candidate; where it does not, the other criteria and at last the name decide."""
    weights: PickWeights
    candidates: tuple[Candidate, ...]
