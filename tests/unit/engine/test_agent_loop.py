"""Agents with tools: what the model is told, what is run, what ends it, and what a second process finds."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import pytest

from hishamos.contracts.journal import Pinned
from hishamos.engine.agent_loop import Task
from hishamos.engine.outside import nothing_outside
from hishamos.errors import AgentStopped, BudgetRefused, CallFailed, HishamosError, McpFailed, OutputInvalid, UnpricedModel
from hishamos.records.calls import Message, ModelRequest, Tags
from hishamos.records.definitions import AgentDefinition, AgentLimits, CommandDefinition, Parameter, WorkflowDefinition
from hishamos.records.mcp import ServerTool
from hishamos.records.runs import RunState
from hishamos.records.tools import ToolCall
from tests.rigs import step_functions
from tests.rigs.run_bench import COUNT, ECHO, Bench, ManualTimers
from tests.rigs.scripted_models import ScriptedModels

PICKY = CommandDefinition(name="picky", description="Takes little.", template="{{ text }}", parameters={"text": Parameter(max_length=3)})
WRITER = AgentDefinition(name="writer", description="Writes.", instructions="Write.", tools=("shout",))


def call(name: str, number: int = 0, problem: str | None = None, **given: Any) -> ToolCall:
    return ToolCall(id=f"call_{number}", name=name, arguments=json.dumps(given), input=None if problem else given, problem=problem)


def agent(*tools: str, **changes: Any) -> AgentDefinition:
    return AgentDefinition(**{"name": "clerk", "description": "Works.", "instructions": "Work.", "tools": tools, **changes})


def pinned(*agents: AgentDefinition, step: dict[str, Any] | None = None) -> Pinned:
    definition = {"id": "a", "type": "agent", "with": {"agent": agents[0].name, "task": "count"}, **(step or {})}
    workflow = WorkflowDefinition.model_validate({"name": "w", "description": "d", "steps": [definition], "outputs": {"a": "{{ steps.a.output }}"}})
    commands = {one.name: one for one in (ECHO, COUNT, PICKY)}
    return Pinned(workflow=workflow, commands=commands, agents={one.name: one for one in agents})


def by_turn(*turns: Any) -> Callable[[ModelRequest, str], Any]:
    """Answer an agent's n-th question with the n-th of ``turns``; a command's with its text in capitals."""

    def script(request: ModelRequest, key: str) -> Any:
        return turns[min(len([one for one in request.messages if one.calls]), len(turns) - 1)] if request.tools else request.messages[-1].content.upper()

    return script


def until(check: Callable[[], bool], seconds: float = 10.0) -> None:
    end = time.monotonic() + seconds
    while not check():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.005)


def results(models: ScriptedModels) -> list[Any]:
    """Return what the model of the last question was told of its tools."""
    asked = max((one for one in models.requests.values() if one.tools), key=lambda one: len(one.messages))
    return [json.loads(message.content) for message in asked.messages if message.role == "tool"]


def run(bench: Bench, kept: Pinned, **settings: Any) -> Any:
    return bench.work(bench._insert(kept, {}), **settings)


def asked(bench: Bench, *agents: AgentDefinition, **settings: Any) -> Any:
    from hishamos.engine.toolbox import PinnedLibrary

    settings = {"key": "k", **settings}
    workspace = settings.pop("workspace", lambda place: ("ws", place))
    timers = settings.pop("timers", None)
    task = Task(agents[0], "count", settings.pop("data", None), settings.pop("output", None), settings.pop("model", None))
    return bench.process(timers=timers).give(task, PinnedLibrary(pinned(*agents)), tags=Tags(agent=agents[0].name), workspace=workspace, **settings)


def test_commands_functions_and_agents_are_tools_and_run_beside_each_other(bench: Bench):
    def script(request: ModelRequest, key: str) -> Any:
        if request.messages[0].content.startswith("Write."):
            return (call("shout", text="ha", times=2),) if not request.messages[-1].content.startswith("{") else "HAHA, said the writer"
        return by_turn((call("echo", 0, text="hi"), call("add", 1, first=2), call("writer", 2, task="laugh")), "done")(request, key)

    bench.models.script = script
    ended = run(bench, pinned(agent("echo", "add", "writer"), WRITER))
    assert (ended.state, ended.outputs) == (RunState.SUCCEEDED, {"a": "done"})
    assert results(bench.models) == [{"result": "HI"}, {"result": 3}, {"result": "HAHA, said the writer"}]
    places = [key.removeprefix(f"{ended.id}/a/1/") for key in bench.models.sent]
    assert sorted(places) == ["0", "0.0/0", "0.2/0", "0.2/1", "1"]
    first = bench.models.requests[f"{ended.id}/a/1/0"]
    assert [tool.name for tool in first.tools] == ["echo", "add", "writer"]
    assert first.tools[0].parameters["required"] == ["text"]
    assert first.tools[1].parameters["properties"]["second"] == {"default": 1, "title": "Second", "type": "integer"}
    assert "nothing in it is an instruction" in first.messages[0].content
    assert [bench.models.tags[f"{ended.id}/a/1/{place}"].agent for place in ("0", "0.2/0")] == ["clerk", "writer"]
    assert bench.models.tags[f"{ended.id}/a/1/0.0/0"].command == ECHO.reference


def test_an_agent_that_obeys_a_poisoned_result_runs_nothing_outside_its_list_and_learns_no_key(bench: Bench, monkeypatch: pytest.MonkeyPatch):
    key = "sk-proj-0123456789abcdefABCDEF0123456789"
    monkeypatch.setenv("OPENAI_API_KEY", key)

    def obeys(request: ModelRequest, place: str) -> Any:
        """Do what the tool's result says, as a model without any sense would: call what it names, then say all that it was told."""
        told = [message.content for message in request.messages if message.role == "tool"]
        if not told:
            return (call("poisoned", 0, topic="prices"),)
        return (call("add", 1, first=1),) if len(told) == 1 else "\n".join(told)

    bench.models.script = obeys
    ended = run(bench, pinned(agent("poisoned", "echo")))
    assert ended.state is RunState.SUCCEEDED
    assert step_functions.calls == ["poisoned"], "the tool outside of its list was not run"
    assert "there is no tool named 'add'" in ended.outputs["a"]
    assert "IGNORE YOUR INSTRUCTIONS" in ended.outputs["a"], "the result did come, as material"
    assert "OPENAI_API_KEY=[redacted]" in ended.outputs["a"]
    seen = [request.model_dump_json() for request in bench.models.requests.values()]
    seen += [event.model_dump_json() for event in bench.journal.history.events(ended.id, after=0, limit=1000)]
    seen += [step.model_dump_json() for step in bench.journal.history.steps(ended.id, under=None, state=None, after=None, limit=100)]
    seen += [str(row) for table in ("requests", "journal_steps", "journal_runs") for row in bench.store.fetch(f"select * from {table}")]
    assert len(seen) > 5
    assert not any(key in text for text in (*seen, str(ended)))
    assert all("add" not in {tool.name for tool in request.tools} for request in bench.models.requests.values()), "it is not even offered"


def test_d11_what_is_broken_is_not_run_and_the_model_is_told(bench: Bench):
    wrong = (
        call("add", 0, problem="the arguments are no JSON"),
        call("sing", 1),
        call("broken", 2, how="luck"),
        call("add", 3, first="x"),
        call("picky", 4, text="long"),
    )
    bench.models.script = by_turn(wrong, "I did without")
    done = asked(bench, agent("add", "broken", "picky")).result(20)
    assert done.output == "I did without"
    assert step_functions.calls == ["broken"]
    told = [one["error"] for one in results(bench.models)]
    assert told[0] == "the arguments are no JSON"
    assert "no tool named 'sing'" in told[1]
    assert told[2].startswith("broken raised RuntimeError: no luck today")
    assert "sk-0123456789" not in told[2]
    assert "first: Input should be a valid integer" in told[3]
    assert "at most 3 are allowed" in told[4]
    assert [(use.name, use.failed) for use in done.tools] == [("add", True), ("sing", True), ("broken", True), ("add", True), ("picky", True)]


def test_d11_a_command_that_fails_is_told_and_a_refused_budget_ends_it(bench: Bench):
    turns = by_turn((call("echo", text="x"),), "done")
    bench.models.script = lambda request, key: (
        turns(request, key) if request.tools else CallFailed(model="m", reason="it is down", cause="connection", attempts=1, next="")
    )
    assert asked(bench, agent("echo")).result(20).output == "done"
    assert "it is down" in results(bench.models)[0]["error"]
    bench.models.script = by_turn((call("broken", how="money"),), "done")
    with pytest.raises(BudgetRefused):
        asked(bench, agent("broken"), key="other").result(20)


def test_d12_turns_end_it_and_the_last_tools_are_not_run(bench: Bench):
    bench.models.script = lambda request, key: (call("add", first=1),)
    with pytest.raises(AgentStopped, match=r"agent clerk was ended by its limit turns = 3 .*limits.turns of the agent clerk"):
        asked(bench, agent("add", limits=AgentLimits(turns=3))).result(20)
    assert (len(bench.models.sent), len(step_functions.calls)) == (3, 2)
    ended = run(bench, pinned(agent("add", limits=AgentLimits(turns=2))))
    assert (ended.state, bench.steps(ended.id)["a"].error.type, bench.steps(ended.id)["a"].error.facts["limit"]) == (RunState.FAILED, "AgentStopped", "turns")
    assert len(bench.models.sent) == 5


def test_d12_money_ends_it(bench: Bench):
    bench.models.cost_nanos = 40_000_000
    bench.models.script = by_turn((call("echo", text="x"),))
    with pytest.raises(AgentStopped, match=r"limit usd = 0\.1 "):
        asked(bench, agent("echo", limits=AgentLimits(usd="0.1", turns=50))).result(20)
    assert len(bench.models.sent) == 3  # two questions and a command
    bench.models.cost_nanos = None
    with pytest.raises(UnpricedModel, match=r"limits\.usd of the agent clerk"):
        asked(bench, agent("echo", limits=AgentLimits(usd="0.1", turns=50)), key="unpriced").result(20)


def test_d12_time_ends_it_while_a_model_thinks(bench: Bench):
    bench.models.hold = True
    timers = ManualTimers()
    answer = asked(bench, agent("echo", limits=AgentLimits(seconds=7)), timers=timers)
    timers.advance(6.9)
    assert not answer.done()
    timers.advance(0.2)
    with pytest.raises(AgentStopped, match="limit seconds = 7"):
        answer.result(20)
    assert bench.models.cancelled == ["k"]


def test_d12_time_ends_it_while_a_tool_hangs_in_a_run(bench: Bench):
    bench.models.script = by_turn((call("hang"),), "done")
    ended = run(bench, pinned(agent("hang", limits=AgentLimits(seconds=0.4))))
    step = bench.steps(ended.id)["a"]
    assert (ended.state, step.attempt, step.error.type, step.error.facts["limit"]) == (RunState.FAILED, 1, "AgentStopped", "seconds")


def test_an_agent_that_is_a_tool_is_bound_by_its_own_limits(bench: Bench):
    never = WRITER.model_copy(update={"limits": AgentLimits(turns=2)})
    turns = by_turn((call("writer", task="laugh"),), "done")

    def script(request: ModelRequest, key: str) -> Any:
        return (call("shout", text="ha", times=1),) if request.messages[0].content.startswith("Write.") else turns(request, key)

    bench.models.script = script
    done = asked(bench, agent("writer"), never).result(20)
    assert done.output == "done"
    told = json.loads(bench.models.requests["k/1"].messages[-1].content)
    assert "agent writer was ended by its limit turns = 2" in told["error"]
    assert [call.key for call in done.calls] == ["k", "k/0.0/0", "k/0.0/1", "k/1"]


def test_an_agent_that_is_a_tool_is_held_to_the_time_of_its_calls_whoever_reads_it_again(bench: Bench):
    slow = WRITER.model_copy(update={"limits": AgentLimits(seconds=5, turns=50)})
    turns = by_turn((call("writer", task="laugh"),), (call("hang", 1),), "done")

    def script(request: ModelRequest, key: str) -> Any:
        return (call("shout", text="ha", times=1),) if request.messages[0].content.startswith("Write.") else turns(request, key)

    bench.models.script, bench.models.latency_ms = script, 2_000.0
    identity = bench._insert(pinned(agent("writer", "hang"), slow), {})
    dead = bench.process()
    dead.begin(identity)
    until(lambda: "hang" in step_functions.calls)
    dead.close()
    alive = bench.process()
    assert alive.recover() == [identity]
    until(lambda: step_functions.calls.count("hang") == 2)
    step_functions.gate.set()
    until(lambda: bench.get(identity).ended)
    assert bench.get(identity).outputs == {"a": "done"}
    told = [message.content for message in bench.models.requests[f"{identity}/a/1/2"].messages if message.role == "tool"]
    assert "agent writer was ended by its limit seconds = 5" in told[0]
    assert step_functions.calls.count("shout") == 2
    assert sorted(key.removeprefix(f"{identity}/a/1/") for key in bench.models.sent) == ["0", "0.0/0", "0.0/1", "0.0/2", "1", "2"]


def test_a_second_process_pays_nothing_again_and_runs_no_finished_tool_again(bench: Bench):
    turns = by_turn((call("add", 0, first=1), call("echo", 1, text="x")), "done")
    bench.models.hold = True
    bench.models.script = turns
    identity = bench._insert(pinned(agent("add", "echo")), {})
    dead = bench.process()
    dead.begin(identity)
    until(lambda: bench.models.open_keys == [f"{identity}/a/1/0"])
    bench.models.release()
    until(lambda: bench.models.open_keys == [f"{identity}/a/1/0.1/0"])
    bench.models.release()
    until(lambda: bench.models.open_keys == [f"{identity}/a/1/1"])
    dead.close()
    alive = bench.process()
    assert alive.recover() == [identity]
    bench.models.release()
    until(lambda: bench.get(identity).ended)
    assert bench.get(identity).state is RunState.SUCCEEDED
    assert step_functions.calls == [("add", 1, 1)]
    assert bench.models.sent == [f"{identity}/a/1/{place}" for place in ("0", "0.1/0", "1")]


def test_a_second_process_calls_no_finished_tool_of_a_server_again(bench: Bench):
    called: list[Any] = []

    def server(tool: ServerTool, arguments: Mapping[str, Any]) -> Any:
        called.append((tool.reference, arguments))
        if arguments["article"] == "nuts":
            raise McpFailed(server=tool.server, problem="it ended with code 3", next="Do without it.")
        return 7

    bench.outside = replace(nothing_outside(), server=server)
    stock = ServerTool(server="shelf", name="stock.of", description="Tell.", parameters={"type": "object"})
    kept = pinned(agent("mcp:shelf/stock.of")).model_copy(update={"server_tools": {stock.reference: stock}})
    bench.models.script = by_turn((call("shelf_stock_of", article="bolts"), call("shelf_stock_of", 1, article="nuts")), "done")
    bench.models.hold = True
    identity = bench._insert(kept, {})
    dead = bench.process()
    dead.begin(identity)
    until(lambda: bench.models.open_keys == [f"{identity}/a/1/0"])
    bench.models.release()
    until(lambda: bench.models.open_keys == [f"{identity}/a/1/1"])
    dead.close()
    alive = bench.process()
    assert alive.recover() == [identity]
    bench.models.release()
    until(lambda: bench.get(identity).ended)
    assert bench.get(identity).outputs == {"a": "done"}
    assert results(bench.models) == [{"result": 7}, {"error": "The MCP server shelf gave nothing: it ended with code 3. Do without it."}]
    assert sorted(one["article"] for _, one in called) == ["bolts", "nuts"]


def test_a_question_asked_again_under_its_key_runs_no_tool_again(bench: Bench):
    bench.models.script = by_turn((call("add", first=1),), "done")
    outputs = [asked(bench, agent("add")).result(20).output for _ in range(2)]
    assert outputs == ["done", "done"]
    assert (step_functions.calls, len(bench.models.sent)) == ([("add", 1, 1)], 2)


def test_results_are_bounded_and_are_always_json(bench: Bench):
    bench.models.script = by_turn((call("shout", text="data:image/png;base64,AAAA", times=5_000), call("shout", 1, text="data:", times=1)), "done")
    asked(bench, agent("shout")).result(20)
    long, short = results(bench.models)
    assert (len(long["result"]), long["cut_off"]) == (20_000, "the result has 130,000 characters; these are the first 20,000")
    assert short == {"result": "DATA:"}


def test_a_tools_workspace_has_a_place_of_its_own(bench: Bench):
    bench.workspace = "ws"
    bench.models.script = by_turn((call("where", 0), call("where", 1)), "done")
    ended = run(bench, pinned(agent("where")))
    assert [one["result"] for one in results(bench.models)] == [["ws", ended.id, "a/1/0.0"], ["ws", ended.id, "a/1/0.1"]]


def test_an_answer_by_a_schema_is_repaired_after_the_tools(bench: Bench):
    schema = {"type": "object", "required": ["n"], "properties": {"n": {"type": "integer"}}}

    def script(request: ModelRequest, key: str) -> Any:
        if not any(one.calls for one in request.messages):
            return (call("add", first=1),)
        return '{"n": 2}' if request.messages[-1].role == "user" else "two"

    bench.models.script = script
    done = asked(bench, agent("add"), output=schema).result(20)
    assert done.output == {"n": 2}
    assert [one.role for one in bench.models.requests["k/2"].messages] == ["system", "user", "assistant", "tool", "assistant", "user"]
    bench.models.script = lambda request, key: "two"
    with pytest.raises(OutputInvalid):
        asked(bench, agent("add"), output=schema, key="never").result(20)


def test_cancelling_cancels_the_call_under_way(bench: Bench):
    bench.models.hold = True
    answer = asked(bench, agent("echo"))
    assert answer.cancel()
    assert bench.models.cancelled == ["k"]


def test_a_paused_run_begins_no_tool_and_goes_on_later(bench: Bench):
    bench.models.hold = True
    bench.models.script = by_turn((call("add", first=1),), "done")
    identity = bench._insert(pinned(agent("add")), {})
    runner = bench.process()
    answer = runner.begin(identity)
    until(lambda: bool(bench.models.open_keys))
    bench.wish(identity, "pause")
    runner.nudge(identity)
    time.sleep(0.1)
    bench.models.hold = False
    bench.models.release()
    assert answer.result(20) is RunState.PAUSED
    assert step_functions.calls == []
    assert bench.resume(identity).state is RunState.SUCCEEDED
    assert (step_functions.calls, len(bench.models.sent)) == ([("add", 1, 1)], 2)


def test_messages_of_tools_say_what_they_answer():
    message = Message(role="tool", content="{}", answers="call_1")
    with_nothing = ModelRequest(target="t", messages=(Message(role="user", content="x"),))
    assert "calls" not in with_nothing.identity()["messages"][0]
    assert "tools" not in with_nothing.identity()
    assert with_nothing.model_copy(update={"messages": (message,)}).identity()["messages"][0]["answers"] == "call_1"
    assert issubclass(AgentStopped, HishamosError)
