"""Dispatchers: a job is a run's id, the truth is the run's row; handing a run over again changes nothing."""

from __future__ import annotations

import time

import pytest

from hishamos.dispatch.inline import InlineDispatcher
from hishamos.dispatch.threads import ThreadsDispatcher
from hishamos.records.runs import RunState
from tests.rigs.run_bench import Bench

STEP = {"type": "command", "with": {"command": "echo", "inputs": {"text": "x"}}}


@pytest.fixture(params=[InlineDispatcher, ThreadsDispatcher])
def work(request):
    bench = Bench()
    runner = bench.process()
    yield bench, request.param(runner.begin)
    bench.close()


def settled(bench, identity):
    end = time.monotonic() + 10
    while not (bench.get(identity).ended or bench.get(identity).state in {RunState.WAITING, RunState.PAUSED}):
        assert time.monotonic() < end
        time.sleep(0.005)
    return bench.get(identity)


def test_a_run_is_worked_on(work):
    bench, dispatcher = work
    identity = bench.insert([{"id": "a", **STEP}])
    dispatcher.dispatch(identity)
    assert settled(bench, identity).state is RunState.SUCCEEDED


def test_a_failure_stands_in_the_row(work):
    bench, dispatcher = work
    identity = bench.insert([{"id": "a", "type": "command", "with": {"command": "echo", "inputs": {"txt": "x"}}}])
    dispatcher.dispatch(identity)
    run = settled(bench, identity)
    assert run.state is RunState.FAILED
    assert "did you mean 'text'" in run.error.message


def test_a_run_that_waits_is_let_go_and_taken_up_again(work):
    bench, dispatcher = work
    identity = bench.insert([{"id": "ok", "type": "approval", "with": {"message": "?"}}, {"id": "b", **STEP, "after": ["ok"]}])
    dispatcher.dispatch(identity)
    assert settled(bench, identity).state is RunState.WAITING
    bench.decide(identity, "ok")
    dispatcher.dispatch(identity)
    end = time.monotonic() + 10
    while not bench.get(identity).ended and time.monotonic() < end:
        time.sleep(0.005)
    assert bench.get(identity).state is RunState.SUCCEEDED


def test_handing_over_again_or_nonsense_changes_nothing(work):
    bench, dispatcher = work
    identity = bench.insert([{"id": "a", **STEP}])
    for _ in range(3):
        dispatcher.dispatch(identity)
    assert settled(bench, identity).state is RunState.SUCCEEDED
    dispatcher.dispatch(identity)
    dispatcher.dispatch("NOSUCH")
    time.sleep(0.05)
    assert bench.models.sent == [f"{identity}/a/1/0"]
    assert [event.state for event in bench.journal.history.events(identity, after=0, limit=100) if event.kind == "run"] == ["queued", "running", "succeeded"]
