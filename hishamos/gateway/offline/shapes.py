"""A schema made plain: references followed and ``allOf`` folded in, so that one mapping says what a value has to look like."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from hishamos.gateway.offline.validity import Schema, Unresolvable, resolve, same, types

_MOST_REFERENCES = 64
_TIGHTER: dict[str, Callable[[Any, Any], Any]] = {
    "minimum": max,
    "exclusiveMinimum": max,
    "minLength": max,
    "minItems": max,
    "minProperties": max,
    "minContains": max,
    "maximum": min,
    "exclusiveMaximum": min,
    "maxLength": min,
    "maxItems": min,
    "maxProperties": min,
    "uniqueItems": lambda first, second: first or second,
}


def shape(schema: Schema, root: Schema) -> dict[str, Any] | None:
    """Return what the schema asks for as one mapping, or None where nothing satisfies it. Raises :class:`Unresolvable`."""
    if isinstance(schema, bool):
        return {} if schema else None
    whole: dict[str, Any] = dict(schema)
    for _ in range(_MOST_REFERENCES):
        if "$ref" in whole:
            target = resolve(whole.pop("$ref"), root)
        elif whole.get("allOf"):
            target, *rest = whole.pop("allOf")
            if rest:
                whole["allOf"] = rest
        else:
            return whole
        if target is False:
            return None
        if isinstance(target, Mapping):
            whole = merged(whole, target)
    raise Unresolvable("its references run in a circle")


def merged(first: Mapping[str, Any], second: Mapping[str, Any]) -> dict[str, Any]:
    """Return one mapping that asks for what both ask for; what can't be folded stays as a further ``allOf``."""
    whole = dict(first)
    left: dict[str, Any] = {}
    for key, value in second.items():
        if key not in whole or whole[key] == value:
            whole[key] = value
        elif key in _TIGHTER:
            whole[key] = _TIGHTER[key](whole[key], value)
        elif key == "required":
            whole[key] = list(dict.fromkeys([*whole[key], *value]))
        elif key == "allOf":
            whole[key] = [*whole[key], *value]
        elif key in ("properties", "patternProperties", "$defs"):
            whole[key] = {**whole[key], **{name: _both(whole[key].get(name, True), part) for name, part in value.items()}}
        elif key in ("items", "additionalProperties", "propertyNames"):
            whole[key] = _both(whole[key], value)
        elif key == "type":
            whole[key] = _common_types(types(whole), types(second))
        elif key == "enum":
            whole[key] = [choice for choice in whole[key] if any(same(choice, other) for other in value)]
        elif key not in ("description", "title", "default", "examples"):
            left[key] = value
    if left:
        # checked on the finished value: two patterns or two anyOf have no single form
        whole["also"] = [*whole.get("also", []), left]
    return whole


def _both(first: Schema, second: Schema) -> Schema:
    if first is True:
        return second
    if second is True or first == second:
        return first
    return {"allOf": [first, second]}


def _common_types(first: list[str], second: list[str]) -> list[str]:
    kept = [name for name in first if name in second or (name == "integer" and "number" in second)]
    kept += [name for name in second if name == "integer" and "number" in first and "integer" not in kept]
    return kept


def described(form: Mapping[str, Any]) -> str:
    """Return what a schema says of itself: its title and description."""
    return " ".join(str(form[key]) for key in ("title", "description") if isinstance(form.get(key), str))


def implied_types(form: Mapping[str, Any]) -> list[str]:
    """Return the types a value may have: those named, else those that the other keywords are about; empty when anything goes."""
    if "type" in form:
        return types(form)
    about = {
        "object": ("properties", "required", "additionalProperties", "minProperties", "patternProperties"),
        "array": ("items", "prefixItems", "minItems", "maxItems", "contains"),
        "string": ("pattern", "minLength", "maxLength", "format"),
        "number": ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"),
    }
    return [name for name, keys in about.items() if any(key in form for key in keys)]


def alternatives(form: Mapping[str, Any]) -> list[Mapping[str, Any] | bool]:
    """Return the branches of ``anyOf`` or ``oneOf``, each with what stands beside it; empty without them."""
    for key in ("anyOf", "oneOf"):
        if key in form:
            rest = {name: value for name, value in form.items() if name != key}
            return [merged(rest, part) if isinstance(part, Mapping) else part for part in form[key]]
    return []


def constants(form: Mapping[str, Any]) -> tuple[list[Any], dict[str, str]]:
    """Return the values that an enumeration allows with what is said of each, whether it is an ``enum`` or a union of ``const``."""
    if "enum" in form:
        told = form.get("enumDescriptions") or form.get("x-enumDescriptions") or []
        pairs = zip(form["enum"], told, strict=False)
        return list(form["enum"]), {value: str(text) for value, text in pairs if isinstance(value, str)}
    for key in ("anyOf", "oneOf"):
        parts = form.get(key) or []
        if parts and all(isinstance(part, Mapping) and "const" in part for part in parts):
            return [part["const"] for part in parts], {part["const"]: described(part) for part in parts if isinstance(part["const"], str)}
    return [], {}
