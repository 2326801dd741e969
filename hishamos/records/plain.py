"""What functions return, as plain data."""

from __future__ import annotations

import dataclasses
import math
import sys
from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal
from enum import Enum
from pathlib import PurePath
from typing import Any


def plain_data(value: Any) -> Any:  # noqa: PLR0911 - one line a kind of value
    """Return what a function gave as plain data; raises TypeError for what has no such form."""
    if value is None or isinstance(value, (bool, int, str)):
        return value.value if isinstance(value, Enum) else value
    if isinstance(value, float):
        if not math.isfinite(value):
            raise TypeError(f"it returned {value}, which JSON can't hold; return None instead")
        return value
    if _is_record(value):
        return value.model_dump(mode="json")
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain_data(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): plain_data(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain_data(inner) for inner in value]
    if isinstance(value, (set, frozenset)):
        return sorted(plain_data(inner) for inner in value)
    if isinstance(value, (date, datetime)):
        return value.isoformat()
    if isinstance(value, (Decimal, PurePath)):
        return str(value)
    raise TypeError(f"it returned a {type(value).__name__}, which is no plain data; return text, numbers, lists, dicts or records")


RESULT_MIME = "application/vnd.hishamos.result+json"
"""The kind of output in which a notebook keeps what it gives back."""


def plain_variable(name: str, value: Any) -> Any:
    """Return a variable's value as plain data, a number of numpy too; raises TypeError that names the variable."""
    if type(value).__module__ == "numpy" and getattr(value, "ndim", None) == 0:
        value = value.item()
    try:
        return plain_data(value)
    except TypeError:
        kind = type(value).__name__
        like = f", such as {name}.to_dict('records')" if kind == "DataFrame" else ""
        told = f"{name} is a {kind} or holds what is no plain data; hand on texts, numbers, lists, dicts and records{like}"
        raise TypeError(told) from None


def _is_record(value: Any) -> bool:
    # A process that has not loaded pydantic has no record: one that only calls a small function needs not load it.
    pydantic = sys.modules.get("pydantic")
    return pydantic is not None and isinstance(value, pydantic.BaseModel)
