"""Whether a value satisfies a JSON Schema: the keywords of draft 2020-12 that need no network, small enough to run on every candidate."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any

Schema = Mapping[str, Any] | bool


class Unresolvable(Exception):
    """A reference or a pattern of a schema that leads nowhere."""


def is_number(value: Any) -> bool:
    """Return whether a value is a JSON number; true and false are none."""
    return isinstance(value, (int, float)) and not isinstance(value, bool)


_TYPES: dict[str, Callable[[Any], bool]] = {
    "null": lambda value: value is None,
    "boolean": lambda value: isinstance(value, bool),
    "integer": lambda value: is_number(value) and float(value).is_integer(),
    "number": is_number,
    "string": lambda value: isinstance(value, str),
    "array": lambda value: isinstance(value, list),
    "object": lambda value: isinstance(value, dict),
}


def same(first: Any, second: Any) -> bool:
    """Return whether two JSON values are equal: 1 is 1.0, and true is not 1."""
    if isinstance(first, bool) or isinstance(second, bool):
        return first is second
    if isinstance(first, list) and isinstance(second, list):
        return len(first) == len(second) and all(map(same, first, second))
    if isinstance(first, dict) and isinstance(second, dict):
        return first.keys() == second.keys() and all(same(first[key], second[key]) for key in first)
    return bool(first == second)


def resolve(reference: str, root: Schema) -> Schema:
    """Return what a local reference (``#``, ``#/$defs/name``) points to; raises :class:`Unresolvable`."""
    if reference == "#":
        return root
    if not reference.startswith("#/"):
        raise Unresolvable(f"$ref {reference!r} is not inside the schema")
    place: Any = root
    for raw in reference[2:].split("/"):
        part = raw.replace("~1", "/").replace("~0", "~")
        try:
            place = place[int(part)] if isinstance(place, list) else place[part]
        except (KeyError, IndexError, ValueError, TypeError):
            raise Unresolvable(f"$ref {reference!r} leads nowhere") from None
    if not isinstance(place, (Mapping, bool)):
        raise Unresolvable(f"$ref {reference!r} is no schema")
    return place


@lru_cache(maxsize=512)
def compiled(pattern: str) -> re.Pattern[str]:
    """Return a schema's pattern compiled; raises :class:`Unresolvable` where Python can't read it."""
    try:
        return re.compile(pattern)
    except re.error as error:
        raise Unresolvable(f"the pattern {pattern!r} can't be read: {error}") from None


def types(schema: Mapping[str, Any]) -> list[str]:
    """Return the types that a schema names, as a list; empty when it names none."""
    named = schema.get("type", [])
    return [named] if isinstance(named, str) else [str(name) for name in named]


def valid(schema: Schema, value: Any, root: Schema) -> bool:
    """Return whether the value satisfies the schema."""
    return problem(schema, value, root) is None


def problem(schema: Schema, value: Any, root: Schema) -> str | None:
    """Return the first thing that is wrong with a value, or None when it satisfies the schema."""
    return next(_problems(schema, value, root), None)


def _problems(schema: Schema, value: Any, root: Schema) -> Iterator[str]:
    if isinstance(schema, bool):
        if not schema:
            yield "nothing satisfies false"
        return
    if "$ref" in schema and (found := problem(resolve(schema["$ref"], root), value, root)):
        yield found
    if (named := types(schema)) and not any(_TYPES[name](value) for name in named if name in _TYPES):
        yield f"{_short(value)} is not of type {' or '.join(named)}"
    if "const" in schema and not same(schema["const"], value):
        yield f"{_short(value)} is not {_short(schema['const'])}"
    if "enum" in schema and not any(same(choice, value) for choice in schema["enum"]):
        yield f"{_short(value)} is none of {_short(schema['enum'])}"
    yield from _combined(schema, value, root)
    if is_number(value):
        yield from _number(schema, value)
    elif isinstance(value, str):
        yield from _string(schema, value)
    elif isinstance(value, list):
        yield from _array(schema, value, root)
    elif isinstance(value, dict):
        yield from _object(schema, value, root)


def _combined(schema: Mapping[str, Any], value: Any, root: Schema) -> Iterator[str]:
    for part in schema.get("allOf", ()):
        if found := problem(part, value, root):
            yield found
    if "anyOf" in schema and not any(valid(part, value, root) for part in schema["anyOf"]):
        yield f"{_short(value)} satisfies none of anyOf"
    if "oneOf" in schema and sum(valid(part, value, root) for part in schema["oneOf"]) != 1:
        yield f"{_short(value)} does not satisfy exactly one of oneOf"
    if "not" in schema and valid(schema["not"], value, root):
        yield f"{_short(value)} satisfies what it must not"
    if "if" in schema:
        branch = schema.get("then" if valid(schema["if"], value, root) else "else", True)
        if found := problem(branch, value, root):
            yield found


def _number(schema: Mapping[str, Any], value: float) -> Iterator[str]:
    if "minimum" in schema and value < schema["minimum"]:
        yield f"{value} is below {schema['minimum']}"
    if "maximum" in schema and value > schema["maximum"]:
        yield f"{value} is above {schema['maximum']}"
    if "exclusiveMinimum" in schema and value <= schema["exclusiveMinimum"]:
        yield f"{value} is not above {schema['exclusiveMinimum']}"
    if "exclusiveMaximum" in schema and value >= schema["exclusiveMaximum"]:
        yield f"{value} is not below {schema['exclusiveMaximum']}"
    if "multipleOf" in schema and not _multiple(value, schema["multipleOf"]):
        yield f"{value} is no multiple of {schema['multipleOf']}"


def _multiple(value: float, unit: float) -> bool:
    if isinstance(value, int) and isinstance(unit, int):
        return value % unit == 0
    quotient = value / unit
    return quotient == int(quotient)


def _string(schema: Mapping[str, Any], value: str) -> Iterator[str]:
    if len(value) < schema.get("minLength", 0):
        yield f"{_short(value)} is shorter than {schema['minLength']}"
    if "maxLength" in schema and len(value) > schema["maxLength"]:
        yield f"{_short(value)} is longer than {schema['maxLength']}"
    if "pattern" in schema and not compiled(schema["pattern"]).search(value):
        yield f"{_short(value)} does not match {schema['pattern']!r}"


def _array(schema: Mapping[str, Any], value: list[Any], root: Schema) -> Iterator[str]:
    if len(value) < schema.get("minItems", 0):
        yield f"{len(value)} items are fewer than {schema['minItems']}"
    if "maxItems" in schema and len(value) > schema["maxItems"]:
        yield f"{len(value)} items are more than {schema['maxItems']}"
    if schema.get("uniqueItems") and any(same(a, b) for i, a in enumerate(value) for b in value[i + 1 :]):
        yield "items are repeated"
    before = schema.get("prefixItems", ())
    for part, item in zip(before, value, strict=False):
        if found := problem(part, item, root):
            yield found
    if "items" in schema:
        for item in value[len(before) :]:
            if found := problem(schema["items"], item, root):
                yield found
    if "contains" in schema:
        count = sum(valid(schema["contains"], item, root) for item in value)
        if not schema.get("minContains", 1) <= count <= schema.get("maxContains", len(value)):
            yield f"{count} items satisfy contains"


def _object(schema: Mapping[str, Any], value: dict[str, Any], root: Schema) -> Iterator[str]:
    missing = [name for name in schema.get("required", ()) if name not in value]
    if missing:
        yield f"{', '.join(missing)} missing"
    if not schema.get("minProperties", 0) <= len(value) <= schema.get("maxProperties", len(value)):
        yield f"{len(value)} properties are too few or too many"
    for name, needed in schema.get("dependentRequired", {}).items():
        if name in value and any(other not in value for other in needed):
            yield f"{name} needs {', '.join(needed)}"
    for name, part in schema.get("dependentSchemas", {}).items():
        if name in value and (found := problem(part, value, root)):
            yield found
    for name, item in value.items():
        if "propertyNames" in schema and (found := problem(schema["propertyNames"], name, root)):
            yield found
        for part in schemas_of(schema, name):
            if found := problem(part, item, root):
                yield f"{name}: {found}"


def schemas_of(schema: Mapping[str, Any], name: str) -> Sequence[Schema]:
    """Return the schemas that an object's property of this name has to satisfy."""
    parts: list[Schema] = []
    if name in schema.get("properties", {}):
        parts.append(schema["properties"][name])
    parts.extend(part for pattern, part in schema.get("patternProperties", {}).items() if compiled(pattern).search(name))
    if not parts and "additionalProperties" in schema:
        parts.append(schema["additionalProperties"])
    return parts


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 60 else text[:57] + "…"
