"""Schemas that no value satisfies. What is reported is certain; a schema of which nothing is said may still ask too much."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

Valid = Callable[[Any, Any], bool]
"""Whether a value satisfies a part of the schema: ``valid(part, value)``."""
TYPES = frozenset({"null", "boolean", "integer", "fraction", "string", "array", "object"})
"""JSON's types; a number is an integer or a fraction."""
MOST, DEEPEST = 2000, 32
"""Parts that are looked at, and how deep; what lies beyond, or where a schema refers to itself, is taken to be satisfiable."""


@dataclass(frozen=True, slots=True)
class Contradiction:
    """Where no value can be given, and why."""

    place: str
    problem: str


@dataclass(frozen=True, slots=True)
class _Place:
    """A part of the schema: where it stands, and what has to be known to look further."""

    path: str
    root: Any
    valid: Valid
    left: Iterator[int]
    depth: int = 0

    def at(self, *names: object) -> _Place:
        return replace(self, path=self.path + "".join(f".{name}" for name in names), depth=self.depth + 1)


def contradiction(schema: Any, valid: Valid) -> Contradiction | None:
    """Return where a schema contradicts itself so that no value satisfies it; None where nothing certain is found."""
    return _look(schema, _Place("$", schema, valid, iter(range(MOST))))


def _look(schema: Any, here: _Place) -> Contradiction | None:
    if schema is False:
        return Contradiction(here.path, "false allows no value")
    if not isinstance(schema, dict) or here.depth > DEEPEST or next(here.left, None) is None:
        return None
    parts = list(_parts(schema, here.root, set()))
    if False in parts:
        return Contradiction(here.path, "false allows no value")
    every = [part for part in parts if isinstance(part, dict)]
    return _listed(schema, every, here) or _alternatives(every, here) or _typed(every, here)


def _parts(schema: Any, root: Any, seen: set[str]) -> Iterator[Any]:
    """Give everything that a value has to satisfy at once: the schema, what it refers to, its ``allOf``."""
    yield schema
    if not isinstance(schema, dict):
        return
    reference = schema.get("$ref")
    if isinstance(reference, str) and reference not in seen:
        seen.add(reference)  # once is enough of what has to hold at once
        yield from _parts(_target(reference, root), root, seen)
    for part in schema.get("allOf", ()):
        yield from _parts(part, root, seen)


def _target(reference: str, root: Any) -> Any:
    """Return what a pointer of the schema names; True, which allows all, for other references."""
    if reference != "#" and not reference.startswith("#/"):
        return True
    place = root
    for raw in reference[2:].split("/") if len(reference) > 1 else ():
        name = raw.replace("~1", "/").replace("~0", "~")
        place = place[int(name)] if isinstance(place, list) else place.get(name, True) if isinstance(place, dict) else True
    return place


def _listed(schema: Any, every: list[dict[str, Any]], here: _Place) -> Contradiction | None:
    """No listed value is allowed by the rest."""
    for part in every:
        if part.get("enum") == []:
            return Contradiction(here.path, "its enum is empty")
        values = [part["const"]] if "const" in part else part.get("enum")
        if values is not None and not any(here.valid(schema, value) for value in values):
            return Contradiction(here.path, f"none of its values satisfies the rest: {', '.join(map(repr, values[:5]))}")
    return None


def _alternatives(every: list[dict[str, Any]], here: _Place) -> Contradiction | None:
    for part in every:
        for word in ("anyOf", "oneOf"):
            found = [_look(option, here.at(word, number)) for number, option in enumerate(part.get(word, ()))]
            if found and all(found):
                return found[0]
        if part.get("not") in (True, {}):
            return Contradiction(here.path, "not allows no value")
    return None


def _typed(every: list[dict[str, Any]], here: _Place) -> Contradiction | None:
    """Every type that the parts have in common contradicts itself."""
    types = TYPES
    for part in every:
        named = part.get("type")
        types &= TYPES if named is None else _named(named)
    if not types:
        return Contradiction(here.path, f"its types exclude each other: {' and '.join(str(part['type']) for part in every if 'type' in part)}")
    looks = {"integer": _number, "fraction": _number, "string": _string, "array": _array, "object": _object}
    found = [looks[name](every, here) if name in looks else None for name in sorted(types)]
    if types == {"integer"}:
        found = [_number([*every, {"multipleOf": 1}], here)]
    return found[0] if all(found) else None


def _named(named: str | list[str]) -> frozenset[str]:
    names = [named] if isinstance(named, str) else named
    return frozenset(names) & TYPES | (frozenset({"integer", "fraction"}) if "number" in names else frozenset())


def _number(every: list[dict[str, Any]], here: _Place) -> Contradiction | None:
    low, open_low, least = _bound(every, ("minimum", "exclusiveMinimum"), max)
    high, open_high, most = _bound(every, ("maximum", "exclusiveMaximum"), min)
    if low is None or high is None:
        return None
    if low > high or (low == high and (open_low or open_high)):
        return Contradiction(here.path, f"{least} excludes {most}")
    steps = {_exact(part["multipleOf"]) for part in every if "multipleOf" in part}
    if len(steps) == 1:
        step = steps.pop()
        first = math.ceil(low / step) * step
        first += step if first == low and open_low else 0
        if first > high or (first == high and open_high):
            words = "no integer" if step == 1 else f"no multiple of {float(step):g}"
            return Contradiction(here.path, f"{words} lies between {least} and {most}")
    return None


def _bound(every: list[dict[str, Any]], words: tuple[str, str], strictest: Callable[..., Any]) -> tuple[Fraction | None, bool, str]:
    """Return the strictest of the parts' bounds, whether it is itself excluded, and its words."""
    usual, exclusive = words
    found = [(_exact(part[word]), word) for part in every for word in words if word in part]
    if not found:
        return None, False, ""
    value = strictest(bound for bound, _ in found)
    opened = (value, exclusive) in found
    return value, opened, f"{exclusive if opened else usual} {float(value):g}"


def _string(every: list[dict[str, Any]], here: _Place) -> Contradiction | None:
    return _sizes(every, "minLength", "maxLength", here)


def _array(every: list[dict[str, Any]], here: _Place) -> Contradiction | None:
    wrong = _sizes(every, "minItems", "maxItems", here)
    if wrong is not None:
        return wrong
    least = int(max(part.get("minItems", 0) for part in every))
    for part in every:
        first = part.get("prefixItems", [])
        for number, item in enumerate(first[:least]):
            wrong = wrong or _look(item, here.at("prefixItems", number))
        if "items" in part and least > len(first):
            wrong = wrong or _look(part["items"], here.at("items"))
        if "contains" in part and part.get("minContains", 1) > 0:
            wrong = wrong or _look(part["contains"], here.at("contains"))
    return wrong


def _object(every: list[dict[str, Any]], here: _Place) -> Contradiction | None:
    wrong = _sizes(every, "minProperties", "maxProperties", here)
    required = list(dict.fromkeys(name for part in every for name in part.get("required", ())))
    most = min((part["maxProperties"] for part in every if "maxProperties" in part), default=len(required))
    if wrong is None and len(required) > most:
        return Contradiction(here.path, f"{len(required)} properties are required, maxProperties is {most:g}")
    for name in required:
        wrong = wrong or _property(name, every, here)
    return wrong


def _property(name: str, every: list[dict[str, Any]], here: _Place) -> Contradiction | None:
    """A required property can't be given."""
    schemas = [schema for part in every for schema in _of_property(name, part)]
    if False in schemas:
        return Contradiction(here.path, f"it requires {name!r} and does not allow it")
    if len(schemas) == 1:
        return _look(schemas[0], here.at("properties", name))
    return _look({"allOf": schemas}, here.at("properties", name)) if schemas else None


def _of_property(name: str, part: Mapping[str, Any]) -> list[Any]:
    """Return what a part of the schema demands of a property; the further ones count only where nothing names it."""
    named = [part["properties"][name]] if name in part.get("properties", {}) else []
    named += [schema for pattern, schema in part.get("patternProperties", {}).items() if re.search(pattern, name)]
    return named or ([part["additionalProperties"]] if "additionalProperties" in part else [])


def _sizes(every: list[dict[str, Any]], least: str, most: str, here: _Place) -> Contradiction | None:
    low = max((part[least] for part in every if least in part), default=0)
    high = min((part[most] for part in every if most in part), default=math.inf)
    return Contradiction(here.path, f"{least} {low:g} is above {most} {high:g}") if low > high else None


def _exact(number: float) -> Fraction:
    return Fraction(str(number))
