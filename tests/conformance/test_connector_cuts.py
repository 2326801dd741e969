"""What the PostgreSQL connector does when connections are cut, transactions collide or the database has other habits."""

from __future__ import annotations

import os
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from hishamos.errors import CommitUnknown, StoreClosed, StoreError
from hishamos.store.connectors import open_connector


@pytest.fixture
def postgres_store(new_postgres_url):
    connector = open_connector(new_postgres_url)
    connector.transaction(lambda t: t.execute("create table notes (id integer primary key, text text)"))
    yield connector
    connector.close()


def put(number, text="x"):
    return lambda t: t.execute("insert into notes (id, text) values ($id, $text)", {"id": number, "text": text})


def count(store):
    return store.fetch_one("select count(*) as n from notes")["n"]


def cut(store, server):
    """End the connection that the store's pool will lend next."""
    import psycopg

    pid = store.fetch_one("select pg_backend_pid() as pid")["pid"]
    with psycopg.connect(server, autocommit=True) as other:
        other.execute("select pg_terminate_backend(%s)", (pid,))
    time.sleep(0.1)


def test_a_connection_that_was_cut_is_replaced_unseen(postgres_store, postgres_server):
    cut(postgres_store, postgres_server)
    assert count(postgres_store) == 0
    cut(postgres_store, postgres_server)
    assert postgres_store.transaction(put(1)) == 1
    cut(postgres_store, postgres_server)
    assert postgres_store.arrow("select id from notes").to_pylist() == [{"id": 1}]


def test_a_connection_cut_inside_a_work_runs_the_work_again(postgres_store, postgres_server):
    import psycopg

    tries = []

    def work(transaction):
        tries.append(transaction.fetch_one("select pg_backend_pid() as pid")["pid"])
        put(len(tries))(transaction)
        if len(tries) == 1:
            with psycopg.connect(postgres_server, autocommit=True) as other:
                other.execute("select pg_terminate_backend(%s)", (tries[0],))
            time.sleep(0.1)
        return put(10)(transaction)

    assert postgres_store.transaction(work) == 1
    assert len(tries) == 2
    assert [row["id"] for row in postgres_store.fetch("select id from notes order by id")] == [2, 10]


def test_a_connection_cut_before_the_commits_answer_is_an_unknown_outcome(postgres_store, postgres_server):
    import psycopg

    def work(transaction):
        pid = transaction.fetch_one("select pg_backend_pid() as pid")["pid"]
        with psycopg.connect(postgres_server, autocommit=True) as other:
            other.execute("select pg_terminate_backend(%s)", (pid,))
        time.sleep(0.1)

    with pytest.raises(CommitUnknown, match="Repeat the call"):
        postgres_store.transaction(work)
    assert count(postgres_store) == 0


def test_a_deadlock_is_resolved_by_running_one_again(postgres_store):
    postgres_store.transaction(lambda t: [put(1)(t), put(2)(t)])
    meet = threading.Barrier(2)
    tries = []

    def cross(first, second):
        def work(transaction):
            tries.append(first)
            transaction.execute("update notes set text = text || 'a' where id = $id", {"id": first})
            if len(tries) <= 2:
                meet.wait(10)
            transaction.execute("update notes set text = text || 'b' where id = $id", {"id": second})

        return work

    futures = [postgres_store.submit(cross(1, 2)), postgres_store.submit(cross(2, 1))]
    for future in futures:
        future.result(30)
    assert len(tries) >= 3
    assert sorted(row["text"] for row in postgres_store.fetch("select text from notes")) in (["xab", "xba"], ["xab", "xab"], ["xba", "xba"])


def test_a_conflict_that_never_ends_is_given_up_with_a_sentence(postgres_store):
    import psycopg

    tries = []

    def work(transaction):
        tries.append(1)
        raise psycopg.errors.SerializationFailure("could not serialize access")

    with pytest.raises(StoreError, match="could not serialize access"):
        postgres_store.transaction(work)
    assert 5 <= len(tries) <= 20


def test_a_database_with_other_defaults_is_still_durable_and_reads_what_stands(postgres_server, new_postgres_url):
    import psycopg

    name = f"hos_{os.urandom(4).hex()}"
    with psycopg.connect(postgres_server, autocommit=True) as admin:
        admin.execute(f"create database {name}")
        admin.execute(f"alter database {name} set synchronous_commit = off")
        admin.execute(f"alter database {name} set default_transaction_isolation = 'repeatable read'")
    try:
        store = open_connector(postgres_server.rsplit("/", 1)[0] + "/" + name)
        settings = store.transaction(lambda t: t.fetch("select current_setting('synchronous_commit') as a, current_setting('transaction_isolation') as b"))
        assert settings == [{"a": "on", "b": "read committed"}]
        store.close()
    finally:
        with psycopg.connect(postgres_server, autocommit=True) as admin:
            admin.execute(f"drop database {name} with (force)")


def test_two_programs_exclude_each_other_by_the_lock(postgres_store, new_postgres_url):
    other = open_connector(new_postgres_url)
    postgres_store.transaction(put(0, "0"))

    def add(transaction):
        transaction.lock("counter")
        found = int(transaction.fetch_one("select text from notes where id = 0")["text"])
        time.sleep(0.002)
        transaction.execute("update notes set text = $text where id = 0", {"text": str(found + 1)})

    futures = [store.submit(add) for _ in range(15) for store in (postgres_store, other)]
    for future in futures:
        future.result(30)
    assert postgres_store.fetch_one("select text from notes where id = 0") == {"text": "30"}
    other.close()


def test_a_schema_with_capitals_keeps_its_tables(postgres_server):
    import psycopg

    name = f"T_{os.urandom(4).hex()}"
    store = open_connector(f"{postgres_server}?schema={name}")
    store.transaction(lambda t: t.execute("create table notes (id integer)"))
    assert store.fetch_one("select table_schema as s from information_schema.tables where table_schema = $s", {"s": name}) == {"s": name}
    store.close()
    with psycopg.connect(postgres_server, autocommit=True) as connection:
        connection.execute(f'drop schema "{name}" cascade')


def test_many_programs_may_make_the_same_schema_at_once(new_postgres_url):
    with ThreadPoolExecutor(6) as pool:
        stores = list(pool.map(open_connector, [new_postgres_url] * 6))
    for store in stores:
        assert store.fetch_one("select 1 as n") == {"n": 1}
        store.close()


def test_without_the_driver_the_extra_to_install_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "psycopg_pool", None)
    with pytest.raises(StoreError, match=r"pip install 'hishamos\[postgres\]'"):
        open_connector("postgresql://u:s3cret@h/db")


def test_a_read_under_way_when_the_store_closes_says_it_is_closed(postgres_store, postgres_server):
    import psycopg

    outcome: list[object] = []

    def read():
        try:
            outcome.append(postgres_store.fetch("select pg_sleep(20)"))
        except StoreError as error:
            outcome.append(error)

    reading = threading.Thread(target=read)
    reading.start()
    time.sleep(0.3)
    closing = threading.Thread(target=postgres_store.close)
    closing.start()
    time.sleep(0.1)
    with psycopg.connect(postgres_server, autocommit=True) as other:
        other.execute("select pg_terminate_backend(pid) from pg_stat_activity where query = 'select pg_sleep(20)'")
    reading.join(10)
    closing.join(10)
    assert [type(one) for one in outcome] == [StoreClosed]


def test_a_store_closed_between_two_lines_says_it_is_closed(postgres_store):
    postgres_store._workers.shutdown()
    with pytest.raises(StoreClosed):
        postgres_store.submit(put(1))
    postgres_store._pool.close()
    postgres_store._closed = False
    with pytest.raises(StoreError):
        count(postgres_store)


def test_a_failing_statement_on_a_lost_connection_keeps_the_works_own_error(postgres_store, postgres_server):
    def work(transaction):
        cut_this = transaction.fetch_one("select pg_backend_pid() as pid")["pid"]
        import psycopg

        with psycopg.connect(postgres_server, autocommit=True) as other:
            other.execute("select pg_terminate_backend(%s)", (cut_this,))
        time.sleep(0.1)
        try:
            transaction.fetch("select 1")
        except psycopg.Error:
            raise LookupError("mine") from None

    with pytest.raises(LookupError, match="mine"):
        postgres_store.transaction(work)
    assert count(postgres_store) == 0


def test_a_deferred_check_that_fails_at_the_commit_is_a_store_error(postgres_store):
    postgres_store.transaction(lambda t: t.execute("create table late (id integer unique deferrable initially deferred)"))
    with pytest.raises(StoreError, match="duplicate key"):
        postgres_store.transaction(lambda t: t.executemany("insert into late values ($i)", [{"i": 1}, {"i": 1}]))
    assert postgres_store.fetch("select id from late") == []
