"""Things that happen later: one thread, any number of timers."""

from __future__ import annotations

import heapq
import itertools
import logging
import threading
import time
from collections.abc import Callable

log = logging.getLogger(__name__)


class Timer:
    """Something that happens once, unless it is cancelled."""

    def __init__(self, action: Callable[[], None]) -> None:
        self.action: Callable[[], None] | None = action

    def cancel(self) -> None:
        """Make it never happen."""
        self.action = None


class Timers:
    """Runs actions (quick ones) after a delay. ``clock``: seconds that only grow."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock = clock
        self._heap: list[tuple[float, int, Timer]] = []
        self._numbers = itertools.count()
        self._condition = threading.Condition()
        self._thread: threading.Thread | None = None
        self._closed = False

    def after(self, seconds: float, action: Callable[[], None]) -> Timer:
        """Run ``action`` in ``seconds``."""
        timer = Timer(action)
        with self._condition:
            if self._closed:
                return timer
            heapq.heappush(self._heap, (self.clock() + seconds, next(self._numbers), timer))
            if self._thread is None:
                self._thread = threading.Thread(target=self._keep_time, name="timers", daemon=True)
                self._thread.start()
            self._condition.notify()
        return timer

    def close(self) -> None:
        """Run nothing any more."""
        with self._condition:
            self._closed = True
            self._heap.clear()
            self._condition.notify()

    def due(self) -> list[Callable[[], None]]:
        """Take the actions whose time has come."""
        ready = []
        with self._condition:
            while self._heap and (self._heap[0][2].action is None or self._heap[0][0] <= self.clock()):
                action = heapq.heappop(self._heap)[2].action
                if action is not None:
                    ready.append(action)
        return ready

    def _keep_time(self) -> None:
        while True:
            for action in self.due():
                try:
                    action()
                except Exception:
                    log.exception("a timer's action failed")
            with self._condition:
                if self._closed:
                    return
                if self._heap:
                    self._condition.wait(max(0.0, self._heap[0][0] - self.clock()))
                else:
                    self._condition.wait()
