"""What a run does when a step has failed for good: go on without it, go back within a bound, go forward."""

from __future__ import annotations

import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hishamos.records.runs import RunState
from tests.rigs import step_functions

ONCE = {"attempts": 1}


def python(step_id, function="note", after=(), value=None, **more):
    given = {"function": function, **({"value": value} if value is not None else {})}
    return {"id": step_id, "type": "python", "after": list(after), "with": given, **more}


def test_a_continued_step_gives_null_and_its_error(bench):
    steps = [
        python("a", "boom", retry=ONCE, on_error="continue"),
        python("b", after=["a"], value="{{ [steps.a.output, steps.a.state, steps.a.error.type] }}"),
        python("c", after=["a"], value="{{ steps.a.error.message }}", when="steps.a.error"),
        python("d", after=["b"], value=1, when="steps.b.error"),
    ]
    run = bench.run(steps, outputs={"a": "{{ steps.a.output }}", "b": "{{ steps.b.output }}"})
    assert (run.state, run.error) == (RunState.SUCCEEDED, None)
    assert run.outputs == {"a": None, "b": [None, "failed", "FunctionFailed"]}
    assert bench.states(run.id) == {"a": "failed", "b": "succeeded", "c": "succeeded", "d": "skipped"}
    assert "it broke" in bench.steps(run.id)["c"].output
    told = [event.message for event in bench.journal.history.events(run.id, after=0, limit=100) if event.path == "a" and event.state == "failed"]
    assert "on_error is continue" in told[0]
    assert (run.steps_done, run.steps_total) == (4, 4)


def test_a_continued_step_is_tried_as_often_as_declared(bench):
    run = bench.run([python("a", "boom", retry={"attempts": 3, "backoff_s": 0}, on_error="continue")])
    assert (run.state, len(step_functions.calls)) == (RunState.SUCCEEDED, 3)


def test_resume_does_not_repeat_what_was_continued(bench):
    steps = [python("a", "boom", value="a", retry=ONCE, on_error="continue"), python("b", "boom", after=["a"], value="b", retry=ONCE)]
    run = bench.run(steps)
    assert run.state is RunState.FAILED
    assert bench.resume(run.id).state is RunState.FAILED
    assert step_functions.calls == ["a", "b", "b"]


@pytest.mark.parametrize("kind", ["map", "switch"])
def test_a_step_inside_another_is_continued(bench, kind):
    inner = {"type": "python", "retry": ONCE, "on_error": "continue", "with": {"function": "boom"}}
    given = {"over": [1, 2], "step": inner} if kind == "map" else {"on": "x", "cases": {"x": inner}}
    run = bench.run([{"id": "m", "type": kind, "with": given}], outputs={"m": "{{ steps.m.output }}"})
    assert run.state is RunState.SUCCEEDED
    assert run.outputs == {"m": [None, None] if kind == "map" else None}
    assert len(step_functions.calls) == (2 if kind == "map" else 1)


def test_going_back_runs_the_loop_again_until_it_passes(bench):
    steps = [
        python("before", value="before"),
        python("draft", after=["before"], value="draft"),
        {
            "id": "judge",
            "type": "python",
            "after": ["draft"],
            "retry": ONCE,
            "with": {"function": "flaky", "times": 7},
            "on_error": {"goto": "draft", "at_most": 3},
        },
        python("end", after=["judge"], value="end"),
    ]
    run = bench.run(steps)
    assert run.state is RunState.SUCCEEDED
    assert step_functions.calls == ["before", "draft", "flaky", "draft", "flaky", "draft", "flaky", "end"]
    assert {path: step.attempt for path, step in bench.steps(run.id).items()} == {"before": 1, "draft": 3, "judge": 3, "end": 1}
    assert (run.steps_done, run.steps_total) == (4, 4)
    notes = [event.message for event in bench.journal.history.events(run.id, after=0, limit=100) if event.state == "went_back"]
    assert [note.partition(",")[2][:7] for note in notes] == [" 1 of 3", " 2 of 3"]


def test_a_loop_ends_at_its_bound_and_says_so(bench):
    steps = [python("draft", value="draft"), python("judge", "boom", after=["draft"], value="no", retry=ONCE, on_error={"goto": "draft", "at_most": 2})]
    run = bench.run(steps)
    assert run.state is RunState.FAILED
    assert step_functions.calls == ["draft", "no"] * 3
    assert "went back to 'draft' 2 times" in run.error.message
    assert bench.steps(run.id)["judge"].error.type == "LoopEnded"
    assert bench.resume(run.id).state is RunState.FAILED
    assert step_functions.calls == ["draft", "no"] * 3 + ["no"] + ["draft", "no"] * 2, "a resumed run counts anew"


def test_going_back_asks_models_and_people_anew(bench):
    steps = [
        {"id": "ask", "type": "command", "with": {"command": "echo", "inputs": {"text": "x"}}},
        {"id": "ok", "type": "approval", "after": ["ask"], "with": {"message": "m"}, "on_error": {"goto": "ask", "at_most": 1}},
    ]
    run = bench.run(steps)
    bench.decide(run.id, "ok", "reject")
    assert bench.work(run.id).state is RunState.WAITING
    assert bench.models.sent == [f"{run.id}/ask/1/0", f"{run.id}/ask/2/0"]
    bench.decide(run.id, "ok")
    assert bench.work(run.id).state is RunState.SUCCEEDED


def test_steps_beside_the_loop_are_left_alone_and_joins_wait(bench):
    steps = [
        python("side", value="side"),
        python("draft", value="draft"),
        {
            "id": "judge",
            "type": "python",
            "after": ["draft"],
            "retry": ONCE,
            "with": {"function": "flaky", "times": 5},
            "on_error": {"goto": "draft", "at_most": 9},
        },
        python("join", after=["judge", "side"], value="join"),
    ]
    run = bench.run(steps)
    assert run.state is RunState.SUCCEEDED
    assert step_functions.calls.count("side") == 1
    assert step_functions.calls.count("join") == 1
    assert step_functions.calls[-1] == "join"


def test_a_running_step_of_the_loop_is_stopped_and_run_again(bench):
    steps = [
        python("draft", value="draft"),
        python("slow", "hang", after=["draft"]),
        {
            "id": "judge",
            "type": "python",
            "after": ["draft"],
            "retry": ONCE,
            "with": {"function": "flaky", "times": 4},
            "on_error": {"goto": "draft", "at_most": 1},
        },
    ]
    identity = bench.insert(steps)
    work = bench.process().begin(identity)
    end = time.monotonic() + 10
    while "slow" not in bench.steps(identity) or bench.steps(identity)["slow"].attempt < 2:
        assert time.monotonic() < end
        time.sleep(0.005)
    step_functions.gate.set()
    assert work.result(20) is RunState.SUCCEEDED
    assert bench.states(identity) == {"draft": "succeeded", "slow": "succeeded", "judge": "succeeded"}
    assert bench.store.fetch_one("select state from journal_steps where path = 'slow' and attempt = 1")["state"] == "cancelled"


def test_going_forward_skips_what_lies_between(bench):
    steps = [
        python("a", "boom", retry=ONCE, on_error={"goto": "report"}),
        python("b", after=["a"], value="b"),
        python("c", after=["b"], value="c"),
        python("other", after=["a"], value="other"),
        python("report", after=["c"], value="{{ [steps.a.error.type, steps.c.state] }}"),
        python("end", after=["report", "other"], value="end"),
    ]
    run = bench.run(steps)
    assert run.state is RunState.SUCCEEDED
    expected = {"a": "failed", "b": "skipped", "c": "skipped", "other": "skipped", "report": "succeeded", "end": "succeeded"}
    assert bench.states(run.id) == expected
    assert step_functions.calls == [None, ["FunctionFailed", "skipped"], "end"]
    assert (run.steps_done, run.steps_total) == (6, 6)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])  # the examples share a store on purpose
@given(st.lists(st.tuples(st.sampled_from(["note", "boom"]), st.integers(0, 3), st.integers(1, 3)), min_size=2, max_size=5))
def test_a_run_with_loops_always_ends(bench, shape):
    """Each step of a chain may go back by up to three steps: the run ends, whatever fails."""
    step_functions.calls.clear()
    steps = []
    for number, (function, back, bound) in enumerate(shape):
        jump = {"on_error": {"goto": f"s{max(0, number - back)}", "at_most": bound}} if back and number else {}
        steps.append(python(f"s{number}", function, after=[f"s{number - 1}"] if number else [], value=number, retry=ONCE, **jump))
    runner = bench.runners[0] if bench.runners else bench.process()  # one for all examples: a second would take the first for dead
    run = bench.work(bench.insert(steps), runner)
    first = next((number for number, (function, *_) in enumerate(shape) if function == "boom"), None)
    assert run.state is (RunState.SUCCEEDED if first is None else RunState.FAILED)
    if first is not None:
        loops = shape[first][2] if "on_error" in steps[first] else 0
        assert step_functions.calls.count(first) == loops + 1
