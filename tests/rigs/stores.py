"""DuckDB stores of the newest schema, copied from one that was migrated once in this process: a third of what a new one costs."""

from __future__ import annotations

import atexit
import functools
import os
import shutil
import tempfile
from pathlib import Path

from hishamos.store.connectors import Connector, open_connector
from hishamos.store.migrate import migrate

MEMORY = Path("/dev/shm")
"""Files that nobody has to wait for, where the machine has such a place."""


class ScratchStore:
    """A store that is gone once it is closed: like one in memory, but opened with its tables in it."""

    def __init__(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="hos-store-", dir=_place()))
        file = self._folder / "store.duckdb"
        shutil.copyfile(_migrated(), file)
        self.connector: Connector = open_connector(str(file))

    def close(self) -> None:
        """Close the store and remove it."""
        self.connector.close()
        shutil.rmtree(self._folder, ignore_errors=True)


def _place() -> Path | None:
    return MEMORY if MEMORY.is_dir() and os.access(MEMORY, os.W_OK) else None


@functools.cache
def _migrated() -> Path:
    folder = tempfile.mkdtemp(prefix="hos-migrated-", dir=_place())
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    file = Path(folder) / "store.duckdb"
    connector = open_connector(str(file))
    migrate(connector)
    connector.close()
    return file
