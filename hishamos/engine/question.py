"""A question outside of a run, to a command's model or to an agent: entered again in the runner's threads as answers come."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, TypeVar

from hishamos.engine.steptype import Answer, Done, Waiting
from hishamos.engine.telling import Telling
from hishamos.engine.toolbox import Elsewhere, called_there
from hishamos.records.calls import CallStatus, Finished, ModelRequest, Outcome, Tags, summed
from hishamos.records.mcp import ServerTool
from hishamos.records.turns import AgentEvent

if TYPE_CHECKING:
    from hishamos.contracts.models import PendingCall
    from hishamos.engine.background import Job
    from hishamos.engine.timers import Timer
    from hishamos.engine.tools import Tools
    from hishamos.errors import HishamosError

T = TypeVar("T")
FIRST = "0"
"""The place of the first call: it goes out under the question's own key."""


class Question:
    """Implements :class:`hishamos.engine.agent_loop.Desk`; cancelling ``answer`` cancels what is under way.

    ``talk``: returns the answer or what it waits for; called again from the top each time that has come. ``workspace``: makes the workspace
    for the tool at a place. ``model``: what to ask before all else. ``fresh``: the key was made for this very question. ``run_budget_nanos``: the
    limit of the run that it belongs to, if it does. ``tell``: is told what happens while it goes on, at last how it
    ended; not where ``talk`` raises on its first entry, nor what is cancelled.
    Raises at once what ``talk`` raises on its first entry.
    """

    def __init__(
        self,
        tools: Tools,
        talk: Callable[[Question], Done | Waiting],
        key: str,
        tags: Tags,
        *,
        fresh: bool,
        workspace: Callable[[str], Any],
        model: str | None,
        run_budget_nanos: int | None = None,
        tell: Callable[[AgentEvent], None] | None = None,
    ) -> None:
        self.answer: Future[Done] = Future()
        self._tools, self._talk, self._key, self._tags, self._fresh, self._workspace, self._model = tools, talk, key, tags, fresh, workspace, model
        self._run_budget_nanos = run_budget_nanos
        self._telling = None if tell is None else Telling(tell)
        self._answers: dict[str, Answer[Any]] = {}
        self._calls: list[PendingCall] = []
        self._jobs: list[Job] = []
        self._timer: Timer | None = None
        self._lock = threading.Lock()
        self._over = False
        self.answer.add_done_callback(lambda future: self._let_go() if future.cancelled() else None)
        try:
            self._go_on(first=True)
        except BaseException:
            self._let_go()
            raise

    def ask(self, place: str, request: ModelRequest, command: str | None, agent: str | None) -> Answer[Outcome]:
        """See the plug."""
        if place not in self._answers:
            key = self._key if place == FIRST else f"{self._key}/{place}"
            version = self._tags.agent_version if agent == self._tags.agent else None
            tags = self._tags.model_copy(update={"command": command, "agent": agent, "agent_version": version})
            limit, heard = self._run_budget_nanos, self._telling is not None
            call = self._tools.gateway.submit(request, key=key, tags=tags, run_budget_nanos=limit, stream=heard, fresh=self._fresh)
            self._calls.append(call)
            if self._telling is not None:
                self._telling.listen(place, call)
            self._answers[place] = Answer(call.outcome)
            if self._over or self.answer.cancelled():  # it ended while this was handed in
                call.detach(cancel=True)
        return self._answers[place]

    def once(self, place: str, work: Callable[[Callable[[], Any]], str]) -> Answer[str]:
        """See the plug."""
        name = f"once {place}"
        if name not in self._answers:

            def job() -> str:
                return self._tools.keeping.once(f"{self._key}/{place}", lambda: work(lambda: self._workspace(place)), fresh=self._fresh)

            started = self._tools.lanes["steps"].start(job, lambda: None)
            self._jobs.append(started)
            self._answers[name] = Answer(started.future)
        return self._answers[name]

    def server_call(self, tool: ServerTool) -> Elsewhere:
        """See the plug."""
        return called_there(tool, self._tools.outside)

    def target(self, *wanted: str | None) -> str:
        """See the plug."""
        return next((name for name in (self._model, *wanted) if name), self._tools.settings().route)

    def end_by(self, seconds: float, error: HishamosError) -> None:
        """See the plug."""
        if self._timer is None:
            self._timer = self._tools.timers.after(seconds, lambda: self._end(error=error))

    def tell(self, place: str, event: AgentEvent) -> None:
        """See the plug."""
        if self._telling is not None:
            self._telling.once(place, event)

    def _go_on(self, *, first: bool = False) -> None:
        if self._over or self.answer.cancelled():
            return
        try:
            result = self._talk(self)
        except Exception as error:
            if first:
                raise
            self._end(error=error)
            return
        if isinstance(result, Waiting):
            self._wait(result)
        else:
            self._end(result)

    def _wait(self, waiting: Waiting) -> None:
        left = len(waiting.on)

        def one(_: Future[Any]) -> None:
            nonlocal left
            with self._lock:
                left -= 1
                last = left == 0
            if last:
                with contextlib.suppress(RuntimeError):  # the runner is closed; the calls are found again by their keys
                    self._tools.pool.submit(self._go_on)

        for answer in waiting.on:
            answer.future.add_done_callback(one)

    def _end(self, done: Done | None = None, *, error: Exception | None = None) -> None:
        with self._lock:
            if self._over or not self.answer.set_running_or_notify_cancel():
                return
            self._over = True
        self._let_go()
        if self._telling is not None:
            self._telling.once("", self._finished(succeeded=done is not None))
        if done is not None:
            self.answer.set_result(done)
        else:
            self.answer.set_exception(error or RuntimeError("the question ended without an answer"))

    def _finished(self, *, succeeded: bool) -> Finished:
        ended = [call.outcome for call in self._calls if call.outcome.done() and not call.outcome.cancelled() and call.outcome.exception() is None]
        outcomes = [outcome.result() for outcome in ended]
        failed = next((one.status for one in outcomes if one.status is not CallStatus.SUCCEEDED), CallStatus.FAILED)
        model = outcomes[-1].model if outcomes else None
        return Finished(status=CallStatus.SUCCEEDED if succeeded else failed, model=model, cost_nanos=summed(outcomes))

    def _let_go(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        for call in self._calls:
            call.detach(cancel=True)
        for job in self._jobs:
            job.give_up()
