"""The step type ``workflow`` on both stores: child runs are started once, reached by cancel and pause, and found again."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from hishamos.composition import open_in_process
from hishamos.errors import InvalidDefinition
from tests.rigs import step_functions

CHILD = """
name: child
description: Notes, waits for an event, notes again.
inputs: {{n: {{type: integer}}}}
steps:
  - {{id: a, type: python, with: {{function: note, value: "{{{{ inputs.n }}}}"}}}}
  - {{id: w, type: {wait}, after: [a], with: {{{way}}}}}
  - {{id: b, type: python, after: [w], with: {{function: note, value: "{{{{ inputs.n * 10 }}}}"}}}}
outputs: {{n: "{{{{ steps.b.output }}}}"}}
"""
PARENT = """
name: parent
description: Starts the child.
steps:
  - {id: p, type: python, with: {function: note, value: start}}
  - {id: c, type: workflow, after: [p], with: {workflow: child, inputs: {n: 7}}}
outputs: {n: "{{ steps.c.output.outputs.n }}", run: "{{ steps.c.output.run }}"}
"""
QUICK = {"wait": "wait", "way": "seconds: 0"}
EVENT = {"wait": "wait", "way": "event: go"}


@pytest.fixture(autouse=True)
def plugged(monkeypatch):
    from hishamos.engine import functions

    monkeypatch.setattr(functions, "OWN", (functions.ROOM, "tests.rigs."))
    monkeypatch.setattr(functions, "_plugged", lambda: {name: f"tests.rigs.step_functions:{name}" for name in ("note", "refuse")})
    functions.function.cache_clear()
    step_functions.calls.clear()
    yield
    functions.function.cache_clear()


@pytest.fixture(params=["duckdb", "postgres"])
def place(request, tmp_path):
    """Opens the workspace, as often as wanted, on the same store."""
    (tmp_path / "workflows").mkdir()
    (tmp_path / "data" / "local").mkdir(parents=True)
    store = "data/local/hishamos.duckdb" if request.param == "duckdb" else request.getfixturevalue("postgres_url")
    write(tmp_path, "parent", PARENT)
    return lambda: open_in_process(tmp_path, store=store)


def write(root, name, text):
    (Path(root) / "workflows" / f"{name}.yaml").write_text(text)


def until(check, seconds=15.0):
    end = time.monotonic() + seconds
    while not check():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.01)


def child_of(ws, parent):
    return next((run for run in ws.runs.list(name="child") if run.parent == parent), None)


def settled(ws, run, state):
    until(lambda: ws.runs.get(run).state == state)
    return ws.runs.get(run)


def test_a_child_run_has_its_own_row_and_its_parents_belongings(place, tmp_path):
    write(tmp_path, "child", CHILD.format(**QUICK))
    with place() as ws:
        run = ws.workflows.start("parent", project="DEMO", model="offline/extractive").wait(30)
        assert run.state == "succeeded", "who waits for the run waits for its child too"
        child = child_of(ws, run.id)
        assert run.outputs == {"n": 70, "run": child.id}
        assert (child.state, child.project, child.model, child.user_name) == ("succeeded", "DEMO", "offline/extractive", run.user_name)
        assert (run.parent, ws.runs.get(child.id).parent) == (None, run.id)
        assert step_functions.calls == ["start", 7, 70]


def test_the_parent_waits_without_a_process_and_finds_its_child_again(place, tmp_path):
    write(tmp_path, "child", CHILD.format(**EVENT))
    with place() as ws:
        run = ws.workflows.start("parent").id
        waiting = settled(ws, run, "waiting")
        child = child_of(ws, run)
        assert waiting.waiting_for == f"run {child.id} (step c)"
    with place() as ws:
        ws.runs.signal(child.id, "go")
        assert settled(ws, run, "succeeded").outputs["run"] == child.id
        assert len(ws.runs.list(name="child")) == 1
    assert step_functions.calls == ["start", 7, 70]


def test_a_child_that_ended_while_nobody_looked_wakes_its_parent_at_the_next_start(place, tmp_path, monkeypatch):
    from hishamos.engine.runner import Runner

    write(tmp_path, "child", CHILD.format(**EVENT))
    with place() as ws:
        run = ws.workflows.start("parent").id
        settled(ws, run, "waiting")
        child = child_of(ws, run)
        with monkeypatch.context() as deaf:
            deaf.setattr(Runner, "_concluded", lambda *_: None)
            deaf.setattr(Runner, "_ring", lambda *_: None)
            ws.runs.signal(child.id, "go")
            settled(ws, child.id, "succeeded")
        assert ws.runs.get(run).state == "waiting"
    with place() as ws:
        settled(ws, run, "succeeded")


def test_cancel_and_pause_reach_the_child_and_resume_goes_on_with_it(place, tmp_path):
    write(tmp_path, "child", CHILD.format(**EVENT))
    with place() as ws:
        run = ws.workflows.start("parent").id
        settled(ws, run, "waiting")
        child = child_of(ws, run).id
        for ask, state in ((ws.runs.pause, "paused"), (ws.runs.cancel, "cancelled")):
            ask(run)
            settled(ws, child, state)
            settled(ws, run, state)
            ws.runs.resume(run)
            settled(ws, child, "waiting")
            settled(ws, run, "waiting")
        ws.runs.signal(child, "go")
        settled(ws, run, "succeeded")
        assert len(ws.runs.list(name="child")) == 1
    assert step_functions.calls == ["start", 7, 70]


def test_a_failed_child_fails_its_step_once_and_is_resumed_with_the_run(place, tmp_path):
    write(tmp_path, "child", CHILD.format(wait="approval", way="message: Well"))
    with place() as ws:
        run = ws.workflows.start("parent").id
        settled(ws, run, "waiting")
        child = child_of(ws, run).id
        ws.runs.approve(child, "w", decision="reject")
        failed = settled(ws, run, "failed")
        assert child in failed.error.message
        assert "rejected" in failed.error.message
        assert ws.runs.get(child).state == "failed"
        ws.runs.resume(run)
        settled(ws, run, "waiting")
        ws.runs.approve(child, "w")
        assert settled(ws, run, "succeeded").outputs == {"n": 70, "run": child}
    assert step_functions.calls == ["start", 7, 70]


def test_many_children_of_a_map_and_grandchildren(place, tmp_path):
    write(tmp_path, "child", CHILD.format(**QUICK))
    write(
        tmp_path,
        "many",
        "name: many\ndescription: d\nsteps:\n  - {id: m, type: map, with: {over: '{{ range(5) }}', as: n, step: {type: workflow, with: {workflow: child, inputs: {n: '{{ n }}'}}}}}\noutputs: {o: '{{ steps.m.output }}'}\n",
    )
    write(
        tmp_path,
        "top",
        "name: top\ndescription: d\nsteps:\n  - {id: t, type: workflow, with: {workflow: many}}\noutputs: {o: '{{ steps.t.output.outputs.o }}'}\n",
    )
    with place() as ws:
        run = settled(ws, ws.workflows.start("top").id, "succeeded")
        assert [one["outputs"]["n"] for one in run.outputs["o"]] == [0, 10, 20, 30, 40]
        assert len(ws.runs.list(name="child")) == 5


def test_a_child_keeps_the_definition_that_its_parent_started_with(place, tmp_path):
    write(tmp_path, "child", CHILD.format(**QUICK))
    write(tmp_path, "parent", PARENT.replace("{id: p, type: python, with: {function: note, value: start}}", "{id: p, type: wait, with: {event: first}}"))
    with place() as ws:
        run = ws.workflows.start("parent").id
        settled(ws, run, "waiting")
        write(tmp_path, "child", CHILD.format(**QUICK).replace("* 10", "* 1000"))
        ws.runs.signal(run, "first")
        assert settled(ws, run, "succeeded").outputs["n"] == 70


def test_a_run_with_a_budget_of_its_own_starts_no_other(place, tmp_path):
    write(tmp_path, "child", CHILD.format(**QUICK))
    with place() as ws:
        run = settled(ws, ws.workflows.start("parent", budget_usd="1").id, "failed")
        assert "budget" in run.error.message
        assert ws.runs.list(name="child") == []


@pytest.mark.parametrize(
    ("flows", "said"),
    [
        ({"one": "one"}, "can't start itself: one → one"),
        ({"one": "two", "two": "one"}, "can't start itself"),
        ({"one": "two", "two": "three", "three": "two"}, "can't start itself"),
        ({"one": "none"}, "no workflow named 'none'"),
        ({"one": "w0", **{f"w{n}": f"w{n + 1}" for n in range(9)}, "w9": ""}, "more than 8 deep"),
    ],
)
def test_who_starts_itself_or_goes_too_deep_is_refused(tmp_path, flows, said):
    (tmp_path / "workflows").mkdir()
    for name, other in flows.items():
        step = f"{{id: s, type: workflow, with: {{workflow: {other}}}}}" if other else "{id: s, type: wait, with: {seconds: 0}}"
        write(tmp_path, name, f"name: {name}\ndescription: d\nsteps:\n  - {step}\n")
    with open_in_process(tmp_path) as ws, pytest.raises(InvalidDefinition, match=said):
        ws.workflows.start("one")


@pytest.mark.parametrize(("inputs", "said"), [("{m: 1, n: 1}", "has no input 'm'"), ("{}", "needs the input 'n'")])
def test_a_childs_inputs_are_checked_when_it_is_loaded(tmp_path, inputs, said):
    (tmp_path / "workflows").mkdir()
    write(tmp_path, "child", CHILD.format(**QUICK))
    write(tmp_path, "parent", PARENT.replace("{n: 7}", inputs))
    with open_in_process(tmp_path) as ws, pytest.raises(InvalidDefinition, match=said):
        ws.workflows.get("parent")
