"""What happens when a step fails: it is tried again, the run goes back or on elsewhere, or the run fails."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import timedelta

from hishamos.contracts.journal import WENT_BACK
from hishamos.engine.failures import UNDECLARED, failure, tries, typed
from hishamos.engine.graph import Graph
from hishamos.engine.holding import Holding
from hishamos.engine.node import Node
from hishamos.engine.scribe import Scribe
from hishamos.engine.tools import Tools
from hishamos.errors import HishamosError, LoopEnded, StepTimedOut
from hishamos.records.definitions import Goto
from hishamos.records.runs import Run, StepState

_GOES_ON = {False: "The run goes on: on_error is continue.", True: "The run goes on further down: on_error is goto."}


class Setbacks:
    """Used by the run's worker only. ``go``: has steps entered; ``ended``: told of a step that has ended, and what there is to say."""

    def __init__(
        self,
        tools: Tools,
        run: Run,
        graph: Graph,
        scribe: Scribe,
        holding: Holding,
        *,
        go: Callable[[Iterable[Node]], None],
        ended: Callable[[Node, str], None],
    ) -> None:
        self.lost: Node | None = None
        """The step whose failure ends the run."""
        self._tools, self._run, self._graph, self._scribe, self._holding = tools, run, graph, scribe, holding
        self._go, self._ended = go, ended

    def fail(self, node: Node, raised: BaseException) -> None:
        """An attempt of a step has failed."""
        error = typed(raised, node.path)
        tried = node.attempt - node.first + 1
        most = 1 if node.kind.composite else tries(error, node.definition.retry, self._tools.settings().max_retries)
        node.error = failure(error)
        node.state = StepState.TIMED_OUT if isinstance(error, StepTimedOut) else StepState.FAILED
        if tried < most and (self.lost is None or node.undoes):
            self._try_again(node, tried, most)
            return
        goto = node.definition.on_error
        skipped = self._graph.skipped_by(node) if node.parent is None else None
        if isinstance(goto, Goto) and skipped is None and self.lost is None:
            if node.jumps < (goto.at_most or 0):
                self._go_back(node, goto)
                return
            error = LoopEnded(step=node.path, reason=node.reason, target=goto.goto, times=node.jumps)
            node.error = failure(error)
        if node.parent is None and node.undoes is None and not node.passed:
            self.lost = self.lost or node
        self._ended(node, f"{node.error.message} {_GOES_ON[skipped is not None]}" if node.passed else node.error.message)
        for one in skipped or ():
            one.state = StepState.SKIPPED
            self._ended(one, f"{node.path} failed and goes on with {goto.goto if isinstance(goto, Goto) else ''}")

    def too_late(self, node: Node, attempt: int, seconds: float, error: HishamosError | None) -> None:
        """An attempt's time is over; nothing happens to one that has ended, or that waits for what has no limit."""
        if node.attempt != attempt or node.ended or node.state is StepState.PENDING or node in self._holding:
            return
        for child in self._graph.open_below(node):
            self._holding.drop(child)
            child.state, child.finished_at, child.person = StepState.CANCELLED, self._tools.clock(), None
            self._scribe.step(child)
        self._holding.drop(node)
        self.fail(node, error or StepTimedOut(step=node.path, seconds=seconds, run=self._run.id))

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
            self._holding.drop(one)
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
        self._holding.drop(node)
        failed = node.error.message if node.error else node.state.value
        node.finished_at = self._tools.clock()
        self._scribe.step(node)
        self._scribe.event(node, f"try {tried} of {most} failed: {failed}")
        node.open_next(series=False)
        due = node.due = self._tools.clock() + timedelta(seconds=(node.definition.retry or UNDECLARED).pause_s(tried))
        node.person = f"try {tried + 1} of {most} at {due:%Y-%m-%d %H:%M:%S} UTC, after: {failed}"[:1000]
        self._scribe.step(node)
        self._scribe.urge()
        self._holding.nap(node, due)
