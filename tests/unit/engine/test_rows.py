"""Rows of a map: equal rows are paid once in the workspace, failed ones are tried under the next number of their key."""

from __future__ import annotations

import time

from hishamos.errors import BudgetRefused, CallFailed
from hishamos.records.runs import RunState
from tests.rigs.run_bench import COUNT, Bench

FAILED = CallFailed(model="fake/model", reason="it is down", cause="server_error", attempts=4, next="")
REFUSED = BudgetRefused(budget="b", scope="run", period="total", committed_usd="1", limit_usd="1", bound_usd="1", next="")


def texts(*values):
    return [{"text": value} for value in values]


def rows_of(bench, identity):
    return bench.journal.history.map_rows(identity, after=-1, limit=10_000)


def test_rows_come_out_in_order_and_bad_rows_fail_alone(bench):
    identity = bench.insert_map([*texts("a", "b"), {"txt": "c"}, {}, *texts("d")])
    assert [row.status for row in rows_of(bench, identity)] == ["pending"] * 5
    run = bench.work(identity)
    assert run.state is RunState.SUCCEEDED
    assert run.outputs == {"counts": {"rows": 5, "succeeded": 3, "failed": 2}}
    rows = rows_of(bench, identity)
    assert [row.index for row in rows] == [0, 1, 2, 3, 4]
    assert [row.status for row in rows] == ["succeeded", "succeeded", "failed", "failed", "succeeded"]
    assert rows[0].output == "answer to a"
    assert "did you mean 'text'" in rows[2].error
    assert "missing" in rows[3].error
    assert [row.index for row in bench.journal.history.map_rows(identity, after=1, limit=2)] == [2, 3]


def test_equal_rows_are_sent_once(bench):
    first = bench.work(bench.insert_map(texts("a", "b", "a", "a", "b"), concurrency=2))
    assert len(bench.models.sent) == 2
    again = bench.work(bench.insert_map(texts("b", "c")))
    assert len(bench.models.sent) == 3
    assert [row.reused for row in rows_of(bench, again.id)] == [True, False]
    assert rows_of(bench, again.id)[0].output == "answer to b"
    assert first.outputs["counts"]["succeeded"] == 5


def test_options_that_change_an_answer_change_the_key(bench):
    bench.work(bench.insert_map(texts("a")))
    bench.work(bench.insert_map(texts("a"), concurrency=3))
    assert len(bench.models.sent) == 1
    bench.work(bench.insert_map(texts("a"), key="second"))
    bench.work(bench.insert_map(texts("a"), key="second"))
    assert len(bench.models.sent) == 2
    bench.work(bench.insert_map(texts("a"), nonce="fresh 1"))
    assert len(bench.models.sent) == 3
    bench.work(bench.insert_map(texts("a"), command=COUNT))
    assert len(bench.models.sent) > 3


def test_failed_and_refused_rows_are_tried_again_under_the_next_number(bench):
    said = {"a": FAILED, "b": REFUSED, "c": "fine"}
    bench.models.script = lambda request, key: said[request.messages[0].content]
    first = bench.work(bench.insert_map(texts("a", "b", "c")))
    assert first.state is RunState.SUCCEEDED
    assert [row.status for row in rows_of(bench, first.id)] == ["failed", "refused", "succeeded"]
    said.update(a="better", b="better")
    second = bench.work(bench.insert_map(texts("a", "b", "c")))
    assert [(row.status, row.reused) for row in rows_of(bench, second.id)] == [("succeeded", False), ("succeeded", False), ("succeeded", True)]
    numbers = sorted(key.split("/")[2] for key in bench.models.sent)
    assert numbers == ["1", "1", "1", "2", "2"]
    third = bench.work(bench.insert_map(texts("a", "b", "c")))
    assert all(row.reused for row in rows_of(bench, third.id))


def test_equal_failing_rows_of_one_map_are_sent_once(bench):
    bench.models.script = lambda request, key: FAILED
    run = bench.work(bench.insert_map(texts("a", "a", "a"), concurrency=1))
    assert [row.status for row in rows_of(bench, run.id)] == ["failed"] * 3
    assert len(bench.models.sent) == 1


def test_a_failure_that_was_stored_but_not_noted_is_tried_again(bench):
    bench.models.script = lambda request, key: FAILED
    bench.work(bench.insert_map(texts("a")))
    bench.store.transaction(lambda transaction: transaction.execute("delete from map_rows"))
    bench.models.script = lambda request, key: "better"
    run = bench.work(bench.insert_map(texts("a")))
    assert rows_of(bench, run.id)[0].output == "better"
    assert [key.split("/")[2] for key in bench.models.sent] == ["1", "2"]


def test_rows_repair_under_their_own_key(bench):
    bench.models.script = lambda request, key: '{"n": 1}' if key.endswith("/1") else "bad"
    run = bench.work(bench.insert_map(texts("a"), command=COUNT))
    assert rows_of(bench, run.id)[0].output == {"n": 1}
    assert [key.rsplit("/", 1)[1] for key in bench.models.sent] == ["0", "1"]


def test_a_map_that_was_cut_off_sends_nothing_twice():
    bench = Bench()
    try:
        bench.models.hold = True
        identity = bench.insert_map(texts(*[f"row {n}" for n in range(12)]), concurrency=4)
        dead = bench.process()
        dead.begin(identity)
        end = time.monotonic() + 10
        while len(bench.models.open_keys) < 4 and time.monotonic() < end:
            time.sleep(0.01)
        bench.models.release(*bench.models.open_keys[:2])
        time.sleep(0.2)
        dead.close()
        bench.models.hold = False
        bench.models.release()
        run = bench.work(identity)
        assert run.state is RunState.SUCCEEDED
        assert len(bench.models.sent) == len(set(bench.models.sent)) == 12
        assert [row.status for row in rows_of(bench, identity)] == ["succeeded"] * 12
    finally:
        bench.close()


def test_failed_rows_of_a_cut_off_map_stay_failed(bench):
    bench.models.hold = True
    bench.models.script = lambda request, key: FAILED if request.messages[0].content == "a" else "fine"
    identity = bench.insert_map(texts("a", "b"), concurrency=2)
    dead = bench.process()
    dead.begin(identity)
    end = time.monotonic() + 10
    while len(bench.models.open_keys) < 2 and time.monotonic() < end:
        time.sleep(0.01)
    bench.models.release(bench.models.open_keys[0])
    while not any(step.state.value == "failed" for step in bench.steps(identity).values()) and time.monotonic() < end:
        time.sleep(0.01)
    dead.close()
    bench.models.release()
    run = bench.work(identity)
    assert run.outputs == {"counts": {"rows": 2, "failed": 1, "succeeded": 1}}
    assert len(bench.models.sent) == 2


def test_an_empty_map_succeeds(bench):
    run = bench.work(bench.insert_map([]))
    assert run.outputs == {"counts": {"rows": 0}}
    assert rows_of(bench, run.id) == []
