"""Which processes work for a workspace, and what waits for them."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from hishamos.records.record import now
from hishamos.records.workers import DeadLetter, QueueStatus, TaskStatus, WorkerStatus
from hishamos.store.statements import statements

if TYPE_CHECKING:
    from hishamos.store.connectors import Connector

SQL = statements("workforce")
BEAT_S = 3.0
SILENT = timedelta(seconds=12)
"""Who was not heard of for so long is not shown."""
FORGOTTEN = timedelta(hours=1)
SHOWN = 100


class Workforce:
    """Reads what the store knows of work under way; ``clock``: the present time."""

    def __init__(self, connector: Connector, clock: Callable[[], datetime] = now) -> None:
        self._store, self._clock = connector, clock

    def beat(self, owner: str, kind: str, host: str, pid: int, places: int, started_at: datetime) -> None:
        """Say that a process is there."""
        values = {"owner": owner, "kind": kind, "host": host, "pid": pid, "places": places, "started_at": started_at, "seen_at": self._clock()}
        self._store.transaction(lambda transaction: transaction.execute(SQL["beat"], values))

    def leave(self, owner: str) -> None:
        """Say that a process has left, and forget those that never said so."""
        self._store.transaction(lambda transaction: transaction.execute(SQL["leave"], {"owner": owner, "before": self._clock() - FORGOTTEN}))

    def workers(self) -> list[WorkerStatus]:
        """Return the processes that were heard of lately."""
        held = Counter(row["lease_owner"] for row in self._store.fetch(SQL["at_work"]))
        rows = self._store.fetch(SQL["seen"], {"since": self._clock() - SILENT})
        return [WorkerStatus(**row, at_work=held[row["owner"]]) for row in rows]

    def queues(self) -> list[QueueStatus]:
        """Return the runs that wait, by priority, the highest first."""
        rows = self._store.fetch(SQL["queues"])
        return [QueueStatus(priority=row["priority"], queued=row["queued"], oldest_s=self._since(row["oldest"])) for row in rows]

    def tasks(self) -> list[TaskStatus]:
        """Return the runs at work, the one at work for longest first."""
        return [
            TaskStatus(
                run=row["id"],
                name=row["name"],
                priority=row["priority"],
                user_name=row["user_name"],
                owner=row["lease_owner"],
                seconds=self._since(row["claimed_at"]),
                deaths=int(row["deaths"] or 0),
            )
            for row in self._store.fetch(SQL["at_work"])
        ]

    def retries(self) -> int:
        """Return how many steps of open runs are in a further try, or wait for one."""
        row: Any = self._store.fetch_one(SQL["retries"])
        return int(row["tries"])

    def dead(self) -> list[DeadLetter]:
        """Return the runs that were given up because whoever worked on them died, the newest first."""
        rows = self._store.fetch(SQL["dead"], {"limit": SHOWN})
        return [
            DeadLetter(
                run=row["id"],
                name=row["name"],
                user_name=row["user_name"],
                deaths=int(row["deaths"] or 0),
                reason=json.loads(row["error"])["message"],
                failed_at=row["finished_at"],
            )
            for row in rows
        ]

    def _since(self, moment: datetime | None) -> float:
        return 0.0 if moment is None else round(max(0.0, (self._clock() - moment).total_seconds()), 3)
