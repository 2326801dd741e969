"""Answers to changing calls that nobody can ask for again are let go, and rows of maps that were never started."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from hishamos.store.line import IDENTITY
from hishamos.store.statements import statements
from hishamos.store.uploads import forget_uploads

if TYPE_CHECKING:
    from hishamos.store.connectors import Connector, Transaction

SQL = statements("pruning")
KEPT = timedelta(days=1)
"""A client repeats a call at most six times, with less than two seconds between them beside what the server takes to start or to answer: minutes
in all. A day leaves room for a laptop that slept, or a debugger."""


def forget_requests(store: Connector, moment: datetime) -> int:
    """Remove the answers that were kept for repeats that can't come any more at ``moment``; return how many.

    A client's own ids are of no use after :data:`KEPT`. What a run's step did is kept until the run has been over for as long, for a resumed
    step asks again; what an agent's tools gave under a key that its caller chose is kept for good, for he may ask at any time.
    The name by which the workspace's processes find one another stays. Rows that were handed in for a map and not started go as well.
    """

    def work(transaction: Transaction) -> int:
        forget_uploads(transaction, moment - KEPT)
        return transaction.execute(SQL["prune_requests"], {"before": moment - KEPT, "kept": IDENTITY})

    return store.transaction(work)
