"""A fork goes on from a step of an old run: what stands before is neither done nor paid again, or it says why that can't be."""

from __future__ import annotations

import pytest

from hishamos.composition import open_in_process
from hishamos.errors import InvalidInput, UnknownName
from hishamos.records.runs import RunState

OFFLINE = "offline/extractive"
GREET = "name: greet\ndescription: Greets.\ntemplate: 'Say hello to {{ name }}.'\nparameters:\n  name: {type: text}\n"
FLOW = """name: flow
description: Three calls, one beside them.
inputs:
  name: {type: text}
  end: {type: text, default: bye}
steps:
  - {id: a, type: command, with: {command: greet, inputs: {name: "{{ inputs.name }}"}}}
  - {id: side, type: command, with: {command: greet, inputs: {name: side}}}
  - {id: many, type: map, after: [a], with: {over: [1, 2], step: {type: command, with: {command: greet, inputs: {name: "{{ item }}"}}}}}
  - {id: c, type: command, after: [many], with: {command: greet, inputs: {name: "{{ inputs.end }} {{ steps.a.output }}"}}}
outputs: {said: "{{ steps.c.output }}", many: "{{ steps.many.output }}"}
"""


@pytest.fixture
def ws(tmp_path):
    for folder, name, text in (("commands", "greet", GREET), ("workflows", "flow", FLOW)):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / f"{name}.yaml").write_text(text)
    with open_in_process(tmp_path) as workspace:
        yield workspace


@pytest.fixture
def old(ws):
    run = ws.workflows.start("flow", {"name": "Amal"}, model=OFFLINE).wait(20)
    assert run.state is RunState.SUCCEEDED
    return run


def edit(ws, name, text):
    from pathlib import Path

    (Path(ws.root) / name).write_text(text)


def called(ws, run):
    return sorted(call.step_id for call in ws.runs.calls(run.id))


def test_a_step_is_done_again_and_the_earlier_ones_are_not_paid_again(ws, old):
    before = len(ws.ledger.calls())
    run = ws.runs.fork(old.id, "c").wait(20)
    assert (run.state, run.id != old.id, run.outputs) == (RunState.SUCCEEDED, True, old.outputs)
    assert called(ws, run) == ["c"]
    assert len(ws.ledger.calls()) == before + 1
    steps = {step.path: step for step in ws.runs.steps(run.id)}
    assert {path: (step.reused, step.calls) for path, step in steps.items()} == {"a": (True, 0), "side": (True, 0), "many": (True, 0), "c": (False, 1)}
    assert steps["a"].output == {step.path: step for step in ws.runs.steps(old.id)}["a"].output
    assert f"forked from run {old.id} at step c" in [event.message for event in ws.runs.events(run.id)]
    assert ws.runs.get(old.id).model_dump() == old.model_dump(), "the old run stays as it was"


def test_all_that_comes_after_the_step_is_done_again(ws, old):
    run = ws.runs.fork(old.id, "a").wait(20)
    assert called(ws, run) == ["a", "c", "many[0]", "many[1]"]
    again = ws.runs.fork(run.id, "c").wait(20)
    assert called(ws, again) == ["c"], "a fork is forked like any run"


def test_inputs_and_model_may_be_others_where_nothing_earlier_was_made_from_them(ws, old):
    run = ws.runs.fork(old.id, "c", {"inputs": {"end": "farewell"}}).wait(20)
    assert (run.state, run.inputs) == (RunState.SUCCEEDED, {"name": "Amal", "end": "farewell"})
    assert called(ws, run) == ["c"]
    with pytest.raises(InvalidInput, match="a was made from the input 'name'"):
        ws.runs.fork(old.id, "c", {"inputs": {"name": "Sara"}})
    assert called(ws, ws.runs.fork(old.id, "a", {"inputs": {"name": "Sara"}}).wait(20)) == ["a", "c", "many[0]", "many[1]"]
    assert len(ws.runs.list()) == 3, "what is refused starts nothing"


def test_the_definition_is_the_old_runs_unless_the_current_one_is_asked_for(ws, old):
    edit(ws, "workflows/flow.yaml", FLOW.replace("{{ inputs.end }}", "corrected"))
    assert ws.runs.fork(old.id, "c").wait(20).version == old.version
    run = ws.runs.fork(old.id, "c", {"definition": "current"}).wait(20)
    assert (run.state, run.version) == (RunState.SUCCEEDED, ws.workflows.get("flow").version)
    assert called(ws, run) == ["c"]
    assert next(step for step in ws.runs.steps(run.id) if step.path == "c").inputs["inputs"]["name"].startswith("corrected")


@pytest.mark.parametrize(
    ("file", "text", "words"),
    [
        ("workflows/flow.yaml", FLOW.replace("over: [1, 2]", "over: [1]"), r"many was changed \(with\)"),
        ("workflows/flow.yaml", FLOW.replace("id: many, type: map, after: [a]", "id: many, type: map, after: [a, side]"), r"many was changed \(after\)"),
        ("workflows/flow.yaml", FLOW.replace("id: a,", "id: aa,").replace("after: [a]", "after: [aa]").replace("steps.a.", "steps.aa."), "aa is new"),
        ("commands/greet.yaml", GREET.replace("hello", "good day"), "a uses the command greet, which was changed"),
    ],
)
def test_what_does_not_fit_a_changed_definition_is_refused_with_reasons(ws, old, file, text, words):
    edit(ws, file, text)
    with pytest.raises(InvalidInput, match=words):
        ws.runs.fork(old.id, "c", {"definition": "current"})


def test_what_stands_beside_is_done_again_where_it_changed(ws, old):
    edit(ws, "workflows/flow.yaml", FLOW.replace("name: side", "name: other"))
    run = ws.runs.fork(old.id, "c", {"definition": "current"}).wait(20)
    assert called(ws, run) == ["c", "side"]


def test_wrong_names_are_refused_with_the_nearest(ws, old):
    with pytest.raises(UnknownName, match="did you mean 'many'"):
        ws.runs.fork(old.id, "manny")
    with pytest.raises(InvalidInput, match="did you mean 'inputs'"):
        ws.runs.fork(old.id, "c", {"input": {}})
    with pytest.raises(InvalidInput, match="unknown parameter 'nme'"):
        ws.runs.fork(old.id, "c", {"inputs": {"nme": "x"}})
    with pytest.raises(InvalidInput, match="no definition to take"):
        ws.runs.fork(old.id, "c", {"definition": "newest"})


def test_a_step_that_has_not_ended_or_was_compensated_is_no_ground(ws):
    failing = FLOW.replace(
        '{id: c, type: command, after: [many], with: {command: greet, inputs: {name: "{{ inputs.end }} {{ steps.a.output }}"}}}',
        "{id: c, type: approval, after: [many], with: {message: m}}\n  - {id: d, type: command, after: [c], with: {command: greet, inputs: {name: d}}}",
    )
    undone = failing.replace('{{ inputs.name }}"}}', '{{ inputs.name }}"}}, compensate: {type: command, with: {command: greet, inputs: {name: undo}}}')
    edit(ws, "workflows/flow.yaml", failing)
    run = ws.workflows.start("flow", {"name": "Amal"}, model=OFFLINE).wait(20)
    with pytest.raises(InvalidInput, match="c is waiting"):
        ws.runs.fork(run.id, "d")
    edit(ws, "workflows/flow.yaml", undone)
    run = ws.workflows.start("flow", {"name": "Amal"}, model=OFFLINE).wait(20)
    run = ws.runs.cancel(run.id)
    run = ws.runs.get(run.id) if run.ended else next(one for one in iter(lambda: ws.runs.get(run.id), None) if one.ended)
    assert (run.state, run.error.facts["compensated"]) == (RunState.CANCELLED, ["a"])
    assert "a/compensate" in called(ws, run)
    with pytest.raises(InvalidInput, match="what a did was compensated"):
        ws.runs.fork(run.id, "c")


def test_the_limit_on_the_old_run_holds_for_the_fork_unless_another_is_given(ws):
    old = ws.workflows.start("flow", {"name": "Amal"}, model=OFFLINE, budget_usd="0.50").wait(20)
    assert ws.runs.fork(old.id, "c").budget_nanos == old.budget_nanos == 500_000_000
    assert ws.runs.fork(old.id, "c", {"budget_usd": "2"}).budget_nanos == 2_000_000_000
