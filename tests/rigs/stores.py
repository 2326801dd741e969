"""DuckDB stores of the newest schema that cost a tenth of a new one: those in memory are emptied and used again, files begin as a copy.

What making one from nothing does is tested where no file is in the way: migrations, and workspaces with real processes.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import os
import shutil
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb

from hishamos.store.connectors import Connector, open_connector
from hishamos.store.connectors.duckdb_file import DuckDBConnector
from hishamos.store.connectors.duckdb_memory import opening_statements
from hishamos.store.connectors.duckdb_transaction import Session
from hishamos.store.connectors.urls import is_postgres
from hishamos.store.migrate import migrate

TABLES = "select table_name, estimated_size from duckdb_tables()"
VIEWS = "select view_name from duckdb_views() where not internal"
LENT = 200
"""So often a store is used: what was deleted leaves something behind."""


class ScratchStore(DuckDBConnector):
    """A migrated store in memory, gone once it is closed: what was in it, not the database, which the next one gets."""

    def __init__(self) -> None:
        self._kept = _free.pop() if _free else Kept()
        super().__init__(None)
        self._session = self._kept.session
        if self._kept.form is None:
            migrate(self)
            self._kept.note_form()

    def close(self) -> None:
        """See the connector."""
        if self._closed:
            return
        super().close()
        if self._kept.emptied():
            _free.append(self._kept)
        else:
            self._kept.session.close()

    def _connect(self) -> duckdb.DuckDBPyConnection:
        return self._kept.session.connection

    def _close_sessions(self) -> None:
        with self._gate:
            readers = [*self._readers]
        for session in readers:
            session.close()


class Kept:
    """A database with its tables, and the writer's connection with the statements that it has parsed."""

    def __init__(self) -> None:
        connection = duckdb.connect(":memory:")
        for statement in opening_statements(None):
            connection.execute(statement)
        self.session = Session(connection)
        self.form: tuple[list[str], list[str]] | None = None
        """The names of its tables and views; None until it is migrated."""
        self._lent = 0

    def note_form(self) -> None:
        """Note what it is like when it is new: migrated, and empty."""
        self.form = [name for name, _ in self._all(TABLES)], [name for (name,) in self._all(VIEWS)]

    def emptied(self) -> bool:
        """Empty it, which nobody uses any more; False where a test has changed its form, or where it was used often enough."""
        self._lent += 1
        with contextlib.suppress(duckdb.Error):
            tables = self._all(TABLES)
            if self._lent < LENT and self.form == ([name for name, _ in tables], [name for (name,) in self._all(VIEWS)]):
                for name, size in tables:
                    if size and name != "migrations":
                        self.session.execute(f"delete from {name}")
                return True
        return False

    def _all(self, sql: str) -> list[tuple[Any, ...]]:
        return sorted(self.session.execute(sql).fetchall())


_free: list[Kept] = []


@atexit.register
def _close() -> None:
    while _free:
        _free.pop().session.close()


def opening(real: Callable[..., Connector], template: Callable[[], Path]) -> Callable[..., Connector]:
    """Return what opens a workspace's store in the place of ``real``, :func:`hishamos.store.connectors.open_connector`.

    ``template``: the file that new ones are copies of.
    """

    def opened(store: str, root: Path | None = None) -> Connector:
        if store == ":memory:":
            return ScratchStore()
        path = Path(store) if root is None else root / store
        if not is_postgres(store) and not path.exists():
            _copy(template(), path)
        return real(store, root)

    return opened


def _copy(source: Path, path: Path) -> None:
    part = path.with_name(f".{os.getpid()}-{threading.get_ident()}.part")
    with contextlib.suppress(OSError):  # what is wrong with the place is the product's to tell; another process may have been quicker
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            shutil.copyfile(source, part)
            os.link(part, path)
        finally:
            part.unlink(missing_ok=True)


def make_template(path: Path) -> None:
    """Make the file that new stores are copies of."""
    connector = open_connector(str(path))
    migrate(connector)
    connector.close()


@functools.cache
def template() -> Path:
    """Return this process's own file that new stores are copies of."""
    folder = tempfile.mkdtemp(prefix="hos-migrated-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    file = Path(folder) / "store.duckdb"
    make_template(file)
    return file
