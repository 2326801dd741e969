"""Receipts: what an execution of a notebook was made with, from the ledger, the journal and git."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import hishamos
from hishamos.errors import InvalidInput
from hishamos.records.origins import Origin
from hishamos.records.receipts import Receipt
from hishamos.records.record import content_hash, now
from hishamos.store.executions import execution_of
from hishamos.text.commits import commit_of, is_dirty

if TYPE_CHECKING:
    from hishamos.services.machinery import Machinery


def receipt_of(
    machinery: Machinery,
    execution: str,
    origin: Origin | None = None,
    *,
    parameters: Mapping[str, Any] | None = None,
    since: datetime | None = None,
) -> Receipt:
    """Return the receipt of an execution.

    ``origin``: where it takes place, if the caller knows; else what its calls say. ``parameters``: what the notebook was given; ``since``: when
    it began. Raises :class:`InvalidInput` for an execution of which nothing is known.
    """
    found = execution_of(machinery.store, execution, since)
    if origin is None and not found.models and not found.runs:
        following = 'See the tag "execution" of attempts: ws.sql("select distinct execution from attempts")'
        raise InvalidInput(what=f"the ledger knows no execution {execution!r}", where="ws.ledger.receipt", next=following)
    told = origin or found.origin
    notebook = None if told.notebook is None else machinery.root / told.notebook
    folder = machinery.root if notebook is None else notebook.parent
    return Receipt(
        execution=execution,
        hishamos=hishamos.__version__,
        notebook=told.notebook,
        notebook_hash=_hash(notebook),
        parameters_hash=content_hash(dict(parameters)) if parameters else None,
        git_commit=told.git_commit or commit_of(folder),
        dirty=is_dirty(folder),
        definitions=found.definitions,
        files=found.files,
        requests_hash=hashlib.sha256("\n".join(found.requests).encode()).hexdigest() if found.requests else None,
        models=found.models,
        runs=found.runs,
        calls=len(found.requests),
        orphaned=found.orphaned,
        began_at=found.began_at,
        made_at=now(),
    )


def notebook_receipt(machinery: Machinery, execution: str, notebook: Path, parameters: Mapping[str, Any], since: datetime) -> Receipt:
    """Return the receipt of a notebook that this process executed."""
    told = notebook.relative_to(machinery.root).as_posix() if notebook.is_relative_to(machinery.root) else str(notebook)
    origin = Origin(notebook=told, execution=execution, git_commit=commit_of(notebook.parent))
    return receipt_of(machinery, execution, origin, parameters=parameters, since=since)


def _hash(file: Path | None) -> str | None:
    try:
        return None if file is None else hashlib.sha256(file.read_bytes()).hexdigest()
    except OSError:
        return None
