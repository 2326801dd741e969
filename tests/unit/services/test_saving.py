"""Definitions are saved whole, checked, in their folder, and never over a version that the writer has not seen."""

from __future__ import annotations

import threading

import pytest
import yaml

import hishamos
from hishamos.composition import compose, open_in_process
from hishamos.errors import InvalidDefinition, InvalidInput, NotAllowed, StaleWrite, UnknownName
from hishamos.records import actors
from hishamos.records.actors import Actor
from hishamos.records.checks import DefinitionText
from hishamos.records.definitions import AgentDefinition, CommandDefinition, WorkflowDefinition
from hishamos.services.reading import written

OFFLINE = "offline/extractive"
FLOW = """# kept as it is
name: flow
description: Says something.
steps:
  - {id: a, type: command, with: {command: classify_bug, inputs: {text: x}}}   # this too
"""
PYTHON = "name: code\ndescription: d\nsteps: [{id: m, type: map, with: {over: [1], step: {type: http, with: {url: 'https://x.example/'}}}}]\n"


@pytest.fixture
def ws(tmp_path):
    with open_in_process(tmp_path) as workspace:
        yield workspace


def test_a_text_is_kept_as_it_is_and_can_be_started(ws, tmp_path):
    saved = ws.workflows.save(FLOW)
    assert (tmp_path / "workflows" / "flow.yaml").read_text() == FLOW
    assert (saved.name, saved.source, saved.version) == ("flow", "workflows/flow.yaml", ws.workflows.get("flow").version)
    assert ws.workflows.start("flow", model=OFFLINE).wait(30).state == "succeeded"
    entry = ws.audit.list(action="workflows.save")[0]
    assert (entry.actor, entry.subject, entry.value_before, entry.value_after) == ("owner", "flow", None, saved.version)


def test_a_newer_version_is_never_written_over(ws, tmp_path):
    first = ws.workflows.save(FLOW)
    changed = FLOW.replace("text: x", "text: y")
    with pytest.raises(StaleWrite, match="you have version none, it is now " + first.version):
        ws.workflows.save(changed)
    second = ws.workflows.save(changed, version=first.version)
    with pytest.raises(StaleWrite):
        ws.workflows.save(FLOW, version=first.version)
    assert ws.workflows.save(changed).version == second.version  # it stands there already
    assert (tmp_path / "workflows" / "flow.yaml").read_text() == changed
    with pytest.raises(StaleWrite):
        ws.workflows.save(FLOW.replace("name: flow", "name: other"), version=first.version)


def test_one_of_many_writers_wins(ws):
    version = ws.workflows.save(FLOW).version
    told = []

    def write(number):
        try:
            told.append(ws.workflows.save(FLOW.replace("text: x", f"text: x{number}"), version=version).version)
        except StaleWrite:
            told.append(None)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert [one for one in told if one] == [ws.workflows.get("flow").version]
    assert len(told) == 8


def test_the_file_that_defines_a_name_is_the_one_that_changes(ws, tmp_path):
    (tmp_path / "workflows").mkdir()
    (tmp_path / "workflows" / "elsewhere.yml").write_text(FLOW)
    version = ws.workflows.get("flow").version
    ws.workflows.save(FLOW.replace("text: x", "text: y"), version=version)
    assert [path.name for path in (tmp_path / "workflows").iterdir()] == ["elsewhere.yml"]
    (tmp_path / "workflows" / "elsewhere.yml").rename(tmp_path / "workflows" / "second.yaml")
    with pytest.raises(InvalidInput, match="defines 'flow'"):
        ws.workflows.save(FLOW.replace("name: flow", "name: second"))


def test_a_broken_file_is_not_lost(ws, tmp_path):
    (tmp_path / "workflows").mkdir()
    (tmp_path / "workflows" / "flow.yaml").write_text("name: flow\ndescription: half of\n")
    with pytest.raises(StaleWrite) as caught:
        ws.workflows.save(FLOW)
    ws.workflows.save(FLOW, version=caught.value.current)
    assert ws.workflows.get("flow").steps[0].id == "a"


def test_a_text_is_read_as_it_was_written_shipped_own_or_broken(ws, tmp_path):
    shipped = ws.definitions.text("workflow", "triage_bugs")
    assert (shipped.file, shipped.version) == ("library/workflows/triage_bugs.yaml", None)
    assert ws.workflows.check(shipped.text).version == ws.workflows.get("triage_bugs").version
    ws.workflows.save(shipped.text, version=shipped.version)
    own = ws.definitions.text("workflow", "triage_bugs")
    assert (own.file, own.text, own.version) == ("workflows/triage_bugs.yaml", shipped.text, ws.workflows.get("triage_bugs").version)
    (tmp_path / "workflows" / "flow.yaml").write_text("name: flow\nsteps: [unclosed\n")
    broken = ws.definitions.text("workflow", "flow")
    assert broken.text == "name: flow\nsteps: [unclosed\n"
    assert [(one.name, one.file, one.mistakes[0].line) for one in ws.definitions.broken("workflow")] == [("flow", "workflows/flow.yaml", 3)]
    assert ws.workflows.save(FLOW, version=broken.version).name == "flow"
    assert ws.definitions.broken("workflow") == []
    with pytest.raises(UnknownName, match="flow"):
        ws.definitions.text("workflow", "flowe")


def test_other_comments_are_saved_by_whoever_names_the_version(ws):
    saved = ws.workflows.save(FLOW)
    commented = FLOW.replace("kept as it is", "another remark")
    assert ws.workflows.save(commented).version == saved.version
    assert ws.definitions.text("workflow", "flow").text == FLOW
    assert ws.workflows.save(commented, version=saved.version).version == saved.version
    assert ws.definitions.text("workflow", "flow").text == commented
    ws.workflows.save(ws.workflows.get("flow"), version=saved.version)  # an object has no comments to write
    assert ws.definitions.text("workflow", "flow").text == commented


def test_what_is_not_saved_is_drawn(ws):
    flow = ws.workflows.check(FLOW)
    assert "classify_bug" in ws.workflows.picture(flow, format="text").text
    with pytest.raises(InvalidDefinition, match="used twice"):
        ws.workflows.picture(flow.model_copy(update={"steps": flow.steps * 2}))


def test_nothing_is_written_out_of_the_workspace(ws, tmp_path, tmp_path_factory):
    (tmp_path / "commands").symlink_to(tmp_path_factory.mktemp("outside"))
    with pytest.raises(InvalidInput, match="symbolic link"):
        ws.commands.save("name: c\ndescription: d\ntemplate: x\n")
    with pytest.raises(InvalidDefinition):
        ws.commands.save("name: ../c\ndescription: d\ntemplate: x\n")


@pytest.mark.parametrize("permissions", [{"workflows.write"}, {"workflows.write", "runs.write", "code"}])
def test_code_needs_a_permission_of_its_own(tmp_path, monkeypatch, permissions):
    monkeypatch.setitem(actors.ROLES, "editor", frozenset(permissions))
    composed = compose(tmp_path, store=":memory:")
    editor = composed.workspace_for(Actor(name="amal", role="editor"))
    try:
        assert editor.workflows.save(FLOW).name == "flow"
        if "code" in permissions:
            assert editor.workflows.save(PYTHON).name == "code"
            return
        with pytest.raises(NotAllowed, match="'code'"):
            editor.workflows.save(PYTHON)
        monkeypatch.setitem(actors.ROLES, "editor", frozenset({*permissions, "runs.write"}))
        with pytest.raises(NotAllowed, match="'code'"):
            editor.workflows.start(WorkflowDefinition.model_validate(yaml.safe_load(PYTHON)))
        with pytest.raises(NotAllowed, match=r"'commands\.write'"):
            editor.commands.save("name: c\ndescription: d\ntemplate: x\n")
        assert not (tmp_path / "workflows" / "code.yaml").exists()
    finally:
        composed.close()


def test_an_object_is_saved_as_yaml_of_the_same_version(ws):
    texts = ["yes", "no", "on", "1e3", "012", "0x1f", "~", "null", "true", "2026-11-23", "12:30", "a: b", "# c", "- d", "", " e ", "é\n\tf\n", "{{ 1 }}", "'", '"', "<<", "=", "1_000", ".5"]  # fmt: skip
    flow = WorkflowDefinition.model_validate(
        {
            "name": "odd",
            "description": "Texts that look like something else.",
            "inputs": {"a": {"type": "list", "default": texts}, "b": {"default": None}, "c": {"type": "number", "default": 1e300}},
            "steps": [
                {
                    "id": "a",
                    "type": "approval",
                    "timeout": None,
                    "with": {"message": "line\nline {{ inputs.a }}"},
                    "on_error": "continue",
                    "retry": {"attempts": 2},
                }
            ],
            "outputs": dict(zip(texts, texts, strict=True)),
        }
    )
    saved = ws.workflows.save(flow)
    read = ws.workflows.get("odd")
    assert read.version == saved.version == flow.version
    assert read.inputs["a"].default == texts
    assert not read.inputs["b"].required
    command = CommandDefinition(name="c", description="d", template="Say {{ text }}.\n\nTwice.", parameters={"text": {"type": "text"}}, cache="7d")
    agent = AgentDefinition(name="g", description="d", instructions="Be brief.", limits={"usd": "0.50"}, tools=("c",))
    assert ws.commands.save(command).version == ws.commands.get("c").version == command.version
    assert ws.agents.save(agent).version == ws.agents.get("g").version == agent.version
    assert "usd: '0.50'" in written(agent)


def test_an_object_is_started_without_being_saved(ws, tmp_path):
    flow = hishamos.Workflow.model_validate(yaml.safe_load(FLOW))
    run = ws.workflows.start(flow, model=OFFLINE).wait(30)
    assert (run.state, run.version) == ("succeeded", flow.version)
    assert not (tmp_path / "workflows").exists()
    with pytest.raises(UnknownName):
        ws.workflows.get("flow")
    wrong = flow.model_copy(update={"steps": (flow.steps[0].model_copy(update={"with_": {"command": "classify_bugs"}}),)})
    with pytest.raises(InvalidDefinition, match=r"did you mean 'classify_bug'.*\(workflow flow, step a, with\.command\)"):
        ws.workflows.start(wrong)


def test_files_are_checked_together(ws):
    texts = [
        {"file": "workflows/flow.yaml", "text": FLOW.replace("classify_bug", "mine")},
        {"file": "mine.yaml", "text": "name: mine\ndescription: d\ntemplate: '{{ text }}'\nparameters: {text: {}}\nagent: me\n"},
        {"file": "agents/me.yaml", "text": "name: me\ndescription: d\ninstructions: x\ntools: [classify_bug]\n"},
        {"file": "twin.yaml", "text": "name: mine\ndescription: d\ntemplate: x\n"},
        {"file": "what.yaml", "text": "name: what\n"},
        {"file": "workflows/bad.yaml", "text": "name: bad\ndescription: d\nsteps: [{id: a, type: command, with: {command: yours}}]\n"},
    ]
    found = ws.definitions.check([DefinitionText(**one) for one in texts])
    assert [(one.file, one.kind, bool(one.mistakes)) for one in found] == [
        ("workflows/flow.yaml", "workflow", False),
        ("mine.yaml", "command", False),
        ("agents/me.yaml", "agent", False),
        ("twin.yaml", "command", True),
        ("what.yaml", None, True),
        ("workflows/bad.yaml", "workflow", True),
    ]
    assert "also used by mine.yaml" in found[3].mistakes[0].problem
    assert found[5].mistakes[0].where == "workflows/bad.yaml:3, steps[0].with.command"
    assert "mine" not in [one.name for one in ws.commands.list()]
