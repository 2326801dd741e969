"""A run done again: the same definitions, inputs, model and limits, refused where what it was given is not what it was."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hishamos.contracts.journal import MapOptions, Pinned
from hishamos.errors import InputsChanged, WrongState
from hishamos.records.callbacks import Offer
from hishamos.records.comparisons import FileChange
from hishamos.records.record import new_id, usd
from hishamos.records.runs import Run, RunKind
from hishamos.services.comparing import file_changes
from hishamos.services.kernel_functions import bound, checked_again
from hishamos.services.starting import start_run

if TYPE_CHECKING:
    from hishamos.services.service import Service

ROWS = 5_000
BATCHES = Path("data") / "local" / "batches"
NOTEBOOK = "notebook"
SHOWN = 12
"""Digits of a hash in a message."""


def repeated(service: Service, old: Run, functions: Offer | None, *, accept_changes: bool) -> Run:
    """Start a run that does again what ``old`` did, and return it.

    Raises :class:`WrongState` for a run that has not ended, :class:`InputsChanged` for files that are not what they were, what a start raises for
    models that can't be asked any more, and :class:`NeedsKernel` where functions of a notebook are missing or have changed.
    """
    if not old.ended:
        told = f"See: hishamos show {old.id}"
        raise WrongState(run=old.id, state=old.state.value, verb="repeat", needed="succeeded, failed or cancelled", next=told)
    journal = service.machinery.journal
    pinned, _, files = journal.to_fork(old.id)
    facts = _files_now(service, old, pinned)
    _refuse(old, file_changes(files, facts), accept_changes=accept_changes)
    _models_at_hand(service, old, pinned)
    desk = checked_again(old.id, pinned, functions, accept_changes=accept_changes)
    if desk is not None and functions is not None:
        pinned = bound(pinned, functions)
    identity = new_id()
    if old.kind is RunKind.BATCH:
        pinned = pinned.model_copy(update={"workflow": _elsewhere(pinned.workflow, service.root / BATCHES / identity)})
    return start_run(
        service,
        pinned.workflow,
        _inputs(old, facts),
        verb="runs.repeat",
        kind=old.kind,
        version=old.version,
        model=old.model,
        project=old.project,
        budget_usd=None if old.budget_nanos is None else str(usd(old.budget_nanos)),
        pinned=pinned,
        identity=identity,
        options=_map_options(service, old) if old.kind is RunKind.MAP else None,
        rows=list(_rows(service, old)) if old.kind is RunKind.MAP else (),
        files=facts,
        told=f"repeats run {old.id}",
        priority=old.priority,
        repeats=old.id,
    )


def _files_now(old: Run, root: Path, then: Mapping[str, Any]) -> dict[str, Any]:
    """Return hash and size of the run's file inputs as they are now; one that is gone is left out."""
    found = {}
    for name, fact in then.items():
        path = root / fact["path"]
        if path.is_file():
            content = path.read_bytes()
            found[name] = {"path": fact["path"], "sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}
    return found
