"""One run at work: a mailbox, one worker at a time, everything it decides written to the journal in batches."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from datetime import timedelta

from hishamos.contracts.journal import WENT_BACK, Batch, Claim, RunChange, Signals
from hishamos.engine.context import NodeContext
from hishamos.engine.dormant import Dormant
from hishamos.engine.failures import UNDECLARED, failure, tries, typed
from hishamos.engine.graph import Graph
from hishamos.engine.mailbox import Mailbox
from hishamos.engine.naps import Naps
from hishamos.engine.node import Family, Node
from hishamos.engine.rows import RowBook, book_of
from hishamos.engine.scribe import Scribe
from hishamos.engine.steptype import Children, Done, Interrupted, Result, Skipped, Waiting
from hishamos.engine.templates import condition
from hishamos.engine.tools import Tools
from hishamos.engine.undoing import Undoing, run_failed
from hishamos.errors import HishamosError, LeaseLost, LoopEnded, StepTimedOut, StoreError
from hishamos.records.definitions import Goto
from hishamos.records.runs import RunState, StepState

log = logging.getLogger(__name__)
LONGEST_TIMER_S = 3600.0
"""A step that waits longer is looked at now and then: the clock may be set, and a machine may sleep."""
_GOES_ON = {False: "The run goes on: on_error is continue.", True: "The run goes on further down: on_error is goto."}


class Execution:
    """Works on one claimed run until it ends, waits for a person, is paused, or is handed back."""

    def __init__(self, tools: Tools, claim: Claim, gone: Callable[[Execution], None]) -> None:
        self.claim = claim
        self.done: Future[RunState] = Future()
        self._tools, self._gone = tools, gone
        self._graph = Graph(claim)
        self._mailbox = Mailbox(claim.lease.run, tools.pool, self._settle, self._break)
        self._todo: deque[tuple[Node, int]] = deque()
        self._active = 0
        self._people: dict[str, Node] = {}
        self._dormant = Dormant()
        self._undo: Undoing | None = None
        self._naps = Naps(tools, self.post, lambda node: self._go([node]))
        self._failed: Node | None = None
        self._wish: str | None = claim.signals.wish
        self._book: RowBook | None = None
        self._scribe = Scribe(tools, claim.lease, self._graph, claim.signals.decisions, post=self.post, heard=self._heard, ended=self._told)

    # the mailbox

    def post(self, message: Callable[[], None]) -> None:
        """Have ``message`` run by the run's worker; from any thread."""
        self._mailbox.post(message)

    def begin(self) -> None:
        """Start, or go on from where the journal says the run stands."""
        self.post(self._begin)

    def renew(self) -> None:
        """Keep the lease and see what others asked for."""
        self.post(self._scribe.listen)
        if self._dormant.at_work:
            self.look_again()

    def look_again(self) -> None:
        """Enter the steps again that wait for a time, an event or another run."""
        self.post(self._look_again_at_all)

    def hand_back(self) -> None:
        """Stop before the next call and queue the run, for the next server."""
        self.post(lambda: self._wished("leave"))

    def _begin(self) -> None:
        self._people.clear()
        self._dormant.clear()
        ready = self._graph.start()
        if not self._graph.undoing:
            self._go(ready)
            return
        lost = self._graph.lost
        if self._wish == "cancel" or (lost is None and not self._graph.complete):
            self._wish = None if self._wish == "cancel" else self._wish
            self._end_badly(RunState.CANCELLED, None)
        else:
            self._end_badly(RunState.FAILED, run_failed(self.claim.run, lost) if lost else self._graph.outputs()[1])

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
        if self._blocked:
            self._naps.drop_all()
        if not self._active and not self._naps and self._scribe.idle:
            self._conclude()
        self._scribe.flush()

    @property
    def _blocked(self) -> bool:
        return (self._failed is not None and self._undo is None) or self._wish is not None

    def _conclude(self) -> None:
        moment = self._tools.clock()
        if self._undo is not None:
            self._undo_next(self._undo)
        elif self._failed is not None:
            self._graph.cancel_open(self._scribe.step, moment)
            self._end_badly(RunState.FAILED, run_failed(self.claim.run, self._failed))
        elif self._graph.complete:
            self._finish()
        elif self._wish is not None:
            state = RunState.QUEUED if self._wish == "leave" else RunState.PAUSED
            self._scribe.conclude(RunChange(state, moment))
        elif (self._people or self._dormant) and not self._dormant.at_work:
            what = [f"approval of step {path}" for path in self._people] + [f"{node.person} (step {node.path})" for node in self._dormant]
            self._scribe.conclude(RunChange(RunState.WAITING, moment, waiting_for=", ".join(what)))

    def _finish(self) -> None:
        moment = self._tools.clock()
        outputs, error = self._graph.outputs()
        if error is not None:
            self._end_badly(RunState.FAILED, error)
        else:
            self._scribe.conclude(RunChange(RunState.SUCCEEDED, moment, outputs=outputs, finished_at=moment))

    def _end_badly(self, state: RunState, reason: HishamosError | None) -> None:
        """End the run once what had succeeded is compensated; that it has begun is in the journal before anything is taken back."""
        self._undo = Undoing(self.claim.run, state, reason, self._graph.undo())
        for node in self._undo.nodes:
            if not node.begun:
                self._scribe.step(node)
        self._undo_next(self._undo)

    def _undo_next(self, undo: Undoing) -> None:
        moment, node = self._tools.clock(), undo.following()
        if node is None:
            self._scribe.conclude(RunChange(undo.state, moment, error=undo.error(), finished_at=moment))
        elif self._wish is not None:
            self._scribe.conclude(RunChange(RunState.QUEUED if self._wish == "leave" else RunState.PAUSED, moment))
        else:
            self._scribe.after_commit(lambda: self._go([node]))

    def _cancel(self) -> None:
        for node in self._graph.open_nodes():
            self._let_go(node, cancel=True)
        moment = self._tools.clock()
        self._graph.cancel_open(self._scribe.step, moment)
        self._todo.clear()
        self._naps.drop_all()
        self._dormant.clear()
        self._active = 0
        self._failed = self._wish = None
        self._end_badly(RunState.CANCELLED, None)

    # a step

    def _enter(self, node: Node) -> None:
        if node.due is not None:
            self._naps.begin(node, node.due)
            return
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
        node.person = None
        node.state = StepState.RUNNING
        node.started_at = node.started_at or self._tools.clock()
        if definition.when is not None and not condition(definition.when, scope, f"{node.path}, when"):
            return Skipped(f"when: {definition.when}")
        kind = node.kind
        node.take_inputs(scope)
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
        if node.attempt != attempt or node.ended or node.state is StepState.PENDING or node.path in self._people or node in self._dormant:
            return
        if node.awaited:
            self._active -= 1
        for child in self._graph.open_below(node):
            self._active -= 1 if child.awaited else 0
            self._naps.drop(child)
            self._let_go(child, cancel=True)
            child.state, child.finished_at, child.person = StepState.CANCELLED, self._tools.clock(), None
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
        known = node.person == waiting.words and (node in self._dormant or self._people.get(node.path) is node)
        if waiting.person is not None:
            self._people[node.path] = node
        else:
            self._dormant.add(node, waiting)
        node.person, node.state = waiting.words, StepState.WAITING
        if not known:
            self._changed(node, event=True)
            self._scribe.urge()

    def _look_again_at_all(self) -> None:
        for node in self._dormant:
            self._look_again(node)

    def _look_again(self, node: Node) -> None:
        """Enter a step that waits for a time, an event or another run: it says whether that has come."""
        if not node.ended and node in self._dormant:
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
        tried = node.attempt - node.first + 1
        most = 1 if node.kind.composite else tries(error, node.definition.retry, self._tools.settings().max_retries)
        node.error = failure(error)
        node.state = StepState.TIMED_OUT if isinstance(error, StepTimedOut) else StepState.FAILED
        if tried < most and (self._failed is None or node.undoes):
            self._try_again(node, tried, most)
            return
        goto = node.definition.on_error
        skipped = self._graph.skipped_by(node) if node.parent is None else None
        if isinstance(goto, Goto) and skipped is None and self._failed is None:
            if node.jumps < (goto.at_most or 0):
                self._go_back(node, goto)
                return
            error = LoopEnded(step=node.path, reason=node.reason, target=goto.goto, times=node.jumps)
            node.error = failure(error)
        if node.parent is None and node.undoes is None and not node.passed:
            self._failed = self._failed or node
        self._ended(node, f"{node.error.message} {_GOES_ON[skipped is not None]}" if node.passed else node.error.message)
        for one in skipped or ():
            one.state = StepState.SKIPPED
            self._ended(one, f"{node.path} failed and goes on with {goto.goto if isinstance(goto, Goto) else ''}")

    def _go_back(self, node: Node, goto: Goto) -> None:
        """Run an earlier step again and all that come after it, in new attempts; the failure and these are journalled in one commit."""
        node.jumps += 1
        moment = self._tools.clock()
        told = f"went back to {goto.goto}, {node.jumps} of {goto.at_most}, after: {node.reason}"
        node.finished_at = moment
        self._scribe.step(node)
        self._scribe.event(node, node.error.message if node.error else "")
        self._scribe.note(node, WENT_BACK, told)
        for one in self._graph.again_from(goto.goto):
            self._people.pop(one.path, None)
            self._dormant.drop(one)
            self._active -= 1 if one.awaited else 0
            self._naps.drop(one)
            self._let_go(one, cancel=True)
            if not one.begun:
                continue
            if not one.ended:
                one.state, one.finished_at, one.person, one.due = StepState.CANCELLED, moment, None, None
                self._scribe.step(one)
            one.open_next(series=True)
            one.person = told[:1000] if one is node else None
            self._scribe.step(one)
        self._scribe.after_commit(lambda: self._go([self._graph.node(goto.goto)]))

    def _try_again(self, node: Node, tried: int, most: int) -> None:
        """Journal the failure and the time of the next try in one commit: whoever has the run then waits for what is left of it."""
        self._let_go(node, cancel=True)
        self._dormant.drop(node)
        failed = node.error.message if node.error else node.state.value
        node.finished_at = self._tools.clock()
        self._scribe.step(node)
        self._scribe.event(node, f"try {tried} of {most} failed: {failed}")
        node.open_next(series=False)
        due = node.due = self._tools.clock() + timedelta(seconds=(node.definition.retry or UNDECLARED).pause_s(tried))
        node.person = f"try {tried + 1} of {most} at {due:%Y-%m-%d %H:%M:%S} UTC, after: {failed}"[:1000]
        self._scribe.step(node)
        self._scribe.urge()
        self._naps.begin(node, due)

    def _ended(self, node: Node, message: str = "") -> None:
        node.finished_at = self._tools.clock()
        node.person = None
        self._dormant.drop(node)
        if node.timer is not None:
            node.timer.cancel()
        self._scribe.step(node)
        self._scribe.event(node, message)
        if node.undoes is not None:
            self._scribe.urge()
            return
        self._graph.note_end(node)
        if node.parent is not None:
            self._child_ended(node)
        else:
            self._scribe.urge()
            if node.passed:
                attempt = node.attempt
                self._scribe.after_commit(lambda: self._go(self._graph.after(node) if node.attempt == attempt else ()))

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
        if self._undo is None or wish != "cancel":
            self._wish = wish
        elif self._wish == "pause":  # the run ends already: who cancels now only takes the pause back
            self._wish = None

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
            self._book = book_of(self.claim, self._tools.journal, self._tools.settings().route)
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
        self._mailbox.closed = True
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
