"""Letting go of runs that ended long ago, and of the files that only they had."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from hishamos.errors import InvalidInput
from hishamos.records.record import now
from hishamos.records.storage import Pruning
from hishamos.store import audit, pruning

if TYPE_CHECKING:
    from hishamos.services.machinery import Machinery
    from hishamos.store.connectors import Transaction

VERB = "health.prune"
OF_RUNS = ("batches", "notebooks")
"""Folders in ``data/local/`` that hold a folder for each run, named by its id."""
OF_CONVERSATIONS = "attached"


def meant(machinery: Machinery, older_than_days: float, *, conversations: bool) -> Pruning:
    """Return what would go; nothing is changed. Raises :class:`InvalidInput` for less than a day."""
    return _plan(machinery, older_than_days, conversations=conversations)[0]


def prune(machinery: Machinery, older_than_days: float, *, conversations: bool, by: str) -> Pruning:
    """Let go of what :func:`meant` tells, a portion of whole runs in each commit, and return what went.

    Whoever is killed in between leaves whole runs; their folders go the next time.
    """
    store = machinery.store
    plan, old, silent = _plan(machinery, older_than_days, conversations=conversations)
    runs: list[str] = []
    for portion in old.portions():
        runs += pruning.prune_runs(store, portion, plan.before, by, now())
    gone = [one for one in silent if pruning.prune_conversation(store, one, plan.before)]
    _sweep(machinery, gone)
    free = getattr(store, "free_bytes", None)
    facts = {"runs": len(runs), "conversations": len(gone), "free_bytes": free() if free and runs else None, "pruned_at": now()}
    return plan.model_copy(update=facts)


def noted(transaction: Transaction, done: Pruning, *, by: str, request_id: str) -> Pruning:
    """Have the audit tell who let go of what, where anything went; return ``done``."""
    if done.runs or done.conversations:
        went = done.model_dump_json(include={"runs", "steps", "events", "conversations", "files", "file_bytes"})
        audit.note(transaction, request_id, actor=by, action=VERB, subject=f"what ended before {done.before:%Y-%m-%d %H:%M} UTC", value_before=went)
    return done


def _plan(machinery: Machinery, older_than_days: float, *, conversations: bool) -> tuple[Pruning, pruning.OldRuns, list[str]]:
    """Return what would go, in numbers, and the runs and conversations themselves."""
    before = _moment_before(older_than_days)
    old = pruning.old_runs(machinery.store, before)
    steps, events, size = pruning.texts_of_runs(machinery.store, list(old.steps))
    silent, said = pruning.silent_conversations(machinery.store, before) if conversations else ([], 0)
    files = _files(machinery.root, list(old.steps), silent)
    plan = Pruning(
        before=before,
        runs=len(old.steps),
        steps=steps,
        events=events,
        conversations=len(silent),
        size_bytes=size + said,
        files=len(files),
        file_bytes=sum(files),
        held=old.held,
        originals=old.originals,
    )
    return plan, old, silent


def _moment_before(days: float) -> datetime:
    if not 1 <= days <= 36_500:
        raise InvalidInput(what=f"{days:g} days is no age to prune by", where=f"ws.{VERB}", next="Give 1 day or more.")
    return now() - timedelta(days=days)


def _files(root: Path, runs: Sequence[str], conversations: Sequence[str]) -> list[int]:
    """Return the sizes of the files that go with runs and conversations."""
    local = root / "data" / "local"
    folders = [local / name / run for name in OF_RUNS for run in runs] + [local / OF_CONVERSATIONS / one for one in conversations]
    return [file.stat().st_size for folder in folders if folder.is_dir() for file in folder.rglob("*") if file.is_file()]


def _sweep(machinery: Machinery, conversations: Sequence[str]) -> None:
    """Remove the folders of conversations that went, and of every run that was pruned, be it by another process that died before it came to this."""
    local = machinery.root / "data" / "local"
    for kept in OF_RUNS:
        names = []
        with contextlib.suppress(OSError):  # there is none
            names = [folder.name for folder in (local / kept).iterdir()]
        for name in pruning.pruned_among(machinery.store, names):
            shutil.rmtree(local / kept / name, ignore_errors=True)
    for name in conversations:
        shutil.rmtree(local / OF_CONVERSATIONS / name, ignore_errors=True)
