"""A run's mailbox: whoever has something for the run posts it, and one worker at a time does it."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor

log = logging.getLogger(__name__)


class Mailbox:
    """Does messages in order, never two at once. ``settle``: called after each batch of them; ``broke``: told of what one raised."""

    def __init__(self, run: str, pool: Executor, settle: Callable[[], None], broke: Callable[[Exception], None]) -> None:
        self.closed = False
        """Set by a message: no more is done."""
        self._run, self._pool, self._settle, self._broke = run, pool, settle, broke
        self._messages: deque[Callable[[], None]] = deque()
        self._lock = threading.Lock()
        self._scheduled = False

    def post(self, message: Callable[[], None]) -> None:
        """Have ``message`` done by the worker; from any thread."""
        with self._lock:
            self._messages.append(message)
            if self._scheduled:
                return
            self._scheduled = True
        try:
            self._pool.submit(self._work)
        except RuntimeError:
            log.debug("run %s: the runner is closed", self._run)

    def _work(self) -> None:
        while True:
            with self._lock:
                messages = list(self._messages)
                self._messages.clear()
                if not messages:
                    self._scheduled = False
                    return
            try:
                for message in messages:
                    if not self.closed:
                        message()
                if not self.closed:
                    self._settle()
            except Exception as error:
                log.exception("run %s broke", self._run)
                self._broke(error)
