"""Work that is done once: what it gave is kept before it is told, and found under its key ever after."""

from __future__ import annotations

import threading
from collections.abc import Callable
from weakref import WeakValueDictionary

from hishamos.contracts.journal import Journal


class _Doing:
    def __init__(self) -> None:
        self.lock = threading.Lock()


class Keeping:
    """Does and keeps work. Two who ask under one key in this process: the second waits, and finds what the first one's gave."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._lock = threading.Lock()
        self._doing: WeakValueDictionary[str, _Doing] = WeakValueDictionary()

    def once(self, key: str, work: Callable[[], str], *, fresh: bool) -> str:
        """Return what is kept under ``key``, else what ``work`` gives, once it is kept; ``fresh``: nobody can have kept it."""
        with self._lock:
            doing = self._doing.setdefault(key, _Doing())
        with doing.lock:
            kept = None if fresh else self._journal.kept(key)
            return self._journal.keep(key, work()) if kept is None else kept
