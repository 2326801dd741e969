"""Commands, agents, workflows and runs through their services, on a real store with the offline model."""

from __future__ import annotations

import threading
import time
from concurrent.futures import CancelledError

import pytest

from hishamos.composition import open_in_process
from hishamos.errors import InvalidInput, NoProvider, RunHeld, TemplateFailed, UnknownName, WrongState
from hishamos.records.calls import AttemptBegan, CallStatus, Finished, TextPiece, UsageTold
from hishamos.records.runs import RunKind, RunState, StepState
from hishamos.records.turns import Answered, TurnEnded

OFFLINE = "offline/extractive"
GREET = "name: greet\ndescription: Greets.\ncategory: tests\ntags: [hello]\ntemplate: 'Say hello to {{ name }}. {{ note }}'\nparameters: {name: {}, note: {default: Be kind.}}\n"
FLOW = """
name: flow
description: Greets, then asks.
inputs: {name: {type: string}, project: {type: string, default: DEMO}}
steps:
  - {id: hello, type: command, with: {command: greet, inputs: {name: "{{ inputs.name }}"}}}
  - {id: ok, type: approval, after: [hello], with: {message: "Go on with {{ inputs.name }}?"}}
  - {id: rank, type: agent, after: [ok], with: {agent: helper, task: Rank, data: "{{ steps.hello.output }}"}}
outputs: {said: "{{ steps.rank.output }}"}
"""
HELPER = "name: helper\ndescription: Helps.\ncapabilities: [help]\ninstructions: Be brief.\n"


@pytest.fixture(scope="module")
def ws(tmp_path_factory):
    root = tmp_path_factory.mktemp("ws")
    for folder, name, text in (("commands", "greet", GREET), ("workflows", "flow", FLOW), ("agents", "helper", HELPER)):
        (root / folder).mkdir()
        (root / folder / f"{name}.yaml").write_text(text)
    with open_in_process(root) as workspace:
        yield workspace


def test_definitions_are_listed_own_first_and_found(ws):
    names = [command.name for command in ws.commands.list()]
    assert names[0] == "greet"
    assert "classify_bug" in names
    assert [command.name for command in ws.commands.list(category="tests")] == ["greet"]
    assert [command.name for command in ws.commands.list(search="HELLO greets")] == ["greet"]
    assert [agent.name for agent in ws.agents.list(capability="help")] == ["helper"]
    assert ws.agents.get("helper").description == "Helps."
    assert ws.workflows.get("flow").name == "flow"
    assert ws.workflows.list()[0].name == "flow"
    for get, name in ((ws.commands.get, "gret"), (ws.agents.get, "hleper"), (ws.workflows.get, "flwo")):
        with pytest.raises(UnknownName, match="did you mean"):
            get(name)
    assert ws.workflows.check(FLOW).name == "flow"


def test_preview_sends_nothing(ws):
    before = len(ws.ledger.calls())
    assert ws.commands.preview("greet", {"name": "Amal"}) == "Say hello to Amal. Be kind."
    assert len(ws.ledger.calls()) == before
    with pytest.raises(InvalidInput, match="'name' is missing"):
        ws.commands.preview("greet", {})


def test_a_command_runs_once_for_its_key(ws):
    first = ws.commands.run("greet", {"name": "Amal"}, model=OFFLINE, key="k1")
    again = ws.commands.run("greet", {"name": "Amal"}, model=OFFLINE, key="k1")
    assert (first.reused, again.reused) == (False, True)
    assert first.output == again.output == first.text
    assert first.command.startswith("greet@")
    assert first.offline
    assert first.cost_nanos == 0
    other = ws.commands.run("greet", {"name": "Amal"}, model=OFFLINE)
    assert not other.reused
    assert other.call_ids != first.call_ids


def test_what_can_be_known_before_is_raised_at_once(ws):
    before = ws.runs.list()
    with pytest.raises(NoProvider, match="offline"):
        ws.commands.run("greet", {"name": "Amal"})
    with pytest.raises(NoProvider):
        ws.workflows.start("flow", {"name": "Amal"})
    with pytest.raises(NoProvider):
        ws.commands.start_map("greet", [{"name": "Amal"}])
    with pytest.raises(UnknownName):
        ws.commands.run("greet", {"name": "Amal"}, model="ofline/extractive")
    with pytest.raises(InvalidInput, match="did you mean 'name'"):
        ws.workflows.start("flow", {"nmae": "x"}, model=OFFLINE)
    with pytest.raises(InvalidInput, match="amount of money"):
        ws.workflows.start("flow", {"name": "x"}, model=OFFLINE, budget_usd="two")
    with pytest.raises(InvalidInput, match="concurrency"):
        ws.commands.start_map("greet", [], model=OFFLINE, concurrency=0)
    assert ws.runs.list() == before


def test_an_agent_answers_and_streams(ws):
    answer = ws.agents.ask("helper", "The app crashes. What is broken?", data={"text": "{{ x }}"}, model=OFFLINE)
    assert answer.agent == "helper"
    assert answer.text
    events = list(ws.agents.stream("helper", "The app crashes. What is broken?", model=OFFLINE))
    assert [type(event) for event in events] == [AttemptBegan, TextPiece, UsageTold, TurnEnded, Answered, Finished]
    assert events[-2].result.output == events[1].text
    assert (events[1].text, events[2].usage.source) == ("The app crashes.\nWhat is broken?", "estimated")
    assert events[-1] == Finished(status=CallStatus.SUCCEEDED, model=OFFLINE, cost_nanos=0)


def test_a_run_from_start_to_end(ws):
    run = ws.workflows.start("flow", {"name": "Amal"}, model=OFFLINE)
    assert run.state in {RunState.QUEUED, RunState.RUNNING}
    assert run.project == "DEMO"
    run = run.wait(20)
    assert run.state is RunState.WAITING
    assert [one.message for one in ws.runs.approvals() if one.run_id == run.id] == ["Go on with Amal?"]
    with pytest.raises(WrongState):
        ws.runs.resume(run.id)
    assert [event.state for event in ws.runs.follow(run.id)][-1] == "waiting"
    ws.runs.approve(run.id[:6].lower(), "ok", comment="yes")
    run = ws.runs.wait(run.id, timeout_s=20)
    assert run.state is RunState.SUCCEEDED
    assert run.outputs["said"]
    steps = {step.path: step for step in ws.runs.steps(run.id)}
    assert [steps[name].state for name in ("hello", "ok", "rank")] == [StepState.SUCCEEDED] * 3
    assert steps["hello"].calls == 1
    assert steps["ok"].output == {"decision": "approve", "comment": "yes", "by": "owner"}
    calls = ws.runs.calls(run.id)
    assert [call.step_id for call in calls] == ["hello", "rank"]
    assert ws.runs.cost(run.id) == run.cost_nanos == sum(call.cost_nanos for call in calls) == 0
    assert (run.calls, run.attempts, run.offline) == (2, 2, True)
    assert ws.runs.get(run.id).model_dump() == run.model_dump()
    assert run.id in [one.id for one in ws.runs.list(state=RunState.SUCCEEDED, kind=RunKind.WORKFLOW, name="flow")]
    with pytest.raises(WrongState):
        ws.runs.pause(run.id)
    with pytest.raises(UnknownName):
        ws.runs.get("")


def test_editing_a_workflow_does_not_change_a_run(ws):
    from pathlib import Path

    path = Path(ws.root) / "workflows" / "flow.yaml"
    run = ws.workflows.start("flow", {"name": "Amal"}, model=OFFLINE).wait(20)
    path.write_text(FLOW.replace("id: rank", "id: other").replace("steps.rank", "steps.other"))
    try:
        ws.runs.approve(run.id, "ok")
        run = ws.runs.wait(run.id, timeout_s=20)
        assert run.state is RunState.SUCCEEDED
        assert [step.path for step in ws.runs.steps(run.id)] == ["hello", "ok", "rank"]
        assert ws.workflows.get("flow").version != run.version
    finally:
        path.write_text(FLOW)


def test_wait_with_a_time_limit_returns_the_run_as_it_is(ws):
    run = ws.workflows.start("flow", {"name": "Amal"}, model=OFFLINE).wait(20)
    begun = time.monotonic()
    assert ws.runs.wait(run.id, timeout_s=0.2).state is RunState.WAITING
    assert time.monotonic() - begun < 2
    ws.runs.cancel(run.id)
    assert ws.runs.get(run.id).state is RunState.CANCELLED
    run = ws.runs.resume(run.id)
    with pytest.raises((RunHeld, WrongState)):
        ws.runs.resume(run.id)
    assert ws.runs.wait(run.id, timeout_s=20).state is RunState.WAITING
    ws.runs.approve(run.id, "ok", decision="reject", comment="no")
    run = ws.runs.wait(run.id, timeout_s=20)
    assert run.state is RunState.FAILED
    assert "rejected by owner: no" in run.error.message


def test_many_waiters_hold_no_thread(ws):
    run = ws.workflows.start("flow", {"name": "Amal"}, model=OFFLINE).wait(20)
    ws.runs.approve(run.id, "ok")
    before = threading.active_count()
    futures = [ws.runs.wait_later(run.id, timeout_s=20) for _ in range(64)]
    assert threading.active_count() <= before + 4
    assert {future.result(20).state for future in futures} == {RunState.SUCCEEDED}


def test_cancelling_the_future_of_a_call_lets_it_go(ws):
    future = ws.commands.run_later("greet", {"name": "Amal"}, model=OFFLINE)
    if future.cancel():
        with pytest.raises(CancelledError):
            future.result(5)
    else:
        assert future.result(5).text


def test_a_map_is_a_run_of_its_own(ws):
    rows = [{"name": "a"}, {"name": "b"}, {"name": "a"}, {"nmae": "c"}]
    run = ws.commands.start_map("greet", rows, model=OFFLINE, budget_usd="2").wait(20)
    assert (run.kind, run.name, run.budget_nanos) == (RunKind.MAP, "greet", 2_000_000_000)
    assert [row.status for row in ws.commands.map_rows(run.id)] == ["succeeded", "succeeded", "succeeded", "failed"]
    assert run.calls == 2
    fresh = ws.commands.start_map("greet", rows[:2], model=OFFLINE, fresh=True).wait(20)
    assert fresh.calls == 2
    assert ws.commands.map_rows(run.id, after=1, limit=1)[0].index == 2


def test_a_template_that_fails_says_where(ws):
    from pathlib import Path

    path = Path(ws.root) / "commands" / "bad.yaml"
    path.write_text("name: bad\ndescription: d\ntemplate: '{{ name * 99999999 }}'\nparameters: {name: {}}\n")
    try:
        with pytest.raises(TemplateFailed, match="command bad"):
            ws.commands.run("bad", {"name": "x"}, model=OFFLINE)
        path.write_text("name: bad\ndescription: d\ntemplate: '{{ nmae }}'\nparameters: {name: {}}\n")
        (found,) = [finding for finding in ws.providers.diagnose() if finding.subject.startswith("definition")]
        assert "commands/bad.yaml:3" in found.subject
        assert "did you mean 'name'" in found.found
    finally:
        path.unlink()
