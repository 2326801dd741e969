"""What the steps of a run wait for: answers, people, times, events, other runs, the time of their next try."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future
from datetime import datetime

from hishamos.contracts.journal import Decided
from hishamos.engine.dormant import Dormant
from hishamos.engine.naps import Naps
from hishamos.engine.node import Node
from hishamos.engine.scribe import Scribe
from hishamos.engine.steptype import Waiting
from hishamos.engine.tools import Tools
from hishamos.records.runs import StepState

PARTING_S = 5.0
"""So long the end of a run waits for what the calls that it cancelled cost: a provider's batch may take longer to be cancelled."""
LONGEST_TIMER_S = 3600.0
"""A step that waits longer is looked at now and then: the clock may be set, and a machine may sleep."""


class Holding:
    """Used by the run's worker only. ``post``: the run's mailbox; ``go``: has steps entered whose wait is over."""

    def __init__(self, tools: Tools, scribe: Scribe, *, post: Callable[[Callable[[], None]], None], go: Callable[[Iterable[Node]], None]) -> None:
        self._tools, self._scribe, self._post, self._go = tools, scribe, post, go
        self._active = 0
        """How many steps wait for answers."""
        self._parting: set[Future[None]] = set()
        self._people: dict[str, Node] = {}
        self._dormant = Dormant()
        self._naps = Naps(tools, post, lambda node: go([node]))

    @property
    def busy(self) -> bool:
        """Whether an answer, or the time of a next try, is to come while this process has the run."""
        return self._active > 0 or bool(self._naps) or self.parting

    @property
    def parting(self) -> bool:
        """Whether calls that were cancelled are not settled yet: a run that ends before them would tell too little of what it cost."""
        return bool(self._parting)

    @property
    def at_work(self) -> bool:
        """Whether a run that a step waits for is at work: then this run is too."""
        return self._dormant.at_work

    @property
    def told(self) -> str:
        """What the run waits for once nothing else is at work; empty when nothing."""
        what = [f"approval of step {path}" for path in self._people] + [f"{node.person} (step {node.path})" for node in self._dormant]
        return ", ".join(what)

    def __contains__(self, node: Node) -> bool:
        """Whether a step waits for what may outlive this process."""
        return node.path in self._people or node in self._dormant

    def begin(self, node: Node, waiting: Waiting) -> None:
        """Have a step wait for answers, or for a person, a time, an event or another run."""
        if waiting.words is not None:
            self._hold(node, waiting)
        elif not waiting.on:
            raise RuntimeError(f"{node.path} waits for nothing")
        else:
            node.awaited = len(waiting.on)
            self._active += 1
            attempt = node.attempt
            for answer in waiting.on:
                answer.future.add_done_callback(lambda _: self._post(lambda: self._answered(node, attempt)))

    def nap(self, node: Node, due: datetime) -> None:
        """Have a step wait for the time of its next try."""
        self._naps.begin(node, due)

    def look_again(self) -> None:
        """Enter the steps that wait for a time, an event or another run: they say whether that has come."""
        for node in self._dormant:
            self._look_again(node)

    def decided(self, decisions: Mapping[str, Decided]) -> None:
        """Have the steps go on about which people have decided."""
        for path, decided in decisions.items():
            node = self._people.pop(path, None)
            if node is not None:
                node.decided, node.state, node.person = decided, StepState.RUNNING, None
                self._go([node])

    def drop(self, node: Node) -> None:
        """Have a step wait for nothing any more, and end what it asked for."""
        self._people.pop(node.path, None)
        self._active -= 1 if node.awaited else 0
        self._naps.drop(node)
        self._dormant.drop(node)
        self.let_go(node, cancel=True)

    def end(self, node: Node) -> None:
        """A step has ended: no time counts for it any more."""
        self._dormant.drop(node)
        if node.timer is not None:
            node.timer.cancel()

    def let_go(self, node: Node, *, cancel: bool) -> None:
        """Let go of what a step asked for; ``cancel``: and end it."""
        if node.timer is not None:
            node.timer.cancel()
            node.timer = None
        self._await_end([left for call in node.calls if not (left := call.detach(cancel=cancel)).done()])
        for stop in node.stops:
            stop()
        for job in node.jobs:
            job.give_up()
        node.awaited = 0

    def wake_all(self) -> None:
        """Have no step wait for its next try."""
        self._naps.drop_all()

    def clear(self) -> None:
        """Have no step wait for anything."""
        self._naps.drop_all()
        self._dormant.clear()
        self._people.clear()
        self._active = 0

    def _await_end(self, calls: Sequence[Future[None]]) -> None:
        self._parting.update(calls)
        for left in calls:
            left.add_done_callback(lambda done: self._post(lambda: self._parting.discard(done)))
        if calls:
            self._tools.timers.after(PARTING_S, lambda: self._post(lambda: self._parting.difference_update(calls)))

    def _hold(self, node: Node, waiting: Waiting) -> None:
        """Wait for a person, a time, an event or another run: when nothing else is at work the run is let go until then."""
        if node.timer is not None and node.limit_s is None:
            node.timer.cancel()
        if waiting.until is not None:
            seconds = min(max(0.0, (waiting.until - self._tools.clock()).total_seconds()), LONGEST_TIMER_S)
            node.timer = self._tools.timers.after(seconds, lambda: self._post(lambda: self._look_again(node)))
        known = node.person == waiting.words and (node in self._dormant or self._people.get(node.path) is node)
        if waiting.person is not None:
            self._people[node.path] = node
        else:
            self._dormant.add(node, waiting)
        node.person, node.state = waiting.words, StepState.WAITING
        if not known:
            self._scribe.step(node)
            self._scribe.event(node, node.person or "")
            self._scribe.urge()

    def _look_again(self, node: Node) -> None:
        if not node.ended and node in self._dormant:
            self._go([node])

    def _answered(self, node: Node, attempt: int) -> None:
        if node.attempt != attempt or node.ended or not node.awaited:
            return
        node.awaited -= 1
        if node.awaited == 0:
            self._active -= 1
            self._go([node])
