"""``ws.runs``: what runs, ran, or waits."""

from __future__ import annotations

import json
import re
from builtins import list as List  # noqa: N812 - every contract has a verb named list
from collections.abc import Mapping
from concurrent.futures import Future
from datetime import datetime
from typing import TYPE_CHECKING, Any

from hishamos.charts.pictures import graph_picture
from hishamos.contracts.feeds import Feed
from hishamos.contracts.journal import Decided, Pinned, Signal
from hishamos.contracts.runs import Decision, Runs
from hishamos.errors import InvalidInput, UnknownName, nearest_hint
from hishamos.records.callbacks import Offer
from hishamos.records.calls import Attempt
from hishamos.records.forecasts import Forecast
from hishamos.records.pictures import Graph, Ground, Picture, PictureFormat
from hishamos.records.record import usd
from hishamos.records.run_comparisons import RunComparison
from hishamos.records.runs import EVENT_NAME, Approval, Run, RunEvent, RunGroup, RunKind, RunState, Step, StepState
from hishamos.schemas.inputs import file_facts, validated
from hishamos.services.comparing import compared
from hishamos.services.forking import kept_rows, redone
from hishamos.services.graphs import run_graph
from hishamos.services.kernel_functions import bound, checked_again
from hishamos.services.outlook import with_outlook
from hishamos.services.repeating import repeat
from hishamos.services.service import Service, implements
from hishamos.services.settling import settled
from hishamos.services.starting import start_run
from hishamos.store import forecasts
from hishamos.store.progress import children, step_counts

if TYPE_CHECKING:
    from hishamos.store.connectors import Transaction

LARGEST_DATA = 64 * 1024
CHANGES = ("inputs", "model", "budget_usd", "definition")


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
        user: str | None = None,
        since: datetime | None = None,
        limit: int = 100,
    ) -> List[Run]:
        """See the contract."""
        return self.machinery.journal.history.found(state=state, kind=kind, name=name, project=project, user=user, since=since, limit=limit)

    def counts(
        self,
        by: RunGroup,
        *,
        state: RunState | None = None,
        kind: RunKind | None = None,
        name: str | None = None,
        project: str | None = None,
        user: str | None = None,
        since: datetime | None = None,
    ) -> dict[str, int]:
        """See the contract."""
        return self.machinery.journal.history.counts(by, state=state, kind=kind, name=name, project=project, user=user, since=since)

    def get(self, run: str) -> Run:
        """See the contract."""
        return with_outlook(self.machinery, self.machinery.journal.history.get(self._id(run)))

    def steps(self, run: str, *, under: str | None = None, state: StepState | None = None, after: str | None = None, limit: int = 1000) -> List[Step]:
        """See the contract."""
        identity, wanted = self._id(run), state.value if state else None
        return self.machinery.journal.history.steps(identity, under=under, state=wanted, after=after, limit=limit)

    def calls(self, run: str, *, step: str | None = None, limit: int = 1000) -> List[Attempt]:
        """See the contract."""
        return self.machinery.journal.history.calls(self._id(run), step=step, limit=limit)

    def forecast(self, run: str) -> Forecast | None:
        """See the contract."""
        return forecasts.kept(self.machinery.store, self._id(run))

    def picture(self, run: str, *, format: PictureFormat = "svg", ground: Ground = "light", narrow: bool = False) -> Picture:
        """See the contract."""
        return graph_picture(self._graph(run), format, ground, narrow=narrow)

    def pictures(self, run: str, *, ground: Ground = "light") -> List[Picture]:
        """See the contract."""
        graph = self._graph(run)
        return [graph_picture(graph, "svg", ground, narrow=narrow) for narrow in (False, True)]

    def step_counts(self, run: str) -> dict[str, int]:
        """See the contract."""
        return step_counts(self.machinery.store, self._id(run))

    def cost(self, run: str) -> int:
        """See the contract."""
        return self.get(run).cost_nanos

    def events(self, run: str, *, after: int = 0, limit: int = 1000) -> List[RunEvent]:
        """See the contract."""
        return self.machinery.journal.history.events(self._id(run), after=after, limit=limit)

    def follow(self, run: str, *, after: int = 0, live: bool = False) -> Feed[RunEvent]:
        """See the contract."""
        return self.machinery.journal.subscribe(self._id(run), after, live=live)

    def wait(self, run: str, *, timeout_s: float | None = None) -> Run:
        """See the contract."""
        return self.wait_later(run, timeout_s=timeout_s).result()

    def wait_later(self, run: str, *, timeout_s: float | None = None) -> Future[Run]:
        """The answer of :meth:`wait`, at once as a future; no thread waits."""
        return settled(self.machinery, self._id(run), timeout_s)

    def pause(self, run: str) -> Run:
        """See the contract."""
        return self._wish(run, "pause")

    def cancel(self, run: str) -> Run:
        """See the contract."""
        return self._wish(run, "cancel")

    def resume(self, run: str, *, from_step: str | None = None, accept_changes: bool = False, functions: Offer | None = None) -> Run:
        """See the contract. Raises ``RunHeld`` when somebody works on it, ``WrongState`` when there is nothing to resume."""
        identity, journal = self._id(run), self.machinery.journal
        desk = checked_again(identity, journal.history.pinned(identity), functions, accept_changes=accept_changes)
        again = [] if from_step is None else redone(identity, *journal.to_fork(identity)[:2], from_step)
        self.change("runs.resume", type(None), lambda transaction: journal.queue(transaction, identity, self.machinery.runner.owner, again=again))
        if desk is None:
            self.machinery.dispatcher.dispatch(identity)
        else:
            self.machinery.desks.seat(identity, desk)
            self.machinery.runner.begin(identity)
        return self.get(identity)

    def fork(self, run: str, from_step: str, changes: Mapping[str, Any] | None = None, *, functions: Offer | None = None) -> Run:
        """See the contract."""
        wanted = dict(changes or {})
        for name in wanted:
            if name not in CHANGES:
                raise InvalidInput(what=f"unknown change {name!r}{nearest_hint(name, list(CHANGES))}", where="changes", next=f"Known: {', '.join(CHANGES)}.")
        old = self.get(run)
        if old.kind is not RunKind.WORKFLOW:
            raise InvalidInput(
                what=f"a {old.kind.value} has no steps to go on from", where=f"fork of {old.id}", next="Start it again: finished rows are reused."
            )
        before, rows, files = self.machinery.journal.to_fork(old.id)
        now = bound(self._pinned(old, before, wanted.get("definition")), functions)
        declared = now.workflow.inputs
        given = {name: value for name, value in old.inputs.items() if name in declared} | dict(wanted.get("inputs") or {})
        values = validated(declared, given, f"workflow {old.name}", self.root)
        facts = file_facts(declared, values)
        changed = {name for name in declared if name not in old.inputs or values[name] != old.inputs[name]}
        changed |= {name for name, fact in facts.items() if fact["sha256"] != files.get(name, {}).get("sha256")}
        kept = kept_rows(old.id, before, now, rows, changed, from_step)
        return start_run(
            self,
            now.workflow,
            values,
            verb="runs.fork",
            model=wanted.get("model", old.model),
            project=old.project,
            budget_usd=wanted.get("budget_usd", None if old.budget_nanos is None else str(usd(old.budget_nanos))),
            pinned=now,
            files=facts,
            steps=kept,
            told=f"forked from run {old.id} at step {from_step}",
            priority=old.priority,
        )

    def repeat(self, run: str, *, accept_changes: bool = False, functions: Offer | None = None) -> RunComparison:
        """See the contract."""
        old = self.get(run)
        return compared(self.machinery, old, repeat(self, old, functions, accept_changes=accept_changes))

    def compare(self, run: str, other: str | None = None) -> RunComparison:
        """See the contract."""
        found = self.get(run)
        before = other or found.repeats
        if before is None:
            following = f'Name the other one: ws.runs.compare("{found.id}", "RUN")'
            raise InvalidInput(what=f"run {found.id} repeats no other run", where="compare", next=following)
        return compared(self.machinery, self.get(before), found)

    def _pinned(self, old: Run, before: Pinned, wanted: Any) -> Pinned:
        if wanted is None:
            return before
        if wanted != "current":
            raise InvalidInput(what=f"{wanted!r} is no definition to take", where="changes, definition", next='Write "current", or leave it out.')
        return self.machinery.catalog.pin(self.machinery.catalog.workflow(old.name))

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

    def _graph(self, run: str) -> Graph:
        history = self.machinery.journal.history
        found = history.get(self._id(run))
        tops = history.steps(found.id, under="", state=None, after=None, limit=10_000)
        return run_graph(found, history.pinned(found.id).workflow, tops, children(self.machinery.store, found.id))

    def _wish(self, run: str, wish: str) -> Run:
        identity, journal = self._id(run), self.machinery.journal

        def work(transaction: Transaction) -> List[str]:
            told = [identity] if journal.wish(transaction, identity, wish) else []
            return told + journal.wish_below(transaction, identity, wish)

        for told in self.change(f"runs.{wish}", List[str], work):
            self.machinery.runner.nudge(told)
            if self.get(told).state is RunState.QUEUED:  # somebody has to take it to compensate its steps
                self.machinery.dispatcher.dispatch(told)
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
