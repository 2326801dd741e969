"""Whose money a run spends: its starter's and the starter's API key's, in every call, whoever works on it. On both stores."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from hishamos.composition import Composed, compose
from hishamos.engine import functions
from hishamos.errors import BudgetRefused, InvalidInput
from hishamos.kernels.declared import NotebookFacts
from hishamos.kernels.execution import ACTING, Execution
from hishamos.records.actors import OWNER, Actor
from hishamos.records.definitions import WorkflowDefinition
from hishamos.records.runs import Run, RunState
from hishamos.services.starting import start_run
from hishamos.services.workflows import WorkflowsService
from hishamos.workspace import Workspace
from tests.rigs.simulator import Simulator

PROGRAM = Actor(name="nightly", key_prefix="hos_k1")
COST = 56_000
TOML = '[providers.openai]\napi_key = "env:OPENAI_API_KEY"\napi_base = "{url}/v1"\n[routes.default]\nmodels = ["openai/gpt-4.1-mini"]\n'
ECHO = 'name: echo\ndescription: Say it again.\nparameters:\n  text: {type: text}\ntemplate: "{{ text }}"\n'
WORKFLOW = """
name: varied
description: Calls of every kind around a question to a person.
steps:
  - {id: one, type: command, with: {command: echo, inputs: {text: first}}}
  - {id: person, type: approval, after: [one], with: {message: "Go on?"}}
  - id: many
    type: map
    after: [person]
    with: {over: "{{ range(3) }}", as: n, step: {type: command, with: {command: echo, inputs: {text: "{{ n }}"}}}}
  - {id: inner, type: python, after: [person], with: {function: ask_and_map, command: echo}}
  - {id: child, type: workflow, after: [person], with: {workflow: small}}
"""
SMALL = """
name: small
description: One call.
steps:
  - {id: only, type: command, with: {command: echo, inputs: {text: in a child run}}}
"""


@pytest.fixture(scope="module")
def simulator() -> Iterator[Simulator]:
    with Simulator() as running:
        running.script("gpt-4.1-mini", then={"usage": {"input": 100, "output": 10}})
        yield running


Process = Callable[[], Composed]


@pytest.fixture(params=["duckdb", "postgres"])
def process(request: pytest.FixtureRequest, tmp_path: Path, simulator: Simulator, monkeypatch: pytest.MonkeyPatch) -> Iterator[Process]:
    """Begins a process of the workspace; the one before has to have ended, as on a DuckDB file."""
    address = str(request.getfixturevalue("postgres_url") if request.param == "postgres" else tmp_path / "store.duckdb")
    monkeypatch.setenv("OPENAI_API_KEY", "sk-money-0123456789abcdef")
    monkeypatch.setattr(functions, "OWN", (functions.ROOM, "tests.rigs."))
    monkeypatch.setattr(functions, "_plugged", lambda: {"ask_and_map": "tests.rigs.step_functions:ask_and_map"})
    functions.function.cache_clear()
    (tmp_path / "hishamos.toml").write_text(TOML.format(url=simulator.url))
    for folder, text in (("commands", ECHO), ("workflows", WORKFLOW)):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "made.yaml").write_text(text)
    (tmp_path / "workflows" / "small.yaml").write_text(SMALL)
    (tmp_path / "in.ipynb").write_text(json.dumps({"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}))
    made: list[Composed] = []

    def begin() -> Composed:
        made.append(compose(tmp_path, store=address))
        made[-1].start()
        return made[-1]

    yield begin
    for one in made:
        one.close()


def a_notebook(house: Composed, monkeypatch: pytest.MonkeyPatch, cells: Callable[[Workspace], object]) -> list[str]:
    """Have notebooks' cells run here, by the way on which the server serves a kernel's requests; returns the tokens that kernels were given."""
    tokens: list[str] = []

    def executed(execution: Execution, facts: NotebookFacts, order: dict[str, Any]) -> dict[str, Any]:
        tokens.append(order["variables"][ACTING])
        with house.request("request-of-a-kernel", tokens[-1], first=True) as ws:
            assert ws is not None
            cells(ws)
        shutil.copy(order["notebook"], order["part"])
        return {"state": "succeeded"}

    monkeypatch.setattr(Execution, "_executed", executed)
    return tokens


def noted(house: Composed, **options: Any) -> tuple[Workspace, Run]:
    """Run the workflow with a notebook as the program, under budgets on everything that its money belongs to."""
    ws = house.workspace_for(PROGRAM)
    given = {"notebook": "in.ipynb", "parameters": {}, "output": "out.ipynb"}
    steps: list[dict[str, Any]] = [
        {"id": "one", "type": "command", "with": {"command": "echo", "inputs": {"text": "first"}}},
        {"id": "pages", "type": "notebook", "after": ["one"], "with": given, "retry": {"attempts": 1}},
    ]
    flow = WorkflowDefinition.model_validate({"name": "noted", "description": "A notebook after a call.", "steps": steps})
    for name, scope in (("program", "key:hos_k1"), ("person", "user:nightly"), ("project", "project:P"), ("flow", "workflow:noted"), ("each", "run")):
        ws.budgets.set(name, limit_usd="1", scope=scope, period="total")
    started = start_run(WorkflowsService(house.machinery, PROGRAM), flow, {}, verb="workflows.start", project="P", **options)
    return ws, ws.runs.wait(started.id, timeout_s=60)


def test_what_a_notebook_asks_counts_for_its_run_and_all_that_the_run_counts_for(process: Process, monkeypatch: pytest.MonkeyPatch):
    house = process()
    tokens = a_notebook(house, monkeypatch, lambda ws: ws.commands.run("echo", {"text": "cell"}, project="Q"))
    ws, run = noted(house)
    assert run.state is RunState.SUCCEEDED, run.error
    [_, cell] = ws.runs.calls(run.id)
    assert (cell.step_id, cell.workflow, cell.project, cell.user_name, cell.key_prefix) == ("pages", "noted", "P", "nightly", "hos_k1")
    assert keyed(ws) == 2 * COST
    checks = {check.budget: check.committed_nanos for check in ws.ledger.balances()}
    assert checks == dict.fromkeys(("program", "person", "project", "flow", "each"), 2 * COST)
    with pytest.raises(InvalidInput, match="has ended"), house.request("late", tokens[0]):
        pass
    with pytest.raises(InvalidInput, match="has ended"), house.request("forged", f"{run.id}/pages"):
        pass


def test_a_map_that_a_notebook_starts_belongs_to_the_same_project_and_key(process: Process, monkeypatch: pytest.MonkeyPatch):
    house = process()
    a_notebook(house, monkeypatch, lambda ws: ws.runs.wait(ws.commands.start_map("echo", [{"text": "a"}, {"text": "b"}]).id, timeout_s=60))
    ws, run = noted(house)
    assert run.state is RunState.SUCCEEDED, run.error
    assert {(call.project, call.user_name, call.key_prefix) for call in ws.ledger.calls()} == {("P", "nightly", "hos_k1")}
    assert keyed(ws) == 3 * COST


def test_a_run_s_own_limit_holds_what_its_notebook_asks(process: Process, monkeypatch: pytest.MonkeyPatch):
    house = process()
    told: list[BudgetRefused] = []

    def cells(ws: Workspace) -> None:
        try:
            ws.commands.run("echo", {"text": "cell"})
        except BudgetRefused as refused:
            told.append(refused)

    a_notebook(house, monkeypatch, cells)
    ws, run = noted(house, budget_usd="0.00333")
    assert run.state is RunState.SUCCEEDED, run.error
    assert told[0].budget == f"run:{run.id}"
    assert keyed(ws) == COST


def keyed(ws: Workspace) -> int:
    """Hold the books against one another and return what the program's key has spent."""
    assert [check for check in ws.ledger.balances() if not check.equal] == []
    return ws.budgets.get("program").committed_nanos


def test_every_call_of_a_run_counts_for_the_key_it_was_started_with_also_after_a_takeover(process: Process):
    first = process()
    ws = first.workspace_for(PROGRAM)
    ws.budgets.set("program", limit_usd="1", scope="key:hos_k1", period="total")
    run = ws.workflows.start("varied", {})
    assert ws.runs.wait(run.id, timeout_s=60).state is RunState.WAITING
    assert keyed(ws) == COST
    first.close()
    ws = process().workspace_for(OWNER)
    ws.runs.approve(run.id, "person")
    done = ws.runs.wait(run.id, timeout_s=60)
    assert (done.state, done.key_prefix, done.user_name) == (RunState.SUCCEEDED, "hos_k1", "nightly"), done.error
    calls = ws.ledger.calls()
    assert {(call.user_name, call.key_prefix) for call in calls} == {("nightly", "hos_k1")}
    assert len(calls) == 1 + 3 + 1 + 2 + 1
    assert keyed(ws) == 8 * COST


def test_a_map_counts_for_its_key_and_is_refused_by_its_budget(process: Process):
    ws = process().workspace_for(PROGRAM)
    ws.budgets.set("program", limit_usd="1", scope="key:hos_k1")
    run = ws.commands.start_map("echo", [{"text": "a"}, {"text": "b"}])
    assert ws.runs.wait(run.id, timeout_s=60).state is RunState.SUCCEEDED
    assert keyed(ws) == 2 * COST
    ws.budgets.set("program", limit_usd="0.00012", scope="key:hos_k1")
    over = ws.runs.wait(ws.commands.start_map("echo", [{"text": "c"}]).id, timeout_s=60)
    assert [row.status for row in ws.commands.map_rows(over.id)] == ["refused"]
    assert keyed(ws) == 2 * COST


def test_a_run_of_nobody_with_a_key_has_none(process: Process):
    ws = process().workspace_for(OWNER)
    run = ws.commands.start_map("echo", [{"text": "a"}])
    assert ws.runs.wait(run.id, timeout_s=60).key_prefix is None
    assert {call.key_prefix for call in ws.ledger.calls()} == {None}
