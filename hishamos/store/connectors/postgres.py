"""PostgreSQL: a bounded pool of connections, each unit of work in one of them."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal, TypeVar
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from hishamos.errors import CommitUnknown, DuplicateKey, StoreClosed, StoreError
from hishamos.store.connectors.connector import Parameters, Row, Transaction, Work, call_back
from hishamos.store.connectors.parameters import chosen, many_values, percent_style, plain_row
from hishamos.store.connectors.waiting import shape

if TYPE_CHECKING:
    import psycopg
    import pyarrow

T = TypeVar("T")
CONNECTIONS = 8
TRIES = CONNECTIONS + 2
"""How often a work or a read is tried: after the server restarts, every pooled connection may be found dead once."""
SETTINGS = r"-c TimeZone=UTC -c synchronous_commit=on -c default_transaction_isolation=read\ committed"
"""Whatever the database's own defaults: a commit is on the disk when it is answered, and what is read after ``lock`` is what stands then."""
SECRETS = frozenset({"password", "sslpassword", "passfile"})


class PostgresConnector:
    """A PostgreSQL database; ``?schema=NAME`` in its address keeps all tables in that schema."""

    dialect: Literal["duckdb", "postgres"] = "postgres"

    def __init__(self, url: str) -> None:
        try:
            import psycopg
            import psycopg_pool
        except ImportError as error:
            raise StoreError(problem="psycopg is not installed", where=_without_secrets(url), next="Run: pip install 'hishamos[postgres]'") from error
        self._driver = psycopg
        address, schema = _split_schema(url)
        self.address = _without_secrets(url)
        self._prepare(address, schema)
        options = SETTINGS + (f' -c search_path="{schema}"' if schema else "")
        self._pool = psycopg_pool.ConnectionPool(
            address, min_size=1, max_size=CONNECTIONS, open=True, kwargs={"autocommit": True, "options": options}, timeout=30, name="store"
        )
        self._workers = ThreadPoolExecutor(CONNECTIONS, thread_name_prefix="store-worker")
        self._closed = False

    def submit(self, work: Work[T], *, here: bool = False) -> Future[T]:  # noqa: ARG002 - the server's answer takes too long to wait for
        """Run the work in one of the pool's threads."""
        if self._closed:
            raise StoreClosed
        try:
            return self._workers.submit(self._run, work)
        except RuntimeError as error:
            raise StoreClosed from error  # it was closed in this instant

    def transaction(self, work: Work[T]) -> T:
        """Run the work in the calling thread."""
        if self._closed:
            raise StoreClosed
        return self._run(work)

    def fetch(self, sql: str, parameters: Parameters | None = None) -> list[Row]:
        """Return the rows of a query."""
        return self._read(lambda connection: _rows(connection, sql, parameters))

    def fetch_one(self, sql: str, parameters: Parameters | None = None) -> Row | None:
        """Return the first row of a query, or None."""
        rows = self.fetch(sql, parameters)
        return rows[0] if rows else None

    def arrow(self, sql: str, parameters: Parameters | None = None) -> pyarrow.Table:
        """Return a query's answer as an Arrow table."""
        return self._read(lambda connection: arrow_table(connection.execute(percent_style(sql), chosen(sql, parameters))))

    @contextmanager
    def connection(self) -> Iterator[psycopg.Connection[Any]]:
        """Lend a connection, for a query that needs settings of its own."""
        if self._closed:
            raise StoreClosed
        try:
            with self._pool.connection() as connection:
                yield connection
        except self._driver.Error as error:
            raise self._typed(error) from error

    def _typed(self, error: Exception) -> StoreError:
        if self._closed:
            return StoreClosed()
        if isinstance(error, self._driver.errors.UniqueViolation):
            return DuplicateKey(problem=str(error).strip(), where=self.address, next="See: hishamos server logs")
        return StoreError(problem=str(error).strip(), where=self.address, next="Check that PostgreSQL runs; see: hishamos server logs")

    def size_bytes(self) -> int | None:
        """Return the database's size."""
        row = self.fetch_one("select pg_database_size(current_database()) as size")
        return int(row["size"]) if row else None

    def close(self) -> None:
        """Finish what was submitted, then close the connections."""
        if self._closed:
            return
        self._closed = True
        self._workers.shutdown(wait=True)
        self._pool.close()

    def _prepare(self, address: str, schema: str | None) -> None:
        try:
            with self._driver.connect(address, autocommit=True, connect_timeout=10) as connection:
                # Asked first, for only who may make schemas may say "if not exists".
                if schema and connection.execute("select 1 from pg_namespace where nspname = %s", (schema,)).fetchone() is None:
                    connection.execute(f'create schema if not exists "{schema}"')
        except self._driver.errors.UniqueViolation:
            return  # another process made the schema in the same instant
        except self._driver.Error as error:
            raise StoreError(problem=str(error).strip(), where=self.address, next="Check [workspace] store and that PostgreSQL runs.") from error

    def _read(self, query: Callable[[psycopg.Connection[Any]], T]) -> T:
        """Run a query outside a transaction; a connection that turns out dead is replaced by another one."""
        for tried in range(1, TRIES + 1):
            with self.connection() as connection:
                try:
                    return query(connection)
                except self._driver.OperationalError:
                    if not connection.broken or tried == TRIES:
                        raise
        raise AssertionError("unreachable")

    def _run(self, work: Work[T]) -> T:
        errors = self._driver.errors
        for tried in range(1, TRIES + 1):
            try:
                return self._once(work)
            except (errors.SerializationFailure, errors.DeadlockDetected, _LostBeforeCommit) as error:
                if tried == TRIES:
                    cause = error.__cause__ or error
                    raise StoreError(problem=str(cause).strip(), where=self.address, next="Check that PostgreSQL runs, then try again.") from cause
            except self._driver.Error as error:
                raise self._typed(error) from error
        raise AssertionError("unreachable")

    def _once(self, work: Work[T]) -> T:
        with self._pool.connection() as connection:
            transaction = _PostgresTransaction(connection)
            try:
                connection.execute("begin")
                answer = work(transaction)
            except BaseException as error:
                if not connection.broken:
                    connection.execute("rollback")
                elif isinstance(error, self._driver.Error):
                    raise _LostBeforeCommit from error
                raise
            try:
                done = connection.execute("commit").statusmessage
            except self._driver.Error as error:
                if connection.broken:
                    raise CommitUnknown(where=self.address) from error
                raise
        if done != "COMMIT":
            # A statement had failed and the work went on as if it had not; the server then answers a commit by rolling back.
            raise StoreError(problem="a statement failed, so nothing was committed", where=self.address, next="See: hishamos server logs")
        for callback in transaction.callbacks:
            call_back(callback)
        return answer


class _LostBeforeCommit(Exception):
    """The connection broke before the commit was sent: the work can run again."""


class _PostgresTransaction:
    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self._connection = connection
        self.callbacks: list[Callable[[], None]] = []

    def execute(self, sql: str, parameters: Parameters | None = None, *, late: bool = True) -> int:  # noqa: ARG002 - nothing waits
        return max(0, self._connection.execute(percent_style(sql), chosen(sql, parameters)).rowcount)

    def insert(self, sql: str, values: Parameters) -> None:
        self.execute(sql, values)

    def insert_later(self, sql: str, values: Parameters) -> None:
        self.execute(sql, values)

    def put_off(self, sql: str, values: Parameters) -> None:
        self.execute(sql, values if shape(sql) else {name: [value] for name, value in values.items()})

    def catch_up(self) -> None:
        """Nothing waits."""

    def executemany(self, sql: str, rows: Sequence[Parameters]) -> None:
        for text, values in many_values(sql, rows):
            self._connection.execute(percent_style(text), values)

    def fetch(self, sql: str, parameters: Parameters | None = None) -> list[Row]:
        return _rows(self._connection, sql, parameters)

    def fetch_one(self, sql: str, parameters: Parameters | None = None) -> Row | None:
        rows = self.fetch(sql, parameters)
        return rows[0] if rows else None

    def lock(self, scope: str) -> None:
        number = int.from_bytes(hashlib.sha256(scope.encode()).digest()[:8], "big", signed=True)
        self._connection.execute("select pg_advisory_xact_lock(%s)", (number,))

    def after_commit(self, callback: Callable[[], None]) -> None:
        self.callbacks.append(callback)


def _plug(connection: psycopg.Connection[Any]) -> Transaction:
    """Hold the class against the plug when types are checked."""
    return _PostgresTransaction(connection)


def arrow_table(cursor: psycopg.Cursor[Any]) -> pyarrow.Table:
    """Return a cursor's rows as an Arrow table with the types that the server declared."""
    import pyarrow

    by_oid = {
        16: pyarrow.bool_(),
        20: pyarrow.int64(),
        21: pyarrow.int64(),
        23: pyarrow.int64(),
        25: pyarrow.string(),
        700: pyarrow.float64(),
        701: pyarrow.float64(),
        1043: pyarrow.string(),
        1082: pyarrow.date32(),
        1114: pyarrow.timestamp("us"),
        1184: pyarrow.timestamp("us", "UTC"),
    }
    columns = cursor.description or []
    rows = cursor.fetchall()
    arrays = [pyarrow.array([row[index] for row in rows], type=by_oid.get(column.type_code)) for index, column in enumerate(columns)]
    return pyarrow.table(arrays, names=[column.name for column in columns])


def _rows(connection: psycopg.Connection[Any], sql: str, parameters: Parameters | None) -> list[Row]:
    cursor = connection.execute(percent_style(sql), chosen(sql, parameters))
    columns = [column.name for column in cursor.description or ()]
    return [plain_row(columns, values) for values in cursor.fetchall()]


def _split_schema(url: str) -> tuple[str, str | None]:
    parts = urlsplit(url)
    query = dict(parse_qsl(parts.query))
    schema = query.pop("schema", None)
    if schema is not None and not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]{0,62}", schema):
        raise StoreError(problem=f"{schema!r} is no name for a schema", where=_without_secrets(url), next="Use letters, digits and _.")
    return urlunsplit(parts._replace(query=urlencode(query))), schema


def _without_secrets(url: str) -> str:
    parts = urlsplit(url)
    place = parts.netloc if parts.password is None else parts.netloc.replace(f":{parts.password}@", ":***@")
    query = "&".join(f"{name}=***" if name in SECRETS else f"{name}={value}" for name, value in parse_qsl(parts.query))
    return urlunsplit(parts._replace(netloc=place, query=query))
