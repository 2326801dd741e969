"""Calls that runs make in somebody else's process: the desks at which notebooks and scripts fetch them."""

from __future__ import annotations

import base64
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, InvalidStateError
from typing import Any

from hishamos.contracts.code import CodeCall, CodeEnd
from hishamos.contracts.feeds import Feed
from hishamos.errors import FunctionFailed, InvalidInput, from_wire
from hishamos.kernels.answering import Answering
from hishamos.records.callbacks import KERNEL, Asked, CallBack, CalledBack
from hishamos.records.record import new_id

GRACE_S = 10.0
"""How long a desk that has never been seen here is waited for, seconds: its process goes on with a new server."""


class Desks:
    """All desks of one workspace."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._news = threading.Condition(self._lock)
        self._open: dict[str, Feed[CallBack]] = {}
        self._left: set[str] = set()
        self._ended: deque[str] = deque(maxlen=1000)
        """The last ones: a client may come to its desk when that is over already."""
        self._of_run: dict[str, str] = {}
        self._calls: dict[str, DeskCall] = {}
        self._closed = False

    def seat(self, run: str, desk: str) -> None:
        """Have a run's calls made at a desk."""
        with self._lock:
            self._of_run[run] = desk

    def open(self, desk: str) -> Feed[CallBack]:
        """Return the calls that are made at a desk; closing the feed leaves it."""
        feed = Feed[CallBack]()
        with self._news:
            if self._closed or desk in self._ended:
                feed.end()
                return feed
            self._open[desk] = feed
            self._left.discard(desk)
            self._news.notify_all()
        feed.on_close(lambda _: self._leave(desk, feed))
        return feed

    def over(self, desk: str, run: str | None = None) -> None:
        """End a desk for good: its ``run`` has ended or is paused, or its agent has answered."""
        with self._news:
            self._ended.append(desk)
            feed = self._open.pop(desk, None)
            if run is not None and self._of_run.get(run) == desk:
                del self._of_run[run]
            self._news.notify_all()
        if feed is not None:
            feed.end()

    def prepare(self, run: str, desk: str, call: CodeCall, workspace: Callable[[], Any]) -> DeskCall:
        """Return a call that can be made once. ``desk``: where the run was started; it may have been resumed at another one."""
        with self._lock:
            found = self._of_run.get(run, desk)
        return DeskCall(self, found, call, workspace)

    def answer(self, call: str, end: CalledBack) -> bool:
        """Tell a call how it went."""
        with self._lock:
            found = self._calls.get(call)
        return found is not None and found.ended(end)

    def ask(self, call: str, head: dict[str, Any], body: str) -> Future[Asked]:
        """Ask the workspace of the run that a call is made for."""
        with self._lock:
            found = self._calls.get(call)
        if found is None:
            following = "Its run goes on without this process: see hishamos runs."
            raise InvalidInput(what="the step that this function was called for has ended", where="ws", next=following)
        return found.asked(head, body)

    def close(self) -> None:
        """End every desk: its process comes again to the next server."""
        with self._news:
            self._closed = True
            feeds, calls = list(self._open.values()), list(self._calls.values())
            self._news.notify_all()
        for call in calls:
            call.stop()
        for feed in feeds:
            feed.end()

    def begin(self, call: DeskCall, wait_s: float) -> str | None:
        """Hand a call to its desk once somebody is there; returns why nobody is."""
        with self._news:
            self._news.wait_for(lambda: self._closed or call.stopped or call.desk in self._open or call.desk in self._left, wait_s)
            feed = self._open.get(call.desk)
            if feed is None or self._closed or call.stopped:
                return f"the notebook or script that registered {call.name} is gone"
            self._calls[call.id] = call
        feed.put(CallBack(id=call.id, function=call.name, arguments=dict(call.call.arguments)))
        return None

    def forget(self, call: DeskCall) -> None:
        """Let go of a call that has ended."""
        with self._lock:
            self._calls.pop(call.id, None)

    def _leave(self, desk: str, feed: Feed[CallBack]) -> None:
        with self._news:
            if self._open.get(desk) is not feed:
                return
            del self._open[desk]
            self._left.add(desk)
            lost = [call for call in self._calls.values() if call.desk == desk]
            self._news.notify_all()
        for call in lost:
            call.lost()


class DeskCall:
    """One call, as :class:`hishamos.contracts.code.PreparedCode`."""

    def __init__(self, desks: Desks, desk: str, call: CodeCall, workspace: Callable[[], Any]) -> None:
        self.id = new_id(20)
        self.desk, self.call = desk, call
        self.name = call.function.removeprefix(KERNEL)
        self.stopped = False
        self._desks = desks
        self._end: Future[CodeEnd] = Future()
        self._answering = Answering(workspace)
        self._asking = threading.Lock()

    def run(self) -> CodeEnd:
        """See the contract. Where nobody is at the desk, or whoever was there leaves, the end says why it is ``parked``."""
        why = self._desks.begin(self, GRACE_S)
        try:
            if self.stopped:
                return CodeEnd(stopped=True)
            return CodeEnd(parked=why) if why is not None else self._end.result()
        finally:
            self._desks.forget(self)
            self._answering.close()

    def stop(self) -> None:
        """Wait for it no longer; what the function does goes on in its own process, and nobody reads it."""
        self.stopped = True
        self._tell(CodeEnd(stopped=True))

    def lost(self) -> None:
        """Whoever made the call has left."""
        self._tell(CodeEnd(parked=f"the notebook or script that was running {self.name} is gone"))

    def ended(self, end: CalledBack) -> bool:
        """Take what came of it; returns whether somebody waits for that."""
        if end.error is not None:
            return self._tell(CodeEnd(error=from_wire(end.error)))
        if end.raised is not None:
            error = FunctionFailed(step=self.call.step, function=self.call.function, kind=end.raised, reason=end.reason or "no message")
            return self._tell(CodeEnd(error=error))
        return self._tell(CodeEnd(value=end.value))

    def asked(self, head: dict[str, Any], body: str) -> Future[Asked]:
        """Answer what the function asks of the run's workspace, one question after another."""
        answer: Future[Asked] = Future()

        def work() -> None:
            with self._asking:
                told, rest = self._answering.answer(head, base64.b64decode(body))
            answer.set_result(Asked(head=told, body=base64.b64encode(rest).decode()))

        threading.Thread(target=work, name="desk-answer", daemon=True).start()
        return answer

    def _tell(self, end: CodeEnd) -> bool:
        try:
            self._end.set_result(end)
        except InvalidStateError:
            return False  # somebody else was first
        return True
