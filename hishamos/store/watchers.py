"""Who follows which run: events reach their feeds after the commit that holds them, from this process or another one."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

from hishamos.contracts.feeds import Feed
from hishamos.errors import HishamosError
from hishamos.records.runs import RunEvent, RunState

POLL_S = 0.3

Read = Callable[[str, int], Sequence[RunEvent]]
"""A run's events numbered above a number."""


class _Follower:
    def __init__(self, run: str, after: int, settled: Callable[[RunEvent], bool], *, live: bool) -> None:
        self.run = run
        self.live = live
        self.last = after
        self.feed: Feed[RunEvent] = Feed()
        self.settled = settled
        self.ready = False
        self.early: list[RunEvent] = []
        self.lock = threading.Lock()

    def give(self, events: Sequence[RunEvent]) -> bool:
        """Hand on what is new; returns whether the feed has ended."""
        with self.lock:
            if not self.ready:
                self.early.extend(events)
                return False
            return self._give(events)

    def begin(self, backlog: Sequence[RunEvent], over: bool) -> bool:
        """Hand on what was there before; from now on events go straight through. ``over``: the run's row says that it has settled."""
        with self.lock:
            self.ready = True
            for event in backlog:
                self._put(event)
                over = self.settled(event) if event.kind == "run" else over
            if over:
                self.feed.end()
                return True
            return self._give(self.early)

    def pass_on(self, event: RunEvent) -> None:
        """Hand on what is not kept, under the number of the last event that is."""
        with self.lock:
            if self.ready:
                self.feed.put(event.model_copy(update={"seq": self.last}))

    def _give(self, events: Sequence[RunEvent]) -> bool:
        for event in events:
            if event.seq > self.last:
                self._put(event)
                if self.settled(event):
                    self.feed.end()
                    return True
        return False

    def _put(self, event: RunEvent) -> None:
        if event.seq > self.last:
            self.last = event.seq
            self.feed.put(event)


class Watchers:
    """The followers of a store's runs. ``poll``: other processes write too, so the store is asked every 0.3 s for what they wrote."""

    def __init__(self, read: Read, *, poll: bool) -> None:
        self._read = read
        self._poll = poll
        self._followers: dict[str, list[_Follower]] = {}
        self._lock = threading.Lock()
        self._poller: threading.Thread | None = None
        self._closed = threading.Event()

    def publish(self, run: str, events: Sequence[RunEvent]) -> None:
        """Give committed events to the run's followers."""
        with self._lock:
            followers = list(self._followers.get(run, ()))
        for follower in followers:
            if follower.give(events):
                self._drop(follower)

    def watched(self, run: str) -> bool:
        """Return whether somebody follows the run live."""
        with self._lock:
            return any(follower.live for follower in self._followers.get(run, ()))

    def tell(self, event: RunEvent) -> None:
        """Give an event that is not kept to those who follow its run live."""
        with self._lock:
            followers = [follower for follower in self._followers.get(event.run_id, ()) if follower.live]
        for follower in followers:
            follower.pass_on(event)

    def follow(self, run: str, after: int, state: Callable[[], RunState], settled: frozenset[RunState], *, live: bool = False) -> Feed[RunEvent]:
        """Return the run's events above ``after``; the feed ends when the run reaches one of the ``settled`` states."""
        names = {one.value for one in settled}
        follower = _Follower(run, after, lambda event: event.kind == "run" and event.state in names, live=live)
        with self._lock:
            self._followers.setdefault(run, []).append(follower)
        follower.feed.on_close(lambda _: self._drop(follower))
        now = state()  # read before the backlog: what settles later comes as an event
        if follower.begin(self._all(run, after), now in settled):
            self._drop(follower)
        elif self._poll:
            self._start_polling()
        return follower.feed

    def close(self) -> None:
        """End every feed."""
        self._closed.set()
        with self._lock:
            followers = [follower for group in self._followers.values() for follower in group]
            self._followers.clear()
        for follower in followers:
            follower.feed.end()

    def _all(self, run: str, after: int) -> list[RunEvent]:
        found: list[RunEvent] = []
        while True:
            page = self._read(run, found[-1].seq if found else after)
            found.extend(page)
            if not page:
                return found

    def _drop(self, follower: _Follower) -> None:
        with self._lock:
            group = self._followers.get(follower.run, [])
            if follower in group:
                group.remove(follower)
            if not group:
                self._followers.pop(follower.run, None)

    def _start_polling(self) -> None:
        with self._lock:
            if self._poller is None or not self._poller.is_alive():
                self._poller = threading.Thread(target=self._keep_polling, name="run-events", daemon=True)
                self._poller.start()

    def _keep_polling(self) -> None:
        while not self._closed.wait(POLL_S):
            with self._lock:
                oldest = {run: min(follower.last for follower in group) for run, group in self._followers.items()}
                if not oldest:
                    self._poller = None
                    return
            for run, last in oldest.items():
                try:
                    self.publish(run, self._read(run, last))
                except HishamosError as error:
                    self._end(run, error)

    def _end(self, run: str, error: HishamosError) -> None:
        with self._lock:
            followers = self._followers.pop(run, [])
        for follower in followers:
            follower.feed.end(error)
