"""From the setting ``store`` to a connector."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hishamos.store.connectors.connector import Connector


def is_postgres(store: str) -> bool:
    """Return whether the setting names a PostgreSQL database."""
    return store.startswith(("postgres://", "postgresql://"))


def file_of(store: str, root: Path | None = None) -> Path | None:
    """Return the DuckDB file that the setting names, relative to ``root``; None for a store that is no file."""
    if store == ":memory:" or is_postgres(store):
        return None
    path = Path(store)
    return path if path.is_absolute() or root is None else root / path


def open_connector(store: str, root: Path | None = None) -> Connector:
    """Open a store: ``:memory:``, a DuckDB file's path (relative to ``root``), or ``postgresql://user@host/db[?schema=NAME]``.

    Raises :class:`StoreBusy` when another program holds the file, :class:`StoreError` when it can't be opened.
    """
    if is_postgres(store):
        from hishamos.store.connectors.postgres import PostgresConnector

        return PostgresConnector(store)
    from hishamos.store.connectors.duckdb_file import DuckDBConnector

    return DuckDBConnector(file_of(store, root))
