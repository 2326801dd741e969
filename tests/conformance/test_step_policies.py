"""What happens when a step fails survives its process, alike on both store engines."""

from __future__ import annotations

import time
from datetime import timedelta

import pytest

from hishamos.engine import functions
from hishamos.records.record import now
from hishamos.records.runs import RunState
from tests.rigs import step_functions
from tests.rigs.run_bench import Bench, ManualTimers


@pytest.fixture(params=["duckdb", "postgres"])
def bench(request, tmp_path, monkeypatch):
    monkeypatch.setattr(functions, "OWN", (functions.ROOM, "tests.rigs."))
    monkeypatch.setattr(functions, "_plugged", lambda: {name: f"tests.rigs.step_functions:{name}" for name in ("note", "boom", "flaky", "hang")})
    functions.function.cache_clear()
    step_functions.calls.clear()
    step_functions.gate.clear()
    address = request.getfixturevalue("postgres_url") if request.param == "postgres" else str(tmp_path / "journal.duckdb")
    made = Bench(address)
    yield made
    step_functions.gate.set()
    made.close()
    functions.function.cache_clear()


def python(step_id, function="note", after=(), value=None, **more):
    given = {"function": function, **({"value": value} if value is not None else {})}
    return {"id": step_id, "type": "python", "after": list(after), "with": given, **more}


def until(check, seconds=10.0):
    end = time.monotonic() + seconds
    while not check():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.005)


def die(runner):
    """End a process without a word: nothing it still has to say reaches the journal."""
    runner.close()


class Later:
    """A clock that the test sets."""

    def __init__(self):
        self.ahead = timedelta()

    def __call__(self):
        return now() + self.ahead


@pytest.mark.parametrize("leaving", ["killed", "paused"])
def test_what_is_left_of_a_wait_is_waited_by_the_next_process(bench, leaving):
    timers, clock = ManualTimers(), Later()
    first = bench.process(timers=timers, clock=clock, lease_s=0.3)
    identity = bench.insert([python("a", "boom", retry={"attempts": 3, "backoff_s": 100, "max_s": 100}), python("b")])
    work = first.begin(identity)
    until(lambda: bench.states(identity) == {"a": "pending", "b": "succeeded"})
    step = bench.steps(identity)["a"]
    assert step.attempt == 2
    assert "try 2 of 3" in step.waiting_for
    assert "it broke" in step.waiting_for
    assert 95 < (step.started_at - now()).total_seconds() <= 100
    if leaving == "paused":
        bench.wish(identity, "pause")
        first.nudge(identity)
        work.result(10)
        assert bench.get(identity).state is RunState.PAUSED
    die(first)
    clock.ahead = timedelta(seconds=60)
    again = ManualTimers()
    second = bench.process(timers=again, clock=clock)
    if leaving == "paused":
        bench.store.transaction(lambda transaction: bench.journal.queue(transaction, identity, second.owner))
    else:
        time.sleep(0.4)  # the dead process's lease runs out
    work = second.begin(identity)
    until(lambda: any(timer.action is not None and 30 < when <= 41 for when, _, timer in again._heap))
    again.advance(30)
    time.sleep(0.05)
    assert step_functions.calls.count(None) == 2, "the wait was not waited for"
    again.advance(11)
    until(lambda: bench.steps(identity)["a"].attempt == 3)

    def ended():
        again.advance(101)  # the last wait may begin a moment after the failure is seen
        return work.done()

    until(ended)
    assert work.result(10) is RunState.FAILED
    assert step_functions.calls.count(None) == 4, "three tries of a, one of b"
    assert bench.steps(identity)["a"].attempt == 3


def test_how_often_a_run_went_back_outlives_its_process(bench):
    judge = python("judge", "hang", ["draft"], retry={"attempts": 1}, timeout=50, on_error={"goto": "draft", "at_most": 2})
    timers = ManualTimers()
    runner = bench.process(timers=timers, lease_s=0.3)
    identity = bench.insert([python("draft", value="draft"), judge])
    runner.begin(identity)
    for times in (1, 2):
        until(lambda times=times: step_functions.calls.count("hang") == times)
        time.sleep(0.05)
        timers.advance(51)
        until(lambda times=times: bench.states(identity).get("draft") == "succeeded" and bench.steps(identity)["draft"].attempt == times + 1)
        until(lambda times=times: step_functions.calls.count("hang") == times + 1)
        die(runner)
        time.sleep(0.4)
        timers = ManualTimers()
        runner = bench.process(timers=timers, lease_s=0.3)
        work = runner.begin(identity)
        until(lambda times=times: step_functions.calls.count("hang") == times + 2)
        step_functions.calls.remove("hang")
    time.sleep(0.05)
    timers.advance(51)
    assert work.result(10) is RunState.FAILED
    steps = bench.steps(identity)
    assert (steps["draft"].attempt, steps["judge"].attempt, steps["judge"].error.type) == (3, 3, "LoopEnded")
    assert step_functions.calls.count("draft") == 3, "a restart repeats nothing that had finished"


@pytest.mark.parametrize("ending", ["failed", "cancelled"])
def test_a_compensation_goes_on_where_its_process_died(bench, ending):
    def undo(value, function="note"):
        return {"type": "python", "with": {"function": function, **({"value": value} if function == "note" else {})}}

    end = python("d", "boom", ["c"], retry={"attempts": 1})
    if ending == "cancelled":
        end = {"id": "d", "type": "approval", "after": ["c"], "with": {"message": "m"}}
    steps = [
        python("a", value="a", compensate=undo("undo a")),
        python("b", "note", ["a"], "b", compensate=undo("", "hang")),
        python("c", "note", ["b"], "c", compensate=undo("undo c")),
        end,
    ]
    first = bench.process(lease_s=0.3)
    identity = bench.insert(steps)
    work = first.begin(identity)
    if ending == "cancelled":
        work.result(10)
        bench.wish(identity, "cancel")
        first.begin(identity)
    until(lambda: "hang" in step_functions.calls)
    until(lambda: bench.states(identity).get("b/compensate") == "running")
    die(first)
    before = [one for one in step_functions.calls if one is not None]
    assert before == ["a", "b", "c", "undo c", "hang"]
    time.sleep(0.4)
    step_functions.gate.set()
    second = bench.process()
    assert second.begin(identity).result(10) == ending
    assert [one for one in step_functions.calls if one is not None][5:] == ["hang", "undo a"], "what had finished is not repeated"
    run = bench.get(identity)
    assert run.error.facts["compensated"] == ["c", "b", "a"]
    assert (run.state, run.error.type) == (ending, "RunFailed" if ending == "failed" else "RunCancelled")


def test_steps_done_again_from_one_of_them_are_new_attempts_in_one_commit(bench):
    steps = [python("a"), python("b", after=["a"]), {"id": "ok", "type": "approval", "after": ["b"], "with": {"message": "?"}}, python("c", after=["ok"])]
    identity = bench.insert(steps)
    assert bench.work(identity).state is RunState.WAITING
    bench.wish(identity, "pause")
    bench.store.transaction(lambda transaction: bench.journal.queue(transaction, identity, "nobody", again=["b", "ok", "c"]))
    assert bench.states(identity) == {"a": "succeeded", "b": "pending", "ok": "pending"}
    assert bench.work(identity).state is RunState.WAITING
    assert {path: step.attempt for path, step in bench.steps(identity).items()} == {"a": 1, "b": 2, "ok": 2}
    bench.decide(identity, "ok")
    assert bench.work(identity).state is RunState.SUCCEEDED
    assert (bench.get(identity).steps_done, bench.get(identity).steps_total) == (4, 4)


def test_a_wait_for_approval_survives_two_restarts_and_repeats_nothing(bench):
    steps = [python("a", value="a"), {"id": "ok", "type": "approval", "after": ["a"], "with": {"message": "?"}}, python("b", value="b", after=["ok"])]
    identity = bench.insert(steps)
    first = bench.process()
    first.begin(identity).result(30)
    for _ in range(2):
        die(first)
        first = bench.process()
        first.recover(lambda run, runner=first: runner.begin(run))
        assert bench.get(identity).state is RunState.WAITING
    assert step_functions.calls == ["a"]
    bench.decide(identity, "ok")
    assert bench.work(identity, first).state is RunState.SUCCEEDED
    assert step_functions.calls == ["a", "b"]
    assert {step.attempt for step in bench.steps(identity).values()} == {1}
