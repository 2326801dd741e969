"""Rows of maps on their way in: kept page by page under the id of the run that is to come."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from hishamos.errors import InvalidInput
from hishamos.store.journal_columns import json_text
from hishamos.store.statements import statements

if TYPE_CHECKING:
    from hishamos.store.connectors import Connector, Transaction

SQL = statements("uploads")
INPUTS = statements("journal")["insert_inputs"]


def append_rows(transaction: Transaction, upload: str, start: int, rows: Sequence[Mapping[str, Any]], moment: datetime) -> None:
    """Keep a page of rows whose first has the number ``start``; raises :class:`InvalidInput` where it does not follow what is there."""
    found = transaction.fetch(SQL["rows_of_upload"], {"id": upload})[0]
    begun = start == 0 or transaction.fetch_one(SQL["upload_known"], {"id": upload}) is not None
    if not begun or int(found["following"]) != start:
        what = f"the rows from {start} on do not follow the {int(found['following'])} that were handed in"
        raise InvalidInput(what=what, where=f"upload {upload}", next="Hand the rows in from the first one again.")
    transaction.execute(SQL["begin_upload"], {"id": upload, "made_at": moment})
    columns = {"run": upload, "items": list(range(start, start + len(rows))), "inputs": [json_text(dict(row)) for row in rows]}
    transaction.execute(INPUTS, columns)


def uploaded_rows(store: Connector, upload: str) -> int:
    """Return how many rows were handed in; raises :class:`InvalidInput` when none were, or a run has begun with them."""
    if store.fetch_one(SQL["upload_known"], {"id": upload}) is None:
        raise InvalidInput(what=f"no rows were handed in as {upload!r}", where="map", next="Hand them in first: ws.commands.put_rows(rows)")
    return int(store.fetch(SQL["rows_of_upload"], {"id": upload})[0]["number"])


def different_rows(store: Connector, run: str) -> int:
    """Return how many of a map's rows have different inputs."""
    return int(store.fetch(SQL["different_rows"], {"id": run})[0]["number"])


def some_rows(store: Connector, run: str, items: Sequence[int]) -> list[dict[str, Any]]:
    """Return the inputs of some of a map's rows, by their numbers."""
    return [json.loads(row["inputs"]) for row in store.fetch(SQL["some_rows"], {"id": run, "items": list(items)})]


def forget_uploads(transaction: Transaction, before: datetime) -> None:
    """Remove the rows that were handed in before a moment and never became a run."""
    transaction.execute(SQL["forget_rows"], {"before": before})
    transaction.execute(SQL["forget_uploads"], {"before": before})
