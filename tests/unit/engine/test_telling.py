"""What an agent's work tells while it goes on: every turn once, whose it was, and what it cost so far."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

from hishamos.contracts.journal import Pinned
from hishamos.engine.agent_loop import Task
from hishamos.engine.toolbox import PinnedLibrary
from hishamos.errors import CallFailed
from hishamos.records.calls import CallStatus, Finished, Tags, ToolCalled
from hishamos.records.definitions import AgentDefinition, WorkflowDefinition
from hishamos.records.turns import AgentEvent, ToolEnded, TurnEnded
from tests.rigs import step_functions
from tests.rigs.run_bench import ECHO, Bench
from tests.unit.engine.test_agent_loop import agent, by_turn, call, until

WRITER = AgentDefinition(name="writer", description="Writes.", instructions="Write.", tools=("add",))


def kept(*agents: AgentDefinition) -> Pinned:
    step = {"id": "a", "type": "agent", "with": {"agent": agents[0].name, "task": "count"}}
    workflow = WorkflowDefinition.model_validate({"name": "w", "description": "d", "steps": [step]})
    return Pinned(workflow=workflow, commands={ECHO.name: ECHO}, agents={one.name: one for one in agents})


def give(bench: Bench, tell: Callable[[AgentEvent], None] | None, *agents: AgentDefinition, runner: Any = None, key: str = "k") -> Any:
    runner = runner or bench.process()
    return runner.give(Task(agents[0], "count"), PinnedLibrary(kept(*agents)), key=key, tags=Tags(), workspace=lambda place: None, tell=tell)


def test_every_turn_is_told_once_and_in_order(bench: Bench):
    bench.models.cost_nanos = 5
    bench.models.script = by_turn((call("add", 1, first=2), call("sing", 2)), "one\ntwo")
    told: list[AgentEvent] = []
    assert give(bench, told.append, agent("add")).result(20).output == "one\ntwo"
    assert [event.kind for event in told] == [
        *("attempt", "usage", "turn", "tool", "tool", "tool_result", "tool_result"),
        *("attempt", "text", "text", "usage", "turn", "finish"),
    ]
    assert [event.text for event in told if event.kind == "text"] == ["one\n", "two"]
    turns = [event for event in told if isinstance(event, TurnEnded)]
    assert [(turn.agent, turn.number, turn.tools, turn.cost_nanos) for turn in turns] == [("clerk", 1, 2, 5), ("clerk", 2, 0, 10)]
    asked = [(event.agent, event.call.id, event.call.name) for event in told if isinstance(event, ToolCalled)]
    assert asked == [("clerk", "call_1", "add"), ("clerk", "call_2", "sing")]
    results = {event.name: (event.id, event.failed, event.result) for event in told if isinstance(event, ToolEnded)}
    assert results["add"] == ("call_1", False, '{"result":3}')
    assert results["sing"][:2] == ("call_2", True)
    assert told[-1] == Finished(status=CallStatus.SUCCEEDED, model="fake/model", cost_nanos=10)
    assert bench.models.streamed == bench.models.sent


def test_nobody_who_listens_streams_nothing(bench: Bench):
    assert give(bench, None, agent("add")).result(20).output == "answer to count"
    assert (bench.models.sent, bench.models.streamed) == (["k"], [])


def test_other_agents_are_told_by_their_tools_and_cost_but_not_by_their_words(bench: Bench):
    def script(request: Any, key: str) -> Any:
        if request.messages[0].content.startswith("Write."):
            return "words of the writer" if request.messages[-1].role == "tool" else (call("add", 7, first=1),)
        return by_turn((call("writer", 1, task="count"),), "done")(request, key)

    bench.models.script = script
    bench.models.cost_nanos = 1
    told: list[AgentEvent] = []
    give(bench, told.append, agent("writer"), WRITER).result(20)
    assert [event.text for event in told if event.kind == "text"] == ["done"]
    assert [(event.agent, event.call.name) for event in told if isinstance(event, ToolCalled)] == [("clerk", "writer"), ("writer", "add")]
    assert [(event.agent, event.name) for event in told if isinstance(event, ToolEnded)] == [("writer", "add"), ("clerk", "writer")]
    assert [event.cost_nanos for event in told if event.kind == "usage"] == [1, 1, 1, 1]
    assert [(event.agent, event.cost_nanos) for event in told if isinstance(event, TurnEnded)] == [("clerk", 1), ("writer", 1), ("writer", 2), ("clerk", 4)]


def test_a_failure_ends_the_telling_with_how_it_failed(bench: Bench):
    bench.models.script = by_turn((call("add", 1, first=2),), RuntimeError("overloaded"))
    told: list[AgentEvent] = []
    with pytest.raises(CallFailed):
        give(bench, told.append, agent("add")).result(20)
    assert (told[-1].kind, told[-1].status) == ("finish", CallStatus.FAILED)


def test_who_comes_second_under_a_key_is_told_all_and_no_tool_runs_twice(bench: Bench):
    bench.models.script = by_turn((call("hang", 1),), "done")
    runner = bench.process()
    first: list[AgentEvent] = []
    second: list[AgentEvent] = []
    one = give(bench, first.append, agent("hang"), runner=runner)
    until(lambda: "hang" in step_functions.calls)
    two = give(bench, second.append, agent("hang"), runner=runner)
    time.sleep(0.1)  # the second one's tool waits for the first one's; were it run, it would have begun by now
    step_functions.gate.set()
    assert one.result(20).output == two.result(20).output == "done"
    assert step_functions.calls == ["hang"]
    assert [event.kind for event in first] == [event.kind for event in second]
    assert bench.models.sent == ["k", "k/1"]


def test_a_run_followed_live_tells_its_agents_work_and_keeps_none_of_it(bench: Bench):
    bench.models.script = by_turn((call("add", 1, first=2),), "done")
    identity = bench._insert(kept(agent("add")), {})
    live, plain = bench.journal.subscribe(identity, live=True), bench.journal.subscribe(identity)
    bench.work(identity)
    events, settled = list(live), list(plain)
    inside = [event for event in events if event.kind == "live"]
    assert [event.state for event in inside] == ["attempt", "usage", "turn", "tool", "tool_result", "attempt", "text", "usage", "turn"]
    assert (inside[6].path, inside[6].data["text"]) == ("a", "done")
    assert [event for event in events if event.kind != "live"] == settled
    assert [event.seq for event in events] == sorted(event.seq for event in events)
    assert bench.journal.history.events(identity, after=0, limit=1000) == settled
    assert bench.models.streamed == bench.models.sent


def test_a_run_that_nobody_follows_live_streams_nothing(bench: Bench):
    identity = bench._insert(kept(agent("add")), {})
    follower = bench.journal.subscribe(identity)
    bench.work(identity)
    assert [event.kind for event in follower if event.kind == "live"] == []
    assert bench.models.streamed == []
