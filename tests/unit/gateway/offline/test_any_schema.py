"""Whatever JSON Schema is asked for, the offline model's answer is valid for it, as another validator sees it."""

import json

import jsonschema
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hishamos.errors import SchemaUnsatisfiable
from hishamos.gateway.offline import extract
from hishamos.gateway.offline.validity import valid
from tests.rigs.lengths import examples

PROMPT = """Judge this report.
<report>
Export closes the app
On 3 March 2026 the export of 80 pages closed the app; see https://example.com/log and write to team@example.com. Version: 4.2.
- open a long document
- choose Export
The text was lost. It happens every time.
</report>"""

NAMES = st.sampled_from(["id", "title", "summary", "is_spam", "severity", "page_count", "when", "tags", "reason", "body", "x", "confidence"])
TOLD = st.sampled_from(["", "true for spam", "how many pages", "the top three", "one sentence"])


def described(schema):
    return st.builds(lambda s, d: {**s, "description": d} if d else s, schema, TOLD)


def numbers():
    def build(kind, low, width, unit, exclusive):
        schema = {"type": kind}
        if low is not None:
            schema["exclusiveMinimum" if exclusive else "minimum"] = low
            schema["maximum"] = low + width
        if unit and width >= 2 * unit:
            schema["multipleOf"] = unit
        return schema

    low = st.one_of(st.none(), st.integers(-1000, 1000))
    return st.builds(build, st.sampled_from(["integer", "number"]), low, st.integers(2, 50), st.sampled_from([0, 1, 2, 5]), st.booleans())


def strings():
    lengths = st.tuples(st.integers(0, 40), st.integers(0, 40)).map(lambda t: {"type": "string", "minLength": min(t), "maxLength": max(t)})
    patterns = st.sampled_from([r"^[A-Z]{2,4}-\d+$", r"^\d{3}$", r"\w+@\w+\.\w+", r"^(yes|no|maybe)$", r"^[^aeiou]+$", "^.{3,}$"]).map(
        lambda p: {"type": "string", "pattern": p}
    )
    formats = st.sampled_from(["date", "date-time", "email", "uri", "uuid", "ipv4", "time"]).map(lambda f: {"type": "string", "format": f})
    return st.one_of(st.just({"type": "string"}), lengths, patterns, formats)


def enums():
    words = st.lists(st.one_of(st.text(max_size=6), st.integers(), st.booleans(), st.none()), min_size=1, max_size=5)
    return st.one_of(words.map(lambda v: {"enum": v}), st.one_of(st.text(max_size=5), st.integers()).map(lambda v: {"const": v}))


LEAVES = st.one_of(
    numbers(),
    strings(),
    enums(),
    st.just({"type": "boolean"}),
    st.just({"type": "null"}),
    st.just({}),
    st.just(True),
    st.just({"type": ["string", "null"]}),
    st.just({"type": ["integer", "boolean", "null"]}),
    st.just({"type": "integer", "default": 7}),
)


def deeper(inner):
    def array(items, low, more, unique):
        return {"type": "array", "items": items, "minItems": low, "maxItems": low + more, **({"uniqueItems": True} if unique and low < 2 else {})}

    def thing(properties, required, closed):
        names = [name for name in properties if name in required]
        return {"type": "object", "properties": properties, "required": names, **({"additionalProperties": False} if closed else {})}

    return st.one_of(
        st.builds(array, inner, st.integers(0, 3), st.integers(0, 3), st.booleans()),
        st.builds(thing, st.dictionaries(NAMES, inner, max_size=4), st.lists(NAMES, max_size=3), st.booleans()),
        st.lists(inner, min_size=1, max_size=3).map(lambda parts: {"anyOf": parts}),
        inner.map(lambda part: {"oneOf": [part, {"type": "object", "required": ["only_here"], "properties": {"only_here": {"const": 1}}}]}),
        inner.map(lambda part: {"allOf": [part]}),
        inner.map(lambda part: {"$defs": {"part": part}, "$ref": "#/$defs/part"}),
        st.builds(lambda parts: {"type": "array", "prefixItems": parts, "minItems": len(parts)}, st.lists(inner, min_size=1, max_size=3)),
        inner.map(lambda part: {"type": "object", "minProperties": 2, "additionalProperties": part}),
    ).filter(lambda schema: "$defs" not in json.dumps(schema)[2:] or schema.get("$ref"))


SCHEMAS = st.recursive(LEAVES.map(lambda s: s if isinstance(s, dict) else {"anyOf": [s]}).flatmap(lambda s: described(st.just(s))), deeper, max_leaves=6)


def without_inner_references(schema, top=True):
    """A reference is resolved from the root: only one at the root means what it says."""
    if isinstance(schema, dict):
        return all((top or key not in ("$ref", "$defs")) and without_inner_references(value, False) for key, value in schema.items())
    return not isinstance(schema, list) or all(without_inner_references(item, False) for item in schema)


@examples(100, 250)
def test_the_answer_is_valid(examples):
    @settings(max_examples=examples, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])
    @given(schema=SCHEMAS.filter(without_inner_references))
    def holds(schema):
        try:
            answer = json.loads(extract("", PROMPT, schema, 500).text)
        except SchemaUnsatisfiable:
            _assert_hard(schema)
            return
        jsonschema.Draft202012Validator(schema).validate(answer)

    holds()


def _assert_hard(schema):
    """Only schemas that leave nothing, or next to nothing, may be refused: here a oneOf whose other branch holds as well."""
    text = json.dumps(schema)
    assert "oneOf" in text, f"refused: {text}"


@settings(max_examples=150, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])
@given(
    schema=SCHEMAS.filter(without_inner_references),
    value=st.one_of(st.none(), st.booleans(), st.integers(-5, 5), st.text(max_size=5), st.lists(st.integers(), max_size=3)),
)
def test_our_validator_agrees_with_jsonschema(schema, value):
    assert valid(schema, value, schema) == jsonschema.Draft202012Validator(schema).is_valid(value)


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "object", "properties": {"child": {"$ref": "#"}, "name": {"type": "string"}}, "required": ["name"]},
        {
            "$defs": {
                "node": {
                    "type": "object",
                    "properties": {"value": {"type": "integer"}, "next": {"anyOf": [{"$ref": "#/$defs/node"}, {"type": "null"}]}},
                    "required": ["value", "next"],
                }
            },
            "$ref": "#/$defs/node",
        },
        {"type": "array", "items": {"type": "integer"}, "minItems": 4, "uniqueItems": True},
        {"type": "array", "items": {"enum": ["a", "b", "c"]}, "minItems": 3, "uniqueItems": True},
        {"type": "array", "items": {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}, "minItems": 3, "uniqueItems": True},
        {"type": "array", "contains": {"type": "string", "pattern": "^z"}, "minContains": 2},
        {"type": "object", "patternProperties": {"^x-": {"type": "integer"}}, "additionalProperties": False, "minProperties": 2},
        {"type": "object", "required": ["unlisted"], "properties": {"a": {"type": "string"}}},
        {
            "type": "object",
            "properties": {"kind": {"enum": ["a", "b"]}, "n": {"type": "integer"}},
            "required": ["kind"],
            "if": {"properties": {"kind": {"const": "a"}}},
            "then": {"required": ["n"]},
        },
        {"allOf": [{"type": "object", "properties": {"a": {"type": "integer", "minimum": 3}}}, {"properties": {"a": {"maximum": 5}}, "required": ["a"]}]},
        {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1},
        {"type": "number", "multipleOf": 0.25, "minimum": 3.1},
        {"type": "integer", "not": {"const": 0}},
        {"type": "string", "minLength": 100, "maxLength": 120},
        {"type": "string", "pattern": "^[A-Z]{3}$", "description": "a code"},
        {"oneOf": [{"type": "integer", "multipleOf": 3}, {"type": "integer", "multipleOf": 5}]},
        {"type": "object", "propertyNames": {"pattern": "^[a-z]{5}$"}, "minProperties": 2, "additionalProperties": {"type": "boolean"}},
        {"type": "object", "properties": {"a": {"type": "integer"}}, "dependentRequired": {"a": ["b"]}, "required": ["a"]},
    ],
    ids=lambda schema: json.dumps(schema)[:60],
)
def test_awkward_schemas(schema):
    answer = json.loads(extract("", PROMPT, schema, 500).text)
    jsonschema.Draft202012Validator(schema).validate(answer)


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "integer", "minimum": 5, "maximum": 4},
        {"type": "object", "required": ["a"], "properties": {"a": False}},
        {"$ref": "#/$defs/missing"},
        {"$ref": "#"},
        {"type": "string", "pattern": "("},
        {"type": "object", "properties": {"a": {"$ref": "#"}}, "required": ["a"]},
        {"type": "array", "items": {"type": "boolean"}, "minItems": 3, "uniqueItems": True},
    ],
    ids=lambda schema: json.dumps(schema)[:60],
)
def test_what_nothing_satisfies_is_told(schema):
    with pytest.raises(SchemaUnsatisfiable) as told:
        extract("", PROMPT, schema, 500)
    assert "Correct the schema" in str(told.value)


def test_the_same_question_has_the_same_answer():
    schema = {"type": "object", "properties": {"summary": {"type": "string"}, "tags": {"type": "array", "items": {"type": "string"}}}}
    assert extract("", PROMPT, schema, 500) == extract("", PROMPT, schema, 500)
