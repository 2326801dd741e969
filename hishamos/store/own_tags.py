"""Which tags were used on which days (UTC): kept beside the attempts, so that a list of them costs nothing."""

from __future__ import annotations

from concurrent.futures import Future
from datetime import UTC, datetime
from typing import TYPE_CHECKING, TypeVar

from hishamos.records.spans import BEGINNING, END
from hishamos.store.statements import statements

if TYPE_CHECKING:
    from hishamos.records.calls import Attempt
    from hishamos.store.connectors import Connector, Transaction

SQL = statements("spending")
T = TypeVar("T")
Use = tuple[str, str]
"""A tag's name and a day."""


class TagsInUse:
    """What this process knows to be written: each name is written once a day, with the first attempt that has it."""

    def __init__(self) -> None:
        self._written: set[Use] = set()

    def new(self, attempt: Attempt) -> list[Use]:
        """Return what is to be written in an attempt's transaction."""
        return sorted({(name, _day(attempt.started_at)) for name in attempt.own_tags} - self._written)

    @staticmethod
    def write(transaction: Transaction, uses: list[Use]) -> None:
        """Write them, unless another process has."""
        for name, day in uses:
            transaction.execute(SQL["use_tag"], {"name": name, "day": day}, late=False)

    def written(self, uses: list[Use], commit: Future[T]) -> Future[T]:
        """Return the transaction's future; once it has succeeded they need not be written again."""
        if uses:
            commit.add_done_callback(lambda done: None if done.cancelled() or done.exception() else self._written.update(uses))
        return commit


def tag_names(store: Connector, since: datetime | None, until: datetime | None) -> list[str]:
    """Return the names of the tags that were used in a span, in order; days that lie in it in part count whole."""
    days = {"first": _day(since or BEGINNING), "last": _day(until or END)}
    return [row["name"] for row in store.fetch(SQL["tag_names"], days)]


def _day(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d}"
