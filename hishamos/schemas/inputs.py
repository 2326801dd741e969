"""Inputs held against their declared parameters: types, defaults, limits, choices, nearest names."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Mapping
from datetime import date, datetime
from pathlib import Path
from typing import Any

from hishamos.errors import InvalidInput, nearest_hint
from hishamos.records.definitions import Parameter

TRUE = {"true": True, "false": False}


def validated(parameters: Mapping[str, Parameter], given: Mapping[str, Any], what: str, folder: Path | None = None) -> dict[str, Any]:
    """Return all parameters with their values as declared, defaults filled in.

    ``what``: whose parameters they are, for errors. ``folder``: where relative paths of ``file`` values begin; without it they are not
    looked at. Raises :class:`InvalidInput` that names the parameter, the problem and what to do.
    """
    for name in given:
        if name not in parameters:
            hint = nearest_hint(name, list(parameters))
            known = ", ".join(parameters) or "none"
            raise InvalidInput(what=f"unknown parameter {name!r}{hint}", where=what, next=f"Its parameters: {known}.")
    values = {}
    for name, parameter in parameters.items():
        if name in given and not (given[name] is None and parameter.default is None and not parameter.required):
            values[name] = _checked(name, parameter, given[name], what, folder)
        elif parameter.required:
            raise InvalidInput(what=f"the parameter {name!r} is missing", where=what, next=f"Give it a value: {_example(name, parameter)}")
        else:
            values[name] = parameter.default
    return values


def from_text(parameter: Parameter, text: str) -> Any:
    """Return what somebody typed for a parameter as a value for :func:`validated`, which reads numbers, dates and booleans itself.

    A list is JSON, or a text with an item on each line, or between commas; an object is JSON. What can't be read stays text, to be refused.
    """
    words = text.strip()
    if parameter.type in {"list", "object"} and words[:1] in {"[", "{"}:
        try:
            return json.loads(words)
        except ValueError:
            return text
    if parameter.type == "list":
        return [item.strip() for item in words.split("\n" if "\n" in words else ",") if item.strip()]
    return text


def file_facts(parameters: Mapping[str, Parameter], values: Mapping[str, Any]) -> dict[str, Any]:
    """Return content hash (SHA-256) and size in bytes of each ``file`` value, as they are now."""
    facts = {}
    for name, parameter in parameters.items():
        if parameter.type == "file" and values.get(name) is not None:
            path = Path(values[name])
            with path.open("rb") as stream:
                digest = hashlib.file_digest(stream, "sha256")
            facts[name] = {"path": str(path), "sha256": digest.hexdigest(), "bytes": path.stat().st_size}
    return facts


def default_problem(name: str, parameter: Parameter) -> str | None:
    """Return what is wrong with a declaration's own default, or None."""
    if "default" not in parameter.model_fields_set or parameter.default is None or parameter.type == "file":
        return None
    try:
        _checked(name, parameter, parameter.default, "its default", None)
    except InvalidInput as error:
        return str(error.what)
    return None


def _checked(name: str, parameter: Parameter, value: Any, what: str, folder: Path | None) -> Any:
    try:
        result = _READ[parameter.type](value)
        _limits(parameter, result)
    except ValueError as problem:
        raise InvalidInput(what=f"the parameter {name!r} {problem}", where=what, next=f"Example: {_example(name, parameter)}") from None
    if parameter.type == "file" and folder is not None:
        return _found(name, folder / result, what)
    return result


def _limits(parameter: Parameter, value: Any) -> None:
    if parameter.choices and value not in parameter.choices:
        hint = nearest_hint(str(value), list(parameter.choices))
        raise ValueError(f"is {value!r}, which is none of {', '.join(parameter.choices)}{hint}")
    if parameter.max_length is not None and isinstance(value, (str, list)) and len(value) > parameter.max_length:
        unit = "characters" if isinstance(value, str) else "items"
        raise ValueError(f"has {len(value):,} {unit}, at most {parameter.max_length:,} are allowed")
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        if parameter.min is not None and value < parameter.min:
            raise ValueError(f"is {value}, at least {parameter.min:g} is needed")
        if parameter.max is not None and value > parameter.max:
            raise ValueError(f"is {value}, at most {parameter.max:g} is allowed")


def _text(value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        raise ValueError(f"has to be text, not {_kind(value)}")  # noqa: TRY004 - every problem of a value is one type
    return value if isinstance(value, str) else str(value)


def _integer(value: Any) -> int:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, str):
        try:
            return int(value.strip())
        except ValueError:
            raise ValueError(f"is {_short(value)}, which is no whole number") from None
    raise ValueError(f"has to be a whole number, not {_kind(value)}")


def _number(value: Any) -> int | float:
    if isinstance(value, str):
        try:
            value = float(value.strip())
        except ValueError:
            raise ValueError(f"is {_short(value)}, which is no number") from None
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ValueError(f"has to be a number, not {_kind(value)}")  # noqa: TRY004
    if not math.isfinite(value):
        raise ValueError("has to be a finite number")
    return value


def _boolean(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.strip().lower() in TRUE:
        return TRUE[value.strip().lower()]
    raise ValueError(f"is {_short(value)}; write true or false")


def _date(value: Any) -> str:
    if isinstance(value, date):
        return value.isoformat()
    text = _text(value).strip()
    try:
        return date.fromisoformat(text).isoformat() if len(text) <= 10 else datetime.fromisoformat(text).isoformat()
    except ValueError:
        raise ValueError(f"is {_short(value)}; write a date as 2026-11-23") from None


def _list(value: Any) -> list[Any]:
    if isinstance(value, (list, tuple)):
        return list(value)
    raise ValueError(f"has to be a list, not {_kind(value)}")


def _object(value: Any) -> dict[str, Any]:
    if isinstance(value, Mapping):
        return dict(value)
    raise ValueError(f"has to be an object, not {_kind(value)}")


def _file(value: Any) -> str:
    text = _text(value)
    if not text.strip() or "\0" in text:
        raise ValueError("has to be a file's path")
    return text


def _found(name: str, path: Path, what: str) -> str:
    if not path.is_file():
        problem = "is a folder" if path.is_dir() else "does not exist"
        near = nearest_hint(path.name, [entry.name for entry in path.parent.iterdir()][:500]) if path.parent.is_dir() else ""
        raise InvalidInput(what=f"the file of the parameter {name!r} {problem}: {path}{near}", where=what, next="Check the path.")
    try:
        path.open("rb").close()
    except OSError as error:
        raise InvalidInput(
            what=f"the file of the parameter {name!r} can't be read: {path} ({error.strerror})", where=what, next="Check its permissions."
        ) from error
    return str(path.resolve())


_READ: dict[str, Callable[[Any], Any]] = {
    "string": _text,
    "text": _text,
    "choice": _text,
    "integer": _integer,
    "number": _number,
    "boolean": _boolean,
    "date": _date,
    "list": _list,
    "object": _object,
    "file": _file,
}


def _example(name: str, parameter: Parameter) -> str:
    if parameter.example is not None:
        return f"{name}={parameter.example}"
    if parameter.choices:
        return f"{name}={parameter.choices[0]}"
    samples = {"integer": "3", "number": "0.5", "boolean": "true", "date": "2026-11-23", "list": '["a", "b"]', "object": '{"a": 1}', "file": "report.csv"}
    return f"{name}={samples.get(parameter.type, '…')}" + (f" ({parameter.description})" if parameter.description else "")


def _kind(value: Any) -> str:
    names = {type(None): "nothing", bool: "true or false", int: "a number", float: "a number", str: "text", list: "a list", dict: "an object"}
    return names.get(type(value), type(value).__name__)


def _short(value: Any) -> str:
    shown = repr(value)
    return shown if len(shown) <= 60 else shown[:57] + "…"
