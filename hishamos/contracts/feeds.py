"""A feed: items that arrive over time, read by a thread or by an event loop without holding one."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator
from typing import Self, TypeVar

T = TypeVar("T")


class Feed(Iterator[T]):
    """A thread-safe queue with an end.

    Iterate it (blocks), or register ``on_ready`` and ``take()`` what has come (never blocks). ``close`` tells the writer, through
    ``on_close``, that nobody reads any more, and whether that was wished or a connection was lost.
    """

    def __init__(self) -> None:
        self._items: deque[T] = deque()
        self._condition = threading.Condition()
        self._ended = False
        self._error: BaseException | None = None
        self._ready: Callable[[], None] | None = None
        self._closed: list[Callable[[bool], None]] = []

    def put(self, item: T) -> None:
        """Append an item; ignored after the end."""
        with self._condition:
            if self._ended:
                return
            self._items.append(item)
            self._condition.notify_all()
            ready = self._ready
        if ready:
            ready()

    def end(self, error: BaseException | None = None) -> None:
        """End the feed; ``error`` is raised to the reader after the last item."""
        with self._condition:
            if self._ended:
                return
            self._ended, self._error = True, error
            self._condition.notify_all()
            ready = self._ready
        if ready:
            ready()

    def on_ready(self, callback: Callable[[], None]) -> None:
        """Call ``callback`` (quickly, from the writer's thread) whenever there may be something to take; once at once."""
        with self._condition:
            self._ready = callback
        callback()

    def take(self) -> tuple[list[T], bool]:
        """Return what has come and whether the feed has ended; raises its error once everything was taken."""
        with self._condition:
            items = list(self._items)
            self._items.clear()
            if self._ended and self._error and not items:
                raise self._error
            return items, self._ended and not (self._error and items)

    def on_close(self, callback: Callable[[bool], None]) -> None:
        """Call ``callback`` when the reader closes the feed; it is told whether what feeds it is to be cancelled."""
        self._closed.append(callback)

    def close(self, *, cancel: bool = True) -> None:
        """Tell the writer that nobody reads any more, and end the feed. ``cancel``: the reader wants no more of it; else he was lost."""
        callbacks, self._closed = self._closed, []
        for callback in callbacks:
            callback(cancel)
        self.end()

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> T:
        with self._condition:
            while not self._items and not self._ended:
                self._condition.wait()
            if self._items:
                return self._items.popleft()
            if self._error:
                raise self._error
            raise StopIteration
