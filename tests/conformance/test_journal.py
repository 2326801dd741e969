"""The journal behaves alike on both store engines."""

from __future__ import annotations

import threading
import time
from datetime import timedelta

import pytest

from hishamos.contracts.journal import Batch, Decided, EventDraft, RowState, RunChange, StepRow
from hishamos.errors import InvalidInput, LeaseLost, RunHeld, UnknownName, WrongState
from hishamos.records.record import Failure, now
from hishamos.records.runs import RunState, StepState
from tests.rigs.run_bench import Bench, SharedJournal
from tests.rigs.workers import settle

STEPS = [{"id": "a", "type": "approval", "with": {"message": "m"}}, {"id": "b", "type": "approval", "after": ["a"], "with": {"message": "m"}}]


@pytest.fixture(params=["duckdb", "postgres"])
def bench(request, tmp_path):
    address = request.getfixturevalue("postgres_url") if request.param == "postgres" else str(tmp_path / "journal.duckdb")
    made = Bench(address)
    yield made
    made.close()


def row(path, state, attempt=1, **more):
    return StepRow(path=path, attempt=attempt, position=more.pop("position", "0000"), type="approval", state=StepState(state), **more)


def batch(*rows, **fields):
    made = Batch(**fields)
    for one in rows:
        made.steps[one.path, one.attempt] = one
    return made


def test_a_claim_gives_everything_back(bench):
    identity = bench.insert(STEPS, {"text": "é {{ x }} 'quoted' \"double\" \u0645"}, project="DEMO", budget_nanos=5)
    claim = bench.journal.claim(identity, "one", 15)
    assert (claim.lease.number, claim.run.state, claim.run.project, claim.run.budget_nanos) == (1, RunState.RUNNING, "DEMO", 5)
    assert claim.run.inputs == {"text": "é {{ x }} 'quoted' \"double\" \u0645"}
    assert [step.id for step in claim.pinned.workflow.steps] == ["a", "b"]
    assert claim.pinned.workflow.steps[0].with_ == {"message": "m"}
    assert claim.steps == []
    begun = now()
    failure = Failure(type="StepFailed", message="no", facts={"step": "b"})
    written = batch(
        row("a", "succeeded", output=None, started_at=begun, finished_at=begun, model="m", reused=True, not_judged=("x",), inputs={"k": [1, None]}),
        row("b", "failed", position="0001", error=failure, input_hash="h"),
        row("b[0]", "waiting", position="000100000000", parent="b", item=0, waiting_for="approval"),
        events=[EventDraft("step", "succeeded", begun, "a", "done", {"n": 1})],
        steps_total=3,
        steps_done=1,
    )
    bench.journal.write(claim.lease, written).result(10)
    again = SharedJournal(bench.store, clock=lambda: now() + timedelta(seconds=60)).claim(identity, "two", 15)
    assert again.lease.number == 2
    assert [one.path for one in again.steps] == ["a", "b", "b[0]"]
    first, second, third = again.steps
    assert (first.output, first.model, first.reused, first.not_judged, first.inputs) == (None, "m", True, ("x",), {"k": [1, None]})
    assert abs(first.started_at - begun) < timedelta(milliseconds=1)
    assert (second.error, second.input_hash) == (failure, "h")
    assert (third.parent, third.item, third.waiting_for) == ("b", 0, "approval")
    run = bench.get(identity)
    assert (run.steps_total, run.steps_done) == (3, 1)


def test_only_the_latest_attempt_counts(bench):
    identity = bench.insert(STEPS)
    lease = bench.journal.claim(identity, "one", 15).lease
    bench.journal.write(lease, batch(row("a", "failed"))).result(10)
    bench.journal.write(lease, batch(row("a", "failed", known=True), row("a", "failed", 2), row("a", "running", 3))).result(10)
    bench.journal.write(lease, batch(row("a", "succeeded", 3, output={"x": 1}, known=True))).result(10)
    steps = bench.steps(identity)
    assert (steps["a"].attempt, steps["a"].state, steps["a"].output) == (3, StepState.SUCCEEDED, {"x": 1})
    assert bench.store.fetch_one("select count(*) as n from journal_steps")["n"] == 3
    assert [one["path"] for one in bench.store.fetch("select path from steps")] == ["a"]


@pytest.mark.parametrize("count", [1, 3, 4, 50])
def test_few_and_many_steps_are_written_alike(bench, count):
    identity = bench.insert(STEPS)
    lease = bench.journal.claim(identity, "one", 15).lease
    bench.journal.write(lease, batch(*[row(f"a[{n}]", "running", parent="a", item=n, position=f"{n:012d}") for n in range(count)])).result(10)
    ended = [row(f"a[{n}]", "succeeded", parent="a", item=n, known=True, output={"n": n}, not_judged=("y",), finished_at=now()) for n in range(count)]
    bench.journal.write(lease, batch(*ended)).result(10)
    steps = list(bench.steps(identity).values())
    assert [(step.state, step.output, step.not_judged) for step in steps] == [("succeeded", {"n": n}, ("y",)) for n in range(count)]
    assert all(step.finished_at for step in steps)


def test_an_older_lease_is_refused_and_changes_nothing(bench):
    identity = bench.insert(STEPS)
    old = bench.journal.claim(identity, "one", 0.0).lease
    time.sleep(0.01)
    new = SharedJournal(bench.store).claim(identity, "two", 15).lease
    change = batch(row("a", "succeeded"), events=[EventDraft("note", None, now())], run=RunChange(RunState.SUCCEEDED, now(), release=True))
    with pytest.raises(LeaseLost) as caught:
        bench.journal.write(old, change).result(10)
    assert (caught.value.held, caught.value.current) == (1, 2)
    assert bench.steps(identity) == {}
    assert bench.get(identity).state is RunState.RUNNING
    bench.journal.write(new, change).result(10)
    assert bench.get(identity).state is RunState.SUCCEEDED


def test_a_live_lease_is_respected_and_a_dead_one_is_not(bench):
    identity = bench.insert(STEPS)
    shared = SharedJournal(bench.store)
    shared.claim(identity, "one", 15)
    with pytest.raises(RunHeld, match="worked on by one"):
        shared.claim(identity, "two", 15)
    with pytest.raises(RunHeld):
        bench.store.transaction(lambda transaction: shared.queue(transaction, identity, "two"))
    assert shared.line("two") == []
    late = SharedJournal(bench.store, clock=lambda: now() + timedelta(seconds=16))
    assert [one.run for one in late.line("two", queued=False)] == [identity]
    assert late.claim(identity, "two", 15).lease.number == 2


def test_the_owner_of_the_file_knows_that_others_are_dead(bench):
    identity = bench.insert(STEPS)
    waiting = bench.insert(STEPS)
    bench.journal.claim(identity, "dead", 15)
    expected = [identity] if bench.journal.exclusive else []
    assert [one.run for one in bench.journal.line("alive", queued=False)] == expected
    assert [one.run for one in bench.journal.line("alive")] == [*expected, waiting]
    assert bench.journal.exclusive is (bench.store.dialect == "duckdb")


def test_runs_that_call_a_notebooks_functions_stand_in_the_servers_line_alone(bench):
    notebooks, plain = bench.insert(STEPS, where="kernel"), bench.insert(STEPS)
    line = [(one.run, one.kernel) for one in bench.journal.line("server")]
    assert line == [(notebooks, True), (plain, False)]
    assert [one.run for one in bench.journal.line("worker", kernels=False)] == [plain]
    sooner = [] if bench.journal.exclusive else [notebooks]
    assert [one.run for one in bench.journal.line("server", queued=False)] == sooner, "no worker would look for it"


def test_a_server_that_hands_runs_out_works_itself_on_those_that_call_a_notebooks_functions(bench):
    notebooks, plain = bench.insert(STEPS, where="kernel"), bench.insert(STEPS)
    server, worker, handed = bench.process(), bench.process(), []
    server.works, worker.hosts = False, False
    assert worker.recover(handed.append) == [plain]
    assert server.recover(handed.append) == [notebooks, plain]
    assert handed == [plain, plain]
    settle(lambda: bench.get(notebooks).state is RunState.WAITING)
    assert bench.get(plain).state is RunState.QUEUED


def test_of_many_claims_at_once_one_wins(bench):
    identity = bench.insert(STEPS)
    won, refused = [], []
    gate = threading.Barrier(6)

    def claim(name):
        journal = SharedJournal(bench.store)
        gate.wait()
        try:
            won.append(journal.claim(identity, name, 15).lease.number)
        except RunHeld:
            refused.append(name)

    threads = [threading.Thread(target=claim, args=(f"p{n}",)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert won == [1]
    assert len(refused) == 5


def test_a_change_to_waiting_does_not_hide_what_came_meanwhile(bench):
    identity = bench.insert(STEPS)
    lease = bench.journal.claim(identity, "one", 15).lease
    bench.journal.write(lease, batch(row("a", "waiting"))).result(10)
    decided = Decided(decision="approve", by="amal")
    assert bench.store.transaction(lambda transaction: bench.journal.decide(transaction, identity, "a", decided)) is False
    signals = bench.journal.write(lease, batch(run=RunChange(RunState.WAITING, now(), waiting_for="a", release=True))).result(10)
    assert (signals.changed, signals.decisions) == (False, 1)
    assert bench.get(identity).state is RunState.RUNNING
    assert bench.journal.decisions(identity) == {"a": decided}
    assert bench.wish(identity, "cancel") is True
    signals = bench.journal.write(lease, batch(run=RunChange(RunState.PAUSED, now(), release=True), seen=1)).result(10)
    assert (signals.changed, signals.wish) == (False, "cancel")
    signals = bench.journal.write(lease, batch(run=RunChange(RunState.CANCELLED, now(), release=True), seen=1)).result(10)
    assert signals.changed


def test_a_decision_survives_later_writes_of_the_step(bench):
    identity = bench.insert(STEPS)
    lease = bench.journal.claim(identity, "one", 15).lease
    bench.journal.write(lease, batch(row("a", "waiting"))).result(10)
    decided = Decided(decision="reject", comment="no", by="amal")
    bench.store.transaction(lambda transaction: bench.journal.decide(transaction, identity, "a", decided))
    bench.journal.write(lease, batch(row("a", "waiting", known=True))).result(10)
    assert bench.journal.decisions(identity) == {"a": decided}


def test_rows_are_known_by_key_and_success_stays(bench):
    identity = bench.insert_map([{"text": f"t{n}"} for n in range(7)])
    lease = bench.journal.claim(identity, "one", 15).lease
    assert bench.journal.inputs_of_rows(identity, 5, 10) == [{"text": "t5"}, {"text": "t6"}]
    write = lambda *states: bench.journal.write(lease, Batch(rows={state.key: state for state in states})).result(10)  # noqa: E731
    write(RowState("k1", 1, "failed"), RowState("k2", 1, "succeeded", {"a": None}, "m", ("x",)))
    write(RowState("k1", 2, "succeeded", "text"), RowState("k2", 2, "failed"))
    known = bench.journal.states_of_rows(["k1", "k2", "k3"])
    assert known == {"k1": RowState("k1", 2, "succeeded", "text"), "k2": RowState("k2", 1, "succeeded", {"a": None}, "m", ("x",))}
    assert bench.journal.states_of_rows([]) == {}


def test_runs_are_found_by_the_beginning_of_their_id(bench):
    identity = bench.insert(STEPS)
    history = bench.journal.history
    assert history.identify(identity[:6].lower()) == identity
    with pytest.raises(UnknownName, match="no run named"):
        history.identify("ZZZZZZ")
    with pytest.raises(UnknownName):
        history.identify(identity[:3])
    with pytest.raises(UnknownName):
        history.identify("%%%%")
    with pytest.raises(UnknownName):
        history.get("NOSUCH")
    copy = "insert into journal_runs select * replace ($twin as id) from journal_runs where id = $id"
    if bench.store.dialect == "duckdb":
        bench.store.transaction(lambda transaction: transaction.execute(copy, {"twin": identity[:-1] + "_", "id": identity}))
        with pytest.raises(InvalidInput, match="several runs"):
            history.identify(identity[:6])


def test_lists_filter_and_page(bench):
    first, second = bench.insert(STEPS, project="A"), bench.insert_map([{"text": "x"}])
    history = bench.journal.history
    every = {"state": None, "kind": None, "name": None, "project": None, "limit": 10}
    assert [run.id for run in history.found(**every)] == [second, first]
    assert [run.id for run in history.found(**{**every, "kind": "map"})] == [second]
    assert [run.id for run in history.found(**{**every, "project": "A"})] == [first]
    assert [run.id for run in history.found(**{**every, "name": "flow", "state": "queued"})] == [first]
    assert len(history.found(**{**every, "limit": 1})) == 1
    lease = bench.journal.claim(first, "one", 15).lease
    rows = [
        row("a", "running"),
        *[row(f"a[{n}]", "succeeded", parent="a", item=n, position=f"0000{n:08d}") for n in range(12)],
        row("b", "failed", position="0001"),
    ]
    bench.journal.write(lease, batch(*rows)).result(10)
    steps = {"under": None, "state": None, "after": None, "limit": 100}
    assert [step.path for step in history.steps(first, **steps)] == ["a", *[f"a[{n}]" for n in range(12)], "b"]
    assert [step.path for step in history.steps(first, **{**steps, "under": ""})] == ["a", "b"]
    assert [step.path for step in history.steps(first, **{**steps, "under": "a", "after": "a[9]"})] == ["a[10]", "a[11]"]
    assert [step.path for step in history.steps(first, **{**steps, "state": "failed"})] == ["b"]


def test_events_are_numbered_and_followed(bench):
    identity = bench.insert(STEPS)
    feed = bench.journal.subscribe(identity)
    lease = bench.journal.claim(identity, "one", 15).lease
    bench.journal.write(lease, batch(events=[EventDraft("note", None, now(), "a", f"n{n}", {"n": n}) for n in range(5)])).result(10)
    bench.journal.write(lease, batch(run=RunChange(RunState.SUCCEEDED, now(), finished_at=now(), release=True))).result(10)
    seen = list(feed)
    assert [event.state for event in seen if event.kind == "run"] == ["queued", "running", "succeeded"]
    assert [event.data["n"] for event in seen if event.kind == "note"] == [0, 1, 2, 3, 4]
    assert [event.seq for event in seen] == sorted({event.seq for event in seen})
    assert [event.seq for event in bench.journal.subscribe(identity)] == [event.seq for event in seen]
    assert [event.seq for event in bench.journal.subscribe(identity, seen[3].seq)] == [event.seq for event in seen[4:]]
    assert [one["seq"] for one in bench.store.fetch("select seq from events order by seq")] == [event.seq for event in seen]


def test_what_was_told_is_there_after_a_kill(tmp_path):
    bench = Bench(str(tmp_path / "journal.duckdb"))
    identity = bench.insert(STEPS)
    feed = iter(bench.journal.subscribe(identity))
    lease = bench.journal.claim(identity, "one", 15).lease
    begun = now()
    failure = Failure(type="StepFailed", message="no such file")
    rows = [
        row("a", "failed", error=failure, started_at=begun, finished_at=begun),
        row("b", "waiting", waiting_for="you", started_at=begun),
        row("c", "cancelled", started_at=begun, finished_at=begun),
    ]
    events = [EventDraft("step", "failed", now(), "a", "no such file"), EventDraft("step", "waiting", now(), "b", "you")]
    bench.journal.write(lease, batch(*rows, events=events)).result(10)
    told = [next(feed) for _ in range(4)]
    assert [event.state for event in told] == ["queued", "running", "failed", "waiting"]
    bench.store._late.clear()  # what a killed process did not come to write
    bench.close()
    bench = Bench(str(tmp_path / "journal.duckdb"))
    lease = bench.journal.claim(identity, "two", 15).lease
    bench.journal.claim(identity, "three", 15)
    found = bench.store.fetch("select seq, kind, path, state, message from events order by seq")
    assert [(one["path"], one["state"], one["message"]) for one in found if one["kind"] == "step"] == [("a", "failed", "no such file"), ("b", "waiting", "you")]
    assert [one["state"] for one in found if one["kind"] == "run"] == ["queued", "running", "running", "running"]
    assert [one["seq"] for one in found][: len(told)] == [event.seq for event in told], "a number that somebody has seen means nothing else"
    assert lease.number == 2
    bench.close()


def test_another_process_s_events_are_seen(bench):
    identity = bench.insert(STEPS)
    other = SharedJournal(bench.store)
    feed = other.subscribe(identity)
    lease = bench.journal.claim(identity, "one", 15).lease
    bench.journal.write(lease, batch(run=RunChange(RunState.WAITING, now(), waiting_for="a", release=True))).result(10)
    assert [event.state for event in feed] == ["queued", "running", "waiting"]
    other.close()


def test_closing_ends_feeds(bench):
    identity = bench.insert(STEPS)
    feed = bench.journal.subscribe(identity)
    other = bench.journal.subscribe(identity)
    other.close()
    bench.journal.close()
    assert [event.state for event in feed] == ["queued"]


def test_what_is_missing_or_wrong_is_told(bench):
    with pytest.raises(UnknownName):
        bench.journal.claim("NOSUCH", "one", 15)
    with pytest.raises(UnknownName):
        bench.wish("NOSUCH", "pause")
    identity = bench.insert(STEPS)
    bench.wish(identity, "cancel")
    with pytest.raises(WrongState):
        bench.journal.claim(identity, "one", 15)


def test_a_whole_run_with_a_killed_process(bench):
    steps = [
        {
            "id": "m",
            "type": "map",
            "with": {"over": "{{ range(30) }}", "concurrency": 5, "step": {"type": "command", "with": {"command": "echo", "inputs": {"text": "{{ item }}"}}}},
        }
    ]
    bench.models.hold = True
    identity = bench.insert(
        [*steps, {"id": "ok", "type": "approval", "after": ["m"], "with": {"message": "?"}}], outputs={"n": "{{ steps.m.output | length }}"}
    )
    journal = SharedJournal(bench.store)
    dead = bench.process(journal=journal, lease_s=0.5)
    dead.begin(identity)
    end = time.monotonic() + 10
    while len(bench.models.open_keys) < 5 and time.monotonic() < end:
        time.sleep(0.01)
    bench.models.release(*bench.models.open_keys[:3])
    time.sleep(0.2)
    dead.close()
    bench.models.hold = False
    bench.models.release()
    alive = bench.process(journal=journal, lease_s=0.5)
    while bench.get(identity).state is not RunState.WAITING and time.monotonic() < end:
        time.sleep(0.05)
    bench.decide(identity, "ok")
    assert bench.work(identity, alive).outputs == {"n": 30}
    assert len(bench.models.sent) == len(set(bench.models.sent)) == 30
    assert bench.store.fetch_one("select steps_done, state from runs")["state"] == "succeeded"


def test_any_text_is_kept(bench):
    identity = bench.insert(STEPS, {"x": "half \ud83d, nul \0, emoji \U0001f41b"})
    lease = bench.journal.claim(identity, "one", 15).lease
    text = "half \ud83d, nul \0, emoji \U0001f41b, \u202e"
    failure = Failure(type="StepFailed", message="plain", facts={"a": "\0"})
    bench.journal.write(lease, batch(row("a", "failed", output={text: [text]}, inputs=text, error=failure))).result(10)
    step = bench.steps(identity)["a"]
    assert (step.output, step.inputs, step.error) == ({text: [text]}, text, failure)


def test_what_a_tool_gave_is_kept_once(bench):
    assert bench.journal.kept("run/a/1/0.0") is None
    assert bench.journal.keep("run/a/1/0.0", '{"result":"\u0645"}') == '{"result":"\u0645"}'
    assert bench.journal.keep("run/a/1/0.0", '{"result":2}') == '{"result":"\u0645"}'
    assert bench.journal.kept("run/a/1/0.0") == '{"result":"\u0645"}'
