"""Rows that are durable at once and in their tables later: nobody can see the difference, whatever happens in between."""

from __future__ import annotations

import signal
import subprocess
import sys
from datetime import UTC, datetime, timedelta, timezone

import pytest

from hishamos.errors import DuplicateKey
from hishamos.store.connectors import duckdb_file, open_connector
from hishamos.store.connectors.notes import LONGEST

TABLE = "create table if not exists parts (run text, id bigint, text text, done boolean, share double precision, begun timestamptz, primary key (run, id))"
INSERT = "insert into parts (run, id, text, done, share, begun) values ($r, $number, $text, $done, $share, $moment)"
AT = datetime(2026, 3, 29, 1, 30, 0, 123456, tzinfo=UTC)
ODD = 'it\'s "odd" \\ \n \x00 \u202e \N{PILE OF POO} [1] {"a": 1}'


@pytest.fixture(autouse=True)
def patient(monkeypatch):
    """Have nothing written because of a moment of rest: these tests look at what waits."""
    monkeypatch.setattr(duckdb_file, "LATE_S", 60)


@pytest.fixture(params=["duckdb", "memory", "postgres"])
def store(request, tmp_path):
    urls = {"duckdb": lambda: str(tmp_path / "store.duckdb"), "memory": lambda: ":memory:", "postgres": lambda: request.getfixturevalue("new_postgres_url")}
    connector = open_connector(urls[request.param]())
    connector.transaction(lambda t: t.execute(TABLE))
    yield connector
    connector.close()


@pytest.fixture
def path(tmp_path):
    return str(tmp_path / "kept.duckdb")


def row(number, run="a", **values):
    return {"r": run, "number": number, "text": "x", "done": True, "share": 0.1, "moment": AT, **values}


def later(*rows, then=None):
    def work(t):
        for one in rows:
            t.insert_later(INSERT, one)
        if then is not None:
            raise then

    return work


def keys(store):
    return [(one["run"], one["id"]) for one in store.fetch("select run, id from parts order by run, id")]


def waiting(store):
    return store._session.connection.execute("select note from connector.notes").fetchall()


LOOKS = {
    "rows": keys,
    "one row": lambda store: [("a", n) for n in (1, 2) if store.fetch_one("select id from parts where run = $run and id = $id", {"run": "a", "id": n})],
    "by another column": lambda store: [("a", one["id"]) for one in store.fetch("select id from parts where done = $done order by id", {"done": True})],
    "a view": lambda store: [("a", one["id"]) for one in store.fetch("select id from seen order by id")],
    "arrow": lambda store: [("a", number) for number in store.arrow("select id from parts order by id")["id"].to_pylist()],
    "in a transaction": lambda store: store.transaction(
        lambda t: [("a", one["id"]) for one in t.fetch("select id from parts where run = $run order by id", {"run": "a"})]
    ),
    "an update": lambda store: [
        ("a", 1 + n) for n in range(store.transaction(lambda t: t.execute("update parts set done = false where run = $run", {"run": "a"})))
    ],
    "a deletion": lambda store: [("a", 1 + n) for n in range(store.transaction(lambda t: t.execute("delete from parts where run = $run", {"run": "a"})))],
}


@pytest.mark.parametrize("look", LOOKS.values(), ids=LOOKS.keys())
def test_whoever_looks_sees_the_row(store, look):
    store.transaction(lambda t: t.execute("create view seen as select id from parts"))
    with pytest.raises(LookupError):
        store.transaction(later(row(9), then=LookupError()))
    store.transaction(later(row(1)))
    store.transaction(later(row(2)))
    assert look(store) == [("a", 1), ("a", 2)]
    store.transaction(later(row(1, "b"), row(2, "b")))
    assert len([key for key in keys(store) if key[0] == "b"]) == 2


def test_a_transaction_sees_its_own(store):
    def work(t):
        t.insert_later(INSERT, row(1))
        seen = t.fetch("select id from parts where run = $run", {"run": "a"})
        t.insert_later(INSERT, row(2))
        return seen

    assert store.transaction(work) == [{"id": 1}]
    assert keys(store) == [("a", 1), ("a", 2)]


def test_values_come_back_as_they_went_in(store):
    store.transaction(later(row(1, text=ODD if store.dialect == "duckdb" else ODD.replace("\x00", ""), share=1e-300)))
    store.transaction(later(row(2**62, text=None, done=None, share=None, moment=AT.astimezone(timezone(timedelta(hours=3))))))
    first, second = store.fetch("select * from parts order by id")
    assert first == {"run": "a", "id": 1, "text": first["text"], "done": True, "share": 1e-300, "begun": AT}
    assert first["text"].replace("\x00", "") == ODD.replace("\x00", "")
    assert second == {"run": "a", "id": 2**62, "text": None, "done": None, "share": None, "begun": AT}


def test_text_that_no_store_keeps_is_refused_at_once(store):
    with pytest.raises(Exception, match="surrogate"):
        store.transaction(later(row(1, text="\ud800")))
    store.transaction(later(row(2)))
    assert keys(store) == [("a", 2)]


KILLED = f"""
import os
import signal
import sys

from tests.conformance.test_connector_notes import *

duckdb_file.LATE_S = 60
store = open_connector(sys.argv[1])
store.transaction(lambda t: t.execute(TABLE))
store.transaction(later(row(1, text=ODD)))
store.transaction(later(row(2, text="y" * {2 * LONGEST}), row(3)))
keys(store)
store.transaction(later(row(4, text=ODD), row(5)))
try:
    store.transaction(later(row(6), then=LookupError()))
except LookupError:
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_what_was_acknowledged_outlives_its_process(path):
    for _ in range(2):  # the second one takes up the notes of the first
        done = subprocess.run([sys.executable, "-c", KILLED, path], check=False)
        assert done.returncode == -signal.SIGKILL
        store = open_connector(path)
        assert len(waiting(store)) == 1
        assert keys(store) == [("a", 1), ("a", 2), ("a", 3), ("a", 4), ("a", 5)]
        assert [one["text"] for one in store.fetch("select text from parts where id in (1, 4)")] == [ODD, ODD]
        assert waiting(store) == []
        store.transaction(lambda t: t.execute("delete from parts"))
        store.close()


def test_a_store_that_is_closed_has_no_notes(path):
    store = open_connector(path)
    store.transaction(lambda t: t.execute(TABLE))
    store.transaction(later(row(1)))
    assert len(waiting(store)) == 1
    store.close()
    again = open_connector(path)
    assert waiting(again) == []
    assert keys(again) == [("a", 1)]
    again.close()


def test_a_row_of_another_key_waits_for_nothing(path):
    store = open_connector(path)
    store.transaction(lambda t: t.execute(TABLE))
    store.transaction(later(row(1)))
    assert store.fetch("select id from parts where run = $run", {"run": "b"}) == []
    assert len(waiting(store)) == 1
    store.close()


def test_a_row_that_is_there_already_is_left_out_and_holds_nobody_up(path, caplog):
    """It can't be, for a note and its row change places in one commit; if it were, it would be in everybody's way for ever."""
    store = open_connector(path)
    store.transaction(lambda t: t.execute(TABLE))
    store.transaction(later(row(1, text="first")))
    assert keys(store) == [("a", 1)]
    store.transaction(later(row(1, text="again")))
    store.transaction(later(row(2)))
    assert [one["text"] for one in store.transaction(lambda t: t.fetch("select text from parts order by id"))] == ["first", "x"]
    assert "there already" in caplog.text
    assert waiting(store) == []
    store.transaction(later(row(3)))
    with pytest.raises(DuplicateKey):  # a key of its own that is there stays its own fault
        store.transaction(lambda t: t.insert(INSERT, row(2)))
    assert keys(store) == [("a", 1), ("a", 2), ("a", 3)]
    store.close()


def test_only_an_insert_of_parameters_can_be_noted(tmp_path):
    store = open_connector(str(tmp_path / "store.duckdb"))
    for sql in ("insert into parts (run, id) values ($r, 1)", "update parts set done = true where id = $number", "delete from parts"):
        with pytest.raises(ValueError, match="only an insert of parameters"):
            store.transaction(lambda t, sql=sql: t.insert_later(sql, row(1)))
    store.close()
