"""The schemas for editors take what ``check`` takes, and refuse what is no form of it."""

from __future__ import annotations

from importlib import resources

import pytest
from jsonschema import Draft202012Validator

from hishamos.composition import open_in_process
from hishamos.engine.steps import known
from hishamos.records.checks import KINDS
from hishamos.services.reading import Source
from hishamos.services.starters import starter
from tests.unit.engine.test_checking import MISTAKES
from tests.unit.engine.test_checking import test_what_is_right_passes as right

FILES = [
    (kind, file) for kind in KINDS for file in sorted((resources.files("hishamos.library") / f"{kind}s").iterdir(), key=str) if file.name.endswith(".yaml")
]
SHAPES = ("did you mean 'command'", "'command' is missing", "did you mean 'task'", "on_reject", "did you mean 'type'", "attempts", "timeout", "at_most", "'step' is missing", "concurrency", "cases")  # fmt: skip
"""Mistakes of form, which an editor sees without knowing what else there is."""


@pytest.fixture(scope="module")
def validators(tmp_path_factory):
    with open_in_process(tmp_path_factory.mktemp("schemas")) as ws:
        made = {kind: ws.definitions.schema(kind) for kind in KINDS}
    for schema in made.values():
        Draft202012Validator.check_schema(schema)
    return {kind: Draft202012Validator(schema) for kind, schema in made.items()}


@pytest.mark.parametrize(("kind", "file"), FILES, ids=[file.name for _, file in FILES])
def test_what_is_shipped_fits(validators, kind, file):
    assert [error.message for error in validators[kind].iter_errors(Source(file.read_text(), file.name).data)] == []


@pytest.mark.parametrize("kind", KINDS)
def test_starters_fit_and_can_be_used(validators, kind, tmp_path):
    text = starter(kind, "mine")
    assert list(validators[kind].iter_errors(Source(text, "x").data)) == []
    with open_in_process(tmp_path) as ws:
        assert ws.definitions.new(kind, "mine") == f"{kind}s/mine.yaml"
        assert getattr(ws, f"{kind}s").get("mine").name == "mine"
        if kind == "workflow":
            assert ws.workflows.start("mine", model="offline/extractive").wait(30).state == "succeeded"
        elif kind == "command":
            assert ws.commands.run("mine", {"text": "The train was late."}, model="offline/extractive").output["tone"] in {"glad", "neutral", "angry"}
        else:
            assert ws.agents.ask("mine", "Which is worse?", model="offline/extractive").output


@pytest.mark.parametrize("text", [text for text, _, words in MISTAKES if words in SHAPES and text])
def test_a_wrong_form_is_seen(validators, text):
    assert list(validators["workflow"].iter_errors(Source(text, "x").data)) != []


def test_each_step_type_has_its_inputs(validators):
    schema = validators["workflow"].schema
    assert {f"With_{name}" for name in known()} <= set(schema["$defs"])
    assert schema["$defs"]["With_http"]["properties"]["url"]["description"].startswith("``https://")
    assert right  # what is templated there is templated here
    data = Source(
        "name: w\ndescription: d\nsteps: [{id: a, type: map, with: {over: '{{ x }}', concurrency: '{{ y }}', step: {type: wait, with: {seconds: '{{ item }}'}}}}]\n",
        "x",
    ).data
    assert list(validators["workflow"].iter_errors(data)) == []
