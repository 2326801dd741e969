"""What is tried again, how often, and after how long: with time that passes when the test says so."""

from __future__ import annotations

import time

import pytest

from hishamos.engine.failures import error_names, tries
from hishamos.errors import CallFailed, FunctionFailed, InvalidInput, RunHeld, StepTimedOut
from hishamos.records.definitions import Retry
from tests.rigs import step_functions
from tests.rigs.run_bench import ManualTimers

CALL = CallFailed(model="fake/model", reason="it is down", cause="server_error", attempts=4, next="")
LATE = StepTimedOut(step="a", seconds=300, run="r")
WRONG = InvalidInput(what="w", where="h", next="")


def raised(kind):
    return FunctionFailed(step="a", function="f", kind=kind, reason="r")


def python(step_id, function, **more):
    return {"id": step_id, "type": "python", "with": {"function": function}, **more}


def until(check, seconds=10.0):
    end = time.monotonic() + seconds
    while not check():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.002)


def armed(timers, at):
    """Whether something is to happen at this time of the test's clock."""
    return any(timer.action is not None and abs(when - at) < 0.05 for when, _, timer in timers._heap)


@pytest.mark.parametrize(
    ("error", "on", "expected"),
    [
        (CALL, (), 5),
        (CALL, ("CallFailed",), 5),
        (CALL, ("GatewayError",), 5),
        (CALL, ("StepTimedOut", "OSError"), 1),
        (LATE, ("StepTimedOut",), 5),
        (LATE, ("StepFailed",), 5),
        (raised("ConnectionResetError"), ("OSError",), 5),
        (raised("OSError"), ("ConnectionResetError",), 1),
        (raised("ValueError"), ("OSError",), 1),
        (raised("SomeLibrarysError"), ("Exception",), 5),
        (raised("SomeLibrarysError"), ("OSError",), 1),
        (raised("ValueError"), ("FunctionFailed",), 5),
        (WRONG, (), 1),
        (WRONG, ("InvalidInput",), 5),
    ],
)
def test_which_errors_are_tried_again(error, on, expected):
    assert tries(error, Retry(attempts=5, on=on), 3) == expected


def test_without_a_declaration_own_failures_have_three_more():
    assert [tries(error, None, 3) for error in (LATE, raised("ValueError"), CALL, WRONG)] == [4, 4, 1, 1]


def test_names_are_of_both_trees():
    assert {"CallFailed", "StepTimedOut", "OSError", "ValueError"} <= set(error_names())
    assert not {"KeyboardInterrupt", "Any", "print"} & set(error_names())


@pytest.mark.parametrize(
    ("declared", "waits"),
    [
        ({}, [0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 10, 10]),
        ({"backoff_s": 2, "factor": 3, "max_s": 60}, [2, 6, 18, 54, 60, 60]),
        ({"backoff_s": 5, "factor": 1}, [5, 5, 5]),
        ({"backoff_s": 60}, [60, 60]),
        ({"backoff_s": 0}, [0, 0]),
    ],
)
def test_waits_grow_to_their_limit(declared, waits):
    retry = Retry(attempts=100, **declared)
    assert [retry.pause_s(tried + 1) for tried in range(len(waits))] == pytest.approx(waits)
    assert retry.pause_s(99) == waits[-1]


def test_the_defaults_hold_300_seconds_and_three_more_tries(bench):
    timers = ManualTimers()
    runner = bench.process(timers=timers)
    identity = bench.insert([python("a", "hang")])
    work = runner.begin(identity)
    for tried in range(1, 5):
        until(lambda tried=tried: len(step_functions.calls) == tried)
        begun = timers.now
        time.sleep(0.05)  # the limit counts from when the work began, which is told a moment later
        until(lambda begun=begun: armed(timers, begun + 300))
        timers.advance(299.9)
        time.sleep(0.05)
        assert bench.steps(identity)["a"].attempt == tried
        timers.advance(0.2)
        if tried < 4:
            pause = 0.2 * 2 ** (tried - 1)
            until(lambda now=timers.now, pause=pause: armed(timers, now + pause))
            assert not work.done()
            timers.advance(pause + 0.1)
    work.result(10)
    step = bench.steps(identity)["a"]
    assert (step.state, step.attempt, step.error.type) == ("timed_out", 4, "StepTimedOut")
    assert "300" in step.error.message
    assert len(step_functions.calls) == 4


def test_a_failed_map_item_waits_by_the_maps_declaration(bench):
    timers = ManualTimers()
    step = {"type": "python", "with": {"function": "boom"}}
    identity = bench.insert([{"id": "m", "type": "map", "retry": {"attempts": 2, "backoff_s": 50}, "with": {"over": [1], "step": step}}])
    work = bench.process(timers=timers).begin(identity)
    until(lambda: bench.states(identity).get("m[0]") == "pending")
    assert "try 2 of 2" in bench.steps(identity)["m[0]"].waiting_for
    timers.advance(51)
    work.result(10)
    assert len(step_functions.calls) == 2


def test_another_steps_failure_ends_the_waiting(bench):
    timers = ManualTimers()
    steps = [python("a", "boom", retry={"attempts": 2, "backoff_s": 500}), python("b", "hang", retry={"attempts": 1})]
    identity = bench.insert(steps)
    work = bench.process(timers=timers).begin(identity)
    until(lambda: armed(timers, 500))
    until(lambda: armed(timers, 300))
    timers.advance(301)
    work.result(10)
    steps = bench.steps(identity)
    assert (steps["a"].state, steps["b"].state) == ("cancelled", "timed_out")
    assert steps["a"].started_at is None


def test_a_cancelled_run_waits_for_nothing(bench):
    runner = bench.process(timers=ManualTimers())
    identity = bench.insert([python("a", "boom", retry={"attempts": 2, "backoff_s": 500})])
    work = runner.begin(identity)
    until(lambda: bench.states(identity).get("a") == "pending")
    with pytest.raises(RunHeld):
        bench.resume(identity, runner)
    bench.wish(identity, "cancel")
    runner.nudge(identity)
    work.result(10)
    assert bench.states(identity) == {"a": "cancelled"}
    assert step_functions.calls == [None]
