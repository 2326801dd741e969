"""``ws.health``: how the workspace is, and a copy of it."""

from __future__ import annotations

import os
import time
from builtins import list as List  # noqa: N812 - one import style for all services
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import hishamos
from hishamos.contracts.services import HealthService as Contract
from hishamos.contracts.wire import Places
from hishamos.errors import InvalidInput, StoreError
from hishamos.records.record import now
from hishamos.records.runs import RunState
from hishamos.records.spans import span_of
from hishamos.records.storage import Pruning, Restoration
from hishamos.records.workers import Workforce
from hishamos.records.workspaces import Health, Pong, StoredPart
from hishamos.security import redact
from hishamos.services.restoring import restore
from hishamos.services.retention import VERB, meant, noted, prune
from hishamos.services.service import Service, implements
from hishamos.services.workforce import workforce
from hishamos.store.vitals import runs_by_state, spend_since, steps_to_approve

_BEGUN = time.monotonic()
TAIL_BYTES = 2_000_000
"""So much of the log's end is looked at."""
KEPT = {
    "hishamos.duckdb": "the store: runs, ledger, results, conversations",
    "batches": "executed notebooks of batches",
    "attached": "files of conversations, as long as these are kept",
    "backups": "copies of the store",
    "notebooks": "executed notebooks of steps",
    "server.log": "the server's log; an old one makes room at 5 MB",
    "server": "who the server is, and its locks",
    "archive": "what was moved out of the store",
    "exports": "what was exported",
}
"""What stands in ``data/local/``, by the beginning of its name."""


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
            to_approve=steps_to_approve(parts.store),
            timezone=timezone,
        )

    def workers(self) -> Workforce:
        """See the contract."""
        return workforce(self.machinery)

    def settings(self) -> dict[str, Any]:
        """See the contract."""
        told: dict[str, Any] = _shown(self.machinery.settings().model_dump(mode="json"), self.machinery.secrets())
        return told

    def storage(self) -> List[StoredPart]:
        """See the contract."""
        return stored_parts(Places(self.root).local)

    def logs(self, *, lines: int = 200, containing: str = "") -> List[str]:
        """See the contract."""
        if self.machinery.server() is None:
            return []
        wanted, secrets = containing.casefold(), self.machinery.secrets()
        found = [line for line in _tail(Places(self.root).log) if wanted in line.casefold()]
        return [redact(line, secrets) for line in found[-lines:]] if lines > 0 else []

    def backup(self, file: str) -> str:
        """See the contract."""
        target = self._absolute(file)
        if target.exists():
            raise InvalidInput(what="that file exists already", where=str(target), next="Choose another name; a backup overwrites nothing.")
        if self.machinery.store.dialect == "postgres":
            address = self.machinery.store.address
            raise StoreError(
                problem="PostgreSQL is backed up by its own tools", where=address, next=f"Run: pg_dump --format=custom --file={target} '{address}'"
            )
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            self.machinery.store.copy_to(target)  # type: ignore[attr-defined]  # a DuckDB file, as the dialect says
        except OSError as error:
            problem = f"the copy can't be written: {error.strerror}"
            raise StoreError(problem=problem, where=str(target), next="Choose a folder with room that you may write to.") from None
        return str(target)

    def restore(self, file: str, *, dry_run: bool = False, force: bool = False) -> Restoration:
        """See the contract."""
        return restore(self, self._absolute(file), dry_run=dry_run, force=force)

    def prune(self, *, older_than_days: float, dry_run: bool = False, conversations: bool = False) -> Pruning:
        """See the contract."""
        if dry_run:
            return meant(self.machinery, older_than_days, conversations=conversations)
        by = self.actor.name
        done = prune(self.machinery, older_than_days, conversations=conversations, by=by)
        return self.change(VERB, Pruning, lambda transaction: noted(transaction, done, by=by, request_id=self.change_id()))

    def _absolute(self, file: str) -> Path:
        path = Path(file).expanduser()
        return path if path.is_absolute() else self.root / path


def stored_parts(local: Path) -> list[StoredPart]:
    """Return what lies in a workspace's own folder, the largest first."""
    found = []
    for path in local.iterdir() if local.is_dir() else ():
        sizes = [size for file in (path.rglob("*") if path.is_dir() else [path]) if (size := _size(file)) is not None]
        found.append(StoredPart(name=path.name, what=_what(path.name), files=len(sizes), size_bytes=sum(sizes)))
    return sorted(found, key=lambda part: (-part.size_bytes, part.name))


def _what(name: str) -> str:
    return next((words for begin, words in KEPT.items() if name.startswith(begin)), "")


def _size(file: Path) -> int | None:
    try:
        return file.stat().st_size if file.is_file() else None
    except OSError:  # it went while it was looked at
        return None


def _tail(log: Path) -> list[str]:
    """Return the last lines of a log, as far as they stand in its last part; the first of them is whole."""
    try:
        with log.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - TAIL_BYTES))
            lines = file.read().decode(errors="replace").splitlines()
    except FileNotFoundError:
        return []
    return lines[1:] if size > TAIL_BYTES else lines


def _shown(value: Any, secrets: Sequence[str]) -> Any:
    """Return settings without keys, and without passwords in addresses."""
    if isinstance(value, dict):
        return {name: _shown(one, secrets) for name, one in value.items()}
    if isinstance(value, list):
        return [_shown(one, secrets) for one in value]
    return redact(value, secrets) if isinstance(value, str) else value
