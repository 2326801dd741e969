"""The shipped definitions are well formed, and the functions they name exist."""

import importlib
import inspect
import pathlib

import pytest
import yaml

from hishamos.records.definitions import AgentDefinition, CommandDefinition, WorkflowDefinition

LIBRARY = pathlib.Path(__file__).parents[3] / "hishamos" / "library"
KINDS = {"agents": AgentDefinition, "commands": CommandDefinition, "workflows": WorkflowDefinition}
FILES = [(kind, path) for kind in KINDS for path in sorted((LIBRARY / kind).glob("*.yaml"))]


@pytest.mark.parametrize(("kind", "path"), FILES, ids=lambda value: getattr(value, "stem", value))
def test_each_file_is_its_definition(kind, path):
    definition = KINDS[kind].model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    assert definition.name == path.stem


def test_functions_take_what_the_steps_give():
    for path in (LIBRARY / "workflows").glob("*.yaml"):
        for step in WorkflowDefinition.model_validate(yaml.safe_load(path.read_text(encoding="utf-8"))).steps:
            if step.type == "python":
                given = dict(step.with_)
                module, _, name = given.pop("function").partition(":")
                function = getattr(importlib.import_module(module), name)
                wanted = inspect.signature(function).parameters
                assert set(given) <= set(wanted)
                needed = {key for key, parameter in wanted.items() if parameter.default is parameter.empty and key != "ws"}
                assert needed <= set(given)
