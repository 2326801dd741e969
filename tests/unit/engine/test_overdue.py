"""Runs that may not go on: their deadline has passed, or whoever works on them dies."""

from __future__ import annotations

from datetime import timedelta

import pytest

from hishamos.errors import WorkerDied
from hishamos.records.record import now
from hishamos.records.runs import RunState
from hishamos.store.journal import StoreJournal
from tests.rigs.run_bench import Bench, ManualTimers, SharedJournal
from tests.rigs.workers import settle

ASK = {"type": "approval", "with": {"message": "?"}}
SAY = {"type": "command", "with": {"command": "echo", "inputs": {"text": "x"}}}


class Clock:
    """A clock that goes when it is told to."""

    def __init__(self) -> None:
        self.moment = now()

    def __call__(self):
        return self.moment


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def bench():
    made = Bench()
    yield made
    made.close()


def die(bench, identity, clock, times, seconds=60):
    """Processes in words take the run and are never heard of again."""
    for number in range(times):
        SharedJournal(bench.store, clock=clock).claim(identity, f"dead {number}", 15)
        clock.moment += timedelta(seconds=seconds)


def process(bench, clock, **options):
    return bench.process(journal=SharedJournal(bench.store, clock=clock), clock=clock, timers=ManualTimers(), **options)


def test_after_one_and_three_deaths_a_run_fails_and_says_at_what(bench, clock):
    identity = bench.insert([{"id": "a", **SAY}])
    die(bench, identity, clock, 4)
    run = bench.work(identity, process(bench, clock))
    assert (run.state, run.error.type, run.error.facts["times"]) == (RunState.FAILED, "WorkerDied", 4)
    assert bench.models.sent == []


def test_after_three_deaths_it_goes_on(bench, clock):
    identity = bench.insert([{"id": "a", **SAY}])
    die(bench, identity, clock, 3)
    assert bench.work(identity, process(bench, clock)).state is RunState.SUCCEEDED


def test_deaths_count_only_while_no_step_ends_between(bench, clock):
    identity = bench.insert([{"id": "a", **SAY}, {"id": "b", "after": ["a"], **ASK}])
    die(bench, identity, clock, 3)
    assert bench.work(identity, process(bench, clock)).state is RunState.WAITING
    bench.decide(identity, "b")
    die(bench, identity, clock, 3)
    assert bench.work(identity, process(bench, clock)).state is RunState.SUCCEEDED


def test_a_step_that_has_ended_counts_before_the_run_says_so(bench, clock):
    identity = bench.insert([{"id": "a", **SAY}, {"id": "b", "after": ["a"], **ASK}])
    assert bench.work(identity, process(bench, clock)).state is RunState.WAITING
    killed = "update journal_runs set state = 'running', lease_owner = 'dead', steps_done = 0, deaths = 3, deaths_done = 0"
    bench.store.transaction(lambda transaction: transaction.execute(killed))
    clock.moment += timedelta(seconds=60)
    assert bench.work(identity, process(bench, clock)).state is RunState.WAITING


def test_who_resumes_it_gives_it_as_many_lives_again(bench, clock):
    identity = bench.insert([{"id": "a", **SAY}])
    die(bench, identity, clock, 2)
    runner = process(bench, clock, max_retries=1)
    assert bench.work(identity, runner).error.type == "WorkerDied"
    assert bench.resume(identity, runner).state is RunState.SUCCEEDED


def test_what_had_succeeded_is_compensated_when_processes_die_further_on(bench, clock):
    undo = {"type": "command", "with": {"command": "echo", "inputs": {"text": "back"}}}
    identity = bench.insert([{"id": "a", **SAY, "compensate": undo}, {"id": "ok", "after": ["a"], **ASK}, {"id": "b", "after": ["ok"], **SAY}])
    assert bench.work(identity, process(bench, clock)).state is RunState.WAITING
    bench.decide(identity, "ok")
    die(bench, identity, clock, 2)
    run = bench.work(identity, process(bench, clock, max_retries=1))
    assert (run.error.type, run.error.facts["compensated"]) == ("WorkerDied", ["a"])
    assert "Compensated: a." in run.error.message


def test_who_dies_of_compensating_too_is_not_tried_for_ever(bench, clock):
    undo = {"type": "command", "with": {"command": "echo", "inputs": {"text": "back"}}}
    identity = bench.insert([{"id": "a", **SAY, "compensate": undo}, {"id": "ok", "after": ["a"], **ASK}])
    assert bench.work(identity, process(bench, clock)).state is RunState.WAITING
    bench.models.hold = True
    bench.wish(identity, "cancel")
    first = process(bench, clock)
    first.begin(identity)
    settle(lambda: bench.models.open_keys)
    first.close()
    clock.moment += timedelta(seconds=60)
    die(bench, identity, clock, 3)
    assert type(process(bench, clock, max_retries=1).begin(identity).exception(60)) is WorkerDied
    settle(lambda: bench.get(identity).ended)
    assert (bench.get(identity).state, bench.get(identity).error.type) == (RunState.FAILED, "WorkerDied")


def test_a_run_ends_at_its_deadline_and_its_calls_are_cancelled(bench, clock):
    bench.models.hold = True
    identity = bench.insert([{"id": "a", **SAY}], deadline_s=30)
    runner = process(bench, clock)
    done = runner.begin(identity)
    settle(lambda: bench.models.open_keys)
    clock.moment += timedelta(seconds=31)
    bench.runners[-1]._tools.timers.advance(31)
    done.result(10)
    run = bench.get(identity)
    assert (run.state, run.error.type, run.error.facts["seconds"]) == (RunState.FAILED, "RunTimedOut", "30")
    assert bench.states(identity) == {"a": "cancelled"}


def test_a_run_that_waits_is_woken_to_end_at_its_deadline(bench, clock):
    identity = bench.insert([{"id": "ok", **ASK}], deadline_s=30)
    runner = process(bench, clock)
    assert bench.work(identity, runner).state is RunState.WAITING
    journal = StoreJournal(bench.store, clock=clock)
    assert journal.wake()[0] == []
    clock.moment += timedelta(seconds=31)
    assert journal.wake()[0] == [identity]
    run = bench.work(identity, runner)
    assert (run.state, run.error.type) == (RunState.FAILED, "RunTimedOut")


def test_who_resumes_it_gives_it_as_long_again(bench, clock):
    identity = bench.insert([{"id": "a", **SAY}], deadline_s=30)
    clock.moment += timedelta(seconds=31)
    runner = process(bench, clock)
    assert bench.work(identity, runner).error.type == "RunTimedOut"
    journal = StoreJournal(bench.store, clock=clock)
    bench.store.transaction(lambda transaction: journal.queue(transaction, identity, runner.owner))
    assert bench.work(identity, runner).state is RunState.SUCCEEDED
