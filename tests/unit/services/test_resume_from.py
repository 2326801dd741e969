"""A run goes on from a step of its own: that step and what comes after it are done again, what stands before is not."""

from __future__ import annotations

import pytest

from hishamos.composition import open_in_process
from hishamos.errors import InvalidInput, UnknownName, WrongState

OFFLINE = "offline/extractive"
ECHO = "name: say\ndescription: Says it.\ntemplate: 'Say {{ text }}.'\nparameters: {text: {type: text}}\n"
FLOW = """name: flow
description: d
steps:
  - {id: a, type: command, with: {command: say, inputs: {text: a}}}
  - {id: b, type: command, after: [a], with: {command: say, inputs: {text: "{{ steps.a.output }}"}}}
  - {id: side, type: command, with: {command: say, inputs: {text: side}}}
  - {id: ok, type: approval, after: [b], with: {message: "Good: {{ steps.b.output }}"}}
  - {id: end, type: command, after: [ok, side], with: {command: say, inputs: {text: end}}}
"""
WITH_MAP = FLOW.replace("name: flow", "name: mapped") + "  - {id: m, type: map, after: [a], with: {over: [1], step: {type: wait, with: {seconds: 0}}}}\n"
UNDONE = (
    FLOW.replace("name: flow", "name: undone")
    .replace("inputs: {text: a}}}", "inputs: {text: a}}, compensate: {type: command, with: {command: say, inputs: {text: back}}}}")
    .replace("message: ", "on_reject: fail, message: ")
)


@pytest.fixture
def ws(tmp_path):
    with open_in_process(tmp_path) as workspace:
        workspace.commands.save(ECHO)
        for text in (FLOW, WITH_MAP, UNDONE):
            workspace.workflows.save(text)
        yield workspace


def rejected(ws, name="flow"):
    run = ws.workflows.start(name, model=OFFLINE).wait(30)
    ws.runs.approve(run.id, "ok", decision="reject", comment="not like this")
    return ws.runs.wait(run.id, timeout_s=30)


def test_a_step_and_what_follows_are_done_again(ws):
    run = rejected(ws)
    assert (run.state, run.error.message.count("not like this")) == ("failed", 1)
    paid = [call.step_id for call in ws.runs.calls(run.id)]
    ws.runs.resume(run.id, from_step="b")
    waiting = ws.runs.wait(run.id, timeout_s=30)
    assert (waiting.state, waiting.error) == ("waiting", None)
    steps = {step.path: step for step in ws.runs.steps(run.id)}
    assert {path: step.attempt for path, step in steps.items()} == {"a": 1, "b": 2, "side": 1, "ok": 2}
    assert [call.step_id for call in ws.runs.calls(run.id)] == [*paid, "b"]
    ws.runs.approve(run.id, "ok", comment="yes")
    done = ws.runs.wait(run.id, timeout_s=30)
    assert done.state == "succeeded"
    assert sorted(call.step_id for call in ws.runs.calls(run.id)) == sorted([*paid, "b", "end"])
    assert (done.steps_done, done.steps_total) == (5, 5)
    told = [event.message for event in ws.runs.events(run.id) if event.kind == "note" and event.state == "again"]
    assert told == ["done again, and after it: ok, end"]


def test_a_paused_run_that_waited_asks_anew(ws):
    run = ws.workflows.start("flow", model=OFFLINE).wait(30)
    ws.runs.pause(run.id)
    ws.runs.resume(run.id, from_step="ok")
    waiting = ws.runs.wait(run.id, timeout_s=30)
    assert waiting.state == "waiting"
    assert {step.path: step.attempt for step in ws.runs.steps(run.id)} == {"a": 1, "b": 1, "side": 1, "ok": 2}
    ws.runs.approve(run.id, "ok")
    assert ws.runs.wait(run.id, timeout_s=30).state == "succeeded"


def test_what_can_not_be_done_again_here_is_refused_with_the_remedy(ws):
    run = rejected(ws, "mapped")
    with pytest.raises(InvalidInput, match=f"would do 'm' again, a map.*hishamos fork {run.id} --from a"):
        ws.runs.resume(run.id, from_step="a")
    with pytest.raises(UnknownName, match="did you mean 'end'"):
        ws.runs.resume(run.id, from_step="edn")
    ws.runs.resume(run.id, from_step="b")
    assert ws.runs.wait(run.id, timeout_s=30).state == "waiting"
    with pytest.raises(WrongState):
        ws.runs.resume(run.id, from_step="b")
    undone = rejected(ws, "undone")
    assert undone.state == "failed"
    with pytest.raises(WrongState, match="was compensated"):
        ws.runs.resume(undone.id, from_step="b")
    done = ws.workflows.start("flow", model=OFFLINE).wait(30)
    ws.runs.approve(done.id, "ok")
    ws.runs.wait(done.id, timeout_s=30)
    with pytest.raises(WrongState):
        ws.runs.resume(done.id, from_step="b")
