"""Schemas that no answer can satisfy are told apart from those that one can; nothing outside of a schema is ever fetched."""

from __future__ import annotations

from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from hishamos.schemas.validation import schema_problem, validator
from tests.rigs.lengths import examples


def required(**properties: object) -> dict:
    return {"type": "object", "required": [*properties], "properties": properties}


IMPOSSIBLE = [
    ({"type": "integer", "minimum": 5, "maximum": 3}, "$: minimum 5 excludes maximum 3"),
    ({"type": "number", "exclusiveMinimum": 1, "maximum": 1}, "exclusiveMinimum 1 excludes maximum 1"),
    ({"type": "integer", "minimum": 0.2, "maximum": 0.8}, "no integer lies between minimum 0.2 and maximum 0.8"),
    ({"type": "number", "multipleOf": 10, "minimum": 1, "maximum": 9}, "no multiple of 10"),
    ({"type": "number", "multipleOf": 0.1, "exclusiveMinimum": 0.1, "exclusiveMaximum": 0.2}, "no multiple of 0.1"),
    ({"type": "string", "minLength": 4, "maxLength": 2}, "minLength 4 is above maxLength 2"),
    ({"enum": []}, "$: its enum is empty"),
    ({"type": "integer", "enum": ["a", "b"]}, "none of its values satisfies the rest: 'a', 'b'"),
    ({"const": 3, "type": "string"}, "none of its values satisfies the rest: 3"),
    ({"type": "array", "minItems": 3, "maxItems": 2}, "minItems 3 is above maxItems 2"),
    ({"type": "array", "minItems": 1, "items": {"enum": []}}, "$.items: its enum is empty"),
    ({"type": "array", "minItems": 2, "prefixItems": [{"type": "string"}], "items": False}, "$.items: false allows no value"),
    ({"type": "array", "minItems": 1, "prefixItems": [{"enum": []}]}, "$.prefixItems.0"),
    ({"type": "array", "contains": False}, "$.contains"),
    ({"type": "object", "required": ["a", "b"], "maxProperties": 1}, "2 properties are required, maxProperties is 1"),
    ({"type": "object", "minProperties": 2, "maxProperties": 1}, "minProperties 2 is above maxProperties 1"),
    ({"type": "object", "required": ["b"], "properties": {"a": {}}, "additionalProperties": False}, "it requires 'b' and does not allow it"),
    ({"type": "object", "required": ["a"], "properties": {"a": False}}, "it requires 'a' and does not allow it"),
    ({"type": "object", "required": ["x"], "additionalProperties": {"enum": []}}, "$.properties.x: its enum is empty"),
    ({"type": "object", "required": ["x1"], "patternProperties": {"^x": {"type": "string", "minLength": 2, "maxLength": 1}}}, "$.properties.x1"),
    (required(a=required(n={"type": "integer", "minimum": 1, "maximum": 0})), "$.properties.a.properties.n: minimum 1 excludes maximum 0"),
    ({"allOf": [{"type": "integer", "minimum": 5}, {"maximum": 3}]}, "minimum 5 excludes maximum 3"),
    ({"allOf": [{"type": "string"}, {"type": "integer"}]}, "its types exclude each other: string and integer"),
    ({"allOf": [{"type": "object", "required": ["a"]}, {"properties": {"a": {"type": "string"}}}, {"properties": {"a": {"type": "null"}}}]}, "exclude each other"),
    ({"anyOf": [{"enum": []}, {"type": "integer", "minimum": 2, "maximum": 1}]}, "$.anyOf.0: its enum is empty"),
    ({"oneOf": [False]}, "$.oneOf.0"),
    ({"not": {}}, "not allows no value"),
    ({"allOf": [False]}, "false allows no value"),
    ({"$ref": "#/$defs/n", "$defs": {"n": {"type": "integer", "minimum": 2, "maximum": 1}}}, "minimum 2 excludes maximum 1"),
    (required(n={"$ref": "#/$defs/n"}) | {"$defs": {"n": {"enum": []}}}, "$.properties.n: its enum is empty"),
]  # fmt: skip


@pytest.mark.parametrize(("schema", "words"), IMPOSSIBLE)
def test_a_schema_that_no_answer_satisfies_says_where_and_why(schema: dict, words: str):
    problem = schema_problem(schema)
    assert problem is not None
    assert problem.startswith("no answer can satisfy the schema: $")
    assert words in problem


TREE = {"$defs": {"node": {"anyOf": [{"type": "null"}, required(left={"$ref": "#/$defs/node"}, right={"$ref": "#/$defs/node"})]}}, "$ref": "#/$defs/node"}
LAUGHS = {"$ref": "#/$defs/a0", "$defs": {f"a{n}": {"allOf": [{"$ref": f"#/$defs/a{n + 1}"}] * 2} for n in range(40)} | {"a40": {}}}
WIDE = required(**{f"p{n}": {"$ref": "#"} for n in range(6)})


@pytest.mark.parametrize("schema", [
    {}, {"type": "integer", "minimum": 3, "maximum": 3}, {"type": "number", "minimum": 0.2, "maximum": 0.8}, {"type": ["integer", "null"], "minimum": 2, "maximum": 1},
    {"minLength": 4, "maxLength": 2}, {"type": "array", "items": {"enum": []}}, {"type": "array", "prefixItems": [{}, {}], "items": False, "minItems": 2},
    {"type": "object", "properties": {"n": {"enum": []}}}, {"anyOf": [{"enum": []}, {"type": "string"}]}, {"type": "number", "multipleOf": 0.1, "minimum": 0.3, "maximum": 0.3},
    {"type": "array", "minItems": 1.0, "items": {"type": "string"}}, {"type": "object", "required": ["x1"], "patternProperties": {"^x": {}}, "additionalProperties": False},
    {"not": {"type": "string"}}, {"enum": [{"$ref": "#/nowhere"}]}, {"properties": {"$ref": {"type": "string"}}},
    {"$defs": {"c": {"enum": ["a", "b"]}}, "$ref": "#/$defs/c", "not": {"const": "a"}}, TREE, LAUGHS, WIDE, {"$ref": "#"},
])  # fmt: skip
def test_a_schema_that_some_answer_satisfies_or_that_is_not_certain_is_taken(schema: dict):
    assert schema_problem(schema) is None


@pytest.mark.parametrize(("schema", "words"), [
    ({"type": 5}, "no JSON Schema: $.type"),
    ({"type": "string", "pattern": "("}, "no JSON Schema"),
    ({"$ref": "#/$defs/no"}, "refers to '#/$defs/no', which is not in it"),
    ({"properties": {"a": {"items": {"$ref": "https://example.com/schema.json"}}}}, "refers to 'https://example.com/schema.json', which is not in it"),
])  # fmt: skip
def test_what_is_no_schema_or_refers_to_nothing_is_told(schema: dict, words: str):
    assert words in (schema_problem(schema) or "")


def test_a_reference_out_of_the_schema_is_never_fetched():
    asked: list[str] = []

    class Recorder(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_error(404)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = HTTPServer(("127.0.0.1", 0), Recorder)
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        schema = {"$ref": f"http://127.0.0.1:{server.server_port}/schema.json"}
        assert schema_problem(schema) is not None
        with pytest.raises(Exception, match="Unresolvable"):
            validator(schema).is_valid(1)
    finally:
        server.shutdown()
        server.server_close()
    assert asked == []


small = st.integers(-3, 3)
leaf = st.one_of(
    st.fixed_dictionaries(
        {"type": st.sampled_from(["integer", "number"])},
        optional={"minimum": small, "maximum": small, "exclusiveMaximum": small, "multipleOf": st.integers(1, 3)},
    ),
    st.fixed_dictionaries({"type": st.just("string")}, optional={"minLength": st.integers(0, 2), "maxLength": st.integers(0, 2)}),
    st.fixed_dictionaries(
        {"enum": st.lists(st.one_of(small, st.sampled_from(["", "a"])), max_size=2)}, optional={"type": st.sampled_from(["integer", "string"])}
    ),
    st.booleans(),
)
schemas = st.recursive(
    leaf,
    lambda inner: st.one_of(
        st.fixed_dictionaries({"anyOf": st.lists(inner, min_size=1, max_size=2)}),
        st.fixed_dictionaries({"allOf": st.lists(inner, min_size=1, max_size=2)}),
        st.fixed_dictionaries(
            {"type": st.just("array"), "items": inner},
            optional={"minItems": st.integers(0, 2), "maxItems": st.integers(0, 2), "prefixItems": st.lists(inner, min_size=1, max_size=1)},
        ),
        st.fixed_dictionaries(
            {"type": st.just("object"), "properties": st.fixed_dictionaries({"a": inner})},
            optional={"required": st.just(["a"]), "additionalProperties": st.booleans(), "maxProperties": st.integers(0, 1)},
        ),
    ),
    max_leaves=4,
)
values = st.recursive(
    st.one_of(small, st.sampled_from(["", "a", "ab", 0.5, None, True])),
    lambda inner: st.one_of(st.lists(inner, max_size=2), st.fixed_dictionaries({}, optional={"a": inner, "b": inner})),
    max_leaves=3,
)


@examples(100, 400)
def test_nothing_satisfies_what_is_refused(examples: int):
    @given(schema=schemas.filter(lambda schema: isinstance(schema, dict)), value=values)
    @settings(max_examples=examples, deadline=None)
    def holds(schema: dict, value: object):
        problem = schema_problem(schema)
        if problem is not None:
            assert not Draft202012Validator(schema).is_valid(value), problem

    holds()
