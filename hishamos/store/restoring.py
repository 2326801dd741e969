"""Going back to a copy of a DuckDB store: what that means, a checked copy of the copy, and the swap that a kill can't halve.

The copy of the copy is made beside the store, opened and migrated there, and told what it needs to know. One rename makes it the store that waits
to be restored; from then on whoever next opens the workspace finishes the swap first (:func:`finish`).
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb

from hishamos.errors import InvalidInput, StoreBusy, StoreError
from hishamos.records.storage import Holdings, NamedRun, Restoration
from hishamos.store import audit
from hishamos.store.connectors.duckdb_file import DuckDBConnector, first_line, opening_error
from hishamos.store.connectors.duckdb_memory import opening_statements
from hishamos.store.migrate import check, migrate
from hishamos.store.statements import statements

if TYPE_CHECKING:
    from hishamos.store.connectors import Connector, Transaction

SQL = statements("restoring")
JOURNAL = statements("journal")
WAITING = ".restoring"
"""Ends the name of a store that waits to be restored; nothing else has to be known to finish it."""
PART = ".restoring-part-"
"""Stands in the name of one that is not complete, before who makes it: it never counts."""
COUNTED = {"runs": 2, "results": 3, "issues": 3, "messages": 10}
"""What is counted beside attempts, and the schema since which it is there."""
VIEW_SINCE = 5
"""The schema since which ``ledger_all`` is there."""
SPARE = 64 * 10**6
"""Room on the disk that is left alone, bytes."""


def look(path: Path, copy: Path, store: Connector | None) -> Restoration:
    """Return what restoring ``copy`` as the store at ``path`` means; nothing is changed.

    ``store``: the present store; None where it can't be read. Raises :class:`InvalidInput` for what is no copy of a store,
    :class:`StoreTooNew` for one of a newer program, :class:`StoreBusy` for one that another program writes, :class:`StoreError` where the disk
    has no room for it.
    """
    size = _checked(path, copy)
    with _opened(copy) as connection:
        version = _schema(connection, copy)
        ours = None if store is None else _differences(connection, version, store)
        lost, back = ours or (None, None)
        return Restoration(
            file=str(copy),
            size_bytes=size,
            schema_version=version,
            last_change_at=_rows(connection, SQL["last_change"])[0]["moment"] if version >= COUNTED["results"] else None,
            lost=lost,
            back=back,
            at_work=() if store is None else tuple(NamedRun(**row) for row in store.fetch(SQL["at_work"])),
            goes_on=tuple(NamedRun(**row) for row in _rows(connection, SQL["not_ended"])) if version >= COUNTED["runs"] else (),
        )


def prepare(path: Path, copy: Path) -> DuckDBConnector:
    """Copy the copy beside the store at ``path``, row by row, bring it to the newest schema and return it, open.

    All of it is read, so that damage shows, and what was free inside its file is not taken along. Raises :class:`StoreError`.
    """
    part = _named_beside(path, f"{PART}{os.getpid()}")
    _remove(part)
    try:
        _copy_rows(copy, part)
        staged = DuckDBConnector(part)
        try:
            migrate(staged, back_up=False)
        except BaseException:
            staged.close()
            raise
    except BaseException:
        _remove(part)
        raise
    return staged


def note(transaction: Transaction, told: Restoration, *, actor: str, request_id: str, newest_event: int) -> Restoration:
    """Have the staged store know who restored it, from what and when, and the runs that go on in it what became of them; return ``told``.

    ``newest_event``: the number of the present store's newest event: who follows a run has seen the numbers up to it.
    """
    lost, back = told.lost or Holdings(), told.back or Holdings()
    audit.note(
        transaction,
        request_id,
        actor=actor,
        action="health.restore",
        subject=told.file,
        value_before=told.kept,
        attempts=back.attempts - lost.attempts,
        added_nanos=back.cost_nanos - lost.cost_nanos,
    )
    message = f"The store was restored from {told.file}: what this run did since then is not here."
    own = transaction.fetch_one(JOURNAL["newest_event"])
    for number, run in enumerate(told.goes_on, max(newest_event, own["seq"] if own else 0) + 1):
        event = {"run_id": run.id, "seq": number, "kind": "note", "path": None, "state": None, "message": message, "data": "{}"}
        transaction.insert(JOURNAL["insert_event"], {**event, "happened_at": told.restored_at})
    return told


def newest_event(store: Connector) -> int:
    """Return the number of the newest event; 0 where there is none."""
    row = store.fetch_one(JOURNAL["newest_event"])
    return int(row["seq"]) if row else 0


def put_forward(staged: DuckDBConnector, path: Path, moment: datetime) -> None:
    """Close what :func:`prepare` returned and make it the store that waits to be restored, in one step; ``moment`` names the store before it."""
    staged.close()
    part = Path(staged.address)
    seconds = int(moment.timestamp())
    os.utime(part, (seconds, seconds))
    _synced(part)
    part.replace(_named_beside(path, WAITING))
    _synced(path.parent)


def drop(staged: DuckDBConnector) -> None:
    """Close and remove what :func:`prepare` returned, where it was not put forward."""
    staged.close()
    _remove(Path(staged.address))


def kept_as(path: Path, moment: datetime) -> Path:
    """Return where the store before is kept; ``moment``: as it was handed to :func:`put_forward`."""
    return path.parent / "backups" / f"before-restore-{moment:%Y%m%dT%H%M%S}.duckdb"


def finish(path: Path) -> Path | None:
    """Put the store that waits, if one does, in the place of the present one, and return where that is kept.

    Nobody has either of them open, and nobody opens them meanwhile. Killed at any instant and called again it comes to the same: the present
    store has its own log with it or is not opened any more.
    """
    for part in path.parent.glob(f"{path.name}{PART}*"):
        part.unlink(missing_ok=True)
    waiting = _named_beside(path, WAITING)
    if not waiting.exists():
        return None
    kept = kept_as(path, datetime.fromtimestamp(int(waiting.stat().st_mtime), UTC))
    if path.exists():
        kept.parent.mkdir(parents=True, exist_ok=True)
        if not kept.exists():
            _keep(path, kept)
        if _log(path).exists():
            _log(path).replace(_log(kept))
        _synced(kept.parent)
    waiting.replace(path)
    _synced(path.parent)
    return kept


def _keep(path: Path, kept: Path) -> None:
    """Give the file another name; where the file system knows one name a file only, a copy has it."""
    try:
        os.link(path, kept)
    except OSError:
        part = kept.with_name(kept.name + ".part")
        shutil.copyfile(path, part)
        _synced(part)
        part.replace(kept)


def _checked(path: Path, copy: Path) -> int:
    """Return the size of the copy and its log, bytes; raise for what can't be restored whatever is in it."""
    if not copy.is_file():
        problem = "that is a folder" if copy.is_dir() else "there is no such file"
        raise InvalidInput(what=problem, where=str(copy), next="Name a copy that hishamos backup FILE has written.")
    if path.exists() and copy.samefile(path):
        raise InvalidInput(what="that is the store itself", where=str(copy), next="Name a copy that hishamos backup FILE has written.")
    size = sum(file.stat().st_size for file in (copy, _log(copy)) if file.exists())
    path.parent.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(path.parent).free
    if free < size + SPARE:
        problem = f"the copy takes up to {size / 1e6:,.0f} MB beside the store, and {free / 1e6:,.0f} MB are free"
        raise StoreError(problem=problem, where=str(path.parent), next="Free some space, then try again; nothing was changed.")
    return size


@contextlib.contextmanager
def _opened(copy: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """Open a copy to read."""
    try:
        connection = duckdb.connect(str(copy), read_only=True)
    except duckdb.Error as error:
        raise _refused(copy, error) from error
    try:
        for statement in ("set TimeZone = 'UTC'", "set threads = 1", "set enable_external_access = false", "set lock_configuration = true"):
            connection.execute(statement)
        yield connection
    except duckdb.Error as error:
        raise _refused(copy, error) from error
    finally:
        connection.close()


def _refused(copy: Path, error: duckdb.Error) -> Exception:
    found = opening_error(str(copy), error)
    if isinstance(found, StoreBusy):
        return found
    return InvalidInput(what=f"that is no store of HishamOS that can be read: {first_line(str(error))}", where=str(copy), next="Name another copy.")


def _schema(connection: duckdb.DuckDBPyConnection, copy: Path) -> int:
    return check({row["number"]: row["checksum"] for row in _rows(connection, "select number, checksum from migrations")}, str(copy))


def _differences(connection: duckdb.DuckDBPyConnection, version: int, store: Connector) -> tuple[Holdings, Holdings]:
    """Return what the present store has and the copy has not, and what the copy has and the present one has not."""
    lost, back = {}, {}
    for name, since in COUNTED.items():
        connection.register("other", store.arrow(SQL[name]))
        here = f"({SQL[name]})" if version >= since else "(select id from other where false)"
        lost[name] = _number(connection, f"other where id not in (select id from {here})")
        back[name] = _number(connection, f"{here} where id not in (select id from other)")
    connection.register("other", store.arrow(SQL["attempts"]))
    ledger = "ledger_all" if version >= VIEW_SINCE else "ledger_attempts"
    return (
        Holdings(**lost, **_rows(connection, SQL["attempts_only_there"].replace("ledger_all", ledger))[0]),
        Holdings(**back, **_rows(connection, SQL["attempts_only_here"].replace("ledger_all", ledger))[0]),
    )


def _rows(connection: duckdb.DuckDBPyConnection, sql: str) -> list[dict[str, Any]]:
    answer = connection.execute(sql)
    names = [column[0] for column in answer.description or ()]
    # To the last row: before that a connection takes no other question.
    return [dict(zip(names, row, strict=True)) for row in answer.fetchall()]


def _number(connection: duckdb.DuckDBPyConnection, sql: str) -> int:
    return int(_rows(connection, f"select count(*) as number from {sql}")[0]["number"])


def _copy_rows(copy: Path, part: Path) -> None:
    try:
        connection = duckdb.connect(str(part))
    except duckdb.Error as error:
        raise opening_error(str(part), error) from error
    try:
        for setting in ("TimeZone", "threads", "memory_limit"):
            connection.execute(next(one for one in opening_statements(part) if one.startswith(f"set {setting} ")))
        connection.execute("attach '{}' as origin (read_only)".format(str(copy).replace("'", "''")))
        name = str(_rows(connection, "select current_database() as name")[0]["name"]).replace('"', '""')
        connection.execute(f'copy from database origin to "{name}"')
    except duckdb.Error as error:
        raise StoreError(problem=f"the copy can't be read to its end: {first_line(str(error))}", where=str(copy), next="Name another copy.") from error
    finally:
        connection.close()


def _named_beside(path: Path, end: str) -> Path:
    return path.with_name(path.name + end)


def _log(path: Path) -> Path:
    """DuckDB's log of what is not in the file yet."""
    return path.with_name(path.name + ".wal")


def _remove(file: Path) -> None:
    for one in (file, _log(file)):
        one.unlink(missing_ok=True)


def _synced(path: Path) -> None:
    """Have a file, or the names in a folder, on the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
