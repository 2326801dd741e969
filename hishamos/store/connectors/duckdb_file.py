"""DuckDB: one process owns the file, one writer thread commits for everybody, readers have cursors of their own."""

from __future__ import annotations

import contextlib
import queue
import re
import subprocess
import threading
import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar, cast

import duckdb

from hishamos.errors import HishamosError, StoreBusy, StoreClosed, StoreError
from hishamos.store.connectors.parameters import chosen, many_values, plain_row
from hishamos.store.connectors.connector import Parameters, Row, Transaction, Work

if TYPE_CHECKING:
    import pyarrow

T = TypeVar("T")
GROUP = 256
"""Most works in one commit."""
_HOLDER = re.compile(r"lock is held in (?P<program>.+?) \(PID (?P<pid>\d+)\)")
_Member = tuple[Work[Any], "Future[Any]"]
_Alone = tuple[Callable[[], Any], "Future[Any]", Literal["alone"]]
"""Something to do between two commits, while nothing writes."""


class DuckDBConnector:
    """A DuckDB file, or a database in memory."""

    dialect: Literal["duckdb", "postgres"] = "duckdb"

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self._database = self._connect()
        self._readers = threading.local()
        self._generation = 0
        self._works: queue.SimpleQueue[_Member | _Alone | None] = queue.SimpleQueue()
        self._gate = threading.Lock()
        self._closed = False
        self._writer = threading.Thread(target=self._write, name="store-writer", daemon=True)
        self._writer.start()

    @property
    def address(self) -> str:
        """The file's path, or ``:memory:``."""
        return str(self.path) if self.path else ":memory:"

    def submit(self, work: Work[T]) -> Future[T]:
        """Queue the work for the next group commit."""
        future: Future[T] = Future()
        with self._gate:
            if self._closed:
                raise StoreClosed
            self._works.put((work, future))
        return future

    def transaction(self, work: Work[T]) -> T:
        """Run the work and wait for the commit that holds it."""
        if threading.current_thread() is self._writer:
            raise RuntimeError("a unit of work can't wait for another one: it would wait for itself")
        return self.submit(work).result()

    def fetch(self, sql: str, parameters: Parameters | None = None) -> list[Row]:
        """Return the rows of a query."""
        with self._reading():
            return _rows(self._cursor(), sql, parameters)

    def fetch_one(self, sql: str, parameters: Parameters | None = None) -> Row | None:
        """Return the first row of a query, or None."""
        rows = self.fetch(sql, parameters)
        return rows[0] if rows else None

    def arrow(self, sql: str, parameters: Parameters | None = None) -> pyarrow.Table:
        """Return a query's answer as an Arrow table."""
        with self._reading(), warnings.catch_warnings():
            # Advice to use con.sql(), which has no prepared parameters.
            warnings.simplefilter("ignore", UserWarning)
            return self._cursor().execute(sql, chosen(sql, parameters)).to_arrow_table()

    def cursor(self) -> duckdb.DuckDBPyConnection:
        """Return a new cursor, for a query that may have to be interrupted; the caller closes it."""
        if self._closed:
            raise StoreClosed
        return self._database.cursor()

    def size_bytes(self) -> int | None:
        """Return the size of the file and its log."""
        if self.path is None:
            return None
        return sum(file.stat().st_size for file in (self.path, self.path.with_name(self.path.name + ".wal")) if file.exists())

    def close(self) -> None:
        """Commit what was submitted, write the log into the file, close."""
        with self._gate:
            if self._closed:
                return
            self._closed = True
            self._works.put(None)
        self._writer.join()
        self._database.close()

    def _connect(self) -> duckdb.DuckDBPyConnection:
        try:
            if self.path is not None:
                self.path.parent.mkdir(parents=True, exist_ok=True)
            connection = duckdb.connect(self.address)
        except (duckdb.Error, OSError) as error:
            raise _opening_error(self.address, error) from error
        for statement in _opening_statements(self.path):
            connection.execute(statement)
        return connection

    def _cursor(self) -> duckdb.DuckDBPyConnection:
        kept = getattr(self._readers, "kept", None)
        if kept is None or kept[0] != self._generation:
            kept = (self._generation, self.cursor())
            self._readers.kept = kept
        return cast("duckdb.DuckDBPyConnection", kept[1])

    @contextlib.contextmanager
    def _reading(self) -> Any:
        if self._closed:
            raise StoreClosed
        try:
            yield
        except duckdb.Error as error:
            if _invalidated(error):
                self._reopen()
            raise _typed(self.address, error) from error

    def copy_to(self, target: Path) -> None:
        """Write a consistent copy of the file between two commits; returns once it is complete."""
        if self.path is None:
            raise StoreError(problem="a store in memory has no file to copy", where=self.address, next="Open a workspace in a folder.")
        future: Future[None] = Future()
        with self._gate:
            if self._closed:
                raise StoreClosed
            self._works.put((lambda: self._copy(target), future, "alone"))
        future.result()

    def _copy(self, target: Path) -> None:
        if self.path is None:
            return
        try:
            self._database.execute("checkpoint")
            copy_file(self.path, target)
        except duckdb.Error as error:
            raise _typed(self.address, error) from error

    def _write(self) -> None:
        while True:
            group, then = self._next_group()
            if group:
                self._commit(group)
            if then is None:
                return
            if then != "more":
                work, future, _ = then
                try:
                    future.set_result(work())
                except BaseException as error:  # noqa: BLE001 - it is handed to the caller
                    future.set_exception(error)

    def _next_group(self) -> tuple[list[_Member], _Alone | Literal["more"] | None]:
        """Return what to commit together, and what comes then: more, something alone, or nothing any more."""
        group: list[_Member] = []
        item = self._works.get()
        while item is not None:
            if len(item) == 3:
                return group, item
            if item[1].set_running_or_notify_cancel():
                group.append(item)
            if len(group) >= GROUP:
                return group, "more"
            try:
                item = self._works.get_nowait()
            except queue.Empty:
                return group, "more"
        return group, None

    def _commit(self, group: list[_Member]) -> None:
        """Commit the group at once; if any member fails, roll back and run them one by one. Nobody is answered before his commit."""
        try:
            answers, callbacks = self._together(group)
        except BaseException as error:  # noqa: BLE001 - it is handed to the caller whose work raised it
            if len(group) == 1:
                group[0][1].set_exception(_typed(self.address, error))
            else:
                for member in group:
                    self._commit([member])
            return
        for callback in callbacks:
            callback()
        for (_, future), answer in zip(group, answers, strict=True):
            future.set_result(answer)

    def _together(self, group: list[_Member]) -> tuple[list[Any], list[Callable[[], None]]]:
        transaction = _DuckDBTransaction(self._database)
        try:
            self._database.execute("begin transaction")
            answers = [work(transaction) for work, _ in group]
            self._database.execute("commit")
        except BaseException as error:
            self._roll_back(error)
            raise
        return answers, transaction.callbacks

    def _roll_back(self, cause: BaseException) -> None:
        try:
            # A failed commit has already ended the transaction; then there is nothing to roll back.
            with contextlib.suppress(duckdb.TransactionException):
                self._database.execute("rollback")
        except duckdb.Error as error:
            cause = error
        if _invalidated(cause):
            self._reopen()

    def _reopen(self) -> None:
        """Open the file anew after DuckDB gave the instance up (a full disk, for one): the log brings back what was committed."""
        with self._gate:
            if self.path is None:
                return
            self._generation += 1
            with contextlib.suppress(duckdb.Error):
                self._database.close()
            self._database = self._connect()


class _DuckDBTransaction:
    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self._connection = connection
        self.callbacks: list[Callable[[], None]] = []

    def execute(self, sql: str, parameters: Parameters | None = None) -> int:
        changed: int = self._connection.execute(sql, chosen(sql, parameters)).rowcount
        return max(0, changed)

    def executemany(self, sql: str, rows: Sequence[Parameters]) -> None:
        for text, values in many_values(sql, rows):
            self._connection.execute(text, values)

    def fetch(self, sql: str, parameters: Parameters | None = None) -> list[Row]:
        return _rows(self._connection, sql, parameters)

    def fetch_one(self, sql: str, parameters: Parameters | None = None) -> Row | None:
        rows = self.fetch(sql, parameters)
        return rows[0] if rows else None

    def lock(self, scope: str) -> None:
        """Nothing to do: one thread writes."""

    def after_commit(self, callback: Callable[[], None]) -> None:
        self.callbacks.append(callback)


def copy_file(source: Path, target: Path) -> None:
    """Copy a database file in a child process.

    Closing any descriptor of a file drops every lock that this process has on it (POSIX), DuckDB's too: so we must not open it ourselves.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(target.name + ".part")
    done = subprocess.run(["cp", "--", str(source), str(part)], capture_output=True, text=True, check=False)
    if done.returncode:
        part.unlink(missing_ok=True)
        raise StoreError(problem=f"the copy failed: {done.stderr.strip()}", where=str(target), next="Choose a folder with room that you may write to.")
    part.replace(target)


def _plug(connection: duckdb.DuckDBPyConnection) -> Transaction:
    """Hold the class against the plug when types are checked."""
    return _DuckDBTransaction(connection)


def _rows(connection: duckdb.DuckDBPyConnection, sql: str, parameters: Parameters | None) -> list[Row]:
    answer = connection.execute(sql, chosen(sql, parameters))
    columns = [column[0] for column in answer.description or ()]
    return [plain_row(columns, values) for values in answer.fetchall()]


def _opening_statements(path: Path | None) -> list[str]:
    """What is set at start, in this order: after the last line nothing can be set, read or attached from SQL."""
    folders = [] if path is None else [str(path.parent / name) for name in ("archive", "exports", "backups")]
    listed = ", ".join("'" + folder.replace("'", "''") + "'" for folder in folders)
    return [
        "set TimeZone = 'UTC'",
        "set memory_limit = '4GB'",
        f"set allowed_directories = [{listed}]",
        "set enable_external_access = false",
        "set autoinstall_known_extensions = false",
        "set autoload_known_extensions = false",
        "set python_enable_replacements = false",
        "set lock_configuration = true",
    ]


def _invalidated(error: BaseException) -> bool:
    return isinstance(error, duckdb.FatalException) or "has been invalidated" in str(error)


def _opening_error(address: str, error: Exception) -> StoreError:
    text = str(error)
    held = _HOLDER.search(text)
    if held:
        return StoreBusy(path=address, holder=f"{held['program']}, pid {held['pid']}", pid=int(held["pid"]))
    if isinstance(error, PermissionError) or "ermission denied" in text or "Read-only file system" in text:
        return StoreError(problem="the folder can't be written", where=address, next="Make it writable, or choose another workspace: --workspace PATH")
    if "o space left" in text:
        return StoreError(problem="the disk is full", where=address, next="Free some space, then try again; nothing was half written.")
    return StoreError(problem=_first_line(text), where=address, next="Restore a backup (hishamos backup makes one), or move the file away to start anew.")


def _typed(address: str, error: BaseException) -> BaseException:
    """Return DuckDB's errors as ours; others, the work's own included, as they are."""
    if not isinstance(error, duckdb.Error) or isinstance(error, HishamosError):
        return error
    text = str(error)
    if "o space left" in text or "disk quota" in text.lower() or "Could not write" in text:
        return StoreError(problem="the disk is full", where=address, next="Free some space, then repeat the call; nothing was half written.")
    return StoreError(problem=_first_line(text), where=address, next="See: hishamos server logs")


def _first_line(text: str) -> str:
    return text.strip().splitlines()[0] if text.strip() else "unknown error"
