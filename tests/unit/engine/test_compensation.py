"""What had succeeded is taken back when a run fails or is cancelled: last first, once, and the run says how it went."""

from __future__ import annotations

import time

import pytest

from hishamos.errors import WrongState
from hishamos.records.runs import RunState
from tests.rigs import step_functions

ONCE = {"attempts": 1}


def undo(value, function="note", **more):
    return {"type": "python", "with": {"function": function, "value": value}, **more}


def python(step_id, function="note", after=(), value=None, **more):
    given = {"function": function, "value": step_id if value is None else value}
    return {"id": step_id, "type": "python", "after": list(after), "with": given, **more}


STEPS = [
    python("a", compensate=undo("undo {{ steps.a.output }}")),
    python("b", after=["a"], compensate=undo("undo {{ steps.b.output }} of {{ steps.a.output }}")),
    python("c", after=["b"]),
]
FAILING = [*STEPS, python("d", "boom", after=["c"], retry=ONCE, compensate=undo("never"))]


def test_last_first_and_only_what_had_succeeded(bench):
    run = bench.run([*FAILING, python("e", after=["d"], compensate=undo("never"))])
    assert run.state is RunState.FAILED
    assert step_functions.calls == ["a", "b", "c", "d", "undo b of a", "undo a"]
    states = {"a": "succeeded", "a/compensate": "succeeded", "b": "succeeded", "b/compensate": "succeeded", "c": "succeeded", "d": "failed"}
    assert bench.states(run.id) == states
    assert list(bench.steps(run.id)) == list(states), "in the order of the graph, each after its step"
    assert "it broke" in run.error.message
    assert "Compensated: b, a." in run.error.message
    assert (run.error.facts["compensated"], run.error.facts["not_compensated"]) == (["b", "a"], [])
    assert "hishamos resume" not in run.error.message


def test_what_can_not_be_taken_back_is_said_and_hinders_nothing(bench):
    steps = [
        python("a", compensate=undo("undo a")),
        python("b", after=["a"], compensate=undo("b", "boom", retry={"attempts": 3, "backoff_s": 0})),
        python("c", after=["b"], compensate=undo("c", when="steps.c.output == 'other'")),
        python("d", "boom", after=["c"], retry=ONCE),
    ]
    run = bench.run(steps)
    assert run.state is RunState.FAILED
    assert step_functions.calls == ["a", "b", "c", "d", "b", "b", "b", "undo a"]
    assert "Compensated: a. NOT compensated: b (" in run.error.message
    assert bench.states(run.id)["c/compensate"] == "skipped"


def test_a_compensated_run_is_not_resumed(bench):
    run = bench.run(FAILING)
    with pytest.raises(WrongState, match="was compensated"):
        bench.resume(run.id)
    failed = bench.run([python("d", "boom", retry=ONCE, compensate=undo("never"))])
    assert bench.resume(failed.id).state is RunState.FAILED, "nothing was compensated: it is resumed as ever"


def test_a_run_that_succeeds_takes_nothing_back(bench):
    assert bench.run(STEPS).state is RunState.SUCCEEDED
    assert step_functions.calls == ["a", "b", "c"]


def test_outputs_that_can_not_be_made_take_back_too(bench):
    run = bench.run(STEPS, outputs={"x": "{{ steps.c.output.nothing.at.all }}"})
    assert run.state is RunState.FAILED
    assert step_functions.calls == ["a", "b", "c", "undo b of a", "undo a"]
    assert "Compensated: b, a." in run.error.message


def test_what_was_continued_is_not_taken_back(bench):
    run = bench.run([python("a", "boom", retry=ONCE, on_error="continue", compensate=undo("never")), python("b", "boom", after=["a"], retry=ONCE)])
    assert (run.state, step_functions.calls) == (RunState.FAILED, ["a", "b"])


@pytest.mark.parametrize("running", [True, False])
def test_a_cancelled_run_takes_back(bench, running):
    last = python("w", "hang", after=["c"]) if running else {"id": "w", "type": "approval", "after": ["c"], "with": {"message": "m"}}
    if running:
        last["with"].pop("value")
    runner = bench.process()
    identity = bench.insert([*STEPS, last])
    work = runner.begin(identity)
    if running:
        end = time.monotonic() + 10
        while "hang" not in step_functions.calls:
            assert time.monotonic() < end
            time.sleep(0.005)
    else:
        assert work.result(10) is RunState.WAITING
    assert bench.wish(identity, "cancel") is True
    if running:
        runner.nudge(identity)
    else:
        assert bench.get(identity).state is RunState.QUEUED
        work = runner.begin(identity)
    assert work.result(10) is RunState.CANCELLED
    assert [one for one in step_functions.calls if one != "hang"] == ["a", "b", "c", "undo b of a", "undo a"]
    run = bench.get(identity)
    assert (run.state, run.error.type) == (RunState.CANCELLED, "RunCancelled")
    assert "Compensated: b, a." in run.error.message
    assert bench.states(identity)["w"] == "cancelled"


def test_a_pause_holds_the_compensation_too(bench):
    steps = [
        python("a", compensate=undo("undo a")),
        python("b", after=["a"], compensate={"type": "python", "with": {"function": "hang"}}),
        python("c", "boom", after=["b"], retry=ONCE),
    ]
    runner = bench.process()
    identity = bench.insert(steps)
    work = runner.begin(identity)
    end = time.monotonic() + 10
    while "hang" not in step_functions.calls:
        assert time.monotonic() < end
        time.sleep(0.005)
    bench.wish(identity, "pause")
    runner.nudge(identity)
    time.sleep(0.1)
    step_functions.gate.set()
    assert work.result(10) is RunState.PAUSED
    assert bench.states(identity) == {"a": "succeeded", "a/compensate": "pending", "b": "succeeded", "b/compensate": "succeeded", "c": "failed"}
    assert bench.resume(identity).state is RunState.FAILED
    assert step_functions.calls == ["a", "b", "c", "hang", "undo a"]
    assert "Compensated: b, a." in bench.get(identity).error.message


def test_who_cancels_a_pause_in_a_compensation_has_it_go_on(bench):
    steps = [
        python("a", compensate=undo("undo a")),
        python("b", after=["a"], compensate={"type": "python", "with": {"function": "hang"}}),
        python("c", "boom", after=["b"], retry=ONCE),
    ]
    runner = bench.process()
    identity = bench.insert(steps)
    work = runner.begin(identity)
    end = time.monotonic() + 10
    while "hang" not in step_functions.calls:
        assert time.monotonic() < end
        time.sleep(0.005)
    for wish in ("pause", "cancel"):
        bench.wish(identity, wish)
        runner.nudge(identity)
        time.sleep(0.1)
    step_functions.gate.set()
    assert work.result(10) is RunState.FAILED
    assert step_functions.calls == ["a", "b", "c", "hang", "undo a"]
