"""Blocking work of steps: daemon threads, a bounded number at once; one that hangs past its time limit gives its place away.

A thread that has nothing to do waits a moment for the next job: to start one takes longer than many a step.
"""

from __future__ import annotations

import queue
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

IDLE_S = 10.0
"""So long a thread waits for its next job."""


class Job:
    """One piece of blocking work."""

    def __init__(self, work: Callable[[], Any], began: Callable[[], None], lane: Background) -> None:
        self.future: Future[Any] = Future()
        self.work = work
        self.began = began
        self.lane = lane
        self.given_up = False

    def give_up(self) -> None:
        """Stop waiting for it: it does not begin, or its place goes to the next one while it hangs."""
        self.lane.give_up(self)


class Background:
    """Runs jobs, at most ``at_once``; the others wait their turn."""

    def __init__(self, at_once: int) -> None:
        self._free = at_once
        self._queue: deque[Job] = deque()
        self._idle: list[queue.SimpleQueue[Job]] = []
        """Where the threads listen that have nothing to do, the last one last."""
        self._lock = threading.Lock()

    def start(self, work: Callable[[], Any], began: Callable[[], None]) -> Job:
        """Run ``work`` soon; ``began`` is called as it begins."""
        job = Job(work, began, self)
        with self._lock:
            if self._free <= 0:
                self._queue.append(job)
                return job
            self._free -= 1
        self._hand_out(job)
        return job

    def give_up(self, job: Job) -> None:
        """See :meth:`Job.give_up`."""
        with self._lock:
            if job.given_up or job.future.done():
                return
            job.given_up = True
            if job in self._queue:
                self._queue.remove(job)
                return
            following = self._next()
        if following is not None:
            self._hand_out(following)

    def _hand_out(self, job: Job) -> None:
        with self._lock:
            idle = self._idle.pop() if self._idle else None
        if idle is not None:
            idle.put(job)
        else:
            threading.Thread(target=self._serve, args=(job,), name="step-work", daemon=True).start()

    def _serve(self, job: Job | None) -> None:
        inbox: queue.SimpleQueue[Job] = queue.SimpleQueue()
        while job is not None:
            job.began()
            result, error = _done(job.work)
            with self._lock:
                abandoned = job.given_up
                following = None if abandoned else self._next()
                if not abandoned and following is None:
                    self._idle.append(inbox)
            if not abandoned and error is not None:
                job.future.set_exception(error)
            elif not abandoned:
                job.future.set_result(result)
            if abandoned:  # its place was given away
                return
            job = following or self._wait(inbox)

    def _wait(self, inbox: queue.SimpleQueue[Job]) -> Job | None:
        try:
            return inbox.get(timeout=IDLE_S)
        except queue.Empty:
            with self._lock:
                if inbox in self._idle:
                    self._idle.remove(inbox)
                    return None
            return inbox.get()  # handed out at the last moment

    def _next(self) -> Job | None:
        if self._queue:
            return self._queue.popleft()
        self._free += 1
        return None


def _done(work: Callable[[], Any]) -> tuple[Any, BaseException | None]:
    try:
        return work(), None
    except BaseException as error:  # noqa: BLE001 - the step that waits for the job is told
        return None, error
