"""A run done again: the same definitions, inputs, model and limits, refused where what it was given is not what it was."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hishamos.contracts.journal import MapOptions, Pinned
from hishamos.errors import InputsChanged, WrongState
from hishamos.kernels.declared import read_notebook
from hishamos.records.callbacks import Offer
from hishamos.records.record import new_id, usd
from hishamos.records.run_comparisons import FileChange
from hishamos.records.runs import Run, RunKind
from hishamos.services.batch import BatchService
from hishamos.services.comparing import NOTEBOOK, file_changes, given_files
from hishamos.services.kernel_functions import bound, checked_again
from hishamos.services.starting import repeated_run, start_run

if TYPE_CHECKING:
    from hishamos.services.service import Service

ROWS = 5_000
SHOWN = 12
"""Digits of a hash in a message."""


def repeat(service: Service, old: Run, functions: Offer | None, *, accept_changes: bool) -> Run:
    """Start a run that does again what ``old`` did, and return it.

    Raises :class:`WrongState` for a run that has not ended, :class:`InputsChanged` for files that are not what they were, what a start raises for
    models that can't be asked any more, and :class:`NeedsKernel` where functions of a notebook are missing or have changed.
    """
    if not old.ended:
        told = f"See: hishamos show {old.id}"
        raise WrongState(run=old.id, state=old.state.value, verb="repeat", needed="succeeded, failed or cancelled", next=told)
    pinned, _, files = service.machinery.journal.to_fork(old.id)
    given = given_files(old, files)
    now = _files_now(service.root, given)
    _refuse(old, file_changes(given, now), accept_changes=accept_changes)
    _models_at_hand(service, old, pinned)
    if checked_again(old.id, pinned, functions, accept_changes=accept_changes) is not None:
        pinned = bound(pinned, functions)
    token = repeated_run.set(old.id)
    try:
        return _batch(service, old) if old.kind is RunKind.BATCH else _run(service, old, pinned, now)
    finally:
        repeated_run.reset(token)


def _run(service: Service, old: Run, pinned: Pinned, files: Mapping[str, Any]) -> Run:
    is_map = old.kind is RunKind.MAP
    rows = list(_rows(service, old)) if is_map else []
    return start_run(
        service,
        pinned.workflow,
        old.inputs,
        verb="runs.repeat",
        kind=old.kind,
        version=old.version,
        model=old.model,
        project=old.project,
        budget_usd=None if old.budget_nanos is None else str(usd(old.budget_nanos)),
        pinned=pinned,
        options=_options(service, old) if is_map else None,
        rows=rows,
        leaves=len(rows) if is_map else None,
        files=files,
        told=f"repeats run {old.id}",
        priority=old.priority,
    )


def _batch(service: Service, old: Run) -> Run:
    """Execute a batch's rows anew, into a folder of their own."""
    how = {name: old.inputs[name] for name in ("jobs", "reuse", "kernel", "timeout_s") if name in old.inputs}
    return BatchService(service.machinery, service.actor).start(old.inputs[NOTEBOOK], old.inputs["rows"], fresh=True, **how)


def _options(service: Service, old: Run) -> MapOptions:
    """Return how a map was asked for, with rows of its own: those that are paid are paid again."""
    return service.machinery.journal.map_options(old.id).model_copy(update={"nonce": new_id()})


def _rows(service: Service, old: Run) -> Iterator[dict[str, Any]]:
    start, journal = 0, service.machinery.journal
    while page := journal.inputs_of_rows(old.id, start, ROWS):
        yield from page
        start += len(page)


def _files_now(root: Path, then: Mapping[str, Any]) -> dict[str, Any]:
    """Return the facts of a run's files as they are now; one that is gone is left out."""
    found = {}
    for name, fact in then.items():
        path = root / fact["path"]
        if path.is_file():
            found[name] = {"path": fact["path"], "sha256": _hash(name, path), "bytes": path.stat().st_size}
    return found


def _hash(name: str, path: Path) -> str:
    if name == NOTEBOOK:
        return read_notebook(path).version
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _refuse(old: Run, changes: Sequence[FileChange], *, accept_changes: bool) -> None:
    """Raise for files that are gone, and for those that have changed unless that is accepted: before anything is paid."""
    gone = any(change.after is None for change in changes)
    if not changes or (accept_changes and not gone):
        return
    told = "; ".join(f"{one.name} ({one.path}) {_change(one)}" for one in changes)
    accept = f"or take them as they are: hishamos repeat {old.id} --accept-changes, ws.runs.repeat(…, accept_changes=True)"
    following = "Put what is gone back where it was." if gone else f"Put them back as they were, {accept}"
    raise InputsChanged(run=old.id, changes=told, next=following, files=[one.model_dump() for one in changes])


def _change(change: FileChange) -> str:
    if change.after is None:
        return "is gone"
    return f"was sha256 {change.before[:SHOWN]} and is {change.after[:SHOWN]}"


def _models_at_hand(service: Service, old: Run, pinned: Pinned) -> None:
    machinery = service.machinery
    route = machinery.settings().workspace.route
    targets = {one.model or route for one in pinned.commands.values()} | {one.model or route for one in pinned.agents.values()}
    for target in sorted(targets) if old.model is None else [old.model]:
        machinery.models.check(target)
