"""People's own SELECTs: one statement, only over the public views, read-only, bounded in time and rows."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from hishamos.errors import StoreClosed, StoreError, UnsafeSql
from hishamos.store.bounds import Bounds
from hishamos.store.connectors import Connector, Transaction
from hishamos.store.connectors.parameters import names, percent_style, replaced

if TYPE_CHECKING:
    import duckdb
    import psycopg
    import pyarrow

    from hishamos.store.connectors.duckdb_file import DuckDBConnector
    from hishamos.store.connectors.postgres import PostgresConnector

VIEWS = frozenset({"runs", "steps", "attempts", "results", "issues", "events", "budgets", "audit"})
"""What people query (DESIGN section 9); tables behind them, accounts and keys are not reachable."""
TABLE_FUNCTIONS = frozenset({"unnest", "range", "generate_series"})
"""DuckDB's table functions that read nothing but their arguments."""
FORBIDDEN = frozenset({"getenv", "getvariable", "current_setting", "nextval", "currval", "setval", "setseed", "sleep_ms", "write_log"})
"""DuckDB's functions that look outside the views or leave something behind."""
SWELLING = frozenset({"repeat", "lpad", "rpad", "list_resize", "array_resize", "bitstring", "format", "printf", "range", "generate_series"})
"""DuckDB's functions that make something of any size out of a number; it works on 2,048 rows at once and can't be ended in between."""
TYPES = {bool: "boolean", int: "bigint", float: "double precision", str: "text", type(None): "text"}
"""What may be bound, and as what."""
LONGEST = 1000
SWELLING_FORMAT = re.compile(r"\d{4}|\*|\{[^}]*\{")
LONGEST_STATEMENT = 100_000
HARMLESS_VOLATILE = frozenset({"random", "gen_random_uuid", "clock_timestamp", "timeofday"})
TELLING = r"^(pg_|has_|inet_|lo_|ts_|txid_|to_reg|current_setting|row_security|(col|obj|shobj)_description)|_(xml|xmlschema)$|_to_xml_"
"""PostgreSQL's stable functions that read catalogs, settings or tables named by a text."""
HEADROOM = 512 * 2**20
"""Bytes that this process may grow by beyond DuckDB's own buffers."""
ANSWER = 2**30
"""Most bytes that an answer of PostgreSQL may take here."""
TROUBLE = frozenset({"08", "53", "57", "58", "XX"})
"""PostgreSQL's classes of errors that are the server's: connections, resources, an operator's doing, the system, the inside."""
READER = "hishamos_reader"
PROBE = "hishamos_probe"


def select(connector: Connector, statement: str, *, limit: int, timeout_s: float, parameters: Mapping[str, Any] | None = None) -> pyarrow.Table:
    """Return the answer of one SELECT, at most ``limit`` rows; the schema's metadata holds ``truncated`` when there are more.

    ``parameters``: the values of ``$name``, bound with the type that they have, never written into the text.
    Raises :class:`UnsafeSql` for anything but one correct SELECT over the views, :class:`StoreError` when it takes longer than ``timeout_s``
    seconds or more memory than there is.
    """
    values = _values(statement, parameters or {})
    if connector.dialect == "postgres":
        answer = _select_postgres(connector, statement, limit, timeout_s, values)  # type: ignore[arg-type]  # the dialect tells the class
    else:
        answer = _select_duckdb(connector, statement, limit, timeout_s, values)  # type: ignore[arg-type]
    if answer.num_rows <= limit:
        return answer
    return answer.slice(0, limit).replace_schema_metadata({"truncated": str(limit)})


def _values(statement: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values of the statement's parameters; refuses one that is missing, of no plain type, or that the statement does not name."""
    wanted = names(_bare(statement))
    for name in wanted:
        if name not in given:
            _refuse(f"its parameter ${name} has no value")
    for name, value in given.items():
        if name not in wanted:
            _refuse(f"it has no parameter ${name}")
        if type(value) not in TYPES:
            _refuse(f"its parameter ${name} is a {type(value).__name__}, not a text, number, boolean or None")
    return dict(given)


def _typed(text: str, values: Mapping[str, Any], value: str) -> str:
    """Return the statement with each parameter cast to its type; ``value``: what is cast, ``{}`` for its name."""
    return replaced(text, lambda name: f"cast({value.format(name)} as {TYPES[type(values[name])]})")


def _bounded(text: str, limit: int) -> str:
    return f"select * from ({text}\n) as answer limit {int(limit) + 1}"


def _select_duckdb(connector: DuckDBConnector, statement: str, limit: int, timeout_s: float, values: dict[str, Any]) -> pyarrow.Table:
    from hishamos.store.connectors.duckdb_file import arrow_of
    from hishamos.store.connectors.duckdb_memory import memory_bytes

    with connector.lend() as connection:
        bounds = Bounds(connection.interrupt, timeout_s=timeout_s, growth=memory_bytes() + HEADROOM)
        with _duckdb_errors(connector, bounds, timeout_s):
            text = _check_duckdb(connection, _typed(statement, values, "${}"))
            connection.execute("begin transaction read only")
            with bounds:
                return arrow_of(connection.execute(_bounded(text, limit), values))


def _check_duckdb(connection: duckdb.DuckDBPyConnection, statement: str) -> str:
    """Return the statement without its semicolon once its parsed form is found harmless."""
    import duckdb

    text = _bare(statement)
    if len(text) > LONGEST_STATEMENT:
        _refuse(f"it is longer than {LONGEST_STATEMENT} characters")
    parts = connection.extract_statements(text)
    if len(parts) != 1 or parts[0].type != duckdb.StatementType.SELECT:
        _refuse("it is not exactly one SELECT")
    try:
        tree = json.loads(connection.execute("select json_serialize_sql($text)", {"text": text}).fetchall()[0][0])
        if tree.get("error"):
            _refuse(str(tree.get("error_message", "it can't be parsed")))
        _check_tree(tree, frozenset())
    except RecursionError:
        _refuse("it is nested too deeply")
    return text


def _check_tree(node: Any, local: frozenset[str]) -> None:
    """Walk the parsed statement: its tables are views or earlier common table expressions, its functions are harmless.

    A common table expression is known only to those after it and to its own recursive part; before that, DuckDB takes its name for a table's.
    """
    if isinstance(node, list):
        for item in node:
            _check_tree(item, local)
        return
    if not isinstance(node, dict):
        return
    for entry in (node.get("cte_map") or {}).get("map", []):
        name = _folded(entry["key"])
        body = entry["value"]["query_node"]
        if body["type"] == "RECURSIVE_CTE_NODE":
            _check_tree({key: value for key, value in body.items() if key != "right"}, local)
            _check_tree(body["right"], local | {name})
        else:
            _check_tree(body, local)
        _check_tree({key: value for key, value in entry["value"].items() if key != "query_node"}, local)
        local |= {name}
    _check_node(node, local)
    if node.get("type") == "TABLE_FUNCTION":
        node = node["function"]  # looked at already: as a table it comes in small parts, whatever its size
    for key, value in node.items():
        if key != "cte_map":
            _check_tree(value, local)


def _check_node(node: dict[str, Any], local: frozenset[str]) -> None:
    kind = node.get("type")
    if kind == "BASE_TABLE":
        path = [_folded(part) for part in node["qualified_name"]["path"]]
        readable = path[0] in VIEWS | local if len(path) == 1 else path[0] == "main" and path[1] in VIEWS and len(path) == 2
        if not readable:
            _refuse("it reads " + ".".join(path))
    elif kind == "TABLE_FUNCTION":
        name = _folded(node["function"]["function_name"])
        if name not in TABLE_FUNCTIONS:
            _refuse(f"it calls the table function {name}")
    elif kind in {"SHOW_REF", "COLUMN_DATA", "BOUND_TABLE_REF"}:
        _refuse("it is not a plain SELECT")
    elif node.get("class") == "FUNCTION":
        name = _folded(node["function_name"])
        if name in FORBIDDEN or name.startswith(("pg_", "has_")):
            _refuse(f"it calls {name}")
        if name in SWELLING:
            _check_sizes(name, [argument["expression"].get("literal") or {} for argument in node["arguments"]])


def _check_sizes(name: str, literals: list[dict[str, Any]]) -> None:
    """Let a function that makes big things be called only with small sizes, written as numbers."""
    if name in {"format", "printf"}:
        if literals and not SWELLING_FORMAT.search(literals[0].get("text", "*")):
            return
        _refuse(f"the format of {name} is not a plain text with widths below 1000")
    sizes = literals if name in {"range", "generate_series"} else literals[1:2]
    if any(size.get("kind") != "INTEGER" or abs(int(size["text"])) > LONGEST for size in sizes):
        advice = f"; write it after from: select … from {name}(…)" if name in TABLE_FUNCTIONS else ""
        _refuse(f"it calls {name} with a size that is not a number up to {LONGEST}{advice}")


@contextmanager
def _duckdb_errors(connector: Connector, bounds: Bounds, timeout_s: float) -> Iterator[None]:
    import duckdb

    try:
        yield
    except duckdb.InterruptException:
        raise _ended(bounds, timeout_s) if bounds.reached else StoreClosed() from None
    except (duckdb.OutOfMemoryException, duckdb.FatalException, duckdb.IOException) as error:
        raise StoreError(problem=str(error).splitlines()[0], where=connector.address, next="Narrow the statement.") from error
    except duckdb.Error as error:
        _refuse(str(error).strip().splitlines()[0])


def _select_postgres(connector: PostgresConnector, statement: str, limit: int, timeout_s: float, values: dict[str, Any]) -> pyarrow.Table:
    """Run as a second role that may read the views and nothing else, after the server itself has said what the statement refers to."""
    from hishamos.store.connectors.postgres import arrow_table

    text = _bare(statement)
    bounded = _bounded(_typed(text, values, "${}"), limit)
    bounded = percent_style(bounded) if values else bounded
    bound = f"set local statement_timeout = {max(1, int(timeout_s * 1000))}"
    with connector.connection() as connection:
        # The server ends what takes too long; an answer too big for this process is ended here.
        bounds = Bounds(connection.cancel_safe, timeout_s=timeout_s + 1, growth=ANSWER)
        with _postgres_errors(connector, bounds, timeout_s):
            try:
                connection.execute("begin")
                connection.execute(bound)
                _check_postgres(connection, _typed(text, values, "null"))
                connection.execute("rollback")
                connection.execute("begin read only")
                connection.execute(bound)
                connection.execute(f"set local role {READER}")
                with bounds:
                    # `prepare=True` uses the extended protocol, which takes one statement only.
                    return arrow_table(connection.execute(bounded, values or None, prepare=True))
            finally:
                if not connection.broken:
                    connection.execute("rollback")


def _check_postgres(connection: psycopg.Connection[Any], text: str) -> None:
    """Let the server analyse the statement, without running it, as a view that is rolled back; its parsed form names tables and functions by number."""
    connection.execute(f"create temporary view {PROBE} as select count(*) from ({text}\n) as answer", prepare=True)
    found = connection.execute(f"select ev_action::text, ev_class::bigint from pg_rewrite where ev_class = 'pg_temp.{PROBE}'::regclass").fetchall()
    tree, own = found[0]
    tables = [int(number) for number in re.findall(r":relid (\d+)", tree) if int(number) != own]
    functions = [int(number) for number in re.findall(r":\w*(?:funcid|fnoid) (\d+)", tree)]
    secret = connection.execute(
        "select c.relname from pg_class c join pg_namespace n on n.oid = c.relnamespace"
        " where c.oid = any(%s) and not (n.nspname = current_schema() and c.relkind = 'v' and c.relname = any(%s))",
        (tables, sorted(VIEWS)),
    ).fetchall()
    if secret:
        _refuse(f"it reads {secret[0][0]}")
    unsafe = connection.execute(
        "select p.proname from pg_proc p join pg_namespace n on n.oid = p.pronamespace where p.oid = any(%s) and not ("
        " n.nspname = 'pg_catalog' and (p.provolatile = 'i' or p.proname = any(%s) or (p.provolatile = 's' and p.proname !~ %s)))",
        (functions, sorted(HARMLESS_VOLATILE), TELLING),
    ).fetchall()
    if unsafe:
        _refuse(f"it calls {unsafe[0][0]}")


@contextmanager
def _postgres_errors(connector: Connector, bounds: Bounds, timeout_s: float) -> Iterator[None]:
    import psycopg

    try:
        yield
    except psycopg.errors.QueryCanceled:
        raise _ended(bounds, timeout_s) from None
    except psycopg.Error as error:
        text = str(error).strip()
        if error.sqlstate is None or error.sqlstate[:2] in TROUBLE:
            raise  # not the statement's fault; the connector says whose
        if READER in text or "to set role" in text:
            raise StoreError(
                problem=f"the role {READER} can't be used: {text}",
                where=connector.address,
                next=f"Let a superuser run: create role {READER} nologin; grant {READER} to the user of [workspace] store; then open the workspace again.",
            ) from None
        _refuse(text.splitlines()[0])


def grant_views(connector: Connector) -> None:
    """On PostgreSQL, make the role that may read the views and nothing else; a user who may not make roles is told so when ``ws.sql`` is used."""
    if connector.dialect != "postgres":
        return

    def work(transaction: Transaction) -> None:
        transaction.lock("role " + READER)
        if not transaction.fetch("select 1 from pg_roles where rolname = $name", {"name": READER}):
            transaction.execute(f"create role {READER} nologin")
        if not transaction.fetch("select 1 where pg_has_role(current_user, $name, 'member')", {"name": READER}):
            transaction.execute(f"grant {READER} to current_user")
        schema = transaction.fetch("select current_schema() as name")[0]["name"]
        transaction.execute(f'grant usage on schema "{schema}" to {READER}')
        for view in sorted(VIEWS):
            if transaction.fetch("select 1 from pg_views where viewname = $name and schemaname = $schema", {"name": view, "schema": schema}):
                transaction.execute(f'grant select on "{schema}"."{view}" to {READER}')

    with suppress(StoreError):
        connector.transaction(work)


def _bare(statement: str) -> str:
    return statement.strip().rstrip(";").strip()


def _folded(name: str) -> str:
    """Return a name as DuckDB compares it: only A to Z lose their case."""
    return "".join(letter.lower() if letter.isascii() else letter for letter in name)


def _ended(bounds: Bounds, timeout_s: float) -> StoreError:
    if bounds.reached == "memory":
        return StoreError(problem="the statement took too much memory and was ended", where="ws.sql", next="Narrow it: fewer rows, shorter texts.")
    return StoreError(problem=f"the statement took longer than {timeout_s:g} s and was ended", where="ws.sql", next="Narrow it, or raise timeout_s.")


def _refuse(reason: str) -> None:
    raise UnsafeSql(reason=reason, views=", ".join(sorted(VIEWS)))
