"""DuckDB's settings at start, and its memory: what it keeps of the file is given back after each of its checkpoints."""

from __future__ import annotations

import contextlib
import shutil
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import duckdb
import psutil

LOG = 4 * 10**6
"""How long the log may be, bytes, until DuckDB writes it into the file: about 2,500 calls, which stay in memory twice until then."""
SPILL = 8 * 10**9
"""Most bytes that queries may put aside on the disk."""
LOOK_S = 0.1
"""How often the file's time is looked at, seconds; each look lets other threads in."""
KEPT = 10**6
"""How much of the file DuckDB may still hold after a checkpoint, bytes."""


def memory_bytes() -> int:
    """Return how much memory DuckDB may take: a quarter of the machine's, at most 4 GB."""
    total: int = psutil.virtual_memory().total
    return min(4 * 10**9, total // 4)


def opening_statements(path: Path | None) -> list[str]:
    """What is set at start, in this order: after the last line nothing can be set, read or attached from SQL but the memory limit."""
    folders = [] if path is None else [str(path.parent / name) for name in ("archive", "exports", "backups")]
    listed = ", ".join("'" + folder.replace("'", "''") + "'" for folder in folders)
    # A query too big for the memory goes on beside the file, but leaves room on the disk; one in memory would litter the current folder.
    spill = "temp_directory = ''" if path is None else f"max_temp_directory_size = '{min(SPILL, shutil.disk_usage(path.parent).free // 4)}B'"
    return [
        "set TimeZone = 'UTC'",
        # With more, DuckDB wakes its helpers for every short statement: a call's commit takes a third longer than what they would ever save us.
        "set threads = 1",
        _limit(memory_bytes()),
        f"set {spill}",
        f"set checkpoint_threshold = '{LOG}B'",
        f"set allowed_directories = [{listed}]",
        "set enable_external_access = false",
        "set autoinstall_known_extensions = false",
        "set autoload_known_extensions = false",
        # Without "global" it would hold for this connection only, and not for the readers' cursors.
        "set global python_enable_replacements = false",
        "set allowed_configs = ['memory_limit']",
        "set lock_configuration = true",
    ]


class Trimming:
    """Gives back, after each checkpoint, the blocks of the file that DuckDB keeps in memory; it would keep them up to its limit.

    DuckDB checkpoints by itself, when its log is long enough or a commit is large; the file is written at no other time. To be used by the
    writer's thread alone.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._written = self._look()
        self._looked = time.monotonic()

    def due(self) -> bool:
        """Return whether the file was written since something was last given back; looked at now and then."""
        moment = time.monotonic()
        if self._path is None or moment - self._looked < LOOK_S:
            return False
        self._looked = moment
        return self._look() != self._written

    def run(self, execute: Callable[[str], object], readers: Sequence[threading.Lock]) -> None:
        """Give back what is above ``KEPT`` unless somebody reads: with so little memory for a moment, a query would fail. Then the next time.

        ``execute``: runs a statement on the writer's connection; ``readers``: held by whoever reads.
        """
        with contextlib.ExitStack() as held:
            for lock in readers:
                if not lock.acquire(blocking=False):
                    return
                held.callback(lock.release)
            self._written = self._look()
            # Where the low limit can't be met, what could go is gone all the same, and the limit is as it was. A database that DuckDB has given
            # up has neither; who writes next is told so.
            for size in (min(KEPT, memory_bytes()), memory_bytes()):
                with contextlib.suppress(duckdb.Error):
                    execute(_limit(size))

    def _look(self) -> tuple[int, int]:
        try:
            # Never opened: closing any descriptor of the file would drop DuckDB's lock on it.
            facts = self._path.stat() if self._path else None
        except OSError:  # not there (yet): whoever opens it tells that
            facts = None
        return (facts.st_mtime_ns, facts.st_size) if facts else (0, 0)


def _limit(size: int) -> str:
    return f"set memory_limit = '{size}B'"
