"""Migrations: from empty and from every earlier version to the same tables on both engines."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import duckdb
import pytest

from hishamos.errors import StoreError, StoreTooNew
from hishamos.store.connectors import open_connector
from hishamos.store.migrate import Migration, back_up_before, migrate, read, schema_version, shipped, split
from tests.rigs.lengths import shared_out

NEWEST = len(shipped())
NOTES = Migration(1, "notes", "create table notes (id integer primary key);")
MORE = Migration(2, "more", "alter table notes add column text text;\n-- why\ncreate table others (id text);")
BROKEN = Migration(2, "broken", "create table others (id text);\ninsert into notes values (3);\ncreate table notes (id integer);")
ONE_ROW = {
    1: "insert into ledger_owners (owner, seen_at) values ('kept', current_timestamp)",
    2: "insert into journal_events (run_id, seq, kind, message, data, happened_at) values ('kept', 1, 'k', 'm', '{}', current_timestamp)",
    3: "insert into work_projects (key, name, issues_made, created_at) values ('kept', 'n', 0, current_timestamp)",
    5: "insert into ledger_calls (id, key, request_hash, target, owner, opened_at) values ('kept', 'k', 'h', 't', 'o', current_timestamp)",
    6: "insert into cache_entries (key, attempt_id, made_at) values ('kept', 'a', current_timestamp)",
    7: "insert into audit_entries (id, request_id, actor, action, subject, happened_at) values ('kept', 'r', 'o', 'a', 's', current_timestamp)",
    10: "insert into conversations (id, agent, title, user_name, summed_up, created_at) values ('kept', 'a', 't', 'u', 0, current_timestamp)",
    4: "insert into requests (id, verb, answer, made_at) values ('kept', 'v', 'a', current_timestamp)",
    8: "insert into schedule_times (schedule_id, due_at, outcome, note, decided_at) values ('kept', current_timestamp, 'o', 'n', current_timestamp)",
    9: "insert into worker_places (owner, kind, host, pid, places, started_at, seen_at) values ('kept', 'k', 'h', 1, 1, current_timestamp, current_timestamp)",
    11: "insert into run_forecasts (run_id, forecast) values ('kept', '{}')",
    12: "insert into ledger_batches (id, model, row_count, state, owner, made_at) values ('kept', 'm', 1, 'open', 'o', current_timestamp)",
    13: "insert into journal_runs (id, kind, name, version, state, definition, inputs, files, place, steps_total, steps_done, decisions, lease_number,"
    " created_at, origin) values ('kept', 'workflow', 'n', 'v', 'succeeded', '{}', '{}', '{}', 'server', 0, 0, 0, 0, current_timestamp, '{}')",
    14: "insert into map_uploads (id, made_at) values ('kept', current_timestamp)",
    15: "insert into conversation_messages (conversation, number, id, said, state, left_out, holder, asked_at, files)"
    " values ('kept', 1, 'm', 's', 'failed', 0, 'h', current_timestamp, '[]')",
    16: "insert into ledger_tags (name, day) values ('kept', '2026-11-28')",
    17: "insert into pruned_runs (id, kind, name, state, created_at, finished_at, pruned_by, pruned_at)"
    " values ('kept', 'map', 'n', 'failed', current_timestamp, current_timestamp, 'o', current_timestamp)",
    19: "insert into command_ratings (command, version, user_name, rating, comment, rated_at) values ('kept', 'v', 'u', 4, '', current_timestamp)",
    20: "insert into ledger_corrections (attempt_id, cost_nanos, audit_id, made_at) values ('kept', 9, 'a', current_timestamp)",
    21: "insert into ledger_budgets (name, scope, period, limit_nanos, hard, warn_at, origin) values ('kept', 'workspace', 'day', 1, true, '[]', 'o')",
    18: "insert into work_result_comments (id, result_id, user_name, text, created_at) values ('kept', 'r', 'u', 't', current_timestamp)",
}
KEPT = {
    1: "ledger_owners where owner",
    2: "journal_events where run_id",
    3: "work_projects where key",
    4: "requests where id",
    5: "ledger_calls where id",
    6: "cache_entries where key",
    7: "audit_entries where id",
    8: "schedule_times where schedule_id",
    9: "worker_places where owner",
    10: "conversations where id",
    11: "run_forecasts where run_id",
    12: "ledger_batches where id",
    13: "journal_runs where id",
    14: "map_uploads where id",
    15: "conversation_messages where conversation",
    16: "ledger_tags where name",
    17: "pruned_runs where id",
    18: "work_result_comments where id",
    19: "command_ratings where command",
    20: "ledger_corrections where attempt_id",
    21: "ledger_budgets where name",
}


@pytest.fixture(params=["duckdb", "postgres"])
def url(request, tmp_path):
    return request.getfixturevalue("new_postgres_url") if request.param == "postgres" else str(tmp_path / "local" / "store.duckdb")


@pytest.fixture
def store(url):
    connector = open_connector(url)
    yield connector
    connector.close()


def shape(store):
    """Every column of every table and view, with a type's name that both engines share."""
    names = {"character varying": "text", "varchar": "text", "timestamp with time zone": "timestamptz", "double": "double precision"}
    rows = store.fetch(
        "select c.table_name as owner, t.table_type as kind, c.column_name as name, c.data_type as type, c.is_nullable as nullable"
        " from information_schema.columns c join information_schema.tables t on t.table_name = c.table_name and t.table_schema = c.table_schema"
        " where c.table_schema = current_schema() order by c.table_name, c.ordinal_position"
    )
    return [
        (row["owner"], row["kind"], row["name"], names.get(row["type"].lower(), row["type"].lower()), row["kind"] == "VIEW" or row["nullable"]) for row in rows
    ]


def tables(store):
    return sorted({owner for owner, *_ in shape(store)})


def test_both_engines_end_with_equal_tables_and_views(tmp_path, new_postgres_url):
    shapes = []
    for url in (str(tmp_path / "a.duckdb"), new_postgres_url):
        connector = open_connector(url)
        assert migrate(connector) == NEWEST
        shapes.append(shape(connector))
        connector.close()
    assert shapes[0] == shapes[1]
    assert {"runs", "steps", "attempts", "results", "issues", "events", "budgets", "audit"} <= {owner for owner, kind, *_ in shapes[0] if kind == "VIEW"}


@pytest.mark.parametrize("version", shared_out(range(NEWEST + 1), {0, 1, NEWEST - 1, NEWEST}))
def test_every_earlier_version_comes_to_the_same_and_keeps_its_rows(store, version, tmp_path):
    fresh = open_connector(str(tmp_path / "fresh.duckdb"))
    migrate(fresh)
    assert migrate(store, shipped()[:version]) == version == schema_version(store)
    for number in range(1, version + 1):
        store.transaction(lambda t, number=number: t.execute(ONE_ROW[number]))
    assert migrate(store) == NEWEST == schema_version(store)
    assert migrate(store) == NEWEST
    assert shape(store) == shape(fresh)
    for number in range(1, version + 1):
        assert store.fetch_one(f"select count(*) as n from {KEPT[number]} = 'kept'") == {"n": 1}
    assert [row["number"] for row in store.fetch("select number from migrations order by number")] == list(range(1, NEWEST + 1))
    fresh.close()


def test_what_was_under_way_in_an_older_store_is_orphaned_at_its_reservation(store):
    migrate(store, shipped()[:4])
    columns = "id, call_id, idempotency_key, number, provider, model, hop, status, reserved_nanos, cost_nanos, overrun, started_at, tags"
    for identity, status, cost in (("a", "sent", "null"), ("b", "succeeded", "3")):
        values = f"'{identity}', 'c', 'k', 1, 'toy', 'toy/m', 0, '{status}', 7, {cost}, false, current_timestamp, '{{}}'"
        store.transaction(lambda t, values=values: t.execute(f"insert into ledger_attempts ({columns}) values ({values})"))
    balance = "values ('b', 'workspace', 'total', current_timestamp, current_timestamp, 3, 7, false)"
    store.transaction(lambda t: t.execute(f"insert into ledger_balances {balance}"))
    migrate(store)
    rows = store.fetch("select id, status, cost_nanos, usage_source from attempts order by id")
    assert [tuple(row.values()) for row in rows] == [("a", "orphaned", 7, "estimated"), ("b", "succeeded", 3, None)]
    assert store.fetch("select committed_nanos, reserved_nanos from ledger_balances") == [{"committed_nanos": 10, "reserved_nanos": 0}]


def test_every_migration_has_a_row_to_keep_in_these_tests():
    assert set(ONE_ROW) == set(KEPT) == set(range(1, NEWEST + 1))


def test_a_failing_migration_leaves_the_store_as_it_was(store):
    migrate(store, [NOTES])
    store.transaction(lambda t: t.execute("insert into notes values (1)"))
    before = shape(store)
    with pytest.raises(StoreError, match="0002_broken failed") as caught:
        migrate(store, [NOTES, BROKEN])
    assert "stays at schema 1" in str(caught.value)
    assert store.address in str(caught.value)
    assert (shape(store), schema_version(store), store.fetch("select id from notes")) == (before, 1, [{"id": 1}])
    assert migrate(store, [NOTES, MORE]) == 2
    assert tables(store) == ["migrations", "notes", "others"]


def test_a_newer_store_is_refused_in_one_sentence_and_not_touched(store):
    migrate(store, [NOTES, MORE])
    with pytest.raises(StoreTooNew) as caught:
        migrate(store, [NOTES])
    assert "\n" not in str(caught.value)
    assert (caught.value.found, caught.value.known) == (2, 1)
    assert schema_version(store) == 2
    with pytest.raises(StoreTooNew):
        migrate(store, [])


def test_a_store_made_by_another_build_is_told_so(store):
    migrate(store, [NOTES])
    other = Migration(1, "notes", "create table notes (id bigint primary key);")
    with pytest.raises(StoreError, match="another build: its migration 0001_notes differs"):
        migrate(store, [other])
    with pytest.raises(StoreError, match="another build"):
        migrate(store, [other, MORE])
    assert schema_version(store) == 1


def test_a_file_with_data_is_copied_before_it_is_migrated(tmp_path):
    path = tmp_path / "local" / "store.duckdb"
    connector = open_connector(str(path))
    migrate(connector, [NOTES])
    assert not (path.parent / "backups").exists()
    connector.transaction(lambda t: t.execute("insert into notes values (1)"))
    migrate(connector, [NOTES])
    assert not (path.parent / "backups").exists()
    migrate(connector, [NOTES, MORE])
    connector.close()
    (copy,) = (path.parent / "backups").iterdir()
    assert copy.name.startswith("store-schema-1-")
    with duckdb.connect(str(copy), read_only=True) as opened:
        assert opened.execute("select * from notes").fetchall() == [(1,)]
        assert opened.execute("select max(number) from migrations").fetchall() == [(1,)]


def test_postgres_and_memory_are_not_copied(new_postgres_url):
    for url in (new_postgres_url, ":memory:"):
        connector = open_connector(url)
        assert back_up_before(connector, 1) is None
        migrate(connector, [NOTES])
        assert migrate(connector, [NOTES, MORE]) == 2
        connector.close()


PROGRAM = """
import sys
from hishamos.store.connectors import open_connector
from hishamos.store.migrate import migrate
connector = open_connector(sys.argv[1])
sys.stdout.write("ready\\n"); sys.stdout.flush(); sys.stdin.readline()
sys.stdout.write(str(migrate(connector)))
connector.close()
"""


def test_several_programs_migrate_one_postgres_at_once(new_postgres_url):
    programs = [
        subprocess.Popen([sys.executable, "-c", PROGRAM, new_postgres_url], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    for program in programs:
        assert program.stdout.readline() == "ready\n"
    for program in programs:
        program.stdin.write("go\n")
        program.stdin.flush()
    ends = [program.communicate(timeout=60) for program in programs]
    assert [(out, program.returncode) for (out, _), program in zip(ends, programs, strict=True)] == [(str(NEWEST), 0)] * 3, ends
    connector = open_connector(new_postgres_url)
    assert connector.fetch_one("select count(*) as n from migrations") == {"n": NEWEST}
    connector.close()


def test_duckdb_runs_its_twin_where_there_is_one(store):
    twin = Migration(1, "twin", "create table general (a integer);", "create table special (a integer);")
    migrate(store, [twin])
    assert tables(store) == sorted(["migrations", "special" if store.dialect == "duckdb" else "general"])


def folder(tmp_path: Path, **files: str) -> Path:
    for name, text in files.items():
        (tmp_path / f"{name.replace('__', '.')}.sql").write_text(text)
    return tmp_path


def test_a_folder_is_read_in_order_with_twins(tmp_path):
    found = read(folder(tmp_path, **{"0002_b": "b", "0001_a": "a", "0001_a__duckdb": "twin", "notes": "no migration"}))
    assert found == [Migration(1, "a", "a", "twin"), Migration(2, "b", "b")]
    assert found[0].checksum != Migration(1, "a", "a").checksum


@pytest.mark.parametrize(
    ("files", "problem"),
    [
        ({"0001_a": "", "0003_c": ""}, r"not numbered 1, 2, 3 …: \[1, 3\]"),
        ({"0001_a": "", "0001_b": ""}, "not numbered"),
        ({"0001_a__duckdb": ""}, "0001_a"),
    ],
)
def test_a_gap_a_repeat_and_a_lonely_twin_are_refused(tmp_path, files, problem):
    with pytest.raises(ValueError, match=problem):
        read(folder(tmp_path, **files))


def test_statements_end_at_a_semicolon_at_a_lines_end():
    assert split("-- top;\ncreate table a (b text default ';');\n\n  -- more\ninsert into a values ('x;y')  ;\nselect 1") == [
        "create table a (b text default ';')",
        "insert into a values ('x;y')",
        "select 1",
    ]
