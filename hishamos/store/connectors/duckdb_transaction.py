"""One DuckDB connection with its parsed statements, and a transaction on it: inserts that wait for each other, and what is put off."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator, Sequence

import duckdb

from hishamos.errors import StoreError
from hishamos.store.connectors.connector import Parameters, Row, Transaction
from hishamos.store.connectors.notes import CLEAR, LONGEST, keeping, noted
from hishamos.store.connectors.parameters import chosen, plain_row
from hishamos.store.connectors.waiting import PutOff, WaitingInserts, shape, together

PARSED = 512
"""Most parsed statements that one connection keeps."""


class Session:
    """One connection with the statements that it has parsed: parsing again is a quarter of what a short statement takes."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, tables: dict[str, bool] | None = None) -> None:
        self.connection = connection
        self.lock = threading.Lock()
        self._parsed: dict[str, duckdb.Statement] = {}
        self._tables: dict[str, bool] = {} if tables is None else tables

    def another(self) -> Session:
        """Return a session of its own on the same database; what is known of its names is shared."""
        return Session(self.connection.cursor(), self._tables)

    def execute(self, sql: str, parameters: Parameters | None = None) -> duckdb.DuckDBPyConnection:
        statement = self._parsed.get(sql)
        if statement is None:
            found = self.connection.extract_statements(sql)
            if len(found) != 1:
                raise ValueError(f"one statement at a time, not {len(found)}: {' '.join(sql.split())[:120]}")
            if len(self._parsed) >= PARSED:
                self._parsed.clear()
            statement = self._parsed[sql] = found[0]
        return self.connection.execute(statement, chosen(sql, parameters))

    def is_table(self, name: str) -> bool:
        """Whether a name is a table and no view; asked once for all of them, for migrations never turn one into the other."""
        if name not in self._tables:
            # All names take DuckDB as long as one.
            self._tables |= dict.fromkeys((table for (table,) in self.execute("select table_name from duckdb_tables()").fetchall()), True)
            self._tables.setdefault(name, False)
        return self._tables[name]

    def rows(self, sql: str, parameters: Parameters | None) -> list[Row]:
        answer = self.execute(sql, parameters)
        columns = [column[0] for column in answer.description or ()]
        return [plain_row(columns, values) for values in answer.fetchall()]

    def close(self) -> None:
        """End what runs, then close: an open connection keeps the file locked."""
        with contextlib.suppress(duckdb.Error):
            self.connection.interrupt()
        with self.lock, contextlib.suppress(duckdb.Error):
            self._parsed.clear()
            self.connection.close()


class DuckDBTransaction:
    """What the works of one commit do, all on the writer's session.

    ``earlier``: what earlier commits have put off; ``lasting``: whether a note outlives the process; ``careful``: see :meth:`PutOff.together`.
    """

    def __init__(self, session: Session, earlier: PutOff, *, lasting: bool = False, careful: bool = False) -> None:
        self._session = session
        self._earlier = earlier
        self._lasting, self._careful = lasting, careful
        self._note: list[str] = []
        self.caught_up = False
        """Whether that has been written here."""
        self.late = PutOff()
        """What this one puts off."""
        self._begun = self._failed = False
        self._waiting = WaitingInserts(session.is_table)
        self.callbacks: list[Callable[[], None]] = []

    def execute(self, sql: str, parameters: Parameters | None = None, *, late: bool = True) -> int:
        self._write_waiting(sql, parameters, late=late)
        changed: int = self._run(sql, parameters).rowcount
        return max(0, changed)

    def insert(self, sql: str, values: Parameters) -> None:
        if not self._waiting.add(sql, values):
            self.execute(sql, values)

    def insert_later(self, sql: str, values: Parameters) -> None:
        row = noted(sql, values)
        if len(row.encode()) > LONGEST:  # text that no store keeps fails here
            self.insert(sql, values)
            return
        if self._lasting:
            self._note.append(row)
        self.late.add(sql, values, noted=self._lasting)

    def put_off(self, sql: str, values: Parameters) -> None:
        self.late.add(sql, values)

    def catch_up(self) -> None:
        self._write_waiting()
        for late in (self.late,) if self.caught_up else (self._earlier, self.late):
            for sql, values in late.together(careful=self._careful):
                self._run(sql, values)
        if self._earlier.noted and not self.caught_up:
            self._run(CLEAR, None)
        self.caught_up = True
        self.late.clear()
        self._note.clear()

    def executemany(self, sql: str, rows: Sequence[Parameters]) -> None:
        if shape(sql) is not None:
            for values in rows:
                self._waiting.add(sql, values)
        elif rows:
            for text, values in together(sql, rows):
                self.execute(text, values)

    def fetch(self, sql: str, parameters: Parameters | None = None) -> list[Row]:
        self._write_waiting(sql, parameters)
        self._begin()
        with self._noting_failure():
            return self._session.rows(sql, parameters)

    def fetch_one(self, sql: str, parameters: Parameters | None = None) -> Row | None:
        rows = self.fetch(sql, parameters)
        return rows[0] if rows else None

    def commit(self, address: str) -> None:
        """Write what waits and commit; one statement alone commits itself.

        Refuses to commit after a failure that a work swallowed: some errors end DuckDB's transaction, PostgreSQL's all do.
        """
        if not self._failed:
            statements = [statement for insert, rows in self._waiting.due() for statement in together(insert, rows)]
            if self._note:
                statements.append(keeping(self._note))
            if len(statements) > 1:
                self._begin()
            for text, values in statements:
                with self._noting_failure():
                    self._session.execute(text, values)
        if self._failed:
            raise StoreError(problem="a statement failed, so nothing was committed", where=address, next="See: hishamos server logs")
        if self._begun:
            self._session.execute("commit")

    def roll_back(self) -> None:
        """Undo what was done so far."""
        if self._begun:
            # A failed commit has already ended the transaction; then there is nothing to roll back.
            with contextlib.suppress(duckdb.TransactionException):
                self._session.execute("rollback")

    def _begin(self) -> None:
        if not self._begun:
            self._session.execute("begin transaction")
            self._begun = True

    def _run(self, sql: str, parameters: Parameters | None) -> duckdb.DuckDBPyConnection:
        self._begin()
        with self._noting_failure():
            return self._session.execute(sql, parameters)

    def _write_waiting(self, sql: str | None = None, parameters: Parameters | None = None, *, late: bool = True) -> None:
        for insert, rows in self._waiting.due(sql, parameters):
            for text, values in together(insert, rows):
                self._run(text, values)
        if sql is None or not late:
            return
        unwritten = (self.late,) if self.caught_up else (self._earlier, self.late)
        if any(late.seen_by(sql, parameters, self._session.is_table) for late in unwritten):
            self.catch_up()

    @contextlib.contextmanager
    def _noting_failure(self) -> Iterator[None]:
        try:
            yield
        except duckdb.Error:
            self._failed = True
            raise

    def lock(self, scope: str) -> None:
        """Nothing to do: one thread writes."""

    def after_commit(self, callback: Callable[[], None]) -> None:
        self.callbacks.append(callback)


def _plug(session: Session) -> Transaction:
    """Hold the class against the plug when types are checked."""
    return DuckDBTransaction(session, PutOff())
