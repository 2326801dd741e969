"""The step type ``wait`` on both stores: times, events, and processes that die meanwhile."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

import pytest

from hishamos.contracts.journal import Signal
from hishamos.engine.checking import workflow_problems
from hishamos.errors import WrongState
from hishamos.records.definitions import WorkflowDefinition
from hishamos.records.runs import RunState
from tests.rigs import step_functions
from tests.rigs.run_bench import Bench
from tests.unit.engine.test_runner import echo, python, until


@pytest.fixture(params=["duckdb", "postgres"])
def bench(request):
    made = Bench(":memory:" if request.param == "duckdb" else request.getfixturevalue("postgres_url"))
    yield made
    made.close()


def waits(*, after=("a",), **inputs):
    return [python("a", value=1), {"id": "w", "type": "wait", "after": list(after), "with": inputs}, python("b", value=2, after=["w"])]


def signal(bench, run, name="go", data=None):
    return bench.store.transaction(lambda transaction: bench.journal.set_signal(transaction, run, Signal(name=name, data=data, by="amal")))


class Tomorrow:
    """A clock that can be set forward."""

    def __init__(self):
        self.ahead = timedelta(0)

    def __call__(self):
        return datetime.now(UTC) + self.ahead


class TestTimes:
    def test_the_run_waits_and_goes_on_by_itself(self, bench):
        runner = bench.process()
        begun = time.monotonic()
        run = bench.work(bench.insert(waits(seconds=0.6), outputs={"w": "{{ steps.w.output }}"}), runner)
        assert run.state is RunState.WAITING
        assert run.waiting_for.startswith("until 20")
        assert runner.active == 0
        until(lambda: bench.get(run.id).state is RunState.SUCCEEDED)
        assert time.monotonic() - begun >= 0.6
        assert bench.get(run.id).outputs == {"w": {"event": None, "data": None, "by": None, "timed_out": False}}
        assert step_functions.calls == [1, 2]

    def test_a_wait_outlives_its_process_and_counts_from_when_it_began(self, bench):
        dead = bench.process()
        run = bench.work(bench.insert(waits(seconds=3600)), dead)
        dead.close()
        began = bench.steps(run.id)["w"].started_at
        clock = Tomorrow()
        bench.journal._clock = clock
        following = bench.process()
        following._tools.clock = clock
        assert following.recover() == []
        clock.ahead = began + timedelta(seconds=3601) - datetime.now(UTC)
        assert following.recover() == [run.id]
        until(lambda: bench.get(run.id).state is RunState.SUCCEEDED)
        assert step_functions.calls == [1, 2]
        assert bench.steps(run.id)["w"].attempt == 1

    def test_until_a_moment_of_any_zone(self, bench):
        past = datetime.now(UTC).replace(microsecond=0) - timedelta(seconds=1)
        assert bench.run(waits(until=past.isoformat())).state is RunState.SUCCEEDED
        zone = datetime.fromisoformat("2999-01-01T01:00:00+03:00")
        run = bench.run(waits(until=zone.isoformat()))
        assert "until 2998-12-31T22:00:00.000000Z" in run.waiting_for
        assert bench.journal.timed_waits() == {run.id: zone}

    def test_two_waits_at_once_end_each_at_its_time_while_others_work(self, bench):
        steps = [
            {"id": "short", "type": "wait", "with": {"seconds": 0.2}},
            {"id": "long", "type": "wait", "with": {"seconds": 0.7}},
            python("b", value=2, after=["short"]),
        ]
        runner = bench.process()
        run = bench.insert(steps)
        runner.begin(run)
        until(lambda: step_functions.calls == [2])
        assert bench.states(run)["long"] == "waiting"
        until(lambda: bench.get(run).state is RunState.SUCCEEDED)

    def test_a_paused_run_is_not_woken_and_a_cancelled_one_stays_so(self, bench):
        runner = bench.process()
        one, two = (bench.work(bench.insert(waits(seconds=1.5)), runner).id for _ in range(2))
        bench.wish(one, "pause")
        bench.wish(two, "cancel")
        time.sleep(1.7)
        runner.recover()
        assert [bench.get(run).state for run in (one, two)] == [RunState.PAUSED, RunState.CANCELLED]
        assert bench.resume(one).state is RunState.SUCCEEDED

    def test_two_processes_wake_a_run_once(self, bench):
        run = bench.work(bench.insert(waits(seconds=1.5)), bench.process())
        for _ in range(3):  # all of them before it is time: who starts later takes a DuckDB file's runs for a dead process's
            bench.process().recover(queued=False)
        until(lambda: bench.get(run.id).state is RunState.SUCCEEDED, 30)
        time.sleep(0.2)
        assert step_functions.calls == [1, 2]


class TestEvents:
    def test_a_run_goes_on_with_the_events_data(self, bench):
        runner = bench.process()
        run = bench.work(bench.insert(waits(event="go"), outputs={"o": "{{ steps.w.output }}"}), runner)
        assert run.waiting_for == "event go (step w)"
        assert signal(bench, run.id, "other") is False
        assert bench.get(run.id).state is RunState.WAITING
        assert signal(bench, run.id, data={"n": [1, "ü"]}) is True
        run = bench.work(run.id)
        assert run.outputs == {"o": {"event": "go", "data": {"n": [1, "ü"]}, "by": "amal", "timed_out": False}}
        assert step_functions.calls == [1, 2]

    def test_an_event_that_came_first_counts(self, bench):
        run = bench.insert(waits(event="go"))
        assert signal(bench, run) is False
        assert bench.work(run).state is RunState.SUCCEEDED

    def test_an_event_while_another_branch_works(self, bench):
        bench.models.hold = True
        runner = bench.process()
        run = bench.insert([{"id": "w", "type": "wait", "with": {"event": "go"}}, echo("c"), python("b", value=2, after=["w"])])
        work = runner.begin(run)
        until(lambda: bench.models.open_keys and bench.states(run).get("w") == "waiting")
        assert signal(bench, run) is False
        runner.nudge(run)
        until(lambda: step_functions.calls == [2])
        bench.models.release()
        assert work.result(10) is RunState.SUCCEEDED

    def test_nobody_sets_it_in_time(self, bench):
        runner = bench.process()
        run = bench.work(bench.insert(waits(event="go", seconds=0.3), outputs={"late": "{{ steps.w.output.timed_out }}"}), runner)
        assert run.waiting_for.endswith(" or event go (step w)")
        until(lambda: bench.get(run.id).state is RunState.SUCCEEDED)
        assert bench.get(run.id).outputs == {"late": True}

    def test_an_event_ends_a_timed_wait_at_once(self, bench):
        run = bench.work(bench.insert(waits(event="go", seconds=3600)), bench.process())
        assert signal(bench, run.id) is True
        assert bench.work(run.id).state is RunState.SUCCEEDED

    def test_each_item_of_a_map_waits_for_its_own(self, bench):
        inner = {"type": "wait", "with": {"event": "item_{{ item }}"}}
        run = bench.run([{"id": "m", "type": "map", "with": {"over": [0, 1], "step": inner}}], outputs={"o": "{{ steps.m.output }}"})
        assert signal(bench, run.id, "item_1", "one") is True
        assert bench.work(run.id).state is RunState.WAITING
        assert signal(bench, run.id, "item_0", "zero") is True
        assert [one["data"] for one in bench.work(run.id).outputs["o"]] == ["zero", "one"]

    def test_nobody_approves_a_wait_and_an_ended_run_takes_no_event(self, bench):
        run = bench.run(waits(event="go"))
        with pytest.raises(WrongState):
            bench.decide(run.id, "w")
        signal(bench, run.id)
        bench.work(run.id)
        with pytest.raises(WrongState, match="not ended"):
            signal(bench, run.id)


@pytest.mark.parametrize(
    ("inputs", "said"),
    [
        ({}, "give seconds, until or event"),
        ({"seconds": 1, "until": "2999-01-01T00:00:00Z"}, "not both"),
        ({"seconds": "{{ inputs.n }}", "until": "2999-01-01T00:00:00Z"}, "not both"),
        ({"until": "2999-01-01T00:00:00"}, "timezone"),
        ({"seconds": -1}, "greater"),
        ({"seconds": 1e12}, "less"),
        ({"event": "no way"}, "match"),
        ({"evnt": "go"}, "did you mean 'event'"),
    ],
)
def test_what_is_wrong_is_told_when_the_definition_is_loaded(inputs, said):
    flow = {"name": "f", "description": "d", "inputs": {"n": {}}, "steps": [{"id": "w", "type": "wait", "with": inputs}]}
    problems = workflow_problems(WorkflowDefinition.model_validate(flow), None)
    assert any(said in problem.problem for problem in problems), problems
