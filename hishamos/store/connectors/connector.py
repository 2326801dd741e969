"""What a connector does, whichever engine is behind it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeVar

if TYPE_CHECKING:
    import pyarrow

T = TypeVar("T")
Row = dict[str, Any]
"""One row by column name: integers are int, decimals Decimal, times aware in UTC, JSON is text."""
Parameters = Mapping[str, Any]


class Transaction(Protocol):
    """What a unit of work may do. Nothing else: no network, no files, for it may run twice."""

    def execute(self, sql: str, parameters: Parameters | None = None, *, late: bool = True) -> int:
        """Run one statement and return how many rows it changed. ``late``: false where nothing that was put off matters to it."""
        ...

    def insert(self, sql: str, values: Parameters) -> None:
        """Add one row by a plain ``insert into t (…) values (…)``, at the latest with the commit.

        An engine may write it together with the commit's equal inserts; whatever this transaction reads shows it.
        """
        ...

    def insert_later(self, sql: str, values: Parameters) -> None:
        """Add one row by a plain ``insert into t (…) values ($a, …)`` of parameters alone; it is durable with this commit.

        An engine may write it into its table long after, together with many others, but before anybody could see that it is missing. It is for
        single rows of wide tables that are not changed soon; its key has to be new.
        """
        ...

    def put_off(self, sql: str, values: Parameters) -> None:
        """Run a plain insert of one row, or an ``update`` that takes each parameter as a list with one value, before anybody could see that it is missing.

        An engine may write it long after this commit, together with many others. If the process dies before, it is never written: whoever puts
        something off knows how to find it again.
        """
        ...

    def catch_up(self) -> None:
        """Have what this and earlier commits have put off written with this one."""
        ...

    def executemany(self, sql: str, rows: Sequence[Parameters]) -> None:
        """Run one ``insert … values (…)`` for many rows, in as few statements as possible."""
        ...

    def fetch(self, sql: str, parameters: Parameters | None = None) -> list[Row]:
        """Return the rows of a query."""
        ...

    def fetch_one(self, sql: str, parameters: Parameters | None = None) -> Row | None:
        """Return the first row of a query, or None."""
        ...

    def lock(self, scope: str) -> None:
        """Make the rest of this transaction the only one in ``scope``: a decision that reads before it writes calls this first."""
        ...

    def after_commit(self, callback: Callable[[], None]) -> None:
        """Call ``callback`` (quickly) once this work's commit is durable."""
        ...


Work = Callable[[Transaction], T]


class Connector(Protocol):
    """A store. Thread-safe."""

    @property
    def dialect(self) -> Literal["duckdb", "postgres"]:
        """Which engine it is."""
        ...

    @property
    def address(self) -> str:
        """Where it is, without secrets."""
        ...

    def submit(self, work: Work[T], *, here: bool = False) -> Future[T]:
        """Run ``work`` in a transaction; the future is resolved only after the commit that holds it.

        ``here``: this thread has time for it, so that no other need wake up; an event loop's has not.
        """
        ...

    def transaction(self, work: Work[T]) -> T:
        """Run ``work`` in a transaction and return what it returned, after its commit."""
        ...

    def fetch(self, sql: str, parameters: Parameters | None = None) -> list[Row]:
        """Return the rows of a query, read outside a transaction."""
        ...

    def fetch_one(self, sql: str, parameters: Parameters | None = None) -> Row | None:
        """Return the first row of a query, or None."""
        ...

    def arrow(self, sql: str, parameters: Parameters | None = None) -> pyarrow.Table:
        """Return a query's answer as an Arrow table."""
        ...

    def size_bytes(self) -> int | None:
        """Return how much room the store takes, where that is known."""
        ...

    def close(self) -> None:
        """Finish what was submitted, then close. Later calls raise :class:`hishamos.errors.StoreClosed`."""
        ...


def call_back(callback: Callable[[], None]) -> None:
    """Call what waits for a commit; its failure can't undo the commit, so it is logged and the others go on."""
    try:
        callback()
    except Exception:
        logging.getLogger("hishamos.store").exception("a callback after a commit failed")
