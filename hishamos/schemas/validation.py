"""Validators that never leave the process, and what is wrong with a schema before anybody is asked for an answer to it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

from hishamos.records.record import canonical
from hishamos.schemas import json_schema
from hishamos.schemas.contradictions import contradiction
from hishamos.schemas.text_formats import checker

VALUES = frozenset({"const", "enum", "default", "examples"})
"""Keywords whose values are data: a ``$ref`` in them is a word."""
LONGEST = 300


def validator(schema: dict[str, Any]) -> Any:
    """Return what holds data against a schema. A reference out of the schema is never fetched."""
    return _validator(canonical(schema))


def schema_problem(schema: dict[str, Any]) -> str | None:
    """Return what is wrong with a schema, in a sentence: it is none, it refers to nothing, no answer can satisfy it; None when it is fine."""
    return _problem(canonical(schema))


@lru_cache(maxsize=512)
def _validator(text: str) -> Any:
    from referencing import Registry

    # Without a registry of its own jsonschema fetches what a $ref names, from wherever that is.
    return json_schema.load().Draft202012Validator(json.loads(text), registry=Registry(), format_checker=checker())


@lru_cache(maxsize=512)
def _problem(text: str) -> str | None:
    jsonschema, schema = json_schema.load(), json.loads(text)
    try:
        jsonschema.Draft202012Validator.check_schema(schema)
    except jsonschema.SchemaError as error:
        return f"this is no JSON Schema: {error.json_path}: {error.message[:LONGEST]}"
    lost = next((reference for reference in _references(schema) if not _leads_somewhere(schema, reference)), None)
    if lost is not None:
        return f"the schema refers to {lost!r}, which is not in it"

    def valid(part: Any, value: Any) -> bool:
        try:
            return bool(_validator(text).evolve(schema=part).is_valid(value))
        except RecursionError:
            return True

    found = contradiction(schema, valid)
    return None if found is None else f"no answer can satisfy the schema: {found.place}: {found.problem}"


def _references(part: Any) -> Iterator[str]:
    if isinstance(part, list):
        for item in part:
            yield from _references(item)
    elif isinstance(part, dict):
        for name, value in part.items():
            if name in {"$ref", "$dynamicRef"} and isinstance(value, str):
                yield value
            elif name not in VALUES:
                yield from _references(value)


def _leads_somewhere(schema: dict[str, Any], reference: str) -> bool:
    from referencing import Registry
    from referencing.exceptions import Unresolvable
    from referencing.jsonschema import DRAFT202012

    try:
        Registry().resolver_with_root(DRAFT202012.create_resource(schema)).lookup(reference)
    except Unresolvable:
        return False
    return True
