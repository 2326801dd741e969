"""The journal's rows as records, and records as columns."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from hishamos.contracts.journal import Decided, RowState, StepRow
from hishamos.records.record import Failure
from hishamos.records.runs import StepState

if TYPE_CHECKING:
    from hishamos.store.connectors import Row


def step_row(row: Row) -> StepRow:
    """Return a step's row as the engine sees it."""
    return StepRow(
        path=row["path"],
        attempt=int(row["attempt"]),
        position=row["position"],
        type=row["type"],
        state=StepState(row["state"]),
        parent=row["parent"],
        item=row["item"],
        first=int(row["first"]),
        input_hash=row["input_hash"],
        inputs=parsed(row["inputs"]),
        output=parsed(row["output"]),
        error=Failure.model_validate_json(row["error"]) if row["error"] else None,
        waiting_for=row["waiting_for"],
        model=row["model"],
        reused=bool(row["reused"]),
        not_judged=tuple(parsed(row["not_judged"]) or ()),
        decided=Decided.model_validate_json(row["decided"]) if row["decided"] else None,
        started_at=row["started_at"],
        finished_at=row["finished_at"],
        known=True,
    )


def step_columns(steps: list[StepRow]) -> dict[str, list[Any]]:
    """Return steps as columns, for a statement that unpacks them."""
    return {
        "path": [step.path for step in steps],
        "attempt": [step.attempt for step in steps],
        "position": [step.position for step in steps],
        "parent": [step.parent for step in steps],
        "item": [step.item for step in steps],
        "first": [step.first for step in steps],
        "type": [step.type for step in steps],
        "state": [step.state.value for step in steps],
        "input_hash": [step.input_hash for step in steps],
        "inputs": [json_text(step.inputs) for step in steps],
        "output": [json_text(step.output) for step in steps],
        "error": [step.error.model_dump_json() if step.error else None for step in steps],
        "waiting_for": [step.waiting_for for step in steps],
        "model": [step.model for step in steps],
        "reused": [step.reused for step in steps],
        "not_judged": [json_text(list(step.not_judged)) if step.not_judged else None for step in steps],
        "started_at": [step.started_at for step in steps],
        "finished_at": [step.finished_at for step in steps],
    }


def row_columns(rows: Iterable[RowState]) -> dict[str, list[Any]]:
    """Return what is known of rows of a map as columns."""
    listed = list(rows)
    return {
        "key": [row.key for row in listed],
        "attempt": [row.attempt for row in listed],
        "state": [row.state for row in listed],
        "output": [json_text(row.output) for row in listed],
        "model": [row.model for row in listed],
        "not_judged": [json_text(list(row.not_judged)) if row.not_judged else None for row in listed],
    }


def json_text(value: Any) -> str | None:
    """Return a value as JSON that every store keeps; None stays None."""
    if value is None:
        return None
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=str)
    return text if text.isascii() or _whole(text) else json.dumps(value, separators=(",", ":"), default=str)


def _whole(text: str) -> bool:
    """Whether the text has no lone surrogate, which no store keeps unescaped."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def parsed(text: str | None) -> Any:
    """Return what a JSON text holds."""
    return None if text is None else json.loads(text)
