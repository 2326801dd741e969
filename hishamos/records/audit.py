"""Who changed what: facts that are only ever added."""

from __future__ import annotations

from datetime import datetime

from hishamos.records.record import Record


class AuditEntry(Record):
    """One change that somebody has to answer for."""

    id: str
    happened_at: datetime
    actor: str
    action: str
    """``service.verb``: ``ledger.reprice``, ``ledger.settle``, ``budgets.set``, ``budgets.remove``."""
    subject: str
    """What was changed: a model, an attempt's id, a budget's name."""
    value_before: str | None = None
    """A price or a budget's terms as JSON, or nano-dollars; None: there was none."""
    value_after: str | None = None
    attempts: int | None = None
    """How many attempts it changed, where it is about money."""
    added_nanos: int | None = None
    """How much the ledger's sum grew, nano-dollars; negative: shrank."""


class Repricing(Record):
    """What became of attempts that had no price when they were made."""

    entries: tuple[AuditEntry, ...]
    """One per model and commit."""
    unpriced: dict[str, int] = {}
    """Models that still have no price, with the number of their attempts."""
    unknown_usage: dict[str, int] = {}
    """Models with attempts whose tokens never came, so that no price can tell their cost."""

    @property
    def attempts(self) -> int:
        """How many attempts have a cost now."""
        return sum(entry.attempts or 0 for entry in self.entries)

    @property
    def added_nanos(self) -> int:
        """How much the ledger's sum grew, nano-dollars."""
        return sum(entry.added_nanos or 0 for entry in self.entries)
