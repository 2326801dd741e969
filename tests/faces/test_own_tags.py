"""Tags that people give go with everything that is asked on their behalf: in runs, child runs, functions, tools, notebooks, after a crash, by the clock."""

from __future__ import annotations

import json
import os
import signal
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

import hishamos
from hishamos.contracts.wire import Places
from hishamos.errors import InvalidInput
from hishamos.notebook.run_cards import RunFacts, run_card
from hishamos.remote.discovery import find
from hishamos.workspace import Workspace
from tests.faces.conftest import Terminal
from tests.rigs.pages import drawn
from tests.rigs.simulator import Simulator

TOML = '[providers.openai]\napi_key = "env:OPENAI_API_KEY"\napi_base = "{url}/v1"\n[routes.default]\nmodels = ["openai/gpt-4.1-mini"]\n'
ECHO = 'name: echo\ndescription: Say it again.\nparameters:\n  text: {type: text}\ntemplate: "{{ text }}"\n'
CLERK = "name: clerk\ndescription: Works.\ninstructions: Work.\ntools: [echo]\n"
FLOW = """name: flow
description: Calls in a run.
steps:
  - {id: many, type: map, with: {over: [1, 2], step: {type: command, with: {command: echo, inputs: {text: "{{ item }}"}}}}}
  - {id: inner, type: python, with: {function: "steps.asking:ask"}}
  - {id: child, type: workflow, with: {workflow: small}}
  - {id: look, type: approval, after: [many, inner, child], with: {message: "Go on?"}}
  - {id: last, type: command, after: [look], with: {command: echo, inputs: {text: "after the crash"}}}
"""
SMALL = 'name: small\ndescription: One call.\nsteps:\n  - {id: only, type: command, with: {command: echo, inputs: {text: "below"}}}\n'
FUNCTION = """import hishamos

def ask(ws: hishamos.Workspace) -> str:
    ws.commands.run("echo", {"text": "by a function"})
    return ws.tagged(part="inner", team="blue").commands.run("echo", {"text": "with more tags"}).text
"""
COST = 56_000
ACME = {"customer": "acme", "team": "red"}


@pytest.fixture(scope="module")
def simulator() -> Iterator[Simulator]:
    with Simulator() as running:
        running.script("gpt-4.1-mini", then={"usage": {"input": 100, "output": 10}})
        yield running


@pytest.fixture
def terminal(own_terminal: Terminal, simulator: Simulator, monkeypatch: pytest.MonkeyPatch) -> Terminal:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-tags-0123456789")
    own_terminal.environment["OPENAI_API_KEY"] = "sk-tags-0123456789"
    files = {"commands/echo": ECHO, "agents/clerk": CLERK, "workflows/flow": FLOW, "workflows/small": SMALL}
    for name, text in files.items():
        own_terminal.file(f"{name}.yaml", text)
    own_terminal.file("steps/asking.py", FUNCTION)
    own_terminal.file("hishamos.toml", TOML.format(url=simulator.url))
    return own_terminal


def tags(ws: Workspace, **only: str | None) -> Counter[str]:
    """Count the calls that have the same tags."""
    return Counter(json.dumps(call.own_tags, sort_keys=True) for call in ws.ledger.calls(only=only, limit=1000))


def written(**own: str) -> str:
    return json.dumps(own, sort_keys=True)


@pytest.mark.long
def test_a_run_and_all_that_it_does_also_after_a_crash(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    with hishamos.open(terminal.folder) as ws:
        mine = ws.tagged(customer="acme").tagged(team="red")
        run = mine.workflows.start("flow")
        assert run.wait(60).state == "waiting"
        info = find(Places(terminal.folder))
        assert info is not None
        os.kill(info.pid, signal.SIGKILL)
        assert ws.runs.approve(run.id, "look").id == run.id  # by a client without tags
        done = ws.runs.get(run.id).wait(60)
        assert (done.state, done.own_tags) == ("succeeded", ACME)
        assert tags(ws) == {written(**ACME): 5, written(customer="acme", team="blue", part="inner"): 1}
        assert {call.workflow for call in ws.ledger.calls(only={"run": run.id, "tag:part": "inner"})} == {"flow"}
        run_calls = ws.runs.calls(run.id)
        child = next(one for one in ws.runs.list() if one.name == "small")
        assert (child.parent, child.own_tags) == (run.id, ACME)
        spent = ws.ledger.spend(by="tag:customer")
        assert list(zip(spent["tag:customer"], spent["cost_nanos"], strict=True)) == [("acme", 6 * COST)]
        assert ws.ledger.tags() == ["customer", "part", "team"]
        forked = ws.tagged(customer="globex").runs.fork(run.id, "last").wait(60)
        assert forked.own_tags == {"customer": "globex"}, "a fork is its own caller's"
        assert tags(ws, run=forked.id) == {written(customer="globex"): 1}
        repeated = ws.runs.repeat(run.id)
        assert ws.runs.get(repeated.id).own_tags == {}
        ws.runs.cancel(repeated.id)
        many = ws.tagged(**{f"tag_{number}": "قيمة " * 40 for number in range(10)})
        assert len(many.commands.run("echo", {"text": "a header of many letters"}).attempts[0].own_tags) == 10
        with pytest.raises(InvalidInput, match="at most 10"):
            many.tagged(eleven="x").commands.run("echo", {"text": "refused"})
    document = terminal.json("show", run.id)
    assert document["origin"] == {"own": ACME} | dict.fromkeys(("notebook", "cell", "git_commit", "execution"))
    assert "customer=acme, team=red" in terminal.type("show", run.id).stdout
    assert "tags: customer=acme, team=red" in run_card(RunFacts(done))
    page = drawn(monkeypatch, terminal.folder, "run", run=run.id, attempt=run_calls[0].id)
    links = [link.proto.query_string for link in page.get("page_link")]
    assert sum("tag%3Acustomer=acme" in link for link in links) == 2, "of the run, and of the attempt"


def test_agents_tools_streams_conversations_and_equal_rows(terminal: Terminal, simulator: Simulator) -> None:
    import pandas as pd

    def ask(text: str, ws: Workspace) -> str:
        """Say it again.

        text: what
        """
        return str(ws.commands.run("echo", {"text": text}).text)

    with hishamos.open(terminal.folder) as ws:
        mine = ws.tagged(customer="acme")
        wanted = [{"name": "ask", "arguments": {"text": "by a tool"}}, {"name": "echo", "arguments": {"text": "by a command"}}]
        simulator.script("gpt-4.1-mini", {"calls": wanted}, then={"text": "Done.", "usage": {"input": 100, "output": 10}})
        answer = mine.agents.ask("clerk", "Go", tools=[ask])
        assert [use.name for use in answer.tools if not use.failed] == ["ask", "echo"]
        assert list(mine.agents.stream("clerk", "Go"))[-1].kind == "finish"
        talk = mine.conversations.start("clerk")
        talk.say("Hello")
        assert tags(ws) == {written(customer="acme"): 6}
        frame = pd.DataFrame({"text": ["a", "b"]})
        assert mine.map(frame, "echo")["hos_status"].tolist() == ["succeeded", "succeeded"]
        again = ws.tagged(customer="globex").map(frame, "echo")
        assert again["hos_reused"].all(), "tags are no part of a row's key"
        assert tags(ws) == {written(customer="acme"): 8}


def test_the_environment_and_the_terminal_say_them(terminal: Terminal) -> None:
    terminal.file("rows.csv", "text\nx\n")
    assert terminal.type("command", "echo", "-i", "text=1", "--tag", "customer=acme", "--tag", "team = red").returncode == 0
    assert terminal.type("ask", "clerk", "2", "--tag", "customer=acme").returncode == 0
    assert terminal.type("map", "rows.csv", "echo", "--tag", "customer=globex").returncode == 0
    assert terminal.type("chat", "clerk", "--tag", "customer=globex", stdin="Hello\n").returncode == 0
    terminal.environment["HISHAMOS_TAGS"] = "customer=initech,team=blue"
    run = terminal.json("run", "small", "--tag", "team=green")
    assert run["origin"]["own"] == {"customer": "initech", "team": "green"}
    made = terminal.json("schedule", "add", "nightly", "small", "30 2 * * *")
    assert made["own_tags"] == {"customer": "initech", "team": "blue"}
    assert "customer=initech, team=blue" in terminal.type("schedule", "show", "nightly").stdout
    terminal.environment["HISHAMOS_TAGS"] = "team=white"
    by_hand = terminal.json("schedule", "run", "nightly")
    assert by_hand["origin"]["own"] == {"customer": "initech", "team": "white"}, "who starts it by hand adds his own"
    terminal.until("show", by_hand["id"], holds=lambda document: document["state"] == "succeeded")
    del terminal.environment["HISHAMOS_TAGS"]
    rows = terminal.json("spend", "--by", "tag:customer")
    assert [(row["tag:customer"], row["cost_nanos"]) for row in rows] == [("acme", 2 * COST), ("globex", 2 * COST), ("initech", 2 * COST)]
    rows = terminal.json("spend", "--by", "model,tag:team", "--only", "tag:customer=acme")
    assert [(row["tag:team"], row["cost_nanos"]) for row in rows] == [("red", COST), (None, COST)]
    assert "tag:customer" in terminal.type("spend", "--by", "tag:customer").stdout
    for line, words in (
        (("command", "echo", "-i", "text=1", "--tag", "customer"), "no NAME=VALUE"),
        (("command", "echo", "-i", "text=1", "--tag", "a=1", "--tag", "a=2"), "given twice"),
        (("run", "small", "--tag", "Cost-Centre=1"), "cost_centre"),
        (("spend", "--by", "tag:notebook"), "my_notebook"),
    ):
        refused = terminal.type(*line)
        assert (refused.returncode, words in refused.stderr) == (2, True), refused.stderr


@pytest.mark.long
def test_the_notebooks_of_a_batch_and_what_they_ask(terminal: Terminal) -> None:
    def cell(source: str, *kinds: str) -> dict[str, Any]:
        return {"cell_type": "code", "metadata": {"tags": list(kinds)}, "source": source, "outputs": [], "execution_count": None, "id": f"c{len(source)}"}

    body = "import hishamos\nws = hishamos.open()\nws.commands.run('echo', {'text': name})\nws.tagged(part=name).commands.run('echo', {'text': name})"
    facts = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}}
    cells = [cell("name = 'x'", "parameters"), cell(body), cell("%hishamos tag team=blue\nws.workflows.start('small').wait()\n%hishamos tag --clear")]
    terminal.file("report.ipynb", json.dumps({"cells": cells, "metadata": facts, "nbformat": 4, "nbformat_minor": 5}))
    terminal.file("names.csv", "name\none\n")
    done = terminal.json("batch", "report.ipynb", "--rows", "names.csv", "--tag", "customer=acme", "--tag", "team=red")
    assert [row["status"] for row in done["rows"]] == ["succeeded"]
    with hishamos.open(terminal.folder) as ws:
        assert tags(ws) == {written(**ACME): 1, written(**ACME, part="one"): 1, written(customer="acme", team="blue"): 1}
        assert {call.tags["notebook"] for call in ws.ledger.calls()} == {"report.ipynb"}
