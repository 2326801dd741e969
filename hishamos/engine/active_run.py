"""One run at work: a mailbox, one worker at a time, everything it decides written to the journal in batches."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import Future

from hishamos.contracts.journal import Batch, Claim, RunChange, Signals
from hishamos.engine.context import NodeContext
from hishamos.engine.failures import failure, typed
from hishamos.engine.graph import Graph
from hishamos.engine.holding import Holding
from hishamos.engine.mailbox import Mailbox
from hishamos.engine.node import Family, Node
from hishamos.engine.overdue import Deadline, dies_of_undoing, why_over
from hishamos.engine.rows import RowBook, book_of
from hishamos.engine.scribe import Scribe
from hishamos.engine.setbacks import Setbacks
from hishamos.engine.steptype import Children, Done, Interrupted, Parked, Result, Skipped, Waiting
from hishamos.engine.templates import condition
from hishamos.engine.time_limits import Limits
from hishamos.engine.tools import Tools
from hishamos.engine.undoing import Undoing, run_failed
from hishamos.errors import HishamosError, LeaseLost, StoreError
from hishamos.records.runs import RunState, StepState

log = logging.getLogger(__name__)

AT_ONCE = 256
"""Steps that are entered in one go: rows whose answers are there end at once, and what others post and what is to be written has to get its turn."""


class Execution:
    """Works on one claimed run until it ends, waits for a person, is paused, or is handed back."""

    def __init__(self, tools: Tools, claim: Claim, gone: Callable[[Execution], None]) -> None:
        self.claim = claim
        self.done: Future[RunState] = Future()
        self._tools, self._gone = tools, gone
        self._graph = Graph(claim)
        self._mailbox = Mailbox(claim.lease.run, tools.pool, self._settle, self._break)
        self._todo: deque[tuple[Node, int]] = deque()
        self._undo: Undoing | None = None
        self._wish: str | None = claim.signals.wish
        self._parked: str | None = None
        """Why a step had the run pause."""
        self._book: RowBook | None = None
        self._scribe = Scribe(tools, claim.lease, self._graph, claim.signals.decisions, post=self.post, heard=self._heard, ended=self._told)
        self._holding = Holding(tools, self._scribe, post=self.post, go=self._go)
        self._setbacks = Setbacks(tools, claim.run, self._graph, self._scribe, self._holding, go=self._go, ended=self._ended)
        self._deadline = Deadline(claim, tools, lambda reason: self.post(lambda: self._late(reason)))
        self._limits = Limits(tools, post=self.post, late=self._setbacks.too_late)

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
        if self._holding.at_work:
            self.look_again()

    def look_again(self) -> None:
        """Enter the steps again that wait for a time, an event or another run."""
        self.post(self._holding.look_again)

    def hand_back(self) -> None:
        """Stop before the next call and queue the run, for the next server."""
        self.post(lambda: self._wished("leave"))

    def _begin(self) -> None:
        ready = self._graph.start()
        over = why_over(self.claim, self._tools, [node.path for node in self._graph.open_nodes()])
        if self._graph.undoing:
            self._go_on_undoing(over)
        elif over is not None:
            self._end_now(RunState.FAILED, over)
        else:
            self._go(ready)

    def _go_on_undoing(self, over: HishamosError | None) -> None:
        lost = self._graph.lost
        if over is not None and dies_of_undoing(self.claim, self._tools):
            self._break(over)
        elif self._wish == "cancel" or (lost is None and not self._graph.complete and over is None):
            self._wish = None if self._wish == "cancel" else self._wish
            self._end_badly(RunState.CANCELLED, None)
        elif lost is not None:
            self._end_badly(RunState.FAILED, run_failed(self.claim.run, lost))
        else:
            self._end_badly(RunState.FAILED, self._graph.outputs()[1] if self._graph.complete else over)

    def _go(self, nodes: Iterable[Node]) -> None:
        """Have steps entered, in the attempt they are in now."""
        self._todo.extend((node, node.attempt) for node in nodes)

    # what to do next

    def _settle(self) -> None:
        if self._wish == "cancel":
            self._end_now(RunState.CANCELLED, None)
        for _ in range(AT_ONCE):
            if not self._todo:
                break
            node, attempt = self._todo.popleft()
            overtaken = node.ended or node.attempt != attempt
            if not overtaken and not (self._blocked and node.inputs is None):
                self._enter(node)
        if self._blocked:
            self._holding.wake_all()
        if self._todo:
            self.post(lambda: None)
        elif not self._holding.busy and self._scribe.idle:
            self._conclude()
        self._scribe.flush()

    @property
    def _blocked(self) -> bool:
        return (self._setbacks.lost is not None and self._undo is None) or self._wish is not None

    def _conclude(self) -> None:
        moment = self._tools.clock()
        if self._undo is not None:
            self._undo_next(self._undo)
        elif self._setbacks.lost is not None:
            self._graph.cancel_open(self._scribe.step, moment)
            self._end_badly(RunState.FAILED, run_failed(self.claim.run, self._setbacks.lost))
        elif self._graph.complete:
            self._finish()
        elif self._wish is not None:
            self._scribe.conclude(self._halted(self._wish))
        elif self._holding.told and not self._holding.at_work:
            self._scribe.conclude(RunChange(RunState.WAITING, moment, waiting_for=self._holding.told))

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
        if node is None and self._holding.parting:
            return  # asked again once what was cancelled is settled
        if node is None:
            self._scribe.conclude(RunChange(undo.state, moment, error=undo.error(), finished_at=moment))
        elif self._wish is not None:
            self._scribe.conclude(self._halted(self._wish))
        else:
            self._scribe.after_commit(lambda: self._go([node]))

    def _halted(self, wish: str) -> RunChange:
        """Return the change with which the run stops for a while: for the next process, or until it is resumed."""
        moment = self._tools.clock()
        return RunChange(RunState.QUEUED, moment) if wish == "leave" else RunChange(RunState.PAUSED, moment, waiting_for=self._parked)

    def _late(self, reason: HishamosError) -> None:
        if self._undo is None:
            self._end_now(RunState.FAILED, reason)

    def _end_now(self, state: RunState, reason: HishamosError | None) -> None:
        """Cancel what is at work, then end the run."""
        for node in self._graph.open_nodes():
            self._holding.let_go(node, cancel=True)
        moment = self._tools.clock()
        self._graph.cancel_open(self._scribe.step, moment)
        self._todo.clear()
        self._holding.clear()
        self._setbacks.lost = self._wish = None
        self._end_badly(state, reason)

    # a step

    def _enter(self, node: Node) -> None:
        if node.due is not None:
            self._holding.nap(node, node.due)
            return
        try:
            result = self._prepared(node) or node.kind.run(self._context(node), node.inputs)
        except Interrupted as interrupted:
            if isinstance(interrupted, Parked) and self._wish is None:
                self._wish, self._parked = "pause", interrupted.reason
            return
        except Exception as error:  # noqa: BLE001 - whatever a step raises is its failure
            self._setbacks.fail(node, error)
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
            self._limits.begin(node)
        # A map over a table has thousands of rows: each is written once, when it has ended; what it is asking stands in the ledger.
        if not node.quiet or node.attempt > 1:
            self._scribe.step(node)
            if node.parent is None:
                self._scribe.event(node, node.person or "")
        return None

    def _context(self, node: Node) -> NodeContext:
        attempt = node.attempt
        return NodeContext(
            self._tools,
            self.claim,
            node,
            held=self._wish is not None,
            book=self._rows,
            began=lambda: self.post(lambda: self._limits.begin(node) if node.attempt == attempt and not node.ended else None),
            keep=self._scribe.row,
            end_by=lambda seconds, error: self._limits.end_by(node, seconds, error),
            scope=lambda: self._graph.scope(node),
        )

    def _wait(self, node: Node, waiting: Waiting) -> None:
        if waiting.children is not None:
            self._adopt(node, waiting.children)
        else:
            self._holding.begin(node, waiting)

    def _succeed(self, node: Node, result: Done | Skipped) -> None:
        if isinstance(result, Done):
            node.state, node.output, node.model = StepState.SUCCEEDED, result.output, result.model
            node.reused, node.not_judged = result.reused, result.not_judged
            self._ended(node)
        else:
            node.state = StepState.SKIPPED
            self._ended(node, result.reason)

    def _ended(self, node: Node, message: str = "") -> None:
        node.finished_at = self._tools.clock()
        node.person = None
        self._holding.end(node)
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
            self._holding.look_again()
            self._holding.decided(self._tools.journal.decisions(self.claim.run.id))

    def _rows(self) -> RowBook:
        if self._book is None:
            self._book = book_of(self.claim, self._tools)
        return self._book

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
        self._deadline.drop()
        for node in self._graph.open_nodes():
            self._holding.let_go(node, cancel=False)
        self._gone(self)
        if state is not None:
            self.done.set_result(state)
            return
        self.done.set_exception(error or RuntimeError("stopped"))
