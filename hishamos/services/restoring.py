"""Going back to a copy of the store, in an order in which a kill loses nothing and no change goes unseen."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

from hishamos.errors import InvalidInput, StoreError, WorkUnderWay
from hishamos.records.record import now
from hishamos.records.storage import Restoration
from hishamos.services.service import Service, acting_run, request_id
from hishamos.store import restoring

VERB = "health.restore"
NAMED = 5
"""So many runs are named; of more, their number is told."""


def restore(service: Service, copy: Path, *, dry_run: bool, force: bool) -> Restoration:
    """See :meth:`hishamos.contracts.services.HealthService.restore`; ``copy``: absolute."""
    machinery, store = service.machinery, service.machinery.store
    path = _file_of_store(service, copy)
    if not dry_run and (first := _first_answer(service)) is not None:
        return first
    meant = restoring.look(path, copy, store).model_copy(update={"open_calls": machinery.gateway.open_calls})
    if dry_run:
        return meant
    if machinery.ending is None:
        problem = "the workspace lives in this process, which can't go on with another store"
        raise InvalidInput(what=problem, where=f"ws.{VERB}", next="Close it, then: hishamos restore FILE")
    if acting_run.get() is not None:
        raise InvalidInput(what="a run can't replace the store that it stands in", where=f"ws.{VERB}", next="Call it from outside.")
    if not force:
        _nothing_at_work(meant)
    staged = restoring.prepare(path, copy)
    try:
        with machinery.ending(f"the store is restored from {copy}"):
            # Looked at again, for nothing is written any more, and all that was written meanwhile is lost as well.
            moment = free_moment(path)
            told = restoring.look(path, copy, store).model_copy(update={"restored_at": moment, "kept": str(restoring.kept_as(path, moment))})
            actor, identity, newest = service.actor.name, service.change_id(), restoring.newest_event(store)
            service.change(VERB, Restoration, lambda t: restoring.note(t, told, actor=actor, request_id=identity, newest_event=newest), staged)
            # Refused once the store is closing: a server that is told to stop meanwhile has restored nothing.
            store.between_commits(lambda: restoring.put_forward(staged, path, moment))  # type: ignore[attr-defined]  # a DuckDB file
            return told
    finally:
        restoring.drop(staged)


def restore_at_rest(path: Path, copy: Path, actor: str) -> Restoration:
    """Restore where the present store can't be read, so that no server starts; the caller holds the workspace's lock. What is lost can't be told."""
    moment = free_moment(path)
    told = restoring.look(path, copy, None).model_copy(update={"restored_at": moment, "kept": str(restoring.kept_as(path, moment))})
    staged = restoring.prepare(path, copy)
    try:
        staged.transaction(lambda transaction: restoring.note(transaction, told, actor=actor, request_id=Service.change_id(), newest_event=0))
        restoring.put_forward(staged, path, moment)
    finally:
        restoring.drop(staged)
    restoring.finish(path)
    return told


def free_moment(path: Path) -> datetime:
    """Return the present second, or the next under which no earlier store is kept."""
    moment = now().replace(microsecond=0)
    while restoring.kept_as(path, moment).exists():
        moment += timedelta(seconds=1)
    return moment


def _file_of_store(service: Service, copy: Path) -> Path:
    store = service.machinery.store
    if store.dialect == "postgres":
        line = f"pg_restore --clean --if-exists --dbname='{store.address}' {copy}"
        raise StoreError(problem="PostgreSQL is restored by its own tools", where=store.address, next=f"With all servers and workers stopped: {line}")
    path: Path | None = store.path  # type: ignore[attr-defined]  # a DuckDB store, as the dialect says
    if path is None:
        raise InvalidInput(what="a store in memory has no file to replace", where=f"ws.{VERB}", next="Open a workspace in a folder.")
    return path


def _first_answer(service: Service) -> Restoration | None:
    """Return what this very call came to, where it is a repeat because its answer was lost."""
    identity = request_id.get()
    answer = service.machinery.journal.kept(identity) if identity else None
    return None if answer is None else Restoration.model_validate_json(answer)


def _nothing_at_work(meant: Restoration) -> None:
    if not meant.at_work and not meant.open_calls:
        return
    named = [f"{run.name} {run.id}" for run in meant.at_work[:NAMED]]
    named += [f"{len(meant.at_work) - NAMED} more"] if len(meant.at_work) > NAMED else []
    calls = f"{meant.open_calls} call{'s' if meant.open_calls > 1 else ''} to models"
    advice = "Wait for it or pause it, or restore all the same: force=True, in a terminal --force."
    raise WorkUnderWay(what="To restore", which=", ".join(named) or calls, next=advice)
