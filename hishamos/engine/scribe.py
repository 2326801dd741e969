"""What one run has to tell the journal: gathered, written one batch after another, each under the run's lease."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future

from hishamos.contracts.journal import Batch, EventDraft, Lease, RowState, RunChange, Signals
from hishamos.engine.graph import Graph
from hishamos.engine.node import Node
from hishamos.engine.timers import Timer
from hishamos.engine.tools import Tools

SOFT_S = 0.1
"""How long a change that others do not wait for may wait for company before it is written. Nothing paid hangs on it: the ledger has the answers."""


class Scribe:
    """Used by the run's worker only. ``post``: the run's mailbox; ``heard``: told what others asked for, ``ended``: told the last word.

    One batch is written at a time; what comes meanwhile goes into the next one, so a busy run needs few commits.
    """

    def __init__(
        self,
        tools: Tools,
        lease: Lease,
        graph: Graph,
        decisions: int,
        *,
        post: Callable[[Callable[[], None]], None],
        heard: Callable[[Signals], None],
        ended: Callable[[RunChange | None, BaseException | None], None],
    ) -> None:
        self.decisions = decisions
        """How many decisions of people the run has seen."""
        self._tools, self._lease, self._graph = tools, lease, graph
        self._post, self._heard, self._ended = post, heard, ended
        self._batch, self._number = Batch(), 1
        self._after: list[Callable[[], None]] = []
        self._writing = self._urgent = self._listen = False
        self._soft: Timer | None = None

    @property
    def idle(self) -> bool:
        """Whether nothing is being written and nobody waits for a commit."""
        return not self._writing and not self._after and self._batch.run is None

    def step(self, node: Node) -> None:
        """Keep a step as it now is."""
        self._batch.steps[node.path, node.attempt] = node.row(self._number)

    def event(self, node: Node, message: str = "") -> None:
        """Tell a step's state."""
        self._batch.events.append(EventDraft("step", node.state.value, self._tools.clock(), node.path, message[:1000]))

    def note(self, node: Node, state: str, message: str) -> None:
        """Tell something about a step that is no change of its state."""
        self._batch.events.append(EventDraft("note", state, self._tools.clock(), node.path, message[:1000]))

    def row(self, state: RowState) -> None:
        """Keep how a map's row ended, for the whole workspace."""
        self._batch.rows[state.key] = state

    def after_commit(self, action: Callable[[], None]) -> None:
        """Run ``action`` once what was kept so far is durable."""
        self._urgent = True
        self._after.append(action)

    def urge(self) -> None:
        """Write at the next chance."""
        self._urgent = True

    def listen(self) -> None:
        """Write at the next chance, also when there is nothing to tell: the lease is renewed and what others asked for is heard."""
        self._urgent = self._listen = True

    def conclude(self, change: RunChange) -> None:
        """Let the lease go with the run's next state."""
        change.release = True
        self._batch.run = change
        self._urgent = True

    def flush(self) -> None:
        """Write what is due."""
        if self._writing or not (self._urgent or not self._batch.empty):
            return
        if not self._urgent:
            if self._soft is None:
                self._soft = self._tools.timers.after(SOFT_S, lambda: self._post(self.urge))
            return
        if self._soft is not None:
            self._soft.cancel()
            self._soft = None
        batch, after, self._batch, self._after = self._batch, self._after, Batch(), []
        batch.steps_total, batch.steps_done, batch.seen = self._graph.total, self._graph.finished, self.decisions
        batch.listen = self._listen
        self._urgent, self._listen, self._writing = False, False, True
        self._number += 1
        written = self._tools.journal.write(self._lease, batch)
        written.add_done_callback(lambda future: self._post(lambda: self._committed(future, batch, after)))

    def _committed(self, future: Future[Signals], batch: Batch, after: list[Callable[[], None]]) -> None:
        self._writing = False
        error = future.exception()
        if error is not None:
            self._ended(None, error)
            return
        signals = future.result()
        if batch.run is not None and signals.changed:
            self._ended(batch.run, None)
            return
        for action in after:
            action()
        self._heard(signals)
