"""What is let go: answers to changing calls that nobody can ask for again, rows of maps that were never started, and runs that ended long ago.

Of a run go its steps, events, inputs and forecast, in the commit in which it goes itself; a line stays that says so. The ledger stays for good, with
every answer that was paid, and so do the rows of maps by their keys: an equal row of a later map is not paid again.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from hishamos.errors import RunPruned
from hishamos.store.line import IDENTITY
from hishamos.store.statements import statements
from hishamos.store.uploads import forget_uploads

if TYPE_CHECKING:
    from hishamos.store.connectors import Connector, Transaction

SQL = statements("pruning")
KEPT = timedelta(days=1)
"""A client repeats a call at most six times, with less than two seconds between them beside what the server takes to start or to answer: minutes
in all. A day leaves room for a laptop that slept, or a debugger."""

RUNS, STEPS = 25, 1_000
"""At most so many runs go in one commit, and no more once they have so many steps: others who write wait for no longer than that takes."""
_FORKED = re.compile(r"^forked from run (\w+) ")


@dataclass(frozen=True)
class OldRuns:
    """The runs that ended before a moment and may go, in the order in which they ended."""

    steps: Mapping[str, int]
    """How many steps each of them has."""
    held: int
    originals: int

    def portions(self) -> Iterator[list[str]]:
        """Yield their ids, as many at once as go in one commit."""
        portion: list[str] = []
        number = 0
        for run, steps in self.steps.items():
            if portion and (len(portion) >= RUNS or number + steps > STEPS):
                yield portion
                portion, number = [], 0
            portion.append(run)
            number += steps
        if portion:
            yield portion


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


def old_runs(store: Connector, before: datetime) -> OldRuns:
    """Return the runs that may go: all that belong together, parents and children, have ended before."""
    ended = {row["id"]: int(row["steps_total"]) for row in store.fetch(SQL["ended_runs"], {"before": before})}
    parents = {row["id"]: row["inside_of"] for row in store.fetch(SQL["parents"])}
    pruned = _pruned(store, set(parents.values()) - set(parents) - set(ended))
    alive = {_eldest(run, parents) for run in {*parents, *parents.values()} if run not in ended and run not in pruned}
    going = {run: steps for run, steps in ended.items() if _eldest(run, parents) not in alive}
    followers = [(row["id"], row["repeats"]) for row in store.fetch(SQL["repeated"])]
    forks = ((row["id"], _FORKED.match(row["message"])) for row in store.fetch(SQL["forked"]))
    followers += [(run, found[1]) for run, found in forks if found]
    originals = {original for run, original in followers if original in going and run not in going}
    return OldRuns(going, len(ended) - len(going), len(originals))


def texts_of_runs(store: Connector, runs: Sequence[str]) -> tuple[int, int, int]:
    """Return how many steps and events runs have, and about how many bytes their texts take."""
    row = store.fetch(SQL["texts_of_runs"], {"ids": list(runs)})[0]
    return int(row["steps"]), int(row["events"]), int(row["size"])


def prune_runs(store: Connector, runs: Sequence[str], before: datetime, by: str, moment: datetime) -> list[str]:
    """Remove a portion of runs in one commit and return those that went: not one that somebody has resumed meanwhile."""

    def work(transaction: Transaction) -> list[str]:
        for run in sorted(runs):
            transaction.lock(f"run:{run}")
        gone = transaction.fetch(SQL["delete_runs"], {"ids": list(runs), "before": before})
        ids = [row["id"] for row in gone]
        for table in ("steps", "events", "inputs", "forecasts"):
            transaction.execute(SQL[f"delete_{table}"], {"ids": ids})
        transaction.executemany(SQL["insert_pruned"], [{**row, "pruned_by": by, "pruned_at": moment} for row in gone])
        return ids

    return store.transaction(work)


def silent_conversations(store: Connector, before: datetime) -> tuple[list[str], int]:
    """Return the conversations in which nothing was said since a moment, and about how many bytes their texts take."""
    ids = [row["id"] for row in store.fetch(SQL["silent_conversations"], {"before": before})]
    return ids, int(store.fetch(SQL["texts_of_conversations"], {"ids": ids})[0]["size"])


def prune_conversation(store: Connector, conversation: str, before: datetime) -> bool:
    """Remove a conversation, unless somebody has gone on with it meanwhile; return whether it went."""

    def work(transaction: Transaction) -> bool:
        transaction.lock(f"conversation:{conversation}")
        if transaction.fetch_one(SQL["is_silent"], {"id": conversation, "before": before}) is None:
            return False
        transaction.execute(SQL["delete_messages"], {"id": conversation})
        transaction.execute(SQL["delete_conversation"], {"id": conversation})
        return True

    return store.transaction(work)


def raise_pruned(store: Connector, begin: str) -> None:
    """Raise :class:`RunPruned` where ``begin`` is or begins the id of one run that was pruned."""
    found = store.fetch(SQL["pruned_like"], {"pattern": f"{begin}%"})
    if len(found) == 1:
        one = found[0]
        raise RunPruned(kind="run", name=one["id"], hint="", next="", what=one["name"], when=f"{one['pruned_at']:%d %b %Y}")


def pruned_among(store: Connector, names: Sequence[str]) -> set[str]:
    """Return which of these are ids of runs that were pruned."""
    return _pruned(store, set(names))


def _pruned(store: Connector, names: set[str]) -> set[str]:
    return {row["id"] for row in store.fetch(SQL["pruned_among"], {"ids": sorted(names)})} if names else set()


def _eldest(run: str, parents: Mapping[str, str]) -> str:
    while run in parents:
        run = parents[run]
    return run
