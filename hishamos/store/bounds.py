"""What one person's statement may take: time, and memory of this process."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Literal, Self

import psutil

POLL_S = 0.02
AGAIN_S = 0.5
"""How long a statement that was told to stop has before it is told again: the first word may come before it has begun."""


class Bounds:
    """Stops what runs inside the ``with`` block once it takes longer than ``timeout_s`` seconds, or this process grows by ``growth`` bytes.

    ``reached`` says afterwards which it was. Databases bound the memory of their own buffers only, not that of long texts and of answers.
    """

    def __init__(self, stop: Callable[[], None], *, timeout_s: float, growth: int) -> None:
        self._stop = stop
        self._timeout_s = timeout_s
        self._growth = growth
        self._process = psutil.Process()
        self._most = 0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="store-bounds", daemon=True)
        self.reached: Literal["time", "memory"] | None = None

    def __enter__(self) -> Self:
        self._most = self._process.memory_info().rss + self._growth
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        deadline = time.monotonic() + self._timeout_s
        while not self._over.wait(max(0.0, min(POLL_S, deadline - time.monotonic()))):
            if self._process.memory_info().rss > self._most:
                self.reached = "memory"
            elif time.monotonic() >= deadline:
                self.reached = "time"
            else:
                continue
            self._stop()
            while not self._over.wait(AGAIN_S):
                self._stop()
