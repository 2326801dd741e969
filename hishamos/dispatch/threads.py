"""Work on runs in this process while the caller goes on: the runner's own threads do it, a bounded number of runs at once."""

from __future__ import annotations

import logging
import threading
from collections import Counter, deque
from collections.abc import Callable
from functools import partial

from hishamos.dispatch.dispatcher import Begin, Line

AGAIN_S = 1.0
PAGE = 100
"""So many who are next are read at once."""
log = logging.getLogger(__name__)


class ThreadsDispatcher:
    """Starts the run and returns at once; where all places are taken the run stays queued in the store, which says whose turn is next.

    ``places``: how many runs at once. A run within another is none of its matters: it is begun beside that one.
    """

    address = "local"

    def __init__(self, begin: Begin, line: Line, places: Callable[[], int]) -> None:
        self._begin, self._line, self._places = begin, line, places
        self._at_work: Counter[str] = Counter()
        """How often each run was begun that has a place here; a run is begun anew while its last work is just ending."""
        self._lock = threading.Lock()
        self._behind = self._filling = self._closed = False
        """Whether runs wait in line; whether a thread is giving places to them."""
        self._told = 0
        self._known: tuple[int, deque[str]] = (-1, deque())
        """Who is next, as it was read after so many runs had been handed over: it holds until another one is."""

    def dispatch(self, run_id: str) -> None:
        """Have the run worked on; how it goes stands in its row."""
        with self._lock:
            self._told += 1
            at_once = run_id in self._at_work or (not self._behind and len(self._at_work) < self._places())
            at_once = at_once and not self._closed
            if at_once:
                self._at_work[run_id] += 1
            else:
                self._behind = True
        if at_once:
            self._start(run_id)
        else:
            self._fill()

    def messages(self) -> None:
        """None are sent."""

    def close(self) -> None:
        """Give no more places."""
        with self._lock:
            self._closed = True

    def _start(self, run: str) -> None:
        self._begin(run).add_done_callback(lambda _: self._ended(run))

    def _ended(self, run: str) -> None:
        with self._lock:
            self._at_work[run] -= 1
            if not self._at_work[run]:
                del self._at_work[run]
        self._fill()

    def _fill(self) -> None:
        """Give the free places to those who are next in line; one thread at a time does it."""
        with self._lock:
            if self._filling:
                return
            self._filling = True
        more = True
        while more:
            taken, more = self._next()
            for run in taken:
                self._start(run)

    def _next(self) -> tuple[list[str], bool]:
        """Return who gets a place now, and whether to look once more."""
        with self._lock:
            free, told = self._places() - len(self._at_work), self._told
            if not self._behind or free <= 0 or self._closed:
                self._filling = False
                return [], False
        try:
            if self._known[0] != told or not self._known[1]:
                wanted = max(PAGE, self._places() * 2)
                found = [one.run for one in self._line(wanted)]
                self._known = told, deque(found)
                ended = len(found) < wanted
            else:
                ended = False
        except Exception as error:  # noqa: BLE001 - whatever the store raises: the line must not stand still for it
            log.warning("who is next in line could not be read, it is tried again: %s", error)
            with self._lock:
                self._filling = False
            timer = threading.Timer(AGAIN_S, partial(self._fill))
            timer.daemon = True
            timer.start()
            return [], False
        with self._lock:
            taken: list[str] = []
            while self._known[1] and len(taken) < free:
                run = self._known[1].popleft()
                if run not in self._at_work:
                    taken.append(run)
            self._at_work.update(taken)
            if ended and not self._known[1] and told == self._told:
                self._behind = False
        return taken, True
