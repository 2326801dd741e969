"""``ws.health``: how the workspace is, and a copy of it."""

from __future__ import annotations

import os
import time
from pathlib import Path

import hishamos
from hishamos.contracts.services import HealthService as Contract
from hishamos.errors import InvalidInput, StoreError
from hishamos.records.record import now
from hishamos.records.runs import RunState
from hishamos.records.spans import span_of
from hishamos.records.workers import Workforce
from hishamos.records.workspaces import Health, Pong
from hishamos.services.service import Service, implements
from hishamos.services.workforce import workforce
from hishamos.store.vitals import runs_by_state, spend_since

_BEGUN = time.monotonic()


@implements(Contract)
class HealthService(Service):
    """Implements :class:`hishamos.contracts.services.HealthService`."""

    def ping(self) -> Pong:
        """See the contract."""
        return Pong(pid=os.getpid(), uptime_s=time.monotonic() - _BEGUN)

    def status(self) -> Health:
        """See the contract."""
        parts = self.machinery
        states = runs_by_state(parts.store)
        timezone = parts.settings().workspace.timezone
        month, unpriced = spend_since(parts.store, span_of("month", now(), timezone).starts)
        return Health(
            workspace=str(self.root),
            store=parts.store.address,
            version=hishamos.__version__,
            schema_version=parts.schema_version,
            server=parts.server(),
            running=states.get(RunState.RUNNING, 0),
            queued=states.get(RunState.QUEUED, 0),
            waiting=states.get(RunState.WAITING, 0),
            open_calls=parts.gateway.open_calls,
            size_bytes=parts.store.size_bytes(),
            settings_error=parts.settings_error(),
            month_cost_nanos=month,
            month_unpriced=unpriced,
            timezone=timezone,
        )

    def workers(self) -> Workforce:
        """See the contract."""
        return workforce(self.machinery)

    def backup(self, file: str) -> str:
        """See the contract."""
        target = Path(file).expanduser()
        target = target if target.is_absolute() else self.root / target
        if target.exists():
            raise InvalidInput(what="that file exists already", where=str(target), next="Choose another name; a backup overwrites nothing.")
        if self.machinery.store.dialect == "postgres":
            address = self.machinery.store.address
            raise StoreError(
                problem="PostgreSQL is backed up by its own tools", where=address, next=f"Run: pg_dump --format=custom --file={target} '{address}'"
            )
        try:
            self.machinery.store.copy_to(target)  # type: ignore[attr-defined]  # a DuckDB file, as the dialect says
        except OSError as error:
            problem = f"the copy can't be written: {error.strerror}"
            raise StoreError(problem=problem, where=str(target), next="Choose a folder with room that you may write to.") from None
        return str(target)
