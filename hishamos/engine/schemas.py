"""Answers held against JSON Schema."""

from __future__ import annotations

import json
import re
from typing import Any

from hishamos.schemas.validation import validator

_FENCE = re.compile(r"^\s*```[A-Za-z]*\s*\n(.*?)\n?\s*```\s*$", re.DOTALL)
SHOWN = 3


def problem_of(data: Any, schema: dict[str, Any]) -> str | None:
    """Return what keeps ``data`` from satisfying the schema, in words for a model or a person; None when it does."""
    errors = sorted(validator(schema).iter_errors(data), key=lambda error: [str(part) for part in error.absolute_path])
    if not errors:
        return None
    lines = [f"{_place(list(error.absolute_path))}: {error.message[:300]}" for error in errors[:SHOWN]]
    if len(errors) > SHOWN:
        lines.append(f"and {len(errors) - SHOWN} more")
    return "; ".join(lines)


def read_answer(text: str, schema: dict[str, Any]) -> tuple[Any, str | None]:
    """Return the data in a model's text and what is wrong with it (None: nothing). A fence around the JSON is taken off."""
    fenced = _FENCE.match(text)
    try:
        data = json.loads(fenced[1] if fenced else text, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        return None, f"the answer is not JSON: {error}" if text.strip() else "the answer is empty"
    return data, problem_of(data, schema)


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON value")


def _place(path: list[Any]) -> str:
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path).lstrip(".") or "the whole"
