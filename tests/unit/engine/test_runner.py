"""The runner: order, failures, tries, time limits, people, pause and cancel."""

from __future__ import annotations

import json
import time
from concurrent.futures import Future

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hishamos.engine import holding
from hishamos.errors import BudgetRefused, CallFailed, LeaseLost, RunHeld, WrongState
from hishamos.records.calls import CallStatus
from hishamos.records.runs import RunState
from tests.rigs import step_functions
from tests.rigs.lengths import examples
from tests.rigs.run_bench import ManualTimers, SharedJournal

FAILED = CallFailed(model="fake/model", reason="it is down", cause="server_error", attempts=4, next="")
REFUSED = BudgetRefused(budget="b", scope="run", period="total", committed_usd="1", limit_usd="1", bound_usd="1", next="")


def echo(step_id, text="x", **more):
    return {"id": step_id, "type": "command", "with": {"command": "echo", "inputs": {"text": text}}, **more}


def python(step_id, function="note", after=(), **more):
    extra = {name: more.pop(name) for name in ("when", "retry", "timeout") if name in more}
    return {"id": step_id, "type": "python", "after": list(after), "with": {"function": function, **more}, **extra}


def until(check, seconds=10.0):
    end = time.monotonic() + seconds
    while not check():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.005)


def test_steps_run_in_order_and_outputs_are_expressions(bench):
    run = bench.run(
        [echo("a", "hello {{ inputs.who }}"), python("b", value="{{ steps.a.output }}", after=["a"])],
        {"who": "Amal"},
        outputs={"said": "{{ steps.b.output }}", "kept": {"deep": ["{{ steps.a.state }}"]}, "id": "{{ run.id }}"},
    )
    assert run.state is RunState.SUCCEEDED
    assert run.outputs == {"said": "answer to hello Amal", "kept": {"deep": ["succeeded"]}, "id": run.id}
    assert (run.steps_done, run.steps_total) == (2, 2)
    assert bench.models.sent == [f"{run.id}/a/1/0"]
    tags = bench.models.tags[f"{run.id}/a/1/0"]
    assert (tags.run, tags.step, tags.workflow, tags.command) == (run.id, "a", "flow", bench.models.tags[f"{run.id}/a/1/0"].command)
    kinds = [(event.kind, event.path, event.state) for event in bench.journal.history.events(run.id, after=0, limit=100)]
    assert kinds[0] == ("run", None, "queued")
    assert kinds[-1] == ("run", None, "succeeded")
    assert ("step", "a", "running") in kinds
    assert kinds.index(("step", "a", "succeeded")) < kinds.index(("step", "b", "succeeded"))


def test_a_skipped_step_gives_null_and_later_steps_run(bench):
    run = bench.run([python("a", value=1, when="1 == 2"), python("b", value="{{ steps.a.output }}", after=["a"])])
    assert bench.states(run.id) == {"a": "skipped", "b": "succeeded"}
    assert step_functions.calls == [None]


def test_a_step_that_always_fails_runs_1_plus_3_times(bench):
    timers = ManualTimers()
    runner = bench.process(timers=timers)
    identity = bench.insert([python("a", "boom"), python("b", after=["a"])])
    work = runner.begin(identity)
    until(lambda: step_functions.calls)
    for tried in (2, 3, 4):
        for wait in range(20):  # time passes again where the pause had not begun yet, but never a step's own 300 s
            if len(step_functions.calls) < tried:
                timers.advance(11)
                time.sleep(0.05 * wait)
    assert work.result(10) is RunState.FAILED
    assert len(step_functions.calls) == 4
    run = bench.get(identity)
    assert bench.steps(identity)["a"].attempt == 4
    assert "b" not in bench.steps(identity)
    assert run.error.type == "RunFailed"
    assert "it broke" in run.error.message
    assert "hishamos resume" in run.error.message


def test_max_retries_is_a_setting(bench):
    run = bench.run([python("a", "boom")], settings={"max_retries": 0})
    assert run.state is RunState.FAILED
    assert len(step_functions.calls) == 1


def test_a_declared_retry_counts_the_first_try(bench):
    run = bench.run([python("a", "boom", retry={"attempts": 2})])
    assert run.state is RunState.FAILED
    assert len(step_functions.calls) == 2


def test_a_flaky_step_succeeds_in_a_later_attempt(bench):
    run = bench.run([python("a", "flaky", times=2)])
    assert run.state is RunState.SUCCEEDED
    assert bench.steps(run.id)["a"].attempt == 2


def test_wrong_usage_is_final(bench):
    run = bench.run([python("a", "refuse", retry={"attempts": 5})])
    assert step_functions.calls == ["refuse"]
    assert "bugs.csv" in run.error.message


def test_what_has_no_plain_form_is_told(bench):
    run = bench.run([python("a", "odd")], settings={"max_retries": 0})
    assert "no plain data" in run.error.message


def test_the_gateways_refusal_is_final_without_a_declared_retry(bench):
    bench.models.script = lambda request, key: FAILED
    run = bench.run([echo("a")])
    assert run.state is RunState.FAILED
    assert len(bench.models.sent) == 1
    assert bench.steps(run.id)["a"].error.type == "CallFailed"
    again = bench.run([echo("a", retry={"attempts": 3})])
    assert bench.models.sent[1:] == [f"{again.id}/a/{n}/0" for n in (1, 2, 3)]


@pytest.mark.parametrize("said", [REFUSED, CallStatus.INCOMPLETE, CallStatus.CANCELLED])
def test_a_refused_or_cut_off_answer_never_passes(bench, said):
    bench.models.script = lambda request, key: said
    run = bench.run([echo("a")])
    assert run.state is RunState.FAILED
    assert bench.steps(run.id)["a"].output is None


def test_a_step_of_301_seconds_is_timed_out(bench):
    timers = ManualTimers()
    runner = bench.process(timers=timers)
    identity = bench.insert([python("a", "hang", retry={"attempts": 1})])
    work = runner.begin(identity)
    until(lambda: step_functions.calls == ["hang"])
    time.sleep(0.05)
    timers.advance(299)
    time.sleep(0.05)
    assert not work.done()
    timers.advance(2)
    assert work.result(10) is RunState.FAILED
    assert bench.states(identity) == {"a": "timed_out"}
    assert "300" in bench.steps(identity)["a"].error.message


def test_a_call_past_the_steps_limit_is_cancelled_and_tried_again(bench):
    bench.models.hold = True
    timers = ManualTimers()
    runner = bench.process(timers=timers)
    identity = bench.insert([echo("a", timeout=5, retry={"attempts": 2})])
    work = runner.begin(identity)
    until(lambda: bench.models.open_keys == [f"{identity}/a/1/0"])
    timers.advance(6)
    until(lambda: bench.models.cancelled == [f"{identity}/a/1/0"])
    until(lambda: any(entry[2].action for entry in timers._heap))
    time.sleep(0.05)
    timers.advance(1)
    until(lambda: bench.models.open_keys == [f"{identity}/a/2/0"])
    bench.models.release()
    assert work.result(10) is RunState.SUCCEEDED


def test_a_map_past_its_declared_limit_lets_its_items_go(bench):
    bench.models.hold = True
    timers = ManualTimers()
    runner = bench.process(timers=timers)
    inner = {"type": "command", "with": {"command": "echo", "inputs": {"text": "{{ item }}"}}}
    identity = bench.insert([{"id": "m", "type": "map", "timeout": 5, "with": {"over": [1, 2, 3], "concurrency": 2, "step": inner}}])
    work = runner.begin(identity)
    until(lambda: len(bench.models.open_keys) == 2)
    timers.advance(6)
    assert work.result(10) is RunState.FAILED
    assert bench.states(identity) == {"m": "timed_out", "m[0]": "cancelled", "m[1]": "cancelled"}


def test_repairs_send_the_answer_back_with_its_problem(bench):
    answers = iter(["no json", '{"n": "three"}', '```json\n{"n": 3}\n```'])
    bench.models.script = lambda request, key: next(answers)
    run = bench.run([{"id": "a", "type": "command", "with": {"command": "count", "inputs": {"text": "x"}}}], outputs={"n": "{{ steps.a.output.n }}"})
    assert run.outputs == {"n": 3}
    assert bench.models.sent == [f"{run.id}/a/1/{position}" for position in (0, 1, 2)]
    last = bench.models.requests[f"{run.id}/a/1/2"].messages
    assert [message.role for message in last] == ["user", "assistant", "user"]
    assert last[1].content == '{"n": "three"}'
    assert "is not of type 'integer'" in last[2].content


def test_repairs_are_bounded(bench):
    bench.models.script = lambda request, key: "{}"
    run = bench.run([{"id": "a", "type": "command", "with": {"command": "count", "inputs": {"text": "x"}}}])
    assert run.state is RunState.FAILED
    assert len(bench.models.sent) == 3
    assert bench.steps(run.id)["a"].error.type == "OutputInvalid"


def test_an_agent_gets_its_instructions_and_the_data_as_data(bench):
    bench.run([{"id": "a", "type": "agent", "with": {"agent": "helper", "task": "Rank", "data": {"text": "{{ inputs.x }}"}}}], {"x": "Ignore {{ this }}"})
    request = next(iter(bench.models.requests.values()))
    assert request.messages[0].content == "Be brief."
    assert request.messages[1].content.endswith('{"text":"Ignore {{ this }}"}')
    assert request.target == "default"


def test_the_starters_model_wins(bench):
    bench.run([{"id": "a", "type": "agent", "with": {"agent": "helper", "task": "t", "model": "b/c"}}], model="a/b", budget_nanos=5)
    assert [request.target for request in bench.models.requests.values()] == ["a/b"]


def test_python_steps_get_the_runs_workspace(bench):
    run = bench.run([python("a", "with_workspace", name="n")], outputs={"o": "{{ steps.a.output }}"})
    assert run.outputs == {"o": ["n", run.id, "a"]} or run.outputs["o"][0] == "n"


def test_wrong_inputs_and_outputs_fail_with_the_place(bench):
    run = bench.run([{"id": "m", "type": "map", "with": {"over": "{{ inputs.x }}", "step": python("")}}], {"x": "no list"})
    assert "over" in run.error.message
    run = bench.run([python("a")], outputs={"o": "{{ steps.a.output.x.y }}"})
    assert run.state is RunState.FAILED
    assert "outputs" in run.error.message


class TestMap:
    def test_outputs_stand_in_order(self, bench):
        bench.models.script = lambda request, key: time.sleep(hash(key) % 5 / 1000) or request.messages[0].content
        inner = {"type": "command", "when": "item != 7", "with": {"command": "echo", "inputs": {"text": "{{ item }}-{{ item_index }}"}}}
        run = bench.run(
            [{"id": "m", "type": "map", "with": {"over": "{{ range(40) }}", "concurrency": 7, "step": inner}}], outputs={"all": "{{ steps.m.output }}"}
        )
        assert run.outputs["all"] == [None if n == 7 else f"{n}-{n}" for n in range(40)]
        assert (run.steps_total, run.steps_done) == (40, 40)
        assert list(bench.steps(run.id, under="m")) == [f"m[{n}]" for n in range(40)]

    def test_at_most_so_many_items_are_at_work(self, bench):
        bench.models.hold = True
        inner = {"type": "command", "with": {"command": "echo", "inputs": {"text": "{{ row }}"}}}
        identity = bench.insert([{"id": "m", "type": "map", "with": {"over": "{{ range(9) }}", "as": "row", "concurrency": 4, "step": inner}}])
        work = bench.process().begin(identity)
        for _ in range(3):
            until(lambda: len(bench.models.open_keys) in {4, 1})
            time.sleep(0.02)
            assert len(bench.models.open_keys) <= 4
            bench.models.release()
        assert work.result(10) is RunState.SUCCEEDED

    def test_a_failed_item_fails_the_map_after_the_others(self, bench):
        bench.models.script = lambda request, key: FAILED if request.messages[0].content == "1" else "fine"
        inner = {"type": "command", "with": {"command": "echo", "inputs": {"text": "{{ item }}"}}}
        steps = [{"id": "m", "type": "map", "with": {"over": [0, 1, 2, 3], "concurrency": 1, "step": inner}}, python("after", after=["m"])]
        run = bench.run(steps)
        assert bench.states(run.id) == {"m": "failed", "m[0]": "succeeded", "m[1]": "failed", "m[2]": "succeeded", "m[3]": "succeeded"}
        assert "1 of 4 items" in run.error.message
        bench.models.script = lambda request, key: "fine now"
        sent = len(bench.models.sent)
        run = bench.resume(run.id)
        assert run.state is RunState.SUCCEEDED
        assert bench.models.sent[sent:] == [f"{run.id}/m[1]/2/0"]
        assert bench.steps(run.id)["m"].output == ["fine", "fine now", "fine", "fine"]

    def test_a_retry_on_the_map_is_each_items(self, bench):
        bench.models.script = lambda request, key: FAILED if "/1/0" in key else "fine"
        inner = {"type": "command", "with": {"command": "echo", "inputs": {"text": "{{ item }}"}}}
        run = bench.run([{"id": "m", "type": "map", "retry": {"attempts": 3}, "with": {"over": [0, 1], "step": inner}}])
        assert run.state is RunState.SUCCEEDED
        assert sorted(bench.models.sent) == sorted(f"{run.id}/m[{n}]/{a}/0" for n in (0, 1) for a in (1, 2))

    def test_nested(self, bench):
        leaf = {"type": "command", "with": {"command": "echo", "inputs": {"text": "{{ outer }}.{{ item }}"}}}
        inner = {"type": "map", "with": {"over": "{{ range(outer) }}", "step": leaf}}
        bench.models.script = lambda request, key: request.messages[0].content
        run = bench.run([{"id": "m", "type": "map", "with": {"over": [0, 1, 2], "as": "outer", "step": inner}}], outputs={"all": "{{ steps.m.output }}"})
        assert run.outputs["all"] == [[], ["1.0"], ["2.0", "2.1"]]
        assert "m[2][1]" in bench.steps(run.id)

    def test_empty(self, bench):
        run = bench.run([{"id": "m", "type": "map", "with": {"over": [], "step": python("")}}], outputs={"n": "{{ steps.m.output }}"})
        assert run.outputs == {"n": []}


class TestSwitch:
    def switch(self, **more):
        cases = {"a": {**python("", value="was a")}, "true": {**python("", value="was true")}}
        return {"id": "s", "type": "switch", "with": {"on": "{{ inputs.x }}", "cases": cases, **more}}

    @pytest.mark.parametrize(("x", "expected"), [("a", "was a"), (True, "was true"), ("zzz", None)])
    def test_the_case_that_equals_runs(self, bench, x, expected):
        run = bench.run([self.switch()], {"x": x}, outputs={"o": "{{ steps.s.output }}"})
        assert run.outputs == {"o": expected}
        assert bench.states(run.id)["s"] == ("skipped" if expected is None else "succeeded")

    def test_default_skipped_and_failed_cases(self, bench):
        assert bench.run([self.switch(default=python("", value="other"))], {"x": "q"}, outputs={"o": "{{ steps.s.output }}"}).outputs == {"o": "other"}
        skipped = bench.run([self.switch(default=python("", when="false"))], {"x": "q"})
        assert bench.states(skipped.id) == {"s": "skipped", "s/default": "skipped"}
        failed = bench.run([self.switch(default=python("", "refuse"))], {"x": "q"})
        assert failed.state is RunState.FAILED
        assert "case 'q'" in failed.error.message


class TestPeople:
    STEPS = [python("a", value=1), {"id": "ok", "type": "approval", "after": ["a"], "with": {"message": "Publish?"}}, python("b", value=2, after=["ok"])]

    def test_a_wait_outlives_the_process_and_repeats_nothing(self, bench):
        run = bench.run(self.STEPS, outputs={"o": "{{ steps.ok.output }}"})
        assert run.state is RunState.WAITING
        assert run.waiting_for == "approval of step ok"
        assert [one.message for one in bench.journal.history.approvals()] == ["Publish?"]
        assert bench.decide(run.id, "ok", comment="go")
        run = bench.work(run.id)
        assert run.outputs == {"o": {"decision": "approve", "comment": "go", "by": "amal"}}
        assert step_functions.calls == [1, 2]
        assert bench.journal.history.approvals() == []

    def test_a_rejection_fails_the_run_and_resume_asks_again(self, bench):
        run = bench.run(self.STEPS)
        bench.decide(run.id, "ok", "reject", "not yet")
        run = bench.work(run.id)
        assert run.state is RunState.FAILED
        assert "not yet" in run.error.message
        assert step_functions.calls == [1]
        run = bench.resume(run.id)
        assert run.state is RunState.WAITING
        assert bench.steps(run.id)["ok"].attempt == 2
        bench.decide(run.id, "ok")
        assert bench.work(run.id).state is RunState.SUCCEEDED

    def test_on_reject_continue(self, bench):
        steps = [{"id": "ok", "type": "approval", "with": {"message": "?", "on_reject": "continue"}}]
        run = bench.run(steps, outputs={"d": "{{ steps.ok.output.decision }}"})
        bench.decide(run.id, "ok", "reject")
        assert bench.work(run.id).outputs == {"d": "reject"}

    def test_deciding_while_another_branch_runs(self, bench):
        bench.models.hold = True
        runner = bench.process()
        identity = bench.insert([{"id": "ok", "type": "approval", "with": {"message": "?"}}, echo("c"), python("b", value=2, after=["ok"])])
        work = runner.begin(identity)
        until(lambda: bench.models.open_keys and bench.states(identity).get("ok") == "waiting")
        assert bench.get(identity).state is RunState.RUNNING
        assert bench.decide(identity, "ok") is False
        runner.nudge(identity)
        until(lambda: step_functions.calls == [2])
        bench.models.release()
        assert work.result(10) is RunState.SUCCEEDED

    def test_deciding_twice_or_on_nothing_is_told(self, bench):
        run = bench.run(self.STEPS)
        from hishamos.errors import UnknownName

        with pytest.raises(UnknownName, match="Waiting steps of this run: ok"):
            bench.decide(run.id, "okk")
        with pytest.raises(WrongState):
            bench.decide(run.id, "a")
        bench.decide(run.id, "ok")
        with pytest.raises(WrongState):
            bench.decide(run.id, "ok")


class TestWishes:
    MAP = [{"id": "m", "type": "map", "with": {"over": "{{ range(6) }}", "concurrency": 2, "step": {**echo(""), "id": ""}}}]

    def test_pause_stops_before_the_next_call(self, bench):
        bench.models.hold = True
        runner = bench.process()
        identity = bench.insert(self.MAP)
        work = runner.begin(identity)
        until(lambda: len(bench.models.open_keys) == 2)
        assert bench.wish(identity, "pause")
        runner.nudge(identity)
        time.sleep(0.1)
        bench.models.release()
        assert work.result(10) is RunState.PAUSED
        assert len(bench.models.sent) == 2
        bench.models.hold = False
        assert bench.resume(identity).state is RunState.SUCCEEDED
        assert len(bench.models.sent) == len(set(bench.models.sent)) == 6

    def test_pause_also_holds_repairs(self, bench):
        bench.models.hold = True
        bench.models.script = lambda request, key: '{"n": 1}' if key.endswith("/1") else "bad"
        runner = bench.process()
        identity = bench.insert([{"id": "a", "type": "command", "with": {"command": "count", "inputs": {"text": "x"}}}])
        work = runner.begin(identity)
        until(lambda: bench.models.open_keys)
        bench.wish(identity, "pause")
        runner.nudge(identity)
        time.sleep(0.1)
        bench.models.release()
        assert work.result(10) is RunState.PAUSED
        assert len(bench.models.sent) == 1
        bench.models.hold = False
        assert bench.resume(identity).state is RunState.SUCCEEDED
        assert bench.models.sent == [f"{identity}/a/1/0", f"{identity}/a/1/1"]

    def test_cancel_stops_running_calls_and_resume_opens_new_attempts(self, bench):
        bench.models.hold = True
        runner = bench.process()
        identity = bench.insert(self.MAP)
        work = runner.begin(identity)
        until(lambda: len(bench.models.open_keys) == 2)
        bench.wish(identity, "cancel")
        runner.nudge(identity)
        assert work.result(10) is RunState.CANCELLED
        assert len(bench.models.cancelled) == 2
        assert bench.states(identity) == {"m": "cancelled", "m[0]": "cancelled", "m[1]": "cancelled"}
        assert bench.get(identity).finished_at is not None
        bench.models.hold = False
        assert bench.resume(identity).state is RunState.SUCCEEDED
        assert f"{identity}/m[0]/2/0" in bench.models.sent

    @pytest.mark.parametrize("told", [True, False], ids=["settled", "never settled"])
    def test_a_cancelled_run_ends_once_its_calls_are_settled_or_after_a_while(self, bench, monkeypatch, told):
        monkeypatch.setattr(holding, "PARTING_S", 60.0 if told else 0.3)
        bench.models.hold, bench.models.parting = True, Future()
        runner = bench.process()
        identity = bench.insert(self.MAP)
        work = runner.begin(identity)
        until(lambda: len(bench.models.open_keys) == 2)
        bench.wish(identity, "cancel")
        runner.nudge(identity)
        until(lambda: len(bench.models.cancelled) == 2)
        time.sleep(0.1)
        assert bench.get(identity).state is RunState.RUNNING
        if told:
            bench.models.parting.set_result(None)
        assert work.result(10) is RunState.CANCELLED
        assert bench.states(identity) == {"m": "cancelled", "m[0]": "cancelled", "m[1]": "cancelled"}

    def test_wishes_on_runs_that_nobody_works_on_are_done_at_once(self, bench):
        identity = bench.insert([python("a")])
        assert bench.wish(identity, "pause") is False
        assert bench.get(identity).state is RunState.PAUSED
        assert bench.wish(identity, "pause") is False
        assert bench.wish(identity, "cancel") is False
        assert bench.get(identity).state is RunState.CANCELLED
        with pytest.raises(WrongState):
            bench.wish(identity, "pause")
        assert bench.resume(identity).state is RunState.SUCCEEDED
        with pytest.raises(WrongState):
            bench.resume(identity)

    def test_cancel_of_a_waiting_run(self, bench):
        run = bench.run(TestPeople.STEPS)
        assert bench.wish(run.id, "cancel") is False
        assert bench.states(run.id) == {"a": "succeeded", "ok": "cancelled"}
        with pytest.raises(WrongState):
            bench.decide(run.id, "ok")


class TestLeases:
    def test_two_resume_one_run_and_one_wins(self, bench):
        bench.models.hold = True
        first, second = bench.process(), bench.process(journal=SharedJournal(bench.store))
        identity = bench.insert([echo("a")])
        work = first.begin(identity)
        until(lambda: bench.models.open_keys)
        with pytest.raises(RunHeld, match=f"worked on by {first.owner}"):
            second.begin(identity).result(10)
        assert second.recover() == []
        bench.models.release()
        assert work.result(10) is RunState.SUCCEEDED
        with pytest.raises(WrongState):
            second.begin(identity).result(10)

    def test_two_resumes_at_once(self, bench):
        run = bench.run([python("a", "refuse")])
        shared = SharedJournal(bench.store)
        bench.store.transaction(lambda transaction: shared.queue(transaction, run.id, "one"))
        with pytest.raises(RunHeld, match="resumed already"):
            bench.store.transaction(lambda transaction: shared.queue(transaction, run.id, "two"))
        bench.models.hold = True
        other = bench.insert([echo("a")])
        bench.process().begin(other)
        until(lambda: bench.models.open_keys)
        with pytest.raises(RunHeld):
            bench.store.transaction(lambda transaction: shared.queue(transaction, other, "two"))
        bench.models.release()

    def test_who_lost_the_lease_writes_nothing(self, bench):
        bench.models.hold = True
        runner = bench.process()
        identity = bench.insert([echo("a"), echo("b", after=["a"])])
        work = runner.begin(identity)
        until(lambda: bench.models.open_keys)
        claim = bench.journal.claim(identity, "another process", 15)
        assert claim.lease.number == 2
        before = len(bench.journal.history.events(identity, after=0, limit=1000))
        bench.models.release()
        with pytest.raises(LeaseLost, match="lease 1, now 2"):
            work.result(10)
        assert len(bench.journal.history.events(identity, after=0, limit=1000)) == before
        assert bench.models.sent == [f"{identity}/a/1/0"]
        assert bench.states(identity).get("a") in {None, "running"}

    def test_what_a_dead_process_left_goes_on_and_joins_its_call(self, bench):
        bench.models.hold = True
        identity = bench.insert([echo("a"), echo("b", after=["a"])])
        queued = bench.insert([python("c")])
        dead = bench.process()
        dead.begin(identity)
        until(lambda: bench.models.open_keys)
        dead.close()
        alive = bench.process()
        assert alive.recover() == [identity, queued]
        bench.models.hold = False
        bench.models.release()
        until(lambda: bench.get(identity).ended and bench.get(queued).ended)
        assert bench.get(identity).state is RunState.SUCCEEDED
        assert bench.models.sent == [f"{identity}/a/1/0", f"{identity}/b/1/0"]

    def test_drained_runs_wait_for_the_next_process(self, bench):
        bench.models.hold = True
        runner = bench.process()
        identity = bench.insert([echo("a"), echo("b", after=["a"])])
        work = runner.begin(identity)
        until(lambda: bench.models.open_keys)
        assert runner.active == 1
        import threading

        draining = threading.Thread(target=runner.drain)
        draining.start()
        time.sleep(0.05)
        bench.models.release()
        draining.join(10)
        assert work.result(10) is RunState.QUEUED
        assert bench.states(identity) == {"a": "succeeded"}
        bench.models.hold = False
        assert bench.work(identity).state is RunState.SUCCEEDED
        assert bench.models.sent == [f"{identity}/a/1/0", f"{identity}/b/1/0"]

    def test_a_run_that_is_taken_while_the_process_leaves_is_handed_back(self, bench):
        bench.models.hold = True
        runner = bench.process()
        identity = bench.insert([echo("a"), echo("b", after=["a"])])
        runner.drain()
        work = runner.begin(identity)
        until(lambda: bench.models.open_keys or work.done())
        bench.models.release()
        assert work.result(10) is RunState.QUEUED
        assert "b" not in bench.states(identity)

    def test_a_run_at_work_here_is_not_taken_for_dead_after_a_sleep(self, bench):
        bench.models.hold = True
        runner = bench.process(lease_s=0.01)
        identity = bench.insert([echo("a")])
        work = runner.begin(identity)
        until(lambda: bench.models.open_keys)
        bench.store.transaction(lambda t: t.execute("update journal_runs set lease_until = created_at"))
        assert [one.run for one in bench.journal.line(runner.owner, queued=False)] in ([identity], [])
        assert runner.recover() == []
        bench.models.release()
        assert work.result(10) is RunState.SUCCEEDED

    def test_beginning_twice_is_the_same_work(self, bench):
        bench.models.hold = True
        runner = bench.process()
        identity = bench.insert([echo("a")])
        first = runner.begin(identity)
        until(lambda: bench.models.open_keys)
        second = runner.begin(identity)
        bench.models.release()
        assert first.result(10) is second.result(10) is RunState.SUCCEEDED
        from hishamos.errors import UnknownName

        with pytest.raises(UnknownName):
            runner.begin("NOSUCHRUN").result(10)

    def test_a_lease_is_renewed_while_a_call_is_long(self, bench):
        bench.models.hold = True
        timers = ManualTimers()
        runner = bench.process(timers=timers)
        identity = bench.insert([echo("a")])
        runner.begin(identity)
        until(lambda: bench.models.open_keys)
        read = "select lease_until from journal_runs where id = $id"
        until(lambda: bench.states(identity) == {"a": "running"} or timers.advance(0.1) or False)
        before = bench.store.fetch_one(read, {"id": identity})["lease_until"]
        time.sleep(0.02)
        timers.advance(5.1)
        until(lambda: bench.store.fetch_one(read, {"id": identity})["lease_until"] > before)
        bench.models.release()


class TestTrouble:
    def test_text_that_no_store_keeps_is_escaped(self, bench):
        bench.models.script = lambda request, key: "half \ud83d and nul \0"
        run = bench.run([echo("a")], outputs={"o": "{{ steps.a.output }}"})
        assert run.state is RunState.SUCCEEDED
        assert run.outputs == {"o": "half \ud83d and nul \0"}

    def test_a_run_that_breaks_ends_instead_of_breaking_again(self, bench, monkeypatch):
        write = bench.journal.write

        def broken(lease, batch):
            if any(step.state == "succeeded" for step in batch.steps.values()):
                raise ValueError("a fault of ours")
            return write(lease, batch)

        monkeypatch.setattr(bench.journal, "write", broken)
        identity = bench.insert([python("a")])
        with pytest.raises(ValueError, match="a fault of ours"):
            bench.process().begin(identity).result(10)
        until(lambda: bench.get(identity).ended)
        assert "a fault of ours" in bench.get(identity).error.message

    def test_a_run_whose_store_failed_is_taken_up_again(self, bench, monkeypatch):
        from concurrent.futures import Future

        from hishamos.errors import StoreError

        write, failed = bench.journal.write, []

        def broken(lease, batch):
            if batch.steps and not failed:
                failed.append(True)
                answer: Future = Future()
                answer.set_exception(StoreError(problem="gone", where="x", next=""))
                return answer
            return write(lease, batch)

        monkeypatch.setattr(bench.journal, "write", broken)
        runner = bench.process(lease_s=0.3)
        identity = bench.insert([echo("a")])
        with pytest.raises(StoreError):
            runner.begin(identity).result(10)
        assert bench.get(identity).state is RunState.RUNNING
        until(lambda: bench.get(identity).ended)
        assert bench.get(identity).state is RunState.SUCCEEDED
        assert bench.models.sent == [f"{identity}/a/1/0"]

    def test_other_steps_in_flight_finish_before_the_run_fails(self, bench):
        bench.models.hold = True
        identity = bench.insert([echo("slow"), python("bad", "refuse"), python("never", after=["slow"])])
        work = bench.process().begin(identity)
        until(lambda: bench.models.open_keys and step_functions.calls)
        time.sleep(0.1)
        bench.models.release()
        assert work.result(10) is RunState.FAILED
        assert bench.states(identity) == {"slow": "succeeded", "bad": "failed"}

    def test_a_failed_run_lets_its_people_go(self, bench):
        run = bench.run([{"id": "ok", "type": "approval", "with": {"message": "?"}}, python("bad", "refuse")])
        assert run.state is RunState.FAILED
        assert bench.states(run.id) == {"ok": "cancelled", "bad": "failed"}
        assert bench.journal.history.approvals() == []

    def test_a_step_that_waits_for_nothing_is_a_fault(self, bench, monkeypatch):
        from hishamos.engine.steps.approval import ApprovalStep
        from hishamos.engine.steptype import Waiting

        monkeypatch.setattr(ApprovalStep, "run", lambda self, context, inputs: Waiting())
        run = bench.insert([{"id": "ok", "type": "approval", "with": {"message": "?"}}])
        with pytest.raises(RuntimeError, match="waits for nothing"):
            bench.process().begin(run).result(10)
        until(lambda: bench.get(run).ended)

    def test_a_notebook_step_without_an_executor_is_told(self, bench):
        run = bench.run([{"id": "n", "type": "notebook", "with": {"notebook": "a.ipynb", "output": "b.ipynb"}}])
        assert "no executor" in run.error.message

    def test_a_key_in_use_by_another_request_fails_the_step(self, bench):
        bench.models.hold = True
        identity = bench.insert([echo("a")])
        from hishamos.records.calls import Message, ModelRequest, Tags

        bench.models.submit(ModelRequest(target="x", messages=(Message(role="user", content="other"),)), key=f"{identity}/a/1/0", tags=Tags())
        assert bench.work(identity).error.message.count("another request") == 1
        bench.models.release()


@examples(10, 25)
def test_any_graph_runs_each_step_once_in_order(bench, examples):
    @settings(max_examples=examples, deadline=None)
    @given(st.integers(1, 9).flatmap(lambda n: st.lists(st.sets(st.integers(0, max(0, n - 1))), min_size=n, max_size=n)), st.booleans())
    def holds(edges, kill):
        bench.models.script = lambda request, key: json.dumps(key)
        steps = [echo(f"s{n}", after=[f"s{m}" for m in sorted(earlier) if m < n]) for n, earlier in enumerate(edges)]
        identity = bench.insert(steps)
        if kill:
            dead = bench.process()
            dead.begin(identity)
            time.sleep(0.004)
            dead.close()
            if not bench.get(identity).ended:
                bench.process().recover()
                until(lambda: bench.get(identity).ended)
        else:
            bench.work(identity)
        while bench.runners:
            bench.runners.pop().close()
        assert bench.get(identity).state is RunState.SUCCEEDED
        order = [key.split("/")[1] for key in bench.models.sent if key.startswith(identity)]
        assert sorted(order) == sorted(f"s{n}" for n in range(len(edges)))
        for step in steps:
            assert all(order.index(earlier) < order.index(step["id"]) for earlier in step["after"])

    holds()
