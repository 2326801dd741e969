"""The JSON Schema of each kind of definition, for editors: made from the records and from what each step type takes under ``with``."""

from __future__ import annotations

from typing import Any

from hishamos.engine.steps import known, step_type
from hishamos.records.checks import DefinitionKind
from hishamos.services.catalog import RECORDS

DIALECT = "https://json-schema.org/draft/2020-12/schema"
TEMPLATE = {"type": "string", "pattern": r"\{\{|\{%", "description": "A template: {{ an expression }}."}
ABOUT = ("title", "description", "default")
STEP = "StepDefinition"


def format_schema(kind: DefinitionKind) -> dict[str, Any]:
    """Return the schema of a kind's files. What only ``check`` can tell (names, order, expressions) is not in it."""
    schema = RECORDS[kind].model_json_schema(by_alias=True)
    schema["properties"].pop("source")
    if kind == "workflow":
        _add_steps(schema)
        schema["properties"]["steps"] |= {"minItems": 1, "items": {"allOf": [{"$ref": f"#/$defs/{STEP}"}, {"required": ["id"]}]}}
    return {"$schema": DIALECT, **schema, "title": f"HishamOS {kind}"}


def _add_steps(schema: dict[str, Any]) -> None:
    """Say for each type of step what stands under ``with``."""
    definitions: dict[str, Any] = schema["$defs"]
    step = definitions[STEP]
    cases = []
    for name in known():
        kind = step_type(name)
        inputs = kind.inputs.model_json_schema(by_alias=True)
        for key, inner in inputs.pop("$defs", {}).items():
            definitions.setdefault(key, inner)
        fixed = kind.raw | kind.literal
        inputs["properties"] = {key: one if key in fixed else _or_template(one) for key, one in inputs["properties"].items()}
        definitions[f"With_{name}"] = inputs
        needed = {"required": ["with"]} if inputs.get("required") else {}
        then = {"properties": {"with": {"$ref": f"#/$defs/With_{name}"}}, **needed}
        cases.append({"if": {"properties": {"type": {"const": name}}, "required": ["type"]}, "then": then})
    step["properties"]["type"] = {"enum": known(), "description": "What kind of step it is."}
    step["properties"]["with"] = {"type": "object", "description": "What the step takes; see its type."}
    step["properties"]["on_error"]["anyOf"] = [{"enum": ["fail", "continue"]}, {"$ref": "#/$defs/Goto"}]
    step["properties"]["on_error"].pop("oneOf", None)
    step["allOf"] = cases


def _or_template(schema: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of a value that may also be a template, at every depth."""
    inner = dict(schema)
    for key in ("items", "additionalProperties"):
        if isinstance(inner.get(key), dict):
            inner[key] = _or_template(inner[key])
    if inner.get("type") == "string" and not set(inner) & {"pattern", "format", "enum", "const", "maxLength"}:
        return inner
    about: dict[str, Any] = {key: inner.pop(key) for key in tuple(inner) if key in ABOUT}
    return {**about, "anyOf": [inner, TEMPLATE]} if inner else about
