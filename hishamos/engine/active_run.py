"""One run at work: a mailbox, one worker at a time, everything it decides written to the journal in batches."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from typing import Any

from pydantic import ValidationError

from hishamos.contracts.journal import Batch, Claim, RunChange, Signals
from hishamos.engine.context import NodeContext
from hishamos.engine.failures import failure, pause_s, tries, typed
from hishamos.engine.graph import Graph
from hishamos.engine.node import PASSED, Family, Node
from hishamos.engine.rows import RowBook
from hishamos.engine.scribe import Scribe
from hishamos.engine.steptype import Children, Done, Interrupted, Result, Skipped, Waiting
from hishamos.engine.templates import condition, fill
from hishamos.engine.tools import Tools
from hishamos.errors import HishamosError, InvalidInput, LeaseLost, RunFailed, StepTimedOut, StoreError
from hishamos.records.record import content_hash
from hishamos.records.runs import RunState, StepState

log = logging.getLogger(__name__)
LONGEST_TIMER_S = 3600.0
"""A step that waits longer is looked at now and then: the clock may be set, and a machine may sleep."""


class Execution:
    """Works on one claimed run until it ends, waits for a person, is paused, or is handed back."""

    def __init__(self, tools: Tools, claim: Claim, gone: Callable[[Execution], None]) -> None:
        self.claim = claim
        self.done: Future[RunState] = Future()
        self._tools, self._gone = tools, gone
        self._graph = Graph(claim)
        self._mailbox: deque[Callable[[], None]] = deque()
        self._lock = threading.Lock()
        self._scheduled = False
        self._over = False
        self._todo: deque[tuple[Node, int]] = deque()
        self._active = 0
        self._people: dict[str, Node] = {}
        self._dormant: dict[str, Node] = {}
        """Steps that wait for a time, an event or another run."""
        self._with_child: set[str] = set()
        """Those of them whose run is at work."""
        self._failed: Node | None = None
        self._wish: str | None = claim.signals.wish
        self._book: RowBook | None = None
        self._scribe = Scribe(tools, claim.lease, self._graph, claim.signals.decisions, post=self.post, heard=self._heard, ended=self._told)

    # the mailbox

    def post(self, message: Callable[[], None]) -> None:
        """Have ``message`` run by the run's worker; from any thread."""
        with self._lock:
            self._mailbox.append(message)
            if self._scheduled:
                return
            self._scheduled = True
        try:
            self._tools.pool.submit(self._work)
        except RuntimeError:
            log.debug("run %s: the runner is closed", self.claim.lease.run)

    def begin(self) -> None:
        """Start, or go on from where the journal says the run stands."""
        self.post(self._begin)

    def renew(self) -> None:
        """Keep the lease and see what others asked for."""
        self.post(self._scribe.listen)
        if self._with_child:
            self.look_again()

    def look_again(self) -> None:
        """Enter the steps again that wait for a time, an event or another run."""
        self.post(self._look_again_at_all)

    def hand_back(self) -> None:
        """Stop before the next call and queue the run, for the next server."""
        self.post(lambda: self._wished("leave"))

    def _work(self) -> None:
        while True:
            with self._lock:
                messages = list(self._mailbox)
                self._mailbox.clear()
                if not messages:
                    self._scheduled = False
                    return
            try:
                for message in messages:
                    if not self._over:
                        message()
                if not self._over:
                    self._settle()
            except Exception as error:
                log.exception("run %s broke", self.claim.lease.run)
                self._break(error)

    def _begin(self) -> None:
        self._people.clear()
        self._dormant.clear()
        self._with_child.clear()
        self._go(self._graph.start())

    def _go(self, nodes: Iterable[Node]) -> None:
        """Have steps entered, in the attempt they are in now."""
        self._todo.extend((node, node.attempt) for node in nodes)

    # what to do next

    def _settle(self) -> None:
        if self._wish == "cancel":
            self._cancel()
        while self._todo:
            node, attempt = self._todo.popleft()
            overtaken = node.ended or node.attempt != attempt
            if not overtaken and not (self._blocked and node.inputs is None):
                self._enter(node)
        if not self._active and self._scribe.idle:
            self._conclude()
        self._scribe.flush()

    @property
    def _blocked(self) -> bool:
        return self._failed is not None or self._wish is not None

    def _conclude(self) -> None:
        moment = self._tools.clock()
        if self._failed is not None:
            self._graph.cancel_open(self._scribe.step, moment)
            self._scribe.conclude(RunChange(RunState.FAILED, moment, error=failure(self._reason(self._failed)), finished_at=moment))
        elif self._graph.complete:
            self._finish()
        elif self._wish is not None:
            state = RunState.QUEUED if self._wish == "leave" else RunState.PAUSED
            self._scribe.conclude(RunChange(state, moment))
        elif (self._people or self._dormant) and not self._with_child:
            what = [f"approval of step {path}" for path in self._people] + [f"{node.person} (step {path})" for path, node in self._dormant.items()]
            self._scribe.conclude(RunChange(RunState.WAITING, moment, waiting_for=", ".join(what)))

    def _finish(self) -> None:
        moment = self._tools.clock()
        try:
            outputs = fill(self.claim.pinned.workflow.outputs, self._graph.scope(), "outputs") or None
        except HishamosError as error:
            self._scribe.conclude(RunChange(RunState.FAILED, moment, error=failure(error), finished_at=moment))
        else:
            self._scribe.conclude(RunChange(RunState.SUCCEEDED, moment, outputs=outputs, finished_at=moment))

    def _reason(self, node: Node) -> HishamosError:
        run = self.claim.run
        reason = node.error.message if node.error else node.state.value
        reason = reason.removeprefix(f"{node.path}: ")
        return RunFailed(workflow=run.name, where=node.path, reason=reason, next=f"To go on from there: hishamos resume {run.id}", step=node.path)

    def _cancel(self) -> None:
        for node in self._graph.open_nodes():
            self._let_go(node, cancel=True)
        moment = self._tools.clock()
        self._graph.cancel_open(self._scribe.step, moment)
        self._todo.clear()
        self._active = 0
        self._failed = None
        self._scribe.conclude(RunChange(RunState.CANCELLED, moment, finished_at=moment))
        self._wish = "cancelling"

    # a step

    def _enter(self, node: Node) -> None:
        try:
            result = self._prepared(node) or node.kind.run(self._context(node), node.inputs)
        except Interrupted:
            return
        except Exception as error:  # noqa: BLE001 - whatever a step raises is its failure
            self._fail(node, error)
            return
        if isinstance(result, Waiting):
            self._wait(node, result)
        else:
            self._succeed(node, result)

    def _prepared(self, node: Node) -> Result | None:
        """Render and check the step's inputs on its first entry; returns Skipped where ``when`` does not hold."""
        if node.inputs is not None:
            return None
        definition, scope = node.definition, self._graph.scope(node)
        node.state = StepState.RUNNING
        node.started_at = node.started_at or self._tools.clock()
        if definition.when is not None and not condition(definition.when, scope, f"{node.path}, when"):
            return Skipped(f"when: {definition.when}")
        kind = node.kind
        filled = {key: value if key in kind.raw else fill(value, scope, f"{node.path}, with.{key}") for key, value in definition.with_.items()}
        try:
            node.inputs = kind.inputs.model_validate(filled)
        except ValidationError as error:
            raise _invalid(node.path, error) from error
        node.input_hash = content_hash(filled) if filled else None
        node.shown = _shown(node, filled)
        if not kind.composite or node.limit_s is not None:
            self._limit(node)
        # A map over a table has thousands of rows: each is written once, when it has ended; what it is asking stands in the ledger.
        if not node.quiet or node.attempt > 1:
            self._changed(node, event=node.parent is None)
        return None

    def _context(self, node: Node) -> NodeContext:
        attempt = node.attempt
        return NodeContext(
            self._tools,
            self.claim,
            node,
            held=self._wish is not None,
            book=self._rows,
            began=lambda: self.post(lambda: self._limit(node) if node.attempt == attempt and not node.ended else None),
            keep=self._scribe.row,
            end_by=lambda seconds, error: self._end_by(node, seconds, error),
            scope=lambda: self._graph.scope(node),
        )

    def _end_by(self, node: Node, seconds: float, error: HishamosError) -> None:
        if node.ends is None:
            node.ends = (self._tools.timers.clock() + seconds, error)
            self._limit(node)

    def _limit(self, node: Node) -> None:
        if node.timer is not None:
            node.timer.cancel()
        seconds = node.limit_s or self._tools.settings().step_timeout_s
        error: HishamosError | None = None
        if node.ends is not None and node.ends[0] - self._tools.timers.clock() <= seconds:
            seconds, error = max(0.0, node.ends[0] - self._tools.timers.clock()), node.ends[1]
        attempt = node.attempt
        node.timer = self._tools.timers.after(seconds, lambda: self.post(lambda: self._too_late(node, attempt, seconds, error)))

    def _too_late(self, node: Node, attempt: int, seconds: float, error: HishamosError | None) -> None:
        if node.attempt != attempt or node.ended or node.state is StepState.PENDING or node.path in self._people or node.path in self._dormant:
            return
        if node.awaited:
            self._active -= 1
        for child in self._graph.open_below(node):
            self._active -= 1 if child.awaited or (child.state is StepState.PENDING and child.timer is not None) else 0
            self._let_go(child, cancel=True)
            child.state, child.finished_at = StepState.CANCELLED, self._tools.clock()
            self._scribe.step(child)
        self._let_go(node, cancel=True)
        self._fail(node, error or StepTimedOut(step=node.path, seconds=seconds, run=self.claim.run.id))

    def _wait(self, node: Node, waiting: Waiting) -> None:
        if waiting.children is not None:
            self._adopt(node, waiting.children)
        elif waiting.words is not None:
            self._hold(node, waiting)
        else:
            pending = [answer for answer in waiting.on if not answer.ready]
            node.awaited = len(waiting.on)
            self._active += 1
            attempt = node.attempt
            for answer in waiting.on:
                answer.future.add_done_callback(lambda _: self.post(lambda: self._answered(node, attempt)))
            if not pending and not waiting.on:
                raise RuntimeError(f"{node.path} waits for nothing")

    def _hold(self, node: Node, waiting: Waiting) -> None:
        """Wait for a person, a time, an event or another run: when nothing else is at work the run is let go until then."""
        if node.timer is not None and node.limit_s is None:
            node.timer.cancel()
        if waiting.until is not None:
            seconds = min(max(0.0, (waiting.until - self._tools.clock()).total_seconds()), LONGEST_TIMER_S)
            node.timer = self._tools.timers.after(seconds, lambda: self.post(lambda: self._look_again(node)))
        held = self._people if waiting.person is not None else self._dormant
        known = held.get(node.path) is node and node.person == waiting.words
        held[node.path] = node
        (self._with_child.add if waiting.at_work else self._with_child.discard)(node.path)
        node.person, node.state = waiting.words, StepState.WAITING
        if not known:
            self._changed(node, event=True)
            self._scribe.urge()

    def _awake(self, node: Node) -> None:
        self._dormant.pop(node.path, None)
        self._with_child.discard(node.path)

    def _look_again_at_all(self) -> None:
        for node in list(self._dormant.values()):
            self._look_again(node)

    def _look_again(self, node: Node) -> None:
        """Enter a step that waits for a time, an event or another run: it says whether that has come."""
        if not node.ended and self._dormant.get(node.path) is node:
            self._go([node])

    def _answered(self, node: Node, attempt: int) -> None:
        if node.attempt != attempt or node.ended or not node.awaited:
            return
        node.awaited -= 1
        if node.awaited == 0:
            self._active -= 1
            self._go([node])

    def _succeed(self, node: Node, result: Done | Skipped) -> None:
        if isinstance(result, Done):
            node.state, node.output, node.model = StepState.SUCCEEDED, result.output, result.model
            node.reused, node.not_judged = result.reused, result.not_judged
            self._ended(node)
        else:
            node.state = StepState.SKIPPED
            self._ended(node, result.reason)

    def _fail(self, node: Node, raised: BaseException) -> None:
        error = typed(raised, node.path)
        declared = node.definition.retry.attempts if node.definition.retry else None
        tried = node.attempt - node.first + 1
        node.error = failure(error)
        node.state = StepState.TIMED_OUT if isinstance(error, StepTimedOut) else StepState.FAILED
        if not node.kind.composite and not self._blocked and tried < tries(error, declared, self._tools.settings().max_retries):
            self._try_again(node, tried)
            return
        if node.parent is None:
            self._failed = self._failed or node
        self._ended(node, node.error.message)

    def _try_again(self, node: Node, tried: int) -> None:
        self._let_go(node, cancel=True)
        self._awake(node)
        node.finished_at = self._tools.clock()
        self._scribe.step(node)
        self._scribe.event(node, f"try {tried} failed: {node.error.message if node.error else ''}")
        node.open_next(series=False)
        self._scribe.step(node)
        self._active += 1
        attempt = node.attempt
        node.timer = self._tools.timers.after(pause_s(tried), lambda: self.post(lambda: self._again(node, attempt)))

    def _again(self, node: Node, attempt: int) -> None:
        if node.attempt == attempt and not node.ended:
            self._active -= 1
            self._go([node])

    def _ended(self, node: Node, message: str = "") -> None:
        node.finished_at = self._tools.clock()
        node.person = None
        self._awake(node)
        if node.timer is not None:
            node.timer.cancel()
        self._graph.note_end(node)
        self._scribe.step(node)
        self._scribe.event(node, message)
        if node.parent is not None:
            self._child_ended(node)
        else:
            self._scribe.urge()
            if node.state in PASSED:
                self._scribe.after_commit(lambda: self._go(self._graph.after(node)))

    # children

    def _adopt(self, node: Node, children: Children) -> None:
        if node.family is None:
            node.family = Family(children, self._graph.children_before(node))
            self._graph.count(node, 0)
        else:
            self._graph.count(node, node.family.grow(children))
        self._more(node)

    def _more(self, node: Node) -> None:
        family = node.family
        assert family is not None
        while not self._blocked:
            index = family.following()
            if index is None:
                break
            self._go([self._graph.child(node, index)])
        if family.left == 0:
            self._go([node])

    def _child_ended(self, child: Node) -> None:
        parent = child.parent
        assert parent is not None
        assert parent.family is not None
        self._graph.forget(child)
        parent.family.ended(self._graph.number(child), self._graph.end_of(child))
        if not parent.ended:
            self._more(parent)

    # people and wishes

    def _wished(self, wish: str) -> None:
        if self._wish != "cancelling":
            self._wish = wish

    def _heard(self, signals: Signals) -> None:
        if signals.wish is not None:
            self._wished(signals.wish)
        if signals.decisions > self._scribe.decisions:
            self._scribe.decisions = signals.decisions
            self._look_again_at_all()
            for path, decided in self._tools.journal.decisions(self.claim.run.id).items():
                node = self._people.pop(path, None)
                if node is not None:
                    node.decided, node.state, node.person = decided, StepState.RUNNING, None
                    self._go([node])

    def _rows(self) -> RowBook:
        if self._book is None:
            options = self.claim.options
            assert options is not None
            command = self.claim.pinned.commands[options.command]
            agent = self.claim.pinned.agents[command.agent] if command.agent else None
            wanted = (self.claim.run.model, command.model, agent.model if agent else None)
            target = next((name for name in wanted if name), self._tools.settings().route)
            self._book = RowBook(self.claim.run.id, self._tools.journal, self.claim.pinned, options, target)
        return self._book

    def _changed(self, node: Node, *, event: bool) -> None:
        self._scribe.step(node)
        if event:
            self._scribe.event(node, node.person or "")

    # the end

    def _told(self, change: RunChange | None, error: BaseException | None) -> None:
        """The last batch is durable, or a batch could not be written."""
        if change is not None:
            self._stop(None, change.state)
        elif isinstance(error, (LeaseLost, StoreError)):
            log.warning("run %s is left to whoever takes it next: %s", self.claim.lease.run, error)
            self._stop(error)
        else:
            self._break(error or RuntimeError("the journal gave no answer"))

    def _break(self, error: BaseException) -> None:
        """End a run that can't go on here, instead of having it taken up and break again and again."""
        if isinstance(error, (LeaseLost, StoreError)):
            self._stop(error)
            return
        told = failure(typed(error, self.claim.run.name))
        moment = self._tools.clock()
        last = Batch(run=RunChange(RunState.FAILED, moment, error=told, finished_at=moment, release=True))
        last.steps_total, last.steps_done = self._graph.total, self._graph.finished
        self._stop(error)
        self._tools.journal.write(self.claim.lease, last)

    def _stop(self, error: BaseException | None, state: RunState | None = None) -> None:
        """Write nothing any more."""
        self._over = True
        for node in self._graph.open_nodes():
            self._let_go(node, cancel=False)
        self._gone(self)
        if state is not None:
            self.done.set_result(state)
            return
        self.done.set_exception(error or RuntimeError("stopped"))

    def _let_go(self, node: Node, *, cancel: bool) -> None:
        if node.timer is not None:
            node.timer.cancel()
            node.timer = None
        for call in node.calls:
            call.detach(cancel=cancel)
        for stop in node.stops:
            stop()
        for job in node.jobs:
            self._tools.background.give_up(job)
        node.awaited = 0


def _shown(node: Node, filled: dict[str, Any]) -> dict[str, Any] | None:
    """Return what the journal keeps of a step's inputs: of one that only arranges others, as written, for its items have theirs."""
    if node.quiet or not filled:
        return None
    return node.definition.with_ if node.kind.composite else filled


def _invalid(path: str, error: ValidationError) -> InvalidInput:
    first: Any = error.errors(include_url=False, include_input=False)[0]
    place = ".".join(str(part) for part in first["loc"]) or "with"
    return InvalidInput(what=f"{place}: {first['msg']}", where=f"step {path}", next="Correct the definition's with, or what it is filled from.")
