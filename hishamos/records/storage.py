"""What becomes of what a workspace keeps: a store that is restored from a copy."""

from __future__ import annotations

from datetime import datetime

from hishamos.records.record import Record


class Holdings(Record):
    """What one store holds and another does not."""

    runs: int = 0
    attempts: int = 0
    cost_nanos: int = 0
    """What these attempts cost, and by how much others cost more than in the other store, nano-dollars."""
    unpriced: int = 0
    """How many of these attempts have no price, or none yet."""
    results: int = 0
    issues: int = 0
    messages: int = 0
    """Of conversations."""


class NamedRun(Record):
    """A run by id and name."""

    id: str
    name: str


class Restoration(Record):
    """Going back to a copy of the store: what it means, and once it is done, when it was and where the store before it is kept."""

    file: str
    """The copy's absolute path."""
    size_bytes: int
    schema_version: int
    """The copy's own; it is brought to the present one."""
    last_change_at: datetime | None = None
    """When something last changed in the copy; None where nothing ever did."""
    lost: Holdings | None = None
    """What the present store has and the copy has not: it goes from the ledger and its budgets. None: the present store can't be read."""
    back: Holdings | None = None
    """What the copy has and the present store has not."""
    at_work: tuple[NamedRun, ...] = ()
    """Runs of the present store that are being worked on."""
    open_calls: int = 0
    """Calls of the present store that are under way."""
    goes_on: tuple[NamedRun, ...] = ()
    """Runs that had not ended when the copy was made: they go on from there, and calls that they made since are paid again."""
    restored_at: datetime | None = None
    """None while it is not done."""
    kept: str | None = None
    """The store before it, whole."""
