"""``ws.sql`` reads the views and nothing else, whatever is typed, on both engines."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from urllib.parse import urlsplit, urlunsplit

import pytest

from hishamos.errors import StoreClosed, StoreError, UnsafeSql
from hishamos.store.connectors import open_connector
from hishamos.store.migrate import migrate, shipped
from hishamos.store.readonly import grant_views, select
from tests.conftest import own_schema

ENGINES = ["duckdb", "postgres"]


@contextlib.contextmanager
def opened(url):
    connector = open_connector(url)
    migrate(connector)
    grant_views(connector)
    connector.transaction(
        lambda t: t.executemany(
            "insert into journal_events (run_id, seq, kind, message, data, happened_at) values ($run, $seq, 'note', $text, '{}', current_timestamp)",
            [{"run": "R1", "seq": number, "text": f"note {number} 100%"} for number in range(20)],
        )
    )
    yield connector
    connector.close()


@pytest.fixture(params=ENGINES)
def store(request, tmp_path):
    url = request.getfixturevalue("postgres_url") if request.param == "postgres" else str(tmp_path / "store.duckdb")
    with opened(url) as connector:
        yield connector


@pytest.fixture(scope="module", params=ENGINES)
def shared_store(request, tmp_path_factory):
    """For statements that change nothing, or are refused: each test sees that the rows are still there."""
    if request.param == "duckdb":
        with opened(str(tmp_path_factory.mktemp("readonly") / "store.duckdb")) as connector:
            yield connector
    else:
        with own_schema(request.getfixturevalue("postgres_server")) as url, opened(url) as connector:
            yield connector


def ask(store, statement, limit=1000, timeout_s=20.0):
    return select(store, statement, limit=limit, timeout_s=timeout_s)


ALLOWED = [
    ("select count(*) as n from events", [20]),
    ("  select 7 as n ;  ", [7]),
    ("select 7 as n -- a comment", [7]),
    ("select ';' as n", [";"]),
    ("select seq as n from events where message like '%100%%' order by seq limit 2", [0, 1]),
    ("with few as (select seq from events where seq < 3), one as (select max(seq) as n from few) select n from one", [2]),
    ("with recursive t(n) as (select 1 union all select n + 1 from t where n < 3) select n from t order by n", [1, 2, 3]),
    ("with runs as (select 5 as n) select n from runs", [5]),
    ("select n from (values (1), (2)) as v(n) order by n", [1, 2]),
    ("select n from generate_series(1, 3) as g(n) order by n", [1, 2, 3]),
    ("select e.seq as n from events e left join runs r on r.id = e.run_id where e.seq in (select max(seq) from events)", [19]),
    ("select 'query getenv pg_sleep set_config' as n", ["query getenv pg_sleep set_config"]),
    ("select sum(1) over () as n from events limit 1", [1]),
]


@pytest.mark.parametrize(("statement", "rows"), ALLOWED, ids=[statement[:40] for statement, _ in ALLOWED])
def test_a_select_over_the_views_is_answered(shared_store, statement, rows):
    answer = ask(shared_store, statement).column("n").to_pylist()
    assert [int(value) if not isinstance(value, str) else value for value in answer] == (rows if "over ()" not in statement else [20])


ATTACKS = [
    "",
    ";",
    "-- nothing",
    "selec 1",
    "select 1; select 2",
    "select 1; drop table journal_runs",
    "select 1) as answer; drop table journal_runs; select * from (select 1",
    "select 1) as a, (select * from journal_runs",
    "select 1) as a limit 1 -- ",
    "insert into journal_events values ('x', 1, 'x', null, null, '', '', current_timestamp)",
    "delete from journal_events",
    "with gone as (delete from journal_events returning 1) select * from gone",
    "update journal_events set message = ''",
    "create table mine (a int)",
    "select * into mine from events",
    "copy (select 1) to '/tmp/hishamos-stolen'",
    "attach '/tmp/other.duckdb' as other",
    "pragma database_list",
    "set memory_limit = '1TB'",
    "begin",
    "explain analyze select 1",
    "select * from journal_runs",
    "select * from main.journal_runs",
    "select * from public.journal_runs",
    "select * from JOURNAL_RUNS",
    'select * from "journal_runs"',
    "select * from memory.main.journal_runs",
    "select (select max(name) from journal_runs)",
    "select 1 where exists (select 1 from requests)",
    "select * from events e, lateral (select * from requests) r",
    "with requests as (select * from requests) select * from requests",
    "with a as (select * from requests), requests as (select 1 as x) select * from a",
    "with recursive requests as (select id from requests union all select id from requests where 1 = 0) select * from requests",
    "with requests as (select 1) select * from main.requests",
    "select (with requests as (select 1 as one) select one from requests) from requests",
    "select * from migrations",
    "select * from information_schema.tables",
    "select * from information_schema.columns",
    "select * from pg_catalog.pg_class",
    "select * from pg_class",
    "select * from pg_roles",
    "select * from pg_stat_activity",
    "select * from duckdb_tables()",
    "select * from duckdb_settings()",
    "select * from duckdb_secrets()",
    "select * from sqlite_master",
    "show tables",
    "select * from (show tables)",
    "select * from (describe journal_runs)",
    "select * from (summarize journal_runs)",
    "table journal_runs",
    "from journal_runs",
    "select * from read_csv('/etc/passwd')",
    "select * from read_text('/etc/passwd')",
    "select * from read_blob('/etc/passwd')",
    "select * from glob('/etc/*')",
    "select * from '/etc/passwd'",
    "select * from 'file.csv'",
    "select * from sniff_csv('/etc/passwd')",
    'with "file.csv" as (select * from \'file.csv\') select * from "file.csv"',
    "select * from query('select * from requests')",
    "select * from query_table('requests')",
    "select * from json_execute_serialized_sql(json_serialize_sql('select * from requests'))",
    "select getenv('HOME')",
    "select current_setting('allowed_directories')",
    "select current_setting('data_directory')",
    "select nextval('journal_event_numbers')",
    "select write_log('x')",
    "select pg_read_file('/etc/passwd')",
    "select pg_ls_dir('/')",
    "select pg_sleep(30)",
    "select pg_advisory_lock(1)",
    "select set_config('role', 'none', false)",
    r"""select U&"set\005fconfig"('role', 'none', false)""",
    "select pg_terminate_backend(pg_backend_pid())",
    "select pg_get_viewdef('runs')",
    "select query_to_xml('select * from pg_roles', true, true, '')",
    "select table_to_xml('requests', true, true, '')",
    "select lo_import('/etc/passwd')",
    "select has_table_privilege('requests', 'select')",
    "select * from events for update",
    "select $1",
    "select nothing_like_it from events",
    "select * from (from events) pivot (count(*) for kind in ('note')), requests",
    "select interrupted from events",
]


@pytest.mark.parametrize("statement", ATTACKS, ids=[statement[:60] for statement in ATTACKS])
def test_anything_else_is_refused_and_changes_nothing(shared_store, statement):
    with pytest.raises(UnsafeSql) as caught:
        ask(shared_store, statement, timeout_s=5.0)
    assert "attempts, audit, budgets, events" in str(caught.value)
    assert shared_store.fetch_one("select count(*) as n from journal_events") == {"n": 20}
    assert ask(shared_store, "select count(*) as n from runs").to_pylist() == [{"n": 0}]


def test_a_pivot_over_a_secret_table_is_refused(store):
    for statement in ("pivot requests on verb using count(*)", "select * from (pivot requests on verb using count(*))"):
        with pytest.raises(UnsafeSql):
            ask(store, statement)


def test_a_name_is_folded_as_the_engine_folds_it(store):
    """The Kelvin sign's lower case is a k in Python, not in the engines: it must not vouch for another table."""
    store.transaction(lambda t: t.execute("create table k (a integer)"))
    with pytest.raises(UnsafeSql):
        ask(store, 'with "\u212a" as (select 1) select * from "k"')


def test_no_more_rows_than_the_limit_come_back(store):
    assert ask(store, "select seq from events order by seq desc", limit=3).column("seq").to_pylist() == [19, 18, 17]
    assert ask(store, "select seq from events limit 50", limit=0).num_rows == 0


def test_an_answer_that_was_cut_says_so_and_a_whole_one_does_not(store):
    assert ask(store, "select seq from events", limit=19).schema.metadata == {b"truncated": b"19"}
    assert not ask(store, "select seq from events", limit=20).schema.metadata


BOMBS = [
    "with recursive t(n) as (select cast(1 as bigint) union all select n + 1 from t) select count(*) from t",
    "select count(*) from generate_series(1, 100000) a(i), generate_series(1, 100000) b(i) where sqrt(cast(a.i as double precision) * b.i) < 0",
]


@pytest.mark.parametrize("statement", BOMBS, ids=["recursive", "product"])
def test_a_bomb_is_ended_by_the_time_limit_and_hurts_nobody(store, statement):
    def work():
        for number in range(5):
            store.transaction(lambda t, number=number: t.execute("update journal_events set message = $text where seq = 1", {"text": f"{number}"}))

    writer = threading.Thread(target=work)
    began = time.monotonic()
    writer.start()
    with pytest.raises(StoreError, match=r"longer than 0\.5 s"):
        ask(store, statement, timeout_s=0.5)
    assert time.monotonic() - began < 5
    writer.join()
    assert ask(store, "select message from events where seq = 1").to_pylist() == [{"message": "4"}]


@pytest.fixture(scope="module")
def shared_file(tmp_path_factory):
    connector = open_connector(str(tmp_path_factory.mktemp("swelling") / "store.duckdb"))
    migrate(connector)
    yield connector
    connector.close()


SMALL = [
    ("select lpad(cast(i as text), 3, '0') as n from range(2) as t(i)", ["000", "001"]),
    ("select repeat('-', 3) as n", ["---"]),
    ("select format('{:>4}|{:.1f}', 'a', 1.25) as n", ["   a|1.2"]),
    ("select unnest(range(1, 3)) as n", [1, 2]),
    ("select count(*) as n from range(1000000)", [1000000]),
    ("select count(*) as n from generate_series(timestamp '2026-01-01', timestamp '2026-01-03', interval '1 day')", [3]),
]


@pytest.mark.parametrize(("statement", "rows"), SMALL, ids=[statement[:40] for statement, _ in SMALL])
def test_functions_that_can_swell_are_allowed_with_small_sizes(shared_file, statement, rows):
    assert ask(shared_file, statement).column("n").to_pylist() == rows


SWOLLEN = [
    "select repeat('x', 1001)",
    "select repeat('x', seq * 1000000) from events",
    "select lpad('x', cast(1000000000 as integer))",
    "select rpad('x', 1000000000, 'y')",
    "select range(500000000)",
    "select count(*) from unnest(range(500000000))",
    "select generate_series(1, 1000, 1), generate_series(-1000000, 1)",
    "select list_resize([1], 100000000)",
    "select format('{:100000000}', 1)",
    "select format('{:{}}', 1, 100000000)",
    "select format(message, 1) from events",
    "select printf('%*d', 100000000, 1)",
    "select printf('%100000000d', 1)",
    "select '" + "x" * 100_000 + "'",
]


@pytest.mark.parametrize("statement", SWOLLEN, ids=[statement[:40] for statement in SWOLLEN])
def test_a_few_letters_that_would_fill_the_memory_are_refused_before_they_run(shared_file, statement):
    with pytest.raises(UnsafeSql, match="up to 1000|below 1000|longer than 100000"):
        ask(shared_file, statement)


def test_an_answer_too_big_for_the_memory_is_ended(store, monkeypatch):
    from hishamos.store.connectors.duckdb_memory import memory_bytes

    monkeypatch.setattr("hishamos.store.readonly.ANSWER", 100 * 2**20)
    monkeypatch.setattr("hishamos.store.readonly.HEADROOM", 100 * 2**20 - memory_bytes())
    swelling = {"duckdb": "select list(i) from range(1000000000) as t(i)", "postgres": "select repeat('x', 10000000) from generate_series(1, 1000)"}
    with pytest.raises(StoreError, match="too much memory"):
        ask(store, swelling[store.dialect])
    assert ask(store, "select count(*) as n from events").to_pylist() == [{"n": 20}]


def test_a_question_is_ended_when_the_store_closes(tmp_path):
    file_store = open_connector(str(tmp_path / "store.duckdb"))
    outcome: list[object] = []

    def work():
        try:
            outcome.append(ask(file_store, BOMBS[0], timeout_s=30))
        except StoreError as error:
            outcome.append(error)

    asking = threading.Thread(target=work)
    asking.start()
    time.sleep(0.5)
    file_store.close()
    asking.join(10)
    assert [type(one) for one in outcome] == [StoreClosed]


def test_a_server_that_goes_while_it_answers_is_a_store_error(new_postgres_url, postgres_server):
    import psycopg

    connector = open_connector(new_postgres_url)
    migrate(connector)
    grant_views(connector)

    def cut():
        time.sleep(0.5)
        with psycopg.connect(postgres_server, autocommit=True) as other:
            other.execute("select pg_terminate_backend(pid) from pg_stat_activity where query like '%answer limit 778%' and pid <> pg_backend_pid()")

    cutting = threading.Thread(target=cut)
    cutting.start()
    with pytest.raises(StoreError) as caught:
        ask(connector, BOMBS[1], limit=777)
    cutting.join()
    assert not isinstance(caught.value, UnsafeSql)
    assert ask(connector, "select 1 as n").to_pylist() == [{"n": 1}]
    connector.close()


def test_a_missing_reader_role_is_made(new_postgres_url, postgres_server, monkeypatch):
    import psycopg

    name = f"hishamos_reader_{new_postgres_url[-12:]}"
    monkeypatch.setattr("hishamos.store.readonly.READER", name)
    connector = open_connector(new_postgres_url)
    try:
        migrate(connector, shipped()[:1])
        grant_views(connector)
        assert ask(connector, "select count(*) as n from attempts").to_pylist() == [{"n": 0}]
    finally:
        connector.close()
        with psycopg.connect(postgres_server, autocommit=True) as other:
            other.execute(f'drop owned by "{name}"')
            other.execute(f'drop role "{name}"')


def test_a_user_who_may_not_make_roles_works_on_and_is_told_when_asking(postgres_server, monkeypatch):
    import psycopg

    name = f"hos_{os.urandom(4).hex()}"
    monkeypatch.setattr("hishamos.store.readonly.READER", f"reader_of_{name}")
    with psycopg.connect(postgres_server, autocommit=True) as admin:
        admin.execute(f"create role {name} login password '{name}'")
        admin.execute(f"create schema {name} authorization {name}")
    parts = urlsplit(postgres_server)
    place = f"{name}:{name}@{parts.hostname}:{parts.port or 5432}"
    try:
        connector = open_connector(urlunsplit(parts._replace(netloc=place, query=f"schema={name}")))
        migrate(connector)
        grant_views(connector)
        with pytest.raises(StoreError, match=f"create role reader_of_{name} nologin") as caught:
            ask(connector, "select 1")
        assert not isinstance(caught.value, UnsafeSql)
        assert connector.fetch_one("select count(*) as n from events") == {"n": 0}
        connector.close()
    finally:
        with psycopg.connect(postgres_server, autocommit=True) as admin:
            admin.execute(f"drop schema {name} cascade")
            admin.execute(f"drop owned by {name}")
            admin.execute(f"drop role {name}")


def test_a_statement_nested_too_deeply_is_refused(store):
    deep = "select " + "(" * 20000 + "1" + ")" * 20000
    with pytest.raises((UnsafeSql, StoreError)):
        ask(store, deep)
    assert ask(store, "select 1 as n").num_rows == 1


def test_a_closed_store_says_so(store):
    store.close()
    with pytest.raises(StoreClosed):
        ask(store, "select 1")


def test_the_reader_role_is_asked_for_by_name_when_it_is_missing(new_postgres_url, monkeypatch):
    connector = open_connector(new_postgres_url)
    migrate(connector)
    monkeypatch.setattr("hishamos.store.readonly.READER", "hishamos_reader_nobody_made")
    with pytest.raises(StoreError, match="create role hishamos_reader_nobody_made") as caught:
        ask(connector, "select 1")
    assert not isinstance(caught.value, UnsafeSql)
    connector.close()


def test_granting_again_is_harmless(store):
    grant_views(store)
    grant_views(store)
    assert ask(store, "select count(*) as n from events").to_pylist() == [{"n": 20}]
