"""The step type ``loop`` on both stores: order, bounds, the output of the time before, and resuming where it was."""

from __future__ import annotations

import json
import time

import pytest

from hishamos.contracts.journal import Signal
from hishamos.engine.checking import workflow_problems
from hishamos.records.definitions import WorkflowDefinition
from hishamos.records.runs import RunState
from tests.rigs import step_functions
from tests.rigs.run_bench import Bench
from tests.rigs.scripted_models import ScriptedModels
from tests.unit.engine.test_runner import python, until


@pytest.fixture(params=["duckdb", "postgres"])
def bench(request):
    made = Bench(":memory:" if request.param == "duckdb" else request.getfixturevalue("postgres_url"))
    yield made
    made.close()


def inner(value, function="note", **more):
    return {"type": "python", "with": {"function": function, "value": value}, **more}


def loop(step, **inputs):
    return {"id": "l", "type": "loop", "with": {"step": step, **inputs}}


def looped(bench, step, inputs=None, **more):
    return bench.run([loop(step, **more)], inputs, outputs={"o": "{{ steps.l.output }}"})


def test_a_list_in_order_with_the_output_of_the_time_before(bench):
    run = looped(bench, inner("{{ (previous or 0) + n * 10 + n_index }}"), {"xs": [1, 2, 3]}, **{"for": "{{ inputs.xs }}", "as": "n"})
    assert run.state is RunState.SUCCEEDED, run.error
    assert run.outputs["o"] == {"output": 63, "outputs": [10, 31, 63], "iterations": 3, "ended": "for"}
    assert (run.steps_done, run.steps_total) == (3, 3)
    assert looped(bench, inner(1), **{"for": []}).outputs["o"] == {"output": None, "outputs": [], "iterations": 0, "ended": "for"}


def test_until_an_expression_holds(bench):
    run = looped(bench, inner("{{ (previous or 1) * 2 }}"), {"goal": 30}, until="previous > inputs.goal and item_index == item", at_most=10)
    assert run.outputs["o"]["outputs"] == [2, 4, 8, 16, 32]
    assert run.outputs["o"]["ended"] == "until"
    assert step_functions.calls == [2, 4, 8, 16, 32]


def test_the_bound_ends_it_with_a_clear_word(bench):
    run = looped(bench, inner("{{ item }}"), until="previous > 10", at_most=3)
    assert run.state is RunState.FAILED
    assert "'previous > 10' did not hold after 3 times" in run.error.message
    assert step_functions.calls == [0, 1, 2]
    run = looped(bench, inner("{{ item }}"), until="previous > 10", at_most=3, at_bound="continue")
    assert (run.state, run.outputs["o"]["ended"], run.outputs["o"]["output"]) == (RunState.SUCCEEDED, "at_most", 2)
    assert looped(bench, inner("{{ item }}"), until="previous == 2", at_most=3).outputs["o"]["ended"] == "until"


def test_a_failed_time_ends_it_and_resume_goes_on_there(bench):
    step = {"type": "switch", "with": {"on": "{{ n }}", "cases": {"2": {"type": "python", "with": {"function": "refuse"}}}, "default": inner("{{ n }}")}}
    run = looped(bench, step, **{"for": [0, 1, 2, 3], "as": "n"})
    assert run.state is RunState.FAILED
    assert "time 3 of at most 4" in run.error.message
    assert step_functions.calls[:2] == [0, 1]
    assert bench.states(run.id) == {
        "l": "failed",
        "l[0]": "succeeded",
        "l[0]/default": "succeeded",
        "l[1]": "succeeded",
        "l[1]/default": "succeeded",
        "l[2]": "failed",
        "l[2]/2": "failed",
    }
    step_functions.calls.clear()
    run = bench.resume(run.id)
    assert run.state is RunState.FAILED
    assert 0 not in step_functions.calls
    assert 1 not in step_functions.calls
    assert bench.steps(run.id)["l[0]"].attempt == 1
    assert bench.steps(run.id)["l[2]"].attempt == 2


def test_killed_in_the_third_time_only_that_one_is_repeated(bench):
    step = {
        "type": "switch",
        "with": {"on": "{{ item }}", "cases": {"2": {"type": "wait", "with": {"event": "go"}}}, "default": inner("{{ [item, previous] }}")},
    }
    dead = bench.process()
    run = bench.work(bench.insert([loop(step, **{"for": [0, 1, 2, 3]})], outputs={"o": "{{ steps.l.output.outputs }}"}), dead)
    assert run.state is RunState.WAITING
    dead.close()
    bench.store.transaction(lambda transaction: bench.journal.set_signal(transaction, run.id, Signal(name="go", data=7, by="amal")))
    run = bench.work(run.id)
    assert run.state is RunState.SUCCEEDED
    third = run.outputs["o"][2]
    assert third["data"] == 7
    assert run.outputs["o"][3] == [3, third]
    assert step_functions.calls == [[0, None], [1, [0, None]], [3, third]]


@pytest.mark.parametrize("store", ["duckdb", "postgres"])
def test_killed_at_any_time_no_finished_call_is_sent_again(request, store):
    models = ScriptedModels(lambda asked, key: json.dumps(key))
    bench = Bench(":memory:" if store == "duckdb" else request.getfixturevalue("postgres_url"), models)
    try:
        step = {"type": "command", "with": {"command": "echo", "inputs": {"text": "{{ previous or 'first' }}"}}}
        identity = bench.insert([loop(step, until="item_index == 11", at_most=20)], outputs={"n": "{{ steps.l.output.iterations }}"})
        for _ in range(6):
            dead = bench.process()
            dead.begin(identity)
            before = len(bench.steps(identity))
            until(lambda before=before: len(bench.steps(identity)) > before or bench.get(identity).ended)
            dead.close()
        bench.process().recover()
        until(lambda: bench.get(identity).ended)
        assert bench.get(identity).outputs == {"n": 12}
        paths = [path for path in bench.states(identity) if "[" in path]
        assert len(paths) == 12
        assert len(models.sent) == len(set(models.sent)) == 12
        run = bench.get(identity)
        assert (run.steps_done, run.steps_total) == (12, 12)
    finally:
        bench.close()


def test_a_pause_holds_between_two_times(bench):
    bench.models.hold = True
    runner = bench.process()
    identity = bench.insert([loop({"type": "command", "with": {"command": "echo", "inputs": {"text": "{{ item }}"}}}, **{"for": ["a", "b", "c"]})])
    work = runner.begin(identity)
    until(lambda: len(bench.models.open_keys) == 1)
    bench.wish(identity, "pause")
    runner.nudge(identity)
    time.sleep(0.1)
    bench.models.release()
    assert work.result(10) is RunState.PAUSED
    assert len(bench.models.sent) == 1
    bench.models.hold = False
    assert bench.resume(identity).state is RunState.SUCCEEDED
    assert [path for path in bench.states(identity) if "[" in path] == ["l[0]", "l[1]", "l[2]"]


def test_a_loop_in_a_map_and_a_map_in_a_loop(bench):
    nested = {"type": "loop", "with": {"for": "{{ row }}", "as": "n", "step": inner("{{ n + (previous or 0) }}")}}
    run = bench.run([{"id": "m", "type": "map", "with": {"over": [[1, 2], [3, 4, 5]], "as": "row", "step": nested}}], outputs={"o": "{{ steps.m.output }}"})
    assert [one["output"] for one in run.outputs["o"]] == [3, 12]
    mapped = {"type": "map", "with": {"over": "{{ range(item + 1) }}", "as": "n", "step": inner("{{ [n, previous | length if previous else 0] }}")}}
    run = looped(bench, mapped, until="previous | length == 3", at_most=5)
    assert run.outputs["o"]["output"] == [[0, 2], [1, 2], [2, 2]]
    assert run.steps_done == run.steps_total


@pytest.mark.parametrize(
    ("inputs", "said"),
    [
        ({}, "for or until"),
        ({"for": [1], "until": "previous", "at_most": 2}, "one of them"),
        ({"for": "{{ inputs.x }}", "until": "previous", "at_most": 2}, "one of them"),
        ({"until": "previous"}, "needs at_most"),
        ({"until": "previous", "at_most": 0}, "greater"),
        ({"until": "previous", "at_most": 10**6}, "less"),
        ({"until": "previus", "at_most": 2}, "did you mean 'previous'"),
        ({"until": "previous >", "at_most": 2}, "unexpected"),
        ({"until": "steps.none.output", "at_most": 2}, "there is no step 'none'"),
        ({"for": [1], "as": "previous"}, "previous is the name"),
        ({"for": [1], "as": "{{ inputs.x }}"}, "no template"),
        ({"for": [1], "step": {"type": "nope"}}, "there is no step type"),
        ({"for": [1], "step": inner("{{ itm }}")}, "'itm' is not known here"),
    ],
)
def test_what_is_wrong_is_told_when_the_definition_is_loaded(inputs, said):
    flow = {"name": "f", "description": "d", "inputs": {"x": {}}, "steps": [loop(inputs.pop("step", inner("{{ previous }}")), **inputs)]}
    problems = workflow_problems(WorkflowDefinition.model_validate(flow), None)
    assert any(said in problem.problem for problem in problems), problems


def test_the_spend_of_a_loop_is_that_of_its_times(bench):
    run = bench.run([python("a"), loop(inner("{{ item }}"), **{"for": [1, 2]})])
    assert bench.steps(run.id)["l"].cost_nanos == 0
    assert list(bench.steps(run.id, under="l")) == ["l[0]", "l[1]"]
