"""DuckDB: one process owns the file, one writer thread commits for everybody, readers have cursors of their own."""

from __future__ import annotations

import contextlib
import logging
import os
import queue
import re
import subprocess
import threading
import time
import warnings
import weakref
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import duckdb

from hishamos.errors import DuplicateKey, HishamosError, StoreBusy, StoreClosed, StoreError
from hishamos.store.connectors.connector import Parameters, Row, Transaction, Work, call_back
from hishamos.store.connectors.duckdb_memory import Trimming, opening_statements
from hishamos.store.connectors.duckdb_transaction import DuckDBTransaction, Session
from hishamos.store.connectors.notes import CREATE, READ, insertions
from hishamos.store.connectors.waiting import PutOff

if TYPE_CHECKING:
    import pyarrow

T = TypeVar("T")
GROUP = 256
"""Most works in one commit."""
CHECKPOINT_S = 5.0
"""So long a copy waits for what another connection is in the middle of, seconds."""
LATE = 256
"""Most rows that are put off to a later commit."""
LATE_S = 1.0
"""So long they wait where nothing else is written, seconds."""
_HOLDER = re.compile(r"lock is held in (?P<program>.+?) \(PID (?P<pid>\d+)\)")
_Member = tuple[Work[Any], "Future[Any]"]
_Alone = tuple[Callable[[], Any], "Future[Any]", Literal["alone"]]
"""Something to do between two commits, while nothing writes."""


@dataclass(slots=True)
class _Round:
    """What is done in one turn: a commit, then something alone, then perhaps nothing any more. ``taken``: how much of the queue that is."""

    group: list[_Member]
    alone: _Alone | None = None
    last: bool = False
    taken: int = 0


class DuckDBConnector:
    """A DuckDB file, or a database in memory."""

    dialect: Literal["duckdb", "postgres"] = "duckdb"

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self._readers: weakref.WeakSet[Session] = weakref.WeakSet()
        self._mine = threading.local()
        self._generation = 0
        self._given_up = False
        self._works: queue.SimpleQueue[_Member | _Alone | None] = queue.SimpleQueue()
        self._gate = threading.Lock()
        self._turn = threading.Lock()
        """Of the thread that commits: the writer, or one that found nothing waiting."""
        self._committing: int | None = None
        self._pending = 0
        """How much of the queue is not done."""
        self._closed = False
        self._late = PutOff()
        self._trimming = Trimming(path)
        self._session = self._open()
        self._writer = threading.Thread(target=self._write, name="store-writer", daemon=True)
        self._writer.start()

    @property
    def address(self) -> str:
        """The file's path, or ``:memory:``."""
        return str(self.path) if self.path else ":memory:"

    def submit(self, work: Work[T], *, here: bool = False) -> Future[T]:
        """Queue the work for the next group commit; ``here``: where nothing else waits it is this thread's own."""
        future: Future[T] = Future()
        if here and self._takes_turn():
            self._commit_here((work, future))
        else:
            self._put((work, future))
        return future

    def transaction(self, work: Work[T]) -> T:
        """Run the work and wait for the commit that holds it."""
        self._not_in_a_work()
        return self.submit(work, here=True).result()

    def fetch(self, sql: str, parameters: Parameters | None = None) -> list[Row]:
        """Return the rows of a query."""
        if self._late:
            with self._reading() as session:
                behind = self._late.seen_by(sql, parameters, session.is_table)
            if behind:  # asked for with no lock in hand: the writer may want it
                self._catch_up()
        with self._reading() as session:
            return session.rows(sql, parameters)

    def fetch_one(self, sql: str, parameters: Parameters | None = None) -> Row | None:
        """Return the first row of a query, or None."""
        rows = self.fetch(sql, parameters)
        return rows[0] if rows else None

    def arrow(self, sql: str, parameters: Parameters | None = None) -> pyarrow.Table:
        """Return a query's answer as an Arrow table."""
        self._catch_up()
        with self._reading() as session:
            return arrow_of(session.execute(sql, parameters))

    @contextlib.contextmanager
    def lend(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """Lend a connection of its own, for a query that may have to be interrupted."""
        self._catch_up()
        try:
            session = self._new_session()
        except duckdb.Error as error:
            raise _typed(self.address, error) from error
        try:
            with session.lock:
                yield session.connection
        finally:
            session.close()

    def size_bytes(self) -> int | None:
        """Return the size of the file and its log."""
        if self.path is None:
            return None
        return sum(file.stat().st_size for file in (self.path, self.path.with_name(self.path.name + ".wal")) if file.exists())

    def free_bytes(self) -> int | None:
        """Return how much of the file is free and used again before it grows, after a checkpoint; None for a database in memory."""
        if self.path is None:
            return None
        self.between_commits(self._checkpoint)
        row = self.fetch_one("select block_size * free_blocks as free from pragma_database_size()")
        return int(row["free"]) if row else None

    def copy_to(self, target: Path) -> None:
        """Write a consistent copy of the file between two commits; returns once it is complete and on the disk."""
        if self.path is None:
            raise StoreError(problem="a store in memory has no file to copy", where=self.address, next="Open a workspace in a folder.")
        source = self.path
        if target.exists() and target.samefile(source):
            raise StoreError(problem="the copy would replace the store itself", where=self.address, next="Choose another file.")
        self.between_commits(lambda: self._copy(source, target))

    def between_commits(self, work: Callable[[], T]) -> T:
        """Do something while nothing writes, all that was put off being written, and return what it returned; not after the close has begun."""
        self._not_in_a_work()
        self._catch_up()
        future: Future[T] = Future()
        self._put((work, future, "alone"))
        return future.result()

    def close(self) -> None:
        """Commit what was submitted, end what is being read, write the log into the file, close."""
        with self._gate:
            if self._closed:
                return
            self._closed = True
            self._pending += 1
            self._works.put(None)
        self._writer.join()
        self._close_sessions()

    def _connect(self) -> duckdb.DuckDBPyConnection:
        try:
            if self.path is not None:
                self.path.parent.mkdir(parents=True, exist_ok=True)
            connection = duckdb.connect(self.address)
        except (duckdb.Error, OSError) as error:
            raise opening_error(self.address, error) from error
        try:
            for statement in opening_statements(self.path):
                connection.execute(statement)
        except duckdb.Error as error:
            connection.close()
            raise opening_error(self.address, error) from error
        return connection

    def _open(self) -> Session:
        """Open the file, and take up the notes of whoever could not write their rows any more."""
        session = Session(self._connect())
        if self.path is not None:
            try:
                for statement in CREATE:
                    session.connection.execute(statement)
                notes = session.connection.execute(READ).fetchall()
            except duckdb.Error as error:
                session.close()
                raise opening_error(self.address, error) from error
            self._late.clear(noted_only=True)
            for (note,) in notes:
                for sql, values in insertions(note):
                    self._late.add(sql, values, noted=True)
        return session

    def _put(self, item: _Member | _Alone) -> None:
        with self._gate:
            if self._closed:
                raise StoreClosed
            self._pending += 1
            self._works.put(item)

    def _takes_turn(self) -> bool:
        """Take the turn if nobody else wants it: two threads less have to wake up. A main thread may not: Ctrl-C could hit it between any two lines."""
        if threading.current_thread() is threading.main_thread():
            return False
        with self._gate:
            if self._closed:
                raise StoreClosed
            return not self._pending and self._turn.acquire(blocking=False)

    def _commit_here(self, member: _Member) -> None:
        behind = bool(self._late)
        try:
            self._work_off(_Round([*self._long_put_off(), member]))
        finally:
            self._turn.release()
        if self._late and not behind:  # the writer looks after it
            with contextlib.suppress(StoreClosed):
                self._put((lambda: None, Future(), "alone"))

    def _work_off(self, found: _Round) -> None:
        """Do a round; its thread has the turn."""
        self._committing = threading.get_ident()
        try:
            if found.group:
                self._commit(found.group)
                if self._trimming.due():
                    self._trim()
            if found.alone is not None:
                _do_alone(*found.alone[:2])
            if found.last and self._late:
                self._commit([(_catch_up, Future())])
        finally:
            self._committing = None

    def _long_put_off(self) -> list[_Member]:
        return [(_catch_up, Future())] if len(self._late) >= LATE else []

    def _catch_up(self) -> None:
        """Have written what was put off, before somebody reads; on a full disk he reads what is there."""
        if self._late and self._committing != threading.get_ident():
            with contextlib.suppress(StoreError):
                self.submit(_catch_up, here=True).result()

    def _not_in_a_work(self) -> None:
        if self._committing == threading.get_ident():
            raise RuntimeError("a unit of work can't wait for another one: it would wait for itself")

    def _new_session(self) -> Session:
        with self._gate:
            if self._closed:
                raise StoreClosed
            session = self._session.another()
            self._readers.add(session)
            return session

    @contextlib.contextmanager
    def _reading(self) -> Iterator[Session]:
        """Lend this thread's own session; a closed or outdated one is replaced."""
        if self._closed:
            raise StoreClosed
        generation, session = getattr(self._mine, "kept", (-1, None))
        try:
            if session is None or generation != self._generation:
                generation, session = self._generation, self._new_session()
                self._mine.kept = (generation, session)
            with session.lock:
                yield session
        except duckdb.Error as error:
            if self._closed:
                raise StoreClosed from error
            if _invalidated(error) or self._given_up:
                self._put((lambda: self._reopen(generation), Future(), "alone"))
            raise _typed(self.address, error) from error

    def _copy(self, source: Path, target: Path) -> None:
        self._checkpoint()
        copy_file(source, target)

    def _checkpoint(self) -> None:
        end = time.monotonic() + CHECKPOINT_S
        while True:
            try:
                self._session.connection.execute("checkpoint")
                break
            except duckdb.TransactionException as error:  # another connection is in the middle of something: it is waited for
                if time.monotonic() > end:
                    raise _typed(self.address, error) from error
                time.sleep(0.01)
            except duckdb.Error as error:
                self._given_up = _invalidated(error)
                raise _typed(self.address, error) from error

    def _write(self) -> None:
        last = False
        while not last:
            found = self._next_round()
            last = found.last
            with self._turn:
                self._work_off(found)
            with self._gate:
                self._pending -= found.taken

    def _trim(self) -> None:
        with self._gate:  # nobody begins to read meanwhile
            self._trimming.run(self._session.connection.execute, [session.lock for session in self._readers])

    def _next_round(self) -> _Round:
        """Wait for works, and return those that are committed together."""
        found = _Round(self._long_put_off())
        try:
            item = self._works.get(timeout=LATE_S if self._late else None)
            while True:
                found.taken += 1
                if item is None:
                    found.last = True
                    return found
                if len(item) == 3:
                    found.alone = item
                    return found
                if item[1].set_running_or_notify_cancel():
                    found.group.append(item)
                if len(found.group) >= GROUP:
                    return found
                item = self._works.get_nowait()
        except queue.Empty:
            return found if found.taken else _Round([(_catch_up, Future())])

    def _commit(self, group: list[_Member], *, careful: bool = False, again: bool = False) -> None:
        """Commit the group at once; if any member fails, roll back and run them one by one. Nobody is answered before his commit.

        ``careful``: of what was put off, leave out what is there already; it would be in the way of everybody for ever. ``again``: this one
        member has failed for a key that is there, and nothing that was put off is to blame any more.
        """
        try:
            answers, callbacks = self._together(group, careful=careful)
        except BaseException as error:  # noqa: BLE001 - it is handed to the caller whose work raised it
            # When DuckDB gave up the file, it is not for one member's sake: nobody is tried again.
            if len(group) > 1 and not self._given_up:
                for member in group:
                    self._commit([member])
            elif group[0][0] is _catch_up and isinstance(error, duckdb.ConstraintException) and not careful:
                logging.getLogger("hishamos.store").error("left out, for it is there already: %s", first_line(str(error)))
                self._commit(group, careful=True)
            elif isinstance(error, duckdb.ConstraintException) and self._late and not again:
                self._commit([(_catch_up, Future())])
                self._commit(group, again=True)
            else:
                for _, future in group:
                    future.set_exception(_typed(self.address, error))
            return
        for callback in callbacks:
            call_back(callback)
        for (_, future), answer in zip(group, answers, strict=True):
            future.set_result(answer)

    def _together(self, group: list[_Member], *, careful: bool) -> tuple[list[Any], list[Callable[[], None]]]:
        if self._given_up:
            self._reopen(self._generation)
        transaction = DuckDBTransaction(self._session, self._late, lasting=self.path is not None, careful=careful)
        try:
            answers = [work(transaction) for work, _ in group]
            transaction.commit(self.address)
        except BaseException as error:
            self._roll_back(transaction, error)
            raise
        if transaction.caught_up:
            self._late.clear()
        self._late.take(transaction.late)
        return answers, transaction.callbacks

    def _roll_back(self, transaction: DuckDBTransaction, cause: BaseException) -> None:
        try:
            transaction.roll_back()
        except duckdb.Error as error:
            cause = error
        self._given_up = _invalidated(cause)

    def _reopen(self, generation: int) -> None:
        """Open the file anew after DuckDB gave the instance up (a full disk, for one): its log brings back what was committed.

        Every connection to the old instance must be closed first, or DuckDB would hand out the same instance again. Only the writer calls this.
        """
        if generation != self._generation or self.path is None:
            return
        self._given_up = True
        self._close_sessions()
        if not self.path.exists():
            raise StoreError(problem="the file has gone", where=self.address, next="Put it back, or restore a backup; nothing was written anew.")
        fresh = self._open()
        with self._gate:
            self._session = fresh
            self._generation += 1
        self._given_up = False

    def _close_sessions(self) -> None:
        with self._gate:
            sessions = [*self._readers, self._session]
        for session in sessions:
            session.close()


def _do_alone(work: Callable[[], Any], future: Future[Any]) -> None:
    try:
        future.set_result(work())
    except BaseException as error:  # noqa: BLE001 - it is handed to the caller
        future.set_exception(error)


def _catch_up(transaction: Transaction) -> None:
    """Write what earlier commits have put off: the work of a commit that does nothing else."""
    transaction.catch_up()


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


def arrow_of(answer: duckdb.DuckDBPyConnection) -> pyarrow.Table:
    """Return an executed query's rows as an Arrow table."""
    import pyarrow

    with warnings.catch_warnings():
        # Advice to use con.sql(), which has no prepared parameters and can't be interrupted by its cursor.
        warnings.simplefilter("ignore", UserWarning)
        table = answer.to_arrow_table()
    # DuckDB calls the same zone Etc/UTC.
    fields = [field.with_type(pyarrow.timestamp("us", "UTC")) if str(field.type) == "timestamp[us, tz=Etc/UTC]" else field for field in table.schema]
    return table.cast(pyarrow.schema(fields))


def _invalidated(error: BaseException) -> bool:
    return isinstance(error, duckdb.FatalException) or "has been invalidated" in str(error)


def opening_error(address: str, error: Exception) -> StoreError:
    """Return why a file can't be opened, as an error of ours."""
    text = str(error)
    held = _HOLDER.search(text)
    if held:
        return StoreBusy(path=address, holder=f"{held['program']}, pid {held['pid']}", pid=int(held["pid"]))
    if "configuration has been locked" in text:
        return StoreBusy(path=address, holder=f"this program itself, which has it open already, pid {os.getpid()}", pid=os.getpid())
    if isinstance(error, PermissionError) or "ermission denied" in text or "Read-only file system" in text:
        return StoreError(problem="the folder can't be written", where=address, next="Make it writable, or choose another workspace: --workspace PATH")
    if "o space left" in text:
        return StoreError(problem="the disk is full", where=address, next="Free some space, then try again; nothing was half written.")
    return StoreError(problem=first_line(text), where=address, next="Restore a backup (hishamos backup makes one), or move the file away to start anew.")


def _typed(address: str, error: BaseException) -> BaseException:
    """Return DuckDB's errors as ours; others, the work's own included, as they are."""
    if not isinstance(error, duckdb.Error) or isinstance(error, HishamosError):
        return error
    text = str(error)
    if "o space left" in text or "disk quota" in text.lower() or "Could not write" in text:
        return StoreError(problem="the disk is full", where=address, next="Free some space, then repeat the call; nothing was half written.")
    kind = DuplicateKey if isinstance(error, duckdb.ConstraintException) and "uplicate key" in text else StoreError
    return kind(problem=first_line(text), where=address, next="See: hishamos server logs")


def first_line(text: str) -> str:
    """Return what an error of DuckDB says first; the rest tells where in its own source."""
    return text.strip().splitlines()[0] if text.strip() else "unknown error"
