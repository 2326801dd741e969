"""Agents with tools over the workspace's server, on the OpenAI, Anthropic and Gemini formats: answers, ledger and the provider's book."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import hishamos
from hishamos.errors import AgentStopped, InvalidInput
from hishamos.notebook.cards import command_result_card
from hishamos.records.calls import Attempt, CommandResult
from hishamos.records.results import IssueDraft
from tests.conftest import stop_server
from tests.faces.conftest import Terminal
from tests.rigs.gateways import BASES, MODELS
from tests.rigs.nursery import Client, python
from tests.rigs.simulator import Simulator

NANO = "openai/gpt-4.1-nano"
COMMAND = f"name: upper\ndescription: Say it in capitals.\nmodel: {NANO}\ntemplate: '{{{{ text }}}}'\nparameters:\n  text: {{type: text, max_length: 40}}\n"
AGENT = 'name: clerk\ndescription: Works.\ninstructions: Work.\ntools: ["command:upper", find_similar_bugs]\nlimits: {turns: 4, usd: "0.5", seconds: 60}\n'
HASTY = "name: hasty\ndescription: Works.\ninstructions: Work.\ntools: [upper]\nlimits: {turns: 90, seconds: 2}\n"
POOR = 'name: poor\ndescription: Works.\ninstructions: Work.\ntools: [upper]\nlimits: {turns: 90, usd: "0.0001"}\n'
FLOW = """name: flow
description: An agent at work.
steps:
  - {id: ask, type: agent, with: {agent: clerk, task: "Say hello"}}
outputs: {said: "{{ steps.ask.output }}"}
"""
every = pytest.mark.parametrize("kind", ["openai", "anthropic", "gemini"])


@pytest.fixture(scope="module")
def simulator() -> Iterator[Simulator]:
    with Simulator() as running:
        yield running


@pytest.fixture(scope="module")
def opened(simulator: Simulator) -> Iterator[hishamos.Workspace]:
    """One workspace for all: what a server has to load takes seconds."""
    folder = Path(tempfile.mkdtemp(prefix="hos-"))
    toml = ['[routes.default]\nmodels = ["openai/gpt-4.1-mini"]\n']
    for kind, base in BASES.items():
        (folder / f"{kind}.key").write_text(f"sk-{kind}-0123456789abcdef")
        (folder / f"{kind}.key").chmod(0o600)
        toml.append(f'[providers.{kind}]\napi_key = "file:{folder}/{kind}.key"\napi_base = "{simulator.url}{base}"\n')
    (folder / "hishamos.toml").write_text("".join(toml))
    files = {"commands/upper": COMMAND, "agents/clerk": AGENT, "agents/hasty": HASTY, "agents/poor": POOR, "workflows/flow": FLOW}
    for name, text in files.items():
        (folder / f"{name}.yaml").parent.mkdir(exist_ok=True)
        (folder / f"{name}.yaml").write_text(text)
    with hishamos.open(folder) as workspace:
        yield workspace
    stop_server(folder)
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def ws(opened: hishamos.Workspace, simulator: Simulator) -> hishamos.Workspace:
    simulator.clear()
    earlier.clear()
    earlier.update(row.id for row in opened.ledger.calls(limit=1000))
    return opened


earlier: set[str] = set()
"""Attempts of the tests before."""


def calls(ws: hishamos.Workspace) -> list[Attempt]:
    return [row for row in ws.ledger.calls(limit=1000) if row.id not in earlier]


def script(simulator: Simulator, kind: str, *acts: dict, then: dict | None = None) -> None:
    simulator.script(MODELS[kind].partition("/")[2], *acts, then=then)
    simulator.script("gpt-4.1-nano", then={"text": "HELLO"})


def told(simulator: Simulator) -> list[dict]:
    """Return what the model was told of its tools, by the last request that holds results."""
    return [json.loads(result) for result in [entry for entry in simulator.book() if entry["results"]][-1]["results"]]


def billed(simulator: Simulator) -> list[tuple[int, int]]:
    return sorted((entry["billed"]["input"], entry["billed"]["output"]) for entry in simulator.book())


def paid(ws: hishamos.Workspace) -> list[tuple[int, int]]:
    return sorted((row.input_tokens, row.output_tokens) for row in calls(ws))


@every
def test_a_command_and_a_function_beside_each_other(ws: hishamos.Workspace, simulator: Simulator, kind: str):
    ws.projects.ensure("DEMO")
    ws.issues.create(
        "DEMO",
        [
            IssueDraft(title="Export closes the app", body="Exporting to PDF closes the app.", origin="a"),
            IssueDraft(title="Wrong colour", body="A red", origin="b"),
        ],
    )
    wanted = [{"name": "upper", "arguments": {"text": "hello"}}, {"name": "find_similar_bugs", "arguments": {"text": "the app closes on export", "limit": 1}}]
    also = [] if kind == "openai" else [{"text": "HELLO"}]  # a model that is named for the task is asked for the command too
    script(simulator, kind, {"text": "I look. ", "calls": wanted}, *also, {"text": "It is known."})
    answer = ws.agents.ask("clerk", "Is it known?", model=None if kind == "openai" else MODELS[kind], key=kind)
    assert (answer.output, answer.text, [use.name for use in answer.tools]) == ("It is known.", "It is known.", ["upper", "find_similar_bugs"])
    first, second = told(simulator)
    assert [issue["title"] for issue in second["result"]] == ["Export closes the app"]
    assert not any(use.failed for use in answer.tools)
    assert first == {"result": "HELLO"}
    assert (paid(ws), len(answer.call_ids)) == (billed(simulator), 3)
    assert answer.cost_nanos == sum(row.cost_nanos for row in calls(ws)) > 0
    assert {row.agent for row in calls(ws)} == {"clerk", None}
    again = ws.agents.ask("clerk", "Is it known?", model=None if kind == "openai" else MODELS[kind], key=kind)
    assert (again.output, again.reused, len(simulator.book())) == ("It is known.", True, 3)
    assert "find_similar_bugs" in command_result_card(answer)


@every
def test_d11_what_is_broken_goes_back_to_the_model(ws: hishamos.Workspace, simulator: Simulator, kind: str):
    broken = [
        {"name": "upper", "arguments": '{"text": '},
        {"name": "uper", "arguments": {"text": "x"}},
        {"name": "upper", "arguments": {"text": "x" * 41}},
        {"name": "find_similar_bugs", "arguments": {"text": "x", "limit": 500}},
    ]
    script(simulator, kind, {"calls": broken}, {"text": "I did without."})
    answer = ws.agents.ask("clerk", "Try", model=MODELS[kind])
    assert answer.output == "I did without."
    errors = [one["error"] for one in told(simulator)]
    assert "the arguments are no JSON" in errors[0]
    assert "there is no tool named 'uper'; did you mean 'upper'?" in errors[1]
    assert "do not satisfy the tool's schema: $.text:" in errors[2]
    assert "limit is 500" in errors[3]
    assert all(use.failed for use in answer.tools)
    assert (len(simulator.book()), paid(ws)) == (2, billed(simulator))


@every
def test_d12_an_agent_that_never_stops_ends_at_its_turns(ws: hishamos.Workspace, simulator: Simulator, kind: str):
    script(simulator, kind, then={"calls": [{"name": "upper", "arguments": {"text": "again"}}]})
    with pytest.raises(AgentStopped, match="agent clerk was ended by its limit turns = 4"):
        ws.agents.ask("clerk", "Never stop", model=MODELS[kind] if kind != "openai" else None)
    assert len([entry for entry in simulator.book() if entry["offered"]]) == 4
    assert paid(ws) == billed(simulator)


def test_d12_an_agent_that_never_stops_ends_at_its_money_or_its_time(ws: hishamos.Workspace, simulator: Simulator):
    script(simulator, "openai", then={"calls": [{"name": "upper", "arguments": {"text": "again"}}], "delay_s": 0.2})
    with pytest.raises(AgentStopped, match=r"agent poor was ended by its limit usd = 0\.0001"):
        ws.agents.ask("poor", "Never stop")
    spent = sum(row.cost_nanos for row in calls(ws))
    assert 100_000 <= spent < 200_000
    with pytest.raises(AgentStopped, match="agent hasty was ended by its limit seconds = 2"):
        ws.agents.ask("hasty", "Never stop")
    end = time.monotonic() + 10
    while any(row.status == "sent" for row in calls(ws)):  # what was under way is cancelled, and estimated
        assert time.monotonic() < end
        time.sleep(0.05)
    assert all(row.cost_nanos is not None for row in calls(ws))


def test_a_step_uses_tools_and_the_run_pays_for_them(ws: hishamos.Workspace, simulator: Simulator):
    script(simulator, "openai", {"calls": [{"name": "upper", "arguments": {"text": "hello"}}]}, {"text": "said"})
    run = ws.workflows.start("flow").wait()
    assert (run.state, run.outputs) == ("succeeded", {"said": "said"})
    rows = ws.ledger.calls(run=run.id)
    assert {row.step_id for row in rows} == {"ask"}
    assert sorted(row.idempotency_key.removeprefix(f"{run.id}/ask/1/") for row in rows) == ["0", "0.0/0", "1"]
    script(simulator, "openai", then={"calls": [{"name": "upper", "arguments": {"text": "again"}}]})
    failed = ws.workflows.start("flow").wait()
    assert failed.state == "failed"
    assert "limit turns = 4" in failed.error.message


def test_the_terminal_says_which_tools_were_used(ws: hishamos.Workspace, simulator: Simulator):
    calls_upper = {"calls": [{"name": "upper", "arguments": {"text": "hello"}}]}
    script(simulator, "openai", calls_upper, {"text": "said"}, calls_upper, {"text": "said"})
    terminal = Terminal(Path(ws.root))
    document = terminal.json("ask", "clerk", "Say hello")
    assert (document["output"], [json.loads(use["result"]) for use in document["tools"]]) == ("said", [{"result": "HELLO"}])
    told = terminal.type("ask", "clerk", "Say hello")
    assert "tools: upper" in told.stdout + told.stderr
    script(simulator, "openai", then=calls_upper)
    stopped = terminal.type("ask", "clerk", "Never stop")
    assert stopped.returncode == 1
    assert "ended by its limit turns = 4" in stopped.stderr


@every
def test_every_turn_is_streamed_and_found_again(ws: hishamos.Workspace, simulator: Simulator, kind: str):
    wanted = [{"name": "upper", "arguments": {"text": "hello"}}]
    also = [] if kind == "openai" else [{"text": "HELLO"}]
    script(simulator, kind, {"text": "I look. ", "calls": wanted}, *also, {"text": "It is said."})
    model = None if kind == "openai" else MODELS[kind]
    events = list(ws.agents.stream("clerk", "Say hello", model=model, key=f"streamed {kind}"))
    kinds = [event.kind for event in events if event.kind != "text"]
    assert kinds == ["attempt", "usage", "turn", "tool", "usage", "tool_result", "attempt", "usage", "turn", "answer", "finish"]
    tool, result = (next(event for event in events if event.kind == one) for one in ("tool", "tool_result"))
    assert (tool.agent, tool.call.input, result.id, json.loads(result.result)) == ("clerk", {"text": "hello"}, tool.call.id, {"result": "HELLO"})
    assert "".join(event.text for event in events if event.kind == "text") == "I look. It is said."
    answer = events[-2].result
    assert (answer.output, [use.name for use in answer.tools]) == ("It is said.", ["upper"])
    assert answer.cost_nanos == events[-1].cost_nanos == events[-3].cost_nanos == sum(row.cost_nanos for row in calls(ws)) > 0
    assert sum(event.cost_nanos for event in events if event.kind == "usage") == answer.cost_nanos
    book = len(simulator.book())
    again = list(ws.agents.stream("clerk", "Say hello", model=model, key=f"streamed {kind}"))
    assert (again[-2].result.output, again[-2].result.reused, len(simulator.book())) == ("It is said.", True, book)
    assert "".join(event.text for event in again if event.kind == "text") == "I look. It is said."


@every
def test_a_typed_answer_comes_beside_tools(ws: hishamos.Workspace, simulator: Simulator, kind: str):
    """OpenAI holds the answer to the format itself; the others are asked for it in words, and what does not fit goes back to them."""
    schema = {"type": "object", "required": ["known"], "properties": {"known": {"type": "boolean"}}, "additionalProperties": False}
    wanted = [{"name": "upper", "arguments": {"text": "hello"}}]
    also = [] if kind == "openai" else [{"text": "HELLO"}]
    last = {} if kind == "openai" else {"text": '{"known": true}'}  # left to the format that the simulator was given
    script(simulator, kind, {"calls": wanted}, *also, last)
    answer = ws.agents.ask("clerk", "Is it known?", output=schema, model=None if kind == "openai" else MODELS[kind])
    assert (answer.output, [use.name for use in answer.tools]) == ({"known": True}, ["upper"])
    words = [entry for entry in simulator.book() if "Your last answer is one JSON value" in entry["said"]]
    assert bool(words) == (kind != "openai")


READER = """
import sys, hishamos
for event in hishamos.open(sys.argv[1]).agents.stream("clerk", "Say hello", key=sys.argv[2]):
    print(event.kind, flush=True)
"""


def reading(ws: hishamos.Workspace, simulator: Simulator, key: str) -> Client:
    """Start a client that reads an agent's work, and wait until a tool has given its result and the second answer has begun."""
    slow = {"text": "one two three four five six", "chunk_s": 0.4}
    script(simulator, "openai", {"calls": [{"name": "upper", "arguments": {"text": "hello"}}]}, slow)
    client = python(READER, ws.root, key)
    assert client.stdout is not None
    while client.stdout.readline().strip() != "text":
        assert client.poll() is None
    return client


def test_a_killed_reader_loses_nothing(ws: hishamos.Workspace, simulator: Simulator):
    client = reading(ws, simulator, "killed reader")
    client.kill()
    client.wait()
    events = list(ws.agents.stream("clerk", "Say hello", key="killed reader"))
    assert events[-2].result.output == "one two three four five six"
    assert len(simulator.book()) == 3


def test_ctrl_c_in_a_reader_cancels_the_work(ws: hishamos.Workspace, simulator: Simulator):
    client = reading(ws, simulator, "interrupted reader")
    client.send_signal(signal.SIGINT)
    client.wait(20)
    deadline = time.monotonic() + 20
    while "sent" in {row.status for row in calls(ws)}:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert sorted(row.status for row in calls(ws)) == ["cancelled", "succeeded", "succeeded"]


def test_a_terminal_shows_the_work_as_it_comes(ws: hishamos.Workspace, simulator: Simulator):
    calls_upper = {"text": "I look.", "calls": [{"name": "upper", "arguments": {"text": "hello"}}, {"name": "sing", "arguments": {}}]}
    script(simulator, "openai", calls_upper, {"text": "It is [bold]said."})
    main, other = pty.openpty()
    terminal = Terminal(Path(ws.root))
    command = terminal.command("ask", "clerk", "Say hello", "--key", "on a terminal")
    with os.fdopen(main, "rb", buffering=0) as screen:
        process = subprocess.Popen(command, cwd=ws.root, env={**terminal.surroundings, "TERM": "dumb"}, stdin=other, stdout=other, stderr=other)
        os.close(other)
        seen = b""
        with contextlib.suppress(OSError):  # the other end is closed
            while piece := screen.read(4096):
                seen += piece
    assert process.wait(60) == 0
    lines = [line.rstrip() for line in seen.decode().replace("\r", "").splitlines()]
    assert lines[0] == "I look."
    assert '→ upper {"text": "hello"}' in lines
    assert '← upper {"result":"HELLO"}' in lines
    assert any(line.startswith('✕ sing {"error":') for line in lines)
    assert lines[-2] == "It is [bold]said."
    assert "openai/gpt-4.1-mini" in lines[-1]
    assert "tools: upper" in lines[-1]


def test_a_run_is_followed_live(ws: hishamos.Workspace, simulator: Simulator):
    script(simulator, "openai", {"delay_s": 1, "calls": [{"name": "upper", "arguments": {"text": "hello"}}]}, {"text": "It is said."})
    run = ws.workflows.start("flow")
    events = list(ws.runs.follow(run.id, live=True))
    live = [event for event in events if event.kind == "live"]
    assert "".join(event.data["text"] for event in live if event.state == "text") == "It is said."
    assert {"turn", "tool", "tool_result", "usage"} <= {event.state for event in live}
    assert {event.path for event in live} == {"ask"}
    assert [event for event in events if event.kind != "live"] == ws.runs.events(run.id)


def test_the_offline_model_says_that_it_cannot(ws: hishamos.Workspace, simulator: Simulator):
    with pytest.raises(InvalidInput, match=r"offline/extractive is the offline model, which can't use tools.*Nothing was sent"):
        ws.agents.ask("clerk", "Try", model="offline/extractive")
    with pytest.raises(InvalidInput, match=r"offline/extractive is the offline model"):
        list(ws.agents.stream("clerk", "Try", model="offline/extractive"))
    assert (calls(ws), simulator.book()) == ([], [])


def test_the_shipped_librarian_can_be_asked(ws: hishamos.Workspace, simulator: Simulator):
    script(simulator, "openai", {"calls": [{"name": "find_similar_bugs", "arguments": {"text": "x", "project": "NONE"}}]}, {"text": "Nothing fits."})
    answer = ws.agents.ask("bug-librarian", "Is it known?")
    assert isinstance(answer, CommandResult)
    assert (answer.output, json.loads(answer.tools[0].result)) == ("Nothing fits.", {"result": []})


def test_functions_of_the_caller_are_called_in_its_process(opened: hishamos.Workspace, simulator: Simulator):
    seen: list[int] = []

    def here(number: int) -> int:
        """Tell the process's number, times a number."""
        seen.append(number)
        return os.getpid() * number

    simulator.script("gpt-4.1-mini", {"calls": [{"name": "here", "arguments": {"number": 2}}]}, {"text": "Done."})
    answer = opened.agents.ask("bug-triage", "Where are you?", tools=[here])
    assert (answer.output, seen) == ("Done.", [2])
    assert json.loads(answer.tools[0].result) == {"result": os.getpid() * 2}
