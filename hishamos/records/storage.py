"""What becomes of what a workspace keeps: a store that is restored from a copy, old runs that are let go."""

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


class Pruning(Record):
    """Letting go of runs that ended long ago: what it means, and once it is done, when it was and what it came to."""

    before: datetime
    """Runs that ended before this go."""
    runs: int = 0
    steps: int = 0
    events: int = 0
    conversations: int = 0
    size_bytes: int = 0
    """About how much their texts take in the store."""
    files: int = 0
    """Executed notebooks and attached files in ``data/local/`` that go with them."""
    file_bytes: int = 0
    held: int = 0
    """Runs as old that stay: one of the runs that they belong together with, parent or child, is younger or has not ended."""
    originals: int = 0
    """How many of those that go were forked or repeated by runs that stay: these can't be compared with them any more."""
    free_bytes: int | None = None
    """What is free inside the store's file afterwards, and used again before the file grows; None where that is not known."""
    pruned_at: datetime | None = None
    """None while it is not done."""
