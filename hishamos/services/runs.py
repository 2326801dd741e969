"""``ws.runs``: what runs, ran, or waits."""

from __future__ import annotations

import json
import re
from builtins import list as List  # noqa: N812 - every contract has a verb named list
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any

from hishamos.contracts.feeds import Feed
from hishamos.contracts.journal import Decided, Signal
from hishamos.contracts.services import Decision, Runs
from hishamos.engine.timers import Timer
from hishamos.errors import InvalidInput, UnknownName
from hishamos.records.calls import Attempt
from hishamos.records.runs import EVENT_NAME, RUN_ENDED, Approval, Run, RunEvent, RunKind, RunState, Step, StepState
from hishamos.services.service import Service, implements

if TYPE_CHECKING:
    from hishamos.store.connectors import Transaction

LARGEST_DATA = 64 * 1024
SETTLED = RUN_ENDED | {RunState.WAITING, RunState.PAUSED}


@implements(Runs)
class RunsService(Service):
    """The runs of one workspace for one actor."""

    def list(
        self,
        *,
        state: RunState | None = None,
        kind: RunKind | None = None,
        name: str | None = None,
        project: str | None = None,
        limit: int = 100,
    ) -> List[Run]:
        """See the contract."""
        wanted = {"state": state.value if state else None, "kind": kind.value if kind else None, "name": name, "project": project}
        return self.machinery.journal.history.found(**wanted, limit=limit)

    def get(self, run: str) -> Run:
        """See the contract."""
        return self.machinery.journal.history.get(self._id(run))

    def steps(self, run: str, *, under: str | None = None, state: StepState | None = None, after: str | None = None, limit: int = 1000) -> List[Step]:
        """See the contract."""
        identity, wanted = self._id(run), state.value if state else None
        return self.machinery.journal.history.steps(identity, under=under, state=wanted, after=after, limit=limit)

    def calls(self, run: str, *, limit: int = 1000) -> List[Attempt]:
        """See the contract."""
        return self.machinery.journal.history.calls(self._id(run), limit=limit)

    def cost(self, run: str) -> int:
        """See the contract."""
        return self.get(run).cost_nanos

    def events(self, run: str, *, after: int = 0, limit: int = 1000) -> List[RunEvent]:
        """See the contract."""
        return self.machinery.journal.history.events(self._id(run), after=after, limit=limit)

    def follow(self, run: str, *, after: int = 0) -> Feed[RunEvent]:
        """See the contract."""
        return self.machinery.journal.subscribe(self._id(run), after)

    def wait(self, run: str, *, timeout_s: float | None = None) -> Run:
        """See the contract."""
        return self.wait_later(run, timeout_s=timeout_s).result()

    def wait_later(self, run: str, *, timeout_s: float | None = None) -> Future[Run]:
        """The answer of :meth:`wait`, at once as a future; no thread waits."""
        identity = self._id(run)
        answer: Future[Run] = Future()
        now = self.machinery.journal.history.get(identity)
        if now.state in SETTLED:
            answer.set_result(now)
            return answer
        feed = self.machinery.journal.subscribe(identity, self.machinery.journal.history.last_event(identity), SETTLED)
        timer: List[Timer] = [] if timeout_s is None else [self.machinery.runner.later(timeout_s, feed.close)]

        def look() -> None:
            if feed.take()[1]:
                self.machinery.runner.soon(tell)

        def tell() -> None:
            for one in timer:
                one.cancel()
            if not answer.done() and answer.set_running_or_notify_cancel():
                try:
                    answer.set_result(self.machinery.journal.history.get(identity))
                except Exception as error:  # noqa: BLE001 - told to whoever waits
                    answer.set_exception(error)

        answer.add_done_callback(lambda future: feed.close() if future.cancelled() else None)
        feed.on_ready(look)
        return answer

    def pause(self, run: str) -> Run:
        """See the contract."""
        return self._wish(run, "pause")

    def cancel(self, run: str) -> Run:
        """See the contract."""
        return self._wish(run, "cancel")

    def resume(self, run: str) -> Run:
        """See the contract. Raises ``RunHeld`` when somebody works on it, ``WrongState`` when there is nothing to resume."""
        identity, journal = self._id(run), self.machinery.journal
        self.change("runs.resume", type(None), lambda transaction: journal.queue(transaction, identity, self.machinery.runner.owner))
        self.machinery.dispatcher.dispatch(identity)
        return self.get(identity)

    def approve(self, run: str, step: str, *, decision: Decision = "approve", comment: str = "") -> Run:
        """See the contract."""
        identity, journal = self._id(run), self.machinery.journal
        decided = Decided(decision=decision, comment=comment, by=self.actor.name)
        idle = self.change("runs.approve", bool, lambda transaction: journal.decide(transaction, identity, step, decided))
        if idle:
            self.machinery.dispatcher.dispatch(identity)
        else:
            self.machinery.runner.nudge(identity)
        return self.get(identity)

    def signal(self, run: str, name: str, data: Any = None) -> Run:
        """See the contract. Raises ``InvalidInput`` for a name or data that can't be kept, ``WrongState`` for a run that has ended."""
        identity, journal = self._id(run), self.machinery.journal
        if not re.fullmatch(EVENT_NAME, name):
            raise InvalidInput(what=f"{name!r} is no name of an event", where="signal", next="Use letters, digits and _ . : -; a letter first.")
        signal = Signal(name=name, data=_plain(data), by=self.actor.name)
        if self.change("runs.signal", bool, lambda transaction: journal.set_signal(transaction, identity, signal)):
            self.machinery.dispatcher.dispatch(identity)
        else:
            self.machinery.runner.nudge(identity)
        return self.get(identity)

    def approvals(self) -> List[Approval]:
        """See the contract."""
        return self.machinery.journal.history.approvals()

    def _wish(self, run: str, wish: str) -> Run:
        identity, journal = self._id(run), self.machinery.journal

        def work(transaction: Transaction) -> List[str]:
            told = [identity] if journal.wish(transaction, identity, wish) else []
            return told + journal.wish_below(transaction, identity, wish)

        for told in self.change(f"runs.{wish}", List[str], work):
            self.machinery.runner.nudge(told)
        return self.get(identity)

    def _id(self, run: str) -> str:
        if not run:
            raise UnknownName(kind="run", name=run, hint="", next="See: hishamos runs")
        return self.machinery.journal.history.identify(run)


def _plain(data: Any) -> Any:
    try:
        text = json.dumps(data, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise InvalidInput(what=f"the data can't be kept: {error}", where="signal", next="Give text, numbers, lists and dicts.") from None
    if len(text) > LARGEST_DATA:
        raise InvalidInput(what=f"the data has {len(text)} characters as JSON, {LARGEST_DATA} at most", where="signal", next="Give a reference to it.")
    return json.loads(text)
