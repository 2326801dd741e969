"""The runner: takes runs, has them worked on without a thread for each, renews their leases, finds those whose process died."""

from __future__ import annotations

import itertools
import logging
import os
import socket
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import Any

from hishamos.contracts.code import AT_ONCE
from hishamos.contracts.journal import Journal
from hishamos.contracts.models import ModelGateway
from hishamos.contracts.notebooks import NOTEBOOKS_AT_ONCE, PrepareNotebook
from hishamos.engine.active_run import Execution
from hishamos.engine.agent_loop import Task, work
from hishamos.engine.background import Background
from hishamos.engine.conversation import converse
from hishamos.engine.holding import LONGEST_TIMER_S
from hishamos.engine.keeping import Keeping
from hishamos.engine.outside import Outside, nothing_outside
from hishamos.engine.question import Question
from hishamos.engine.steptype import Done, Library, Waiting
from hishamos.engine.timers import Timer, Timers
from hishamos.engine.tools import Clock, Summarize, Tools
from hishamos.errors import HishamosError, RunHeld
from hishamos.records.calls import ModelRequest, Tags
from hishamos.records.configuration import WorkspaceSettings
from hishamos.records.record import new_id, now
from hishamos.records.runs import Run, RunState
from hishamos.records.turns import AgentEvent

log = logging.getLogger(__name__)
LEASE_S = 10.0
WORKERS = 4
JOBS = 16


class Runner:
    """Works on runs in this process.

    ``settings``: the settings in force. ``workspace_for``: the run's workspace for the step at a path, for functions that want one.
    ``notebook``: executes one notebook, for steps that want it; ``summary``: writes what a batch of them came to. ``outside``: what steps may
    reach; left out, nothing. ``lease_s``: after how many silent seconds another process may take a run. ``jobs``: how many blocking steps at
    once.
    """

    def __init__(
        self,
        journal: Journal,
        gateway: ModelGateway,
        *,
        settings: Callable[[], WorkspaceSettings],
        workspace_for: Callable[[Run, str], Any],
        notebook: PrepareNotebook | None = None,
        summary: Summarize = lambda *_: "",
        outside: Outside | None = None,
        lease_s: float = LEASE_S,
        jobs: int = JOBS,
        timers: Timers | None = None,
        clock: Clock = now,
    ) -> None:
        self.owner = f"{socket.gethostname()}:{os.getpid()}:{new_id(6)}"
        self._tools = Tools(
            journal=journal,
            gateway=gateway,
            settings=settings,
            workspace_for=workspace_for,
            notebook=notebook,
            summary=summary,
            outside=outside or nothing_outside(),
            dispatch=self.begin,
            owner=self.owner,
            lease_s=lease_s,
            timers=timers or Timers(),
            pool=ThreadPoolExecutor(WORKERS, thread_name_prefix="runner"),
            lanes={"steps": Background(jobs), "children": Background(AT_ONCE), "notebooks": Background(NOTEBOOKS_AT_ONCE)},
            keeping=Keeping(journal),
            clock=clock,
        )
        self._executions: dict[str, Execution] = {}
        self._taking: dict[str, int] = {}
        """How many threads are about to take a run: it is not left alone though nobody works on it yet."""
        self._lock = threading.Lock()
        self._closed = self._leaving = False
        self._dispatch: Callable[[str], object] = self.begin
        self.works = True
        """Whether this process works on runs; False where it hands all of them to others."""
        self.hosts = True
        """Whether notebooks are connected to this process: it works on the runs that call their functions, whoever works on the others."""
        self._alarm: Timer | None = None
        self._tick = 0
        self._tools.timers.after(lease_s / 3, self._keep)

    @property
    def active(self) -> int:
        """How many runs are being worked on here."""
        with self._lock:
            return len(self._executions)

    def begin(self, run: str) -> Future[RunState]:
        """Take a run and work on it; the future is resolved when it ends, waits for a person or is paused.

        A run that is worked on here already gives that work's future; one that another process holds gives ``RunHeld``.
        """
        answer: Future[RunState] = Future()
        self._tools.pool.submit(self._begin, run, answer)
        return answer

    def nudge(self, run: str) -> None:
        """Have the run look at what somebody asked of it; nothing happens when it is not worked on here."""
        with self._lock:
            execution = self._executions.get(run)
        if execution is not None:
            execution.renew()

    def recover(self, dispatch: Callable[[str], object] | None = None, *, queued: bool = True) -> list[str]:
        """Have every run worked on that is queued, left running by a dead process, or whose time of waiting is over; returns their ids.

        A run within another is worked on here at once: in line it could wait for the place that the other one holds while it waits for it.
        """
        if dispatch is not None:
            self._dispatch = dispatch
        woken = self._wake()
        found = [one for one in self._tools.journal.line(self.owner, queued=queued, kernels=self.hosts) if one.run not in woken]
        with self._lock:  # after a sleep of the machine the leases of runs at work here look expired too
            found = [one for one in found if one.run not in self._executions and one.run not in self._taking]
        for one in found:
            here = one.beside if self.works else one.kernel
            (self.begin if here else self._dispatch)(one.run)
        return [*woken, *(one.run for one in found)]

    def ask(
        self, request: ModelRequest, *, key: str, tags: Tags, repairs: int, what: str, fresh: bool = False, run_budget_nanos: int | None = None
    ) -> Future[Done]:
        """Ask a model outside of a run's graph, with repairs; cancelling the future cancels the call under way.

        ``fresh``: the key was made for this very question; ``run_budget_nanos``: the limit of the run in the tags, if there is one.

        The future fails with what the gateway reports, typed. Raises at once what :meth:`ModelGateway.submit` raises.
        """

        def talk(question: Question) -> Done | Waiting:
            place = itertools.count()
            return converse(request, lambda one: question.ask(str(next(place)), one, tags.command, tags.agent), repairs, what)

        return Question(self._tools, talk, key, tags, fresh=fresh, workspace=_no_workspace, model=None, run_budget_nanos=run_budget_nanos).answer

    def give(
        self,
        task: Task,
        library: Library,
        *,
        key: str,
        tags: Tags,
        workspace: Callable[[str], Any],
        fresh: bool = False,
        run_budget_nanos: int | None = None,
        tell: Callable[[AgentEvent], None] | None = None,
    ) -> Future[Done]:
        """Give an agent a task outside of a run, as :meth:`ask`; ``workspace``: makes the workspace that the tool at a place is handed.

        ``tell``: is told what happens while it goes on, quickly and from any thread, and last of all how it ended, before the future is resolved.
        """

        def talk(question: Question) -> Done | Waiting:
            return work(task, library, question)

        limit = run_budget_nanos
        return Question(self._tools, talk, key, tags, fresh=fresh, workspace=workspace, model=task.model, run_budget_nanos=limit, tell=tell).answer

    def soon(self, action: Callable[[], object]) -> None:
        """Run something short in the runner's threads."""
        if not self._closed:
            self._tools.pool.submit(action)

    def later(self, seconds: float, action: Callable[[], None]) -> Timer:
        """Run something very short in ``seconds``."""
        return self._tools.timers.after(seconds, action)

    def drain(self, timeout_s: float = 30.0) -> None:
        """Have every run stop before its next call and queue it for the next process; waits for calls under way."""
        with self._lock:
            self._leaving = True  # what is just being taken is handed back as soon as it is here
            executions = list(self._executions.values())
        for execution in executions:
            execution.hand_back()
        end = time.monotonic() + timeout_s
        for execution in executions:
            try:
                execution.done.exception(timeout=max(0.0, end - time.monotonic()))
            except TimeoutError:
                log.warning("run %s did not stop in time; its lease expires and it is found again", execution.claim.run.id)

    def close(self) -> None:
        """Stop working. What was not drained is found again once its lease has expired."""
        self._closed = True
        self._tools.timers.close()
        self._tools.pool.shutdown(wait=True, cancel_futures=True)

    def _begin(self, run: str, answer: Future[RunState]) -> None:
        with self._lock:
            self._taking[run] = self._taking.get(run, 0) + 1
        try:
            self._take(run, answer)
        finally:
            with self._lock:
                self._taking[run] -= 1
                if not self._taking[run]:
                    del self._taking[run]

    def _take(self, run: str, answer: Future[RunState]) -> None:
        try:
            claim = self._tools.journal.claim(run, self.owner, self._tools.lease_s)
        except RunHeld as error:
            with self._lock:
                execution = self._executions.get(run)
            if error.holder != self.owner or execution is None:
                answer.set_exception(error)
                return
        except Exception as error:
            if not isinstance(error, HishamosError):
                log.exception("run %s could not be taken", run)
            answer.set_exception(error)
            return
        else:
            execution = Execution(self._tools, claim, self._gone)
            with self._lock:
                self._executions[run] = execution
                leaving = self._leaving
            execution.begin()
            if leaving:
                execution.hand_back()
        execution.done.add_done_callback(lambda future: _pass_on(future, answer))
        execution.done.add_done_callback(partial(self._concluded, execution.claim.run.parent))

    def _gone(self, execution: Execution) -> None:
        with self._lock:
            if self._executions.get(execution.claim.run.id) is execution:
                del self._executions[execution.claim.run.id]

    def _concluded(self, parent: str | None, done: Future[RunState]) -> None:
        """Set the alarm for a run that was let go until a time, and have its parent see how a child stands."""
        if done.exception() is not None:
            return
        with self._lock:
            execution = None if parent is None else self._executions.get(parent)
        if execution is not None:
            execution.look_again()
        if parent is not None or done.result() is RunState.WAITING:
            self.soon(self._ring)

    def _ring(self) -> None:
        try:
            self._wake()
        except HishamosError:
            log.exception("runs that wait for a time could not be looked for")

    def _wake(self) -> list[str]:
        """Have the runs worked on whose time of waiting is over, and set the alarm for the next one."""
        woken, following = self._tools.journal.wake()
        for run in woken:
            self._dispatch(run)
        if self._alarm is not None:
            self._alarm.cancel()
        if following is not None and not self._closed:
            seconds = min(max(0.01, (following - self._tools.clock()).total_seconds()), LONGEST_TIMER_S)
            self._alarm = self._tools.timers.after(seconds, lambda: self.soon(self._ring))
        return woken

    def _keep(self) -> None:
        if self._closed:
            return
        self._tick += 1
        with self._lock:
            executions = list(self._executions.values())
        for execution in executions:
            execution.renew()
        if self._tick % 3 == 0 or not self._tools.journal.exclusive:
            self._tools.pool.submit(self._look_for_dead)
        self._tools.timers.after(self._tools.lease_s / 3, self._keep)

    def _look_for_dead(self) -> None:
        if self._leaving:  # what it took now it would hand back
            return
        try:
            self.recover(queued=False)
        except HishamosError:
            log.exception("runs of dead processes could not be looked for")


def _no_workspace(place: str) -> Any:
    raise RuntimeError(f"a command's question has no tools ({place})")


def _pass_on(source: Future[RunState], target: Future[RunState]) -> None:
    error = source.exception()
    if error is not None:
        target.set_exception(error)
    else:
        target.set_result(source.result())
