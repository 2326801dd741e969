"""A call as its callers hold it: who waits, what has been said, how it ends."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future

from hishamos.contracts.feeds import Feed
from hishamos.records.calls import AttemptBegan, Finished, Outcome, StreamEvent, TextPiece, ToolCalled


class SharedCall:
    """One call and everybody who waits for it. Thread-safe."""

    def __init__(self, key: str, request_hash: str, cancel: Callable[[SharedCall], None]) -> None:
        self.key, self.request_hash = key, request_hash
        self._cancel = cancel
        self.cancelled = False
        """Whether its last caller wished it cancelled."""
        self.over: Future[None] = Future()
        """Resolved once it has ended, however it did."""
        self._lock = threading.Lock()
        self._events: list[StreamEvent] = []
        self._feeds: list[Feed[StreamEvent]] = []
        self._callers: list[Future[Outcome]] = []
        self._ended: tuple[Outcome | None, BaseException | None] | None = None

    def join(self) -> PendingHandle | None:
        """Return a handle for one more caller, or None if the call has just ended."""
        future: Future[Outcome] = Future()
        with self._lock:
            if self._ended is not None:
                return None
            self._callers.append(future)
        return PendingHandle(self, future)

    def publish(self, event: StreamEvent) -> None:
        """Tell an event to all who listen and to those who come later."""
        with self._lock:
            self._events.append(event)
            feeds = list(self._feeds)
        for feed in feeds:
            feed.put(event)

    def end(self, outcome: Outcome | None, error: BaseException | None = None) -> None:
        """Tell all callers how the call ended, once."""
        if outcome is not None:
            self._replay(outcome)
        with self._lock:
            if self._ended is not None:
                return
            self._ended = (outcome, error)
            callers, self._callers = self._callers, []
            feeds, self._feeds = self._feeds, []
        for caller in callers:
            if not caller.set_running_or_notify_cancel():  # it left just now
                continue
            if outcome is not None:
                caller.set_result(outcome)
            else:
                caller.set_exception(error or RuntimeError("the call ended without an outcome"))
        for feed in feeds:
            feed.end(error)
        self.over.set_result(None)

    def feed(self) -> Feed[StreamEvent]:
        """Return a feed of all events, from the first."""
        feed: Feed[StreamEvent] = Feed()
        with self._lock:
            for event in self._events:
                feed.put(event)
            if self._ended is None:
                self._feeds.append(feed)
            else:
                feed.end(self._ended[1])
        return feed

    @property
    def deserted(self) -> bool:
        """Whether nobody waits for it."""
        with self._lock:
            return not self._callers

    def leave(self, caller: Future[Outcome], *, cancel: bool) -> Future[None]:
        """Let a caller go; with ``cancel``, the call is cancelled unless others wait for it. See :meth:`PendingCall.detach`."""
        with self._lock:
            if caller in self._callers:
                self._callers.remove(caller)
            alone = not self._callers and self._ended is None
        caller.cancel()
        if cancel and alone:  # decided again on the gateway's loop
            self._cancel(self)
            return self.over
        return nothing_left()

    def _replay(self, outcome: Outcome) -> None:
        """Close the stream; a stored outcome's text is told in one piece, the tools that are asked for now that they are durable."""
        if outcome.reused and (outcome.text or outcome.calls):
            if outcome.model is not None:
                self.publish(AttemptBegan(model=outcome.model))
            if outcome.text:
                self.publish(TextPiece(text=outcome.text, model=outcome.model))
        for call in outcome.calls:
            self.publish(ToolCalled(call=call, model=outcome.model))
        self.publish(Finished(status=outcome.status, model=outcome.model, cost_nanos=outcome.cost_nanos))


class PendingHandle:
    """One caller's hold on a call (:class:`hishamos.contracts.models.PendingCall`)."""

    def __init__(self, call: SharedCall, future: Future[Outcome]) -> None:
        self._call, self._future = call, future

    @property
    def key(self) -> str:
        """See the contract."""
        return self._call.key

    @property
    def outcome(self) -> Future[Outcome]:
        """See the contract."""
        return self._future

    def events(self) -> Feed[StreamEvent]:
        """See the contract."""
        return self._call.feed()

    def detach(self, *, cancel: bool) -> Future[None]:
        """See the contract."""
        return self._call.leave(self._future, cancel=cancel)


def nothing_left() -> Future[None]:
    """Return what is resolved already."""
    done: Future[None] = Future()
    done.set_result(None)
    return done


def all_over(calls: Sequence[SharedCall]) -> Future[None]:
    """Return what is resolved once all of these calls have ended."""
    if not calls:
        return nothing_left()
    ended: Future[None] = Future()
    left, lock = len(calls), threading.Lock()

    def one(_: Future[None]) -> None:
        nonlocal left
        with lock:
            left -= 1
            last = left == 0
        if last:
            ended.set_result(None)

    for call in calls:
        call.over.add_done_callback(one)
    return ended
