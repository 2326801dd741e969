"""What one DuckDB connection knows of the names in its database."""

from __future__ import annotations

import duckdb

from hishamos.store.connectors.duckdb_transaction import Session


def test_tables_are_told_from_views_also_those_made_after_the_first_question():
    session = Session(duckdb.connect(":memory:"))
    session.execute("create table notes (id integer)")
    session.execute("create view seen as select id from notes")
    assert [session.is_table(name) for name in ("seen", "notes", "later")] == [False, True, False]
    session.execute("create table made (id integer)")
    session.execute("create view shown as select id from made")
    other = session.another()
    assert [other.is_table(name) for name in ("made", "shown", "seen", "notes")] == [True, False, False, True]
    assert session.is_table("made")
    other.close()
    session.close()


def test_all_names_are_asked_for_at_once_for_every_session(monkeypatch):
    session = Session(duckdb.connect(":memory:"))
    session.execute("create table notes (id integer)")
    session.execute("create table others (id integer)")
    assert session.is_table("notes")
    other = session.another()
    for one in (session, other):
        monkeypatch.setattr(one, "execute", lambda *_: None)
    assert [one.is_table(name) for one in (session, other) for name in ("notes", "others")] == [True] * 4
    monkeypatch.undo()
    other.close()
    session.close()
