"""What a connector promises, on both engines."""

from __future__ import annotations

import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal

import pytest

from hishamos.errors import StoreClosed, StoreError
from hishamos.store.connectors import open_connector

INSERT = "insert into notes (id, text) values ($id, $text)"


@pytest.fixture(params=["duckdb", "memory", "postgres"])
def store(request, tmp_path):
    urls = {"duckdb": lambda: str(tmp_path / "store.duckdb"), "memory": lambda: ":memory:", "postgres": lambda: request.getfixturevalue("new_postgres_url")}
    connector = open_connector(urls[request.param]())
    connector.transaction(lambda t: t.execute("create table notes (id integer primary key, text text)"))
    yield connector
    connector.close()


def put(number, text="x"):
    return lambda t: t.execute(INSERT, {"id": number, "text": text})


def ids(store):
    return [row["id"] for row in store.fetch("select id from notes order by id")]


def test_one_that_fails_does_not_hurt_those_submitted_with_it(store):
    gate = threading.Event()
    first = store.submit(lambda t: gate.wait(10))
    members = [store.submit(put(number)) for number in (1, 2, 2, 3)]

    def bad(transaction):
        transaction.execute(INSERT, {"id": 9, "text": "half"})
        raise LookupError("mine")

    broken, wrong, last = store.submit(bad), store.submit(lambda t: t.execute("selec")), store.submit(put(4))
    gate.set()
    first.result(10)
    outcomes = [member.exception(10) for member in members]
    assert [error is None for error in outcomes].count(False) == 1
    assert isinstance(next(error for error in outcomes if error), StoreError)
    with pytest.raises(LookupError, match="mine"):
        broken.result(10)
    with pytest.raises(StoreError):
        wrong.result(10)
    assert last.result(10) == 1
    assert ids(store) == [1, 2, 3, 4]


def test_an_inserted_row_is_seen_by_whatever_the_transaction_reads(store):
    store.transaction(lambda t: t.execute("create view kept as select id, text from notes"))

    def work(t):
        t.insert(INSERT, {"id": 1, "text": "a"})
        t.insert(INSERT, {"id": 2, "text": "b"})
        seen = [t.fetch_one("select text from notes where id = $id", {"id": number}) for number in (3, 2)]
        t.insert(INSERT, {"id": 3, "text": "c"})
        return seen, t.execute("update notes set text = 'z' where id = $id", {"id": 3}), t.fetch("select id from kept order by id")

    seen, changed, rows = store.transaction(work)
    assert seen == [None, {"text": "b"}]
    assert changed == 1
    assert [row["id"] for row in rows] == [1, 2, 3]
    assert store.fetch_one("select text from notes where id = 3") == {"text": "z"}


LATER = "update notes set text = 'z' from (select unnest(cast($id as integer[])) as id) as late where notes.id = late.id"


def put_off(*numbers, then=None):
    def work(t):
        for number in numbers:
            t.put_off(LATER, {"id": number})
        if then is not None:
            raise then

    return work


@pytest.mark.parametrize(
    "look",
    [
        lambda store: [row["text"] for row in store.fetch("select text from notes order by id")],
        lambda store: [store.fetch_one("select text from notes where id = $id", {"id": number})["text"] for number in (1, 2, 3)],
        lambda store: [row["text"] for row in store.fetch("select text from kept order by id")],
        lambda store: [store.fetch_one("select text from kept where id = $id", {"id": number})["text"] for number in (1, 2, 3)],
        lambda store: store.arrow("select text from notes order by id")["text"].to_pylist(),
        lambda store: store.transaction(lambda t: [t.fetch_one("select text from notes where id = $id", {"id": number})["text"] for number in (1, 2, 3)]),
        lambda store: store.transaction(lambda t: [row["text"] for row in t.fetch("select text from kept order by id")]),
    ],
    ids=["rows", "one row", "a view", "one row of a view", "arrow", "in a transaction", "a view in a transaction"],
)
def test_what_is_put_off_is_seen_by_whoever_reads(store, look):
    store.transaction(lambda t: t.execute("create view kept as select id, text from notes"))
    for number in (1, 2, 3):
        store.transaction(put(number))
    with pytest.raises(LookupError):
        store.transaction(put_off(2, then=LookupError()))
    assert look(store) == ["x", "x", "x"]
    store.transaction(put_off(1))
    store.transaction(put_off(3))
    assert look(store) == ["z", "x", "z"]


def test_what_is_put_off_is_written_when_nobody_asks(tmp_path, monkeypatch):
    monkeypatch.setattr("hishamos.store.connectors.duckdb_file.LATE_S", 0.05)
    monkeypatch.setattr("hishamos.store.connectors.duckdb_file.LATE", 3)
    store = open_connector(str(tmp_path / "store.duckdb"))
    store.transaction(lambda t: t.execute("create table notes (id integer primary key, text text)"))

    def waiting():
        return len(store._late)

    for number in range(6):
        store.transaction(put(number))
    store.transaction(put_off(0))
    until = time.monotonic() + 10
    while waiting():
        assert time.monotonic() < until, "after a moment of rest"
        time.sleep(0.01)
    monkeypatch.setattr("hishamos.store.connectors.duckdb_file.LATE_S", 60)
    for number in (1, 2, 3):
        store.transaction(put_off(number))
    store.transaction(put(6))
    assert waiting() == 0, "with others, when they are many"
    store.transaction(put_off(4, 5))
    assert waiting() == 2
    store.close()
    again = open_connector(str(tmp_path / "store.duckdb"))
    assert [row["text"] for row in again.fetch("select text from notes order by id")] == ["z"] * 6 + ["x"], "and at the end"
    again.close()


def test_who_waits_for_a_commit_and_who_does_not_write_in_turn(store):
    """Many threads, each waiting for its own commits, among works that nobody waits for: nothing is lost, and each thread sees its own."""

    def count(thread):
        behind = []
        for number in range(30):
            store.submit(put(1000 * thread + number), here=number % 3 == 0).result(10)
            behind.append(store.submit(put(1000 * thread + 500 + number)))
        total = store.transaction(
            lambda t: t.fetch("select count(*) as n from notes where id between $low and $high", {"low": thread * 1000, "high": thread * 1000 + 499})
        )
        assert all(future.result(10) == 1 for future in behind)
        return total[0]["n"]

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(count, range(8))) == [30] * 8
    assert len(ids(store)) == 8 * 60


def in_a_thread(store):
    def submit(work):
        with ThreadPoolExecutor(1) as pool:  # a main thread never commits itself
            return pool.submit(lambda: store.submit(work, here=True).result(10)).result(10)

    return submit


def test_a_work_that_waits_for_another_one_is_refused(tmp_path):
    store = open_connector(str(tmp_path / "store.duckdb"))
    store.transaction(lambda t: t.execute("create table notes (id integer primary key, text text)"))
    for submit in (store.transaction, lambda work: store.submit(work).result(10), in_a_thread(store)):
        with pytest.raises(RuntimeError, match="wait for itself"):
            submit(lambda t: store.transaction(put(1)))
    store.transaction(put(1))
    assert ids(store) == [1]
    store.close()
    with pytest.raises(StoreClosed):
        in_a_thread(store)(put(2))


def test_one_insert_that_fails_does_not_hurt_those_written_with_it(store):
    gate = threading.Event()
    first = store.submit(lambda t: gate.wait(10))
    members = [store.submit(lambda t, number=number: t.insert(INSERT, {"id": number, "text": "x"})) for number in (1, 2, 2, *range(3, 40))]
    gate.set()
    first.result(10)
    outcomes = [member.exception(10) for member in members]
    assert [index for index, error in enumerate(outcomes) if error] in ([1], [2])
    assert ids(store) == list(range(1, 40))


def test_more_works_than_one_commit_takes_are_all_done_in_order(store):
    gate = threading.Event()
    store.submit(lambda t: gate.wait(10))
    futures = [store.submit(put(number)) for number in range(600)]
    gate.set()
    assert [future.result(30) for future in futures] == [1] * 600
    assert ids(store) == list(range(600))


def test_nobody_is_answered_before_another_connection_sees_it(store):
    seen: list[tuple[int, bool]] = []
    futures: list[Future[int]] = []

    def look(number):
        return lambda future: seen.append((number, store.fetch_one("select 1 as n from notes where id = $id", {"id": number}) is not None))

    for number in range(50):
        future = store.submit(put(number))
        future.add_done_callback(look(number))
        futures.append(future)
    for future in futures:
        future.result(20)
    deadline = time.monotonic() + 10
    while len(seen) < 50 and time.monotonic() < deadline:
        time.sleep(0.01)
    assert sorted(seen) == [(number, True) for number in range(50)]


def test_after_commit_is_called_once_after_it_and_not_after_a_failure(store):
    calls: list[object] = []

    def good(transaction):
        transaction.execute(INSERT, {"id": 1, "text": "x"})
        transaction.after_commit(lambda: calls.append(ids(store)))

    def bad(transaction):
        transaction.after_commit(lambda: calls.append("bad"))
        raise LookupError

    futures = [store.submit(good), store.submit(bad)]
    futures[0].result(10)
    assert isinstance(futures[1].exception(10), LookupError)
    assert calls == [[1]]


def test_a_callback_that_fails_undoes_nothing_and_stops_nobody(store, caplog):
    calls: list[int] = []

    def work(transaction):
        transaction.execute(INSERT, {"id": 1, "text": "x"})
        transaction.after_commit(lambda: 1 // 0)
        transaction.after_commit(lambda: calls.append(1))
        return "done"

    assert store.transaction(work) == "done"
    assert calls == [1]
    assert "callback after a commit failed" in caplog.text
    assert store.transaction(put(2)) == 1


def test_a_failure_that_the_work_swallows_commits_nothing(store):
    def work(transaction):
        transaction.execute(INSERT, {"id": 1, "text": "x"})
        try:
            transaction.execute("insert into no_such_table values (1)")
        except Exception:  # the mistake that is tested
            return "looks fine"

    with pytest.raises(StoreError):
        store.transaction(work)
    assert ids(store) == []
    assert store.transaction(put(1)) == 1


def test_a_lock_makes_reading_and_then_writing_one_step(store):
    store.transaction(put(0, "0"))

    def add(transaction):
        transaction.lock("counter")
        found = int(transaction.fetch_one("select text from notes where id = 0")["text"])
        transaction.execute("update notes set text = $text where id = 0", {"text": str(found + 1)})

    with ThreadPoolExecutor(8) as pool:
        for done in [pool.submit(store.transaction, add) for _ in range(40)]:
            done.result(30)
    assert store.fetch_one("select text from notes where id = 0") == {"text": "40"}


def test_a_work_sees_what_it_wrote_and_counts_what_it_changed(store):
    def work(transaction):
        assert transaction.execute(INSERT, {"id": 1, "text": "a"}) == 1
        assert transaction.fetch("select text from notes") == [{"text": "a"}]
        assert transaction.fetch_one("select text from notes where id = 2") is None
        transaction.executemany(INSERT, [{"id": number, "text": "b"} for number in range(2, 5)])
        changed = transaction.execute("update notes set text = 'c' where id > $id", {"id": 1})
        return changed, transaction.execute("delete from notes where id = 99")

    assert store.transaction(work) == (3, 0)
    assert ids(store) == [1, 2, 3, 4]


@pytest.mark.parametrize("count", [0, 1, 199, 200, 201, 1234])
def test_many_rows_arrive_in_chunks_and_all(store, count):
    rows = [{"id": number, "text": f"row {number} 100% $text"} for number in range(count)]
    store.transaction(lambda t: t.executemany(INSERT, rows))
    assert store.fetch("select id, text from notes order by id") == rows


def test_one_bad_row_of_many_keeps_all_out(store):
    rows = [{"id": number % 450, "text": "x"} for number in range(460)]
    with pytest.raises(StoreError):
        store.transaction(lambda t: t.executemany(INSERT, rows))
    assert ids(store) == []


VALUES = {
    "small": 7,
    "big": 2**63 - 1,
    "least": -(2**63),
    "money": Decimal("12345678901234.5678"),
    "ratio": 0.1,
    "yes": True,
    "no": False,
    "nothing": None,
    "words": "naïve 漢字 شكرا 🙂 'quoted' \"double\" \\ % $x :: \n\t end",
    "empty": "",
    "instant": datetime(2026, 3, 29, 1, 59, 59, 123456, tzinfo=UTC),
    "day": date(2024, 2, 29),
}
TYPES = {
    "small": "integer",
    "big": "bigint",
    "least": "bigint",
    "money": "numeric(24, 4)",
    "ratio": "double precision",
    "yes": "boolean",
    "no": "boolean",
    "nothing": "text",
    "words": "text",
    "empty": "text",
    "instant": "timestamptz",
    "day": "date",
}


def test_values_come_back_as_they_went_in(store):
    columns = ", ".join(f"{name} {TYPES[name]}" for name in VALUES)
    store.transaction(lambda t: t.execute(f"create table kinds ({columns})"))
    insert = f"insert into kinds ({', '.join(VALUES)}) values ({', '.join('$' + name for name in VALUES)})"
    store.transaction(lambda t: t.execute(insert, VALUES))
    row = store.fetch_one("select * from kinds")
    assert row == VALUES
    assert {name: type(value) for name, value in row.items()} == {name: type(value) for name, value in VALUES.items()}
    assert row["instant"].tzinfo is UTC
    table = store.arrow("select small, big, yes, words, nothing, instant, ratio from kinds where small = $small", {"small": 7})
    assert table.to_pylist() == [{name: VALUES[name] for name in table.column_names}]
    assert [str(table.schema.field(name).type) for name in ("big", "instant", "words", "ratio")] == ["int64", "timestamp[us, tz=UTC]", "string", "double"]


def test_a_time_of_another_zone_is_the_same_instant_in_utc(store):
    store.transaction(lambda t: t.execute("create table times (t timestamptz)"))
    east = datetime(2026, 1, 1, 2, 30, tzinfo=timezone(timedelta(hours=3)))
    store.transaction(lambda t: t.execute("insert into times values ($t)", {"t": east}))
    row = store.fetch_one("select t from times where t = $t", {"t": east})
    assert (row["t"], row["t"].tzinfo) == (datetime(2025, 12, 31, 23, 30, tzinfo=UTC), UTC)
    assert store.fetch_one("select cast(t as text) as t from times")["t"].startswith("2025-12-31 23:30:00+00")


def test_an_empty_answer_has_its_columns_in_arrow(store):
    table = store.arrow("select id, text from notes")
    assert (table.num_rows, table.column_names) == (0, ["id", "text"])


def test_a_wrong_statement_is_a_store_error_and_a_missing_value_says_which(store):
    for query in (store.fetch, store.fetch_one, store.arrow):
        with pytest.raises(StoreError, match="no_such_table") as caught:
            query("select * from no_such_table")
        assert store.address in str(caught.value)
        with pytest.raises(ValueError, match=r"\$id was not given"):
            query("select * from notes where id = $id", {"other": 1})
    assert ids(store) == []


def test_many_threads_read_and_write_at_once(store):
    def both(number):
        store.transaction(put(number))
        return store.fetch_one("select text from notes where id = $id", {"id": number})

    with ThreadPoolExecutor(12) as pool:
        assert list(pool.map(both, range(120))) == [{"text": "x"}] * 120


def test_the_size_is_known_unless_it_is_in_memory(store):
    assert store.size_bytes() is None if store.address == ":memory:" else store.size_bytes() > 0


def test_closing_finishes_what_was_submitted_then_refuses(store):
    futures = [store.submit(put(number)) for number in range(30)]
    store.close()
    store.close()
    assert [future.result(1) for future in futures] == [1] * 30
    for call in (
        lambda: store.submit(put(99)),
        lambda: store.transaction(put(99)),
        lambda: store.fetch("select 1"),
        lambda: store.fetch_one("select 1"),
        lambda: store.arrow("select 1"),
    ):
        with pytest.raises(StoreClosed):
            call()


def test_a_cancelled_work_that_has_not_begun_never_runs(store):
    gate = threading.Event()
    holds = [store.submit(lambda t: gate.wait(10)) for _ in range(8)]
    time.sleep(0.1)
    late = store.submit(put(1))
    cancelled = late.cancel()
    gate.set()
    for hold in holds:
        hold.result(10)
    store.transaction(put(2))
    assert cancelled
    assert ids(store) == [2]
