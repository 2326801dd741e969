"""People's own SELECTs: one statement, only over the public views, read-only, bounded in time and rows."""

from __future__ import annotations

import contextlib
import json
import threading
import warnings
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from hishamos.errors import StoreError, UnsafeSql
from hishamos.store.connectors import Connector

if TYPE_CHECKING:
    import duckdb
    import pyarrow

    from hishamos.store.connectors.duckdb_file import DuckDBConnector
    from hishamos.store.connectors.postgres import PostgresConnector

VIEWS = frozenset({"runs", "steps", "attempts", "results", "issues", "events", "budgets"})
"""What people query (DESIGN section 9); tables behind them, accounts and keys are not reachable."""
FUNCTIONS = frozenset({"unnest", "range", "generate_series"})
"""Table functions that read nothing but their arguments."""
FORBIDDEN = frozenset({"getenv", "getvariable", "current_setting", "set_config", "pg_sleep", "query", "query_table", "read_blob", "read_text", "lo_import", "lo_export", "dblink"})
READER = "hishamos_reader"


def select(connector: Connector, statement: str, *, limit: int, timeout_s: float) -> pyarrow.Table:
    """Return the answer of one SELECT, at most ``limit`` rows.

    Raises :class:`UnsafeSql` for anything but one SELECT over the views, :class:`StoreError` when the statement is wrong or takes longer
    than ``timeout_s`` seconds.
    """
    if connector.dialect == "postgres":
        return _select_postgres(connector, statement, limit, timeout_s)  # type: ignore[arg-type]  # the dialect tells the class
    return _select_duckdb(connector, statement, limit, timeout_s)  # type: ignore[arg-type]


def _select_duckdb(connector: DuckDBConnector, statement: str, limit: int, timeout_s: float) -> pyarrow.Table:
    import duckdb

    cursor = connector.cursor()
    try:
        with _typed(connector, timeout_s, duckdb.Error):
            _check_duckdb(cursor, statement)
            cursor.execute("begin transaction read only")
            timer = threading.Timer(timeout_s, cursor.interrupt)
            timer.start()
            try:
                with warnings.catch_warnings():
                    # Advice about con.sql(), which can't be interrupted by its cursor.
                    warnings.simplefilter("ignore", UserWarning)
                    return cursor.execute(f"select * from ({_bare(statement)}\n) as answer limit {int(limit)}").to_arrow_table()
            finally:
                timer.cancel()
    finally:
        cursor.close()


def _check_duckdb(cursor: duckdb.DuckDBPyConnection, statement: str) -> None:
    import duckdb

    parts = duckdb.extract_statements(statement)
    if len(parts) != 1 or parts[0].type != duckdb.StatementType.SELECT:
        _refuse("it is not exactly one SELECT")
    tree = json.loads(cursor.execute("select json_serialize_sql($text)", {"text": _bare(statement)}).fetchall()[0][0])
    if tree.get("error"):
        _refuse(str(tree.get("error_message", "it can't be parsed")))
    _check_tree(tree, local=frozenset())


def _check_tree(node: Any, local: frozenset[str]) -> None:
    """Walk the parsed statement: base tables are views or names of its own common table expressions, table functions are harmless."""
    if isinstance(node, list):
        for item in node:
            _check_tree(item, local)
        return
    if not isinstance(node, dict):
        return
    local |= {entry["key"].lower() for entry in (node.get("cte_map") or {}).get("map", [])}
    kind = node.get("type")
    if kind == "BASE_TABLE":
        name = str(node.get("table_name", "")).lower()
        qualified = node.get("schema_name") not in (None, "", "main") or node.get("catalog_name") not in (None, "")
        if qualified or name not in VIEWS | local:
            _refuse(f"it reads {node.get('schema_name') or ''}{'.' if node.get('schema_name') else ''}{node.get('table_name')}")
    if kind == "TABLE_FUNCTION" and str((node.get("function") or {}).get("function_name", "")).lower() not in FUNCTIONS:
        _refuse(f"it calls the table function {(node.get('function') or {}).get('function_name')}")
    if kind in {"SHOW_REF", "COLUMN_DATA", "BOUND_TABLE_REF"}:
        _refuse("it is not a plain SELECT")
    if node.get("class") == "FUNCTION" and str(node.get("function_name", "")).lower() in FORBIDDEN:
        _refuse(f"it calls {node['function_name']}")
    for value in node.values():
        _check_tree(value, local)


def _select_postgres(connector: PostgresConnector, statement: str, limit: int, timeout_s: float) -> pyarrow.Table:
    """Run as a second role that may read the views and nothing else; the extended protocol takes one statement only."""
    import psycopg

    from hishamos.store.connectors.postgres import arrow_table

    with connector.connection() as connection, _typed(connector, timeout_s, psycopg.Error):
        try:
            connection.execute("begin read only")
            connection.execute(f"set local statement_timeout = {int(timeout_s * 1000)}")
            connection.execute(f"set local role {READER}")
            text = f"select * from ({_bare(statement)}\n) as answer limit {int(limit)}"
            _check_postgres(statement)
            # `prepare=True` uses the extended protocol: a second statement is a syntax error.
            return arrow_table(connection.execute(text.replace("%", "%%"), {}, prepare=True))
        finally:
            if not connection.closed:
                connection.execute("rollback")


def _check_postgres(statement: str) -> None:
    lowered = _bare(statement).lower().lstrip("( \n\t")
    if not lowered.startswith(("select", "with", "values", "table")):
        _refuse("it is not exactly one SELECT")
    for name in FORBIDDEN:
        if name in lowered:
            _refuse(f"it calls {name}")


def grant_views(connector: Connector) -> None:
    """On PostgreSQL, make the role that may read the views and nothing else; a user who may not make roles is told so when ``ws.sql`` is used."""
    if connector.dialect != "postgres":
        return

    def work(transaction: Any) -> None:
        transaction.lock("role " + READER)
        if not transaction.fetch("select 1 from pg_roles where rolname = $name", {"name": READER}):
            transaction.execute(f"create role {READER} nologin")
        schema = transaction.fetch("select current_schema() as name")[0]["name"]
        transaction.execute(f'grant usage on schema "{schema}" to {READER}')
        for view in sorted(VIEWS):
            if transaction.fetch("select 1 from pg_views where viewname = $name and schemaname = $schema", {"name": view, "schema": schema}):
                transaction.execute(f'grant select on "{schema}"."{view}" to {READER}')

    with contextlib.suppress(StoreError):
        connector.transaction(work)


@contextlib.contextmanager
def _typed(connector: Connector, timeout_s: float, kind: type[Exception]) -> Iterator[None]:
    try:
        yield
    except kind as error:
        text = str(error).strip()
        if "INTERRUPT" in text.upper() or "statement timeout" in text:
            raise StoreError(problem=f"the statement took longer than {timeout_s:g} s and was ended", where="ws.sql", next="Narrow it, or raise timeout_s.") from None
        if READER in text and "does not exist" in text:
            raise StoreError(
                problem=f"the role {READER} is missing", where=connector.address, next=f"Let a superuser run: create role {READER} nologin"
            ) from None
        raise UnsafeSql(reason=text.splitlines()[0], views=", ".join(sorted(VIEWS))) from None


def _bare(statement: str) -> str:
    return statement.strip().rstrip(";").strip()


def _refuse(reason: str) -> None:
    raise UnsafeSql(reason=reason, views=", ".join(sorted(VIEWS)))
