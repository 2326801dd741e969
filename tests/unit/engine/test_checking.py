"""Definitions that can't run are refused when they are loaded, with file, line and nearest match."""

from __future__ import annotations

import pytest

from hishamos.engine.toolbox import abilities
from hishamos.errors import InvalidDefinition, UnknownName
from hishamos.services.catalog import Catalog

HEAD = """name: w
description: A test.
inputs:
  file: {type: file}
  n: {type: integer, default: 3}
steps:
"""
ECHO = "name: echo\ndescription: Says it.\ntemplate: '{{ text }}'\nparameters:\n  text: {type: text}\n  tone: {type: choice, choices: [warm, cold], default: warm}\n"
HELPER = "name: helper\ndescription: Helps.\ninstructions: Be brief.\n"
STEP_A = "  - {id: a, type: command, with: {command: echo, inputs: {text: x}}}\n"


@pytest.fixture
def catalog(tmp_path):
    for folder, name, text in (("commands", "echo", ECHO), ("agents", "helper", HELPER)):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / f"{name}.yaml").write_text(text)
    return Catalog(tmp_path)


def checked(catalog, text, file):
    return catalog.accepted("workflow", text, file)[0]


def step(body):
    return HEAD + STEP_A + f"  - {{id: b, {body}}}\n"


MISTAKES = [
    (step("type: comand"), 8, "did you mean 'command'"),
    (step("type: command, with: {command: ehco, inputs: {text: x}}"), 8, "did you mean 'echo'"),
    (step("type: command, with: {command: echo, inputs: {txt: x}}"), 8, "did you mean 'text'"),
    (step("type: command, with: {command: echo}"), 8, "needs the parameter 'text'"),
    (step("type: command, with: {command: '{{ inputs.n }}', inputs: {text: x}}"), 8, "takes no template"),
    (step("type: command, with: {command: echo, agent: hepler, inputs: {text: x}}"), 8, "did you mean 'helper'"),
    (step("type: command, with: {command: echo, inputs: [1]}"), 8, "inputs"),
    (step("type: command, with: {inputs: {}}"), 8, "'command' is missing"),
    (step("type: agent, with: {agent: helpr, task: t}"), 8, "did you mean 'helper'"),
    (step("type: agent, with: {agent: helper, task: t, output: {type: 5}}"), 8, "no JSON Schema"),
    (step("type: agent, with: {agent: helper, tsk: t}"), 8, "did you mean 'task'"),
    (step("type: approval, after: [c], with: {message: m}"), 8, "there is no step 'c'"),
    (step("type: approval, after: [b], with: {message: m}"), 8, "waits for itself"),
    (step("type: approval, after: [a, a], with: {message: m}"), 8, "stands twice"),
    (step("type: approval, with: {message: m, on_reject: maybe}"), 8, "on_reject"),
    (step("type: approval, with: {message: '{{ inputs.fil }}'}"), 8, "did you mean 'file'"),
    (step("type: approval, with: {message: '{{ input.file }}'}"), 8, "did you mean 'inputs'"),
    (step("type: approval, with: {message: '{{ steps.a.output }}'}"), 8, "may not have ended before 'b'"),
    (step("type: approval, with: {message: '{{ steps.aa.output }}'}"), 8, "there is no step 'aa'"),
    (step("type: approval, with: {message: \"{{ steps['zz'].output }}\"}"), 8, "there is no step 'zz'"),
    (step("type: approval, with: {message: '{{ run.nme }}'}"), 8, "a run has no 'nme'"),
    (step("type: approval, with: {message: '{{ inputs.n | nofilter }}'}"), 8, "No filter named"),
    (step("type: approval, with: {message: '{{ inputs.n '}"), 8, "unexpected"),
    (step("type: approval, when: 'inputs.n ==', with: {message: m}"), 8, "when"),
    (step("type: approval, when: '{{ inputs.n }}', with: {message: m}"), 8, "without braces"),
    (step("type: python, with: {function: 'os:system', command: ls}"), 8, "is no function that a step may name"),
    (step("type: python, with: {function: 'builtins:eval', x: 1}"), 8, "is no function that a step may name"),
    (step("type: python, with: {function: '../x:y'}"), 8, "is no function that a step may name"),
    (step("type: python, with: {function: 'hishamos.library.functions._private:x'}"), 8, "no library function"),
    (step("type: python, with: {function: 'hishamos.library.functions.nosuch:x'}"), 8, "no function named"),
    (step("type: python, with: {function: 'hishamos.library.functions.bugs:read_reprots', file: x}"), 8, "did you mean 'read_reports'"),
    (step("type: python, with: {function: 'hishamos.library.functions.bugs:Path', file: x}"), 8, "no function named"),
    (step("type: python, with: {function: 'hishamos.library.functions.bugs:read_reports', fiel: x}"), 8, "did you mean 'file'"),
    (step("type: map, with: {over: [1], step: {type: approval, with: {message: '{{ itme }}'}}}"), 8, "did you mean 'item'"),
    (step("type: map, with: {over: [1], concurrency: 0, step: {type: approval, with: {message: m}}}"), 8, "concurrency"),
    (step("type: map, with: {over: 5, step: {type: approval, with: {message: m}}}"), 8, "over"),
    (step("type: map, with: {over: [1], step: {id: z, type: approval, with: {message: m}}}"), 8, "neither id nor after"),
    (step("type: map, with: {over: [1], step: {type: nope}}"), 8, "there is no step type 'nope'"),
    (step("type: map, with: {over: [1]}"), 8, "'step' is missing"),
    (step("type: switch, with: {on: 1, cases: {}}"), 8, "cases"),
    (step("type: switch, with: {on: 1, cases: {'1': {type: approval, with: {mesage: m}}}}"), 8, "takes no 'mesage'"),
    (step("type: switch, with: {on: 1, cases: {'1': {type: approval, with: {message: m}}}, default: {type: rows}}"), 8, "no step type 'rows'"),
    (HEAD + STEP_A + STEP_A, 8, "used twice"),
    (HEAD + "  - {type: approval, with: {message: m}}\n", 7, "'id' is missing"),
    (
        HEAD + "  - {id: a, type: approval, after: [b], with: {message: m}}\n  - {id: b, type: approval, after: [a], with: {message: m}}\n",
        7,
        "wait for each other",
    ),
    (HEAD + STEP_A + "outputs:\n  o: '{{ steps.zz.output }}'\n", 9, "there is no step 'zz'"),
    (HEAD + "  - {id: a, typ: approval}\n", 7, "did you mean 'type'"),
    (HEAD + "  - {id: a}\n", 7, "'type' is missing"),
    (HEAD + "  - {id: 5a, type: approval}\n", 7, "id"),
    (HEAD + "  - {id: a, type: approval, retry: {attempts: 0}, with: {message: m}}\n", 7, "attempts"),
    (step("type: command, with: {command: echo, inputs: {text: x}}, compensate: {type: comand}"), 8, "did you mean 'command'"),
    (step("type: command, with: {command: echo, inputs: {text: x}}, compensate: {type: approval, with: {message: m}}"), 8, "compensates nothing"),
    (step("type: command, with: {command: echo, inputs: {text: x}}, compensate: {id: z, type: command}"), 8, "a compensation has no 'id'"),
    (
        step(
            "type: command, with: {command: echo, inputs: {text: x}}, compensate: {type: command, with: {command: echo, inputs: {text: '{{ steps.a.output }}'}}}"
        ),
        8,
        "may not have ended before",
    ),
    (step("type: map, with: {over: [1], step: {type: approval, with: {message: m}, compensate: {type: command}}}"), 8, "not compensated by itself"),
    (step("type: approval, on_error: contniue, with: {message: m}"), 8, "did you mean 'continue'"),
    (step("type: approval, after: [a], on_error: {goto: aa, at_most: 2}, with: {message: m}"), 8, "there is no step 'aa'"),
    (step("type: approval, after: [a], on_error: {goto: a}, with: {message: m}"), 8, "has no bound"),
    (step("type: approval, after: [a], on_error: {goto: a, at_most: 0}, with: {message: m}"), 8, "at_most"),
    (step("type: approval, after: [a], on_error: {goto: a, atmost: 2}, with: {message: m}"), 8, "did you mean 'at_most'"),
    (step("type: approval, on_error: {goto: b, at_most: 2}, with: {message: m}"), 8, "can't go to itself"),
    (step("type: approval, on_error: {goto: a, at_most: 2}, with: {message: m}"), 8, "neither before nor after"),
    (step("type: map, after: [a], on_error: {goto: a, at_most: 2}, with: {over: [1], step: {type: approval, with: {message: m}}}"), 8, "would run 'b' again"),
    (step("type: map, with: {over: [1], step: {type: approval, on_error: {goto: a, at_most: 1}, with: {message: m}}}"), 8, "goes nowhere else"),
    (step("type: approval, retry: {attempts: 2, on: [StepTimdOut]}, with: {message: m}"), 8, "did you mean 'StepTimedOut'"),
    (step("type: approval, retry: {attempts: 2, on: [OSErorr]}, with: {message: m}"), 8, "did you mean 'OSError'"),
    (step("type: approval, retry: {attempts: 2, backoff_s: 5, max_s: 1}, with: {message: m}"), 8, "shorter than the first"),
    (step("type: approval, retry: {attempts: 2, bakoff_s: 5}, with: {message: m}"), 8, "did you mean 'backoff_s'"),
    (HEAD + "  - {id: a, type: approval, timeout: 5, with: {message: m}}\n", 7, "has no time limit"),
    (HEAD + "  - {id: a, type: approval, timeout: -1, with: {message: m}}\n", 7, "timeout"),
    (HEAD.replace("integer", "integr") + STEP_A, 5, "type"),
    (HEAD.replace("default: 3", "default: three") + STEP_A, 5, "no whole number"),
    (HEAD.replace("n: {type: integer, default: 3}", "n-n: {type: integer, default: 3}") + STEP_A, 5, "can't be named"),
    (HEAD.replace("n: {type: integer, default: 3}", "n: {type: choice}") + STEP_A, 5, "no choices"),
    (HEAD.replace("description: A test.\n", "") + STEP_A, 1, "'description' is missing"),
    (HEAD.replace("name: w", "name: w w") + STEP_A, 1, "name"),
    (HEAD.replace("name: w\n", "name: w\nnmae: x\n") + STEP_A, 2, "did you mean 'name'"),
    ("name: w\ndescription: d\nsteps: []\n", 3, "at least one step"),
    (HEAD + STEP_A + "steps: []\n", 8, "stands here twice"),
    (HEAD + "  - {id: a\n", 8, "not valid YAML"),
    ("", 1, "empty"),
    ("- a\n", 1, "a mapping"),
    ("name: !!python/object/apply:os.system [ls]\n", 1, "not valid YAML"),
]


@pytest.mark.parametrize(("text", "line", "words"), MISTAKES, ids=[f"{number}-{words[:30]}" for number, (_, _, words) in enumerate(MISTAKES)])
def test_a_mistake_is_refused_with_its_line(catalog, text, line, words):
    with pytest.raises(InvalidDefinition) as caught:
        checked(catalog, text, "flow.yaml")
    assert words in str(caught.value)
    assert f"(flow.yaml:{line}" in str(caught.value)


def test_there_are_more_than_30_distinct_mistakes():
    assert len({words for _, _, words in MISTAKES}) >= 30


def test_what_is_right_passes(catalog):
    text = HEAD + STEP_A
    text += "  - {id: b, type: map, after: [a], with: {over: '{{ range(inputs.n) }}', as: row, step: {type: switch, with: {on: '{{ row }}', cases: {'1': {type: command, with: {command: echo, inputs: {text: '{{ row_index }}'}}}}}}}}\n"
    text += "  - {id: c, type: approval, after: [b], when: \"steps.a.state == 'succeeded'\", with: {message: '{{ steps.b.output }} {{ run.id }}'}}\n"
    workflow = checked(catalog, text + "outputs:\n  o: ['{{ steps.b.output }}']\n", "flow.yaml")
    pinned = catalog.pin(workflow)
    assert set(pinned.commands) == {"echo"}
    assert workflow.inputs["n"].default == 3


def test_only_true_and_false_are_booleans(catalog):
    text = (
        "name: w\ndescription: d\ninputs:\n  a: {type: choice, choices: [yes, no, on, off], default: no}\n  b: {type: boolean, default: true}\n  c: {default: 012}\n  d: {default: 1_000}\n  e: {default: ~}\n  f: {type: number, default: 1e3}\n  g: {default: 2026-11-23}\n  h: {default: 1:30}\nsteps:\n"
        + STEP_A
    )
    inputs = checked(catalog, text, "w.yaml").inputs
    assert inputs["a"].choices == ("yes", "no", "on", "off")
    assert inputs["a"].default == "no"
    assert inputs["b"].default is True
    assert [inputs[name].default for name in "cdefgh"] == [12, "1_000", None, 1000.0, "2026-11-23", "1:30"]


COMMANDS = [
    ("name: c\ndescription: d\ntemplate: '{{ txt }}'\nparameters: {text: {}}\n", "did you mean 'text'"),
    ("name: c\ndescription: d\ntemplate: '{{ text '\nparameters: {text: {}}\n", "unexpected"),
    ("name: c\ndescription: d\ntemplate: x\nagent: nobody\n", "no agent named 'nobody'"),
    ("name: c\ndescription: d\ntemplate: x\noutput: {type: 5}\n", "no JSON Schema"),
    (
        "name: c\ndescription: d\ntemplate: x\noutput: {type: integer, minimum: 5, maximum: 3}\n",
        "no answer can satisfy the schema: $: minimum 5 excludes maximum 3",
    ),
    ("name: c\ndescription: d\ntemplate: x\noutput: {$ref: 'http://127.0.0.1/x'}\n", "which is not in it"),
    ("name: c\ndescription: d\ntemplate: x\nmax_output_tokens: -5\n", "max_output_tokens"),
    ("name: c\ndescription: d\ntemplate: x\nrepairs: -1\n", "repairs"),
    ("name: c\ndescription: d\ntemplate: x\noutput: {enum: '{{ y }}'}\n", "'y' is no parameter"),
    ("name: c\ndescription: d\ntemplate: x\nparameters: {text: {}}\nexamples: [{inputs: {txt: x}}]\n", "did you mean 'text'"),
    ("name: c\ndescription: d\ntemplate: x\ncache: sometimes\n", "cache"),
    ("name: c\ndescription: d\ntemplate: x\nrepairs: 9\n", "repairs"),
    ("name: c\ndescription: d\n", "'template' is missing"),
]


@pytest.mark.parametrize(("text", "words"), COMMANDS)
def test_commands_are_checked_and_break_no_other(catalog, tmp_path, text, words):
    (tmp_path / "commands" / "broken.yaml").write_text(text)
    with pytest.raises(InvalidDefinition, match="commands/broken.yaml") as caught:
        catalog.command("c")
    assert words in str(caught.value)
    assert [command.name for command in catalog.commands()][:1] == ["echo"]
    assert [str(problem) for problem in catalog.problems()] == [str(caught.value)]


@pytest.mark.parametrize(
    ("tools", "told"),
    [
        ("[ekho]", r"no tool named 'ekho'; did you mean 'echo'.*agents/busy.yaml:4, tools\[0\]"),
        ("[echo, 'command:echo']", "two tools are named 'echo'"),
        ("['agent:echo']", "no agent named 'echo'"),
        ("[busy]", "give each other tasks: busy → busy"),
        ("[asker]", "give each other tasks: asker → busy → asker"),
        ("['hishamos.library.functions.bugs:read_reports']", "is not meant for models.*@hishamos.tool"),
        ("['os:system']", "is no library function"),
        ("[note]", "is not meant for models"),
        ("[nothing]", "There is no tool named 'nothing'"),
        ("[untyped]", "its parameter 'value' has no type"),
        ("[undescribed]", "has no docstring"),
        ("[reader]", "takes a file .*which no model may choose"),
    ],
)
def test_an_agents_tools_are_resolved_when_it_is_loaded(catalog, tmp_path, tools, told):
    (tmp_path / "agents" / "asker.yaml").write_text(HELPER.replace("helper", "asker") + "tools: [busy]\n")
    (tmp_path / "agents" / "busy.yaml").write_text(HELPER.replace("helper", "busy") + f"tools: {tools}\n")
    (tmp_path / "commands" / "reader.yaml").write_text("name: reader\ndescription: d\ntemplate: '{{ file }}'\nparameters: {file: {type: file}}\n")
    with pytest.raises(InvalidDefinition, match=told):
        catalog.agent("busy")


def test_a_name_that_two_kinds_have_needs_its_kind(catalog, tmp_path):
    (tmp_path / "agents" / "echo.yaml").write_text(HELPER.replace("helper", "echo"))
    (tmp_path / "agents" / "busy.yaml").write_text(HELPER.replace("helper", "busy") + "tools: [echo]\n")
    with pytest.raises(InvalidDefinition, match="more than one thing: command, agent.*Write command:echo or agent:echo"):
        catalog.agent("busy")
    (tmp_path / "agents" / "busy.yaml").write_text(HELPER.replace("helper", "busy") + "tools: ['agent:echo', add]\n")
    assert [ability.tool.name for ability in abilities(catalog.agent("busy"), catalog).values()] == ["echo", "add"]


def test_a_run_keeps_what_its_agents_tools_name(catalog, tmp_path):
    (tmp_path / "agents" / "boss.yaml").write_text(HELPER.replace("helper", "boss") + "tools: [busy]\n")
    (tmp_path / "agents" / "busy.yaml").write_text(HELPER.replace("helper", "busy") + "tools: [echo, classify_bug, add]\n")
    workflow = checked(catalog, "name: w\ndescription: d\nsteps: [{id: a, type: agent, with: {agent: boss, task: x}}]\n", "w.yaml")
    kept = catalog.pin(workflow)
    assert (set(kept.commands), set(kept.agents)) == ({"echo", "classify_bug"}, {"boss", "busy", "bug-triage"})


def test_an_agents_output_is_a_schema_and_its_name_is_known(catalog, tmp_path):
    (tmp_path / "agents" / "busy.yaml").write_text(HELPER.replace("helper", "busy") + "output: {type: 5}\n")
    with pytest.raises(InvalidDefinition, match="JSON Schema"):
        catalog.agent("busy")
    with pytest.raises(UnknownName, match="did you mean 'helper'"):
        catalog.agent("helpr")


def test_files_that_change_are_read_again(catalog, tmp_path):
    before = catalog.command("echo").version
    path = tmp_path / "commands" / "echo.yaml"
    path.write_text(ECHO.replace("Says it.", "Says it again."))
    assert catalog.command("echo").version != before
    path.write_text(ECHO.replace("template: '{{ text }}'", "template: '{{ txet }}'"))
    with pytest.raises(InvalidDefinition):
        catalog.command("echo")
    path.unlink()
    with pytest.raises(UnknownName):
        catalog.command("echo")


def test_the_workspaces_own_win_and_names_are_unique(catalog, tmp_path):
    shipped = catalog.command("classify_bug")
    (tmp_path / "commands" / "mine.yaml").write_text(ECHO.replace("name: echo", "name: classify_bug"))
    assert catalog.command("classify_bug").version != shipped.version
    assert catalog.command("classify_bug").source == "commands/mine.yaml"
    (tmp_path / "commands" / "twin.yaml").write_text(ECHO)
    with pytest.raises(InvalidDefinition, match="also used by"):
        catalog.command("echo")


def test_files_that_are_no_text_are_told(catalog, tmp_path):
    (tmp_path / "commands" / "latin.yaml").write_bytes("name: latin\ndescription: caf\xe9\n".encode("latin-1"))
    with pytest.raises(InvalidDefinition, match="UTF-8"):
        catalog.command("latin")
    (tmp_path / "commands" / "latin.yaml").write_text("name: latin\n" + "x" * 1_000_001)
    with pytest.raises(InvalidDefinition, match="longer than"):
        catalog.command("latin")
    (tmp_path / "commands" / "latin.yaml").write_text("name: latin\nx: " + "[" * 200 + "]" * 200 + "\n")
    with pytest.raises(InvalidDefinition, match="too deeply"):
        catalog.command("latin")


def test_the_library_is_whole(tmp_path):
    catalog = Catalog(tmp_path)
    assert catalog.problems() == []
    assert "triage_bugs" in [workflow.name for workflow in catalog.workflows()]
    assert "bug-triage" in [agent.name for agent in catalog.agents()]
