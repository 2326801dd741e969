"""A gateway whose answers the test scripts: it keeps a book of what it was asked, under which key, and how often."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from hishamos.contracts.feeds import Feed
from hishamos.errors import CallFailed, KeyReused, to_wire
from hishamos.gateway.pending import nothing_left
from hishamos.records.calls import (
    Attempt,
    AttemptBegan,
    AttemptStatus,
    CallStatus,
    Finished,
    ModelRequest,
    Outcome,
    StreamEvent,
    Tags,
    TextPiece,
    ToolCalled,
    Usage,
    UsageTold,
)
from hishamos.records.record import Failure, content_hash, now
from hishamos.records.tools import ToolCall

Script = Callable[[ModelRequest, str], str | BaseException | CallStatus | tuple[ToolCall, ...]]


class ScriptedCall:
    """A call of the scripted gateway."""

    def __init__(self, key: str, future: Future[Outcome], book: ScriptedModels) -> None:
        self.key, self.outcome, self._book = key, future, book

    def events(self) -> Feed[StreamEvent]:
        feed: Feed[StreamEvent] = Feed()
        self._book.speak(self.key, feed)
        return feed

    def detach(self, *, cancel: bool) -> Future[None]:
        if cancel and not self.outcome.done():
            self._book.cancelled.append(self.key)
            self._book.settle(self.key, Outcome(call_id=self.key, key=self.key, status=CallStatus.CANCELLED))
            return self._book.parting or nothing_left()
        return nothing_left()


def _told(outcome: Outcome) -> list[StreamEvent]:
    model = outcome.model or "fake/model"
    pieces = [TextPiece(text=piece, model=model) for piece in outcome.text.splitlines(keepends=True)]
    asked = [ToolCalled(model=model, call=call) for call in outcome.calls]
    took = [UsageTold(model=model, usage=Usage(input=1, output=1), cost_nanos=outcome.cost_nanos)]
    return [AttemptBegan(model=model), *pieces, *asked, *took, Finished(status=outcome.status, model=model, cost_nanos=outcome.cost_nanos)]


class ScriptedModels:
    """Implements the gateway's contract in memory. ``hold``: calls stay open until :meth:`release`."""

    def __init__(self, script: Script | None = None, *, hold: bool = False, threads: int = 8) -> None:
        self.script: Script = script or (lambda request, key: f"answer to {request.messages[-1].content}")
        self.hold = hold
        self.cost_nanos: int | None = 0
        self.latency_ms: float | None = None
        self.sent: list[str] = []
        self.requests: dict[str, ModelRequest] = {}
        self.tags: dict[str, Tags] = {}
        self.cancelled: list[str] = []
        self.parting: Future[None] | None = None
        """What tells that a cancelled call is settled; None: it is at once."""
        self._open: dict[str, Future[Outcome]] = {}
        self._stored: dict[str, Outcome] = {}
        self.streamed: list[str] = []
        self._feeds: dict[str, list[Feed[StreamEvent]]] = {}
        self._lock = threading.Lock()
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="scripted")

    def submit(
        self,
        request: ModelRequest,
        *,
        key: str,
        tags: Tags,
        run_budget_nanos: int | None = None,
        stream: bool = False,
        fresh: bool = False,
        batch: bool = False,
    ) -> ScriptedCall:
        with self._lock:
            if key in self.requests and content_hash(self.requests[key].identity()) != content_hash(request.identity()):
                raise KeyReused(key=key)
            stored = self._stored.get(key)
            if stored is not None:
                done: Future[Outcome] = Future()
                done.set_result(stored.model_copy(update={"reused": True}))
                return ScriptedCall(key, done, self)
            if key in self._open:
                return ScriptedCall(key, self._open[key], self)
            future: Future[Outcome] = Future()
            self._open[key], self.requests[key], self.tags[key] = future, request, tags
            self.sent.append(key)
            if stream:
                self.streamed.append(key)
        if not self.hold:
            self._pool.submit(self._answer, key)
        return ScriptedCall(key, future, self)

    def release(self, *keys: str) -> None:
        """Answer calls that are held; without keys all of them."""
        for key in keys or list(self._open):
            self._answer(key)

    def forget(self, key: str) -> None:
        """Let a call be sent again, as if it had never been answered."""
        with self._lock:
            self._stored.pop(key)

    @property
    def open_keys(self) -> list[str]:
        """The calls that wait for an answer."""
        with self._lock:
            return list(self._open)

    def check(self, target: str) -> None:
        return None

    def targets(self) -> Sequence[str]:
        return ["default", "offline/extractive"]

    def speak(self, key: str, feed: Feed[StreamEvent]) -> None:
        with self._lock:
            if key in self._stored:
                for event in _told(self._stored[key]):
                    feed.put(event)
                feed.end()
            else:
                self._feeds.setdefault(key, []).append(feed)

    def settle(self, key: str, outcome: Outcome) -> None:
        with self._lock:
            future = self._open.pop(key, None)
            self._stored[key] = outcome
            feeds = self._feeds.pop(key, [])
        for feed in feeds:
            for event in _told(outcome):
                feed.put(event)
            feed.end()
        if future is not None and not future.done():
            future.set_result(outcome)

    def _answer(self, key: str) -> None:
        request = self.requests[key]
        try:
            said = self.script(request, key)
        except Exception as error:  # the script's way to say that the call fails
            said = error
        if isinstance(said, BaseException):
            wire = to_wire(said if hasattr(said, "facts") else CallFailed(model="m", reason=str(said), cause="server_error", attempts=1, next=""))  # type: ignore[arg-type]
            failure = Failure(type=wire["type"], message=wire["message"], facts=wire["facts"])
            status = CallStatus.REFUSED if wire["type"] == "BudgetRefused" else CallStatus.FAILED
            self.settle(key, Outcome(call_id=key, key=key, status=status, model="fake/model", error=failure))
        elif isinstance(said, CallStatus):
            self.settle(key, Outcome(call_id=key, key=key, status=said, text="a part", model="fake/model"))
        else:
            text, calls = (said, ()) if isinstance(said, str) else ("", said)
            facts: dict[str, Any] = {"id": key, "call_id": key, "idempotency_key": key, "provider": "fake", "model": "fake/model", "started_at": now()}
            attempts = (Attempt(status=AttemptStatus.SUCCEEDED, latency_ms=self.latency_ms, **facts),) if self.latency_ms is not None else ()
            done = Outcome(call_id=key, key=key, status=CallStatus.SUCCEEDED, text=text, calls=calls, model="fake/model", cost_nanos=self.cost_nanos)
            self.settle(key, done.model_copy(update={"attempts": attempts}))
