"""Whose turn it is: queued runs in the order in which they are to be worked on. The part of the journal that dispatchers ask."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from hishamos.contracts.journal import InLine
from hishamos.records.record import new_id
from hishamos.records.runs import RunState
from hishamos.store.statements import statements

if TYPE_CHECKING:
    from hishamos.store.connectors import Connector, Row

SQL = statements("journal")
LATELY = timedelta(hours=1)
"""So far back is looked for whose run was taken last."""
ALL = 1_000_000
IDENTITY = "workspace"
"""Under this id the name of the workspace is kept."""


class Line:
    """What :class:`hishamos.store.journal.StoreJournal` knows of runs that nobody works on."""

    _store: Connector
    _clock: Callable[[], datetime]

    if TYPE_CHECKING:

        @property
        def exclusive(self) -> bool: ...
        def keep(self, key: str, text: str) -> str: ...

    def line(self, owner: str, *, queued: bool = True, kernels: bool = True, limit: int = ALL) -> Sequence[InLine]:
        """See the port."""
        moment = self._clock()
        values = {"moment": moment, "lately": moment - LATELY, "exclusive": self.exclusive, "owner": owner}
        values |= {"queued": queued, "kernels": kernels, "limit": limit}
        return [InLine(row["id"], bool(row["beside"]), bool(row["kernel"])) for row in self._store.fetch(SQL["line"], values)]

    def identity(self) -> str:
        """Return the name of the workspace, the same for all processes that share its store and for no other: made once."""
        return self.keep(IDENTITY, new_id(12).lower())


def deadline(start: datetime, seconds: float | None, by: datetime | None = None) -> datetime | None:
    """Return when a run has to have ended that may take so many seconds, and must not outlast ``by``."""
    ends = [] if seconds is None else [start + timedelta(seconds=seconds)]
    return min([*ends, *([] if by is None else [by])], default=None)


def deaths_by(found: Row, ended: int) -> int:
    """Return how many processes in a row died at work on a run that is taken now, without a step having ended between; ``ended``: how many have."""
    before = int(found["deaths"] or 0) if found["deaths_done"] == ended else 0
    return before + int(found["state"] == RunState.RUNNING)
