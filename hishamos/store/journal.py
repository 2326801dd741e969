"""The journal in the store: runs, their steps and events, written in batches under numbered leases."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from hishamos.contracts.feeds import Feed
from hishamos.contracts.journal import (
    UNDO,
    WENT_BACK,
    Batch,
    ChildOf,
    Claim,
    Decided,
    EventDraft,
    Lease,
    MapOptions,
    Pinned,
    RowState,
    RunChange,
    Signals,
    StepRow,
)
from hishamos.errors import LeaseLost, RunHeld, UnknownName, WrongState
from hishamos.records.definitions import Goto
from hishamos.records.record import canonical, now
from hishamos.records.runs import RUN_CHANGES, RUN_ENDED, STEP_ENDED, Run, RunEvent, RunState
from hishamos.records.turns import AgentEvent
from hishamos.store.event_log import EventLog
from hishamos.store.history import RunHistory, run_of
from hishamos.store.journal_columns import json_text, parsed, row_columns, step_columns, step_row
from hishamos.store.line import Line, deadline, deaths_by
from hishamos.store.new_keys import unless_known
from hishamos.store.reopening import reopened
from hishamos.store.statements import statements
from hishamos.store.waiting_runs import RESUMABLE, WaitingRuns
from hishamos.store.watchers import Watchers

if TYPE_CHECKING:
    from hishamos.store.connectors import Connector, Row, Transaction, Work

SQL = statements("journal")
INPUTS_AT_ONCE = 5_000
PLAIN = {"id", "name", "version", "model", "project", "user_name", "key_prefix", "steps_total", "budget_nanos", "created_at", "priority", "repeats"}
FEW = 3
"""Up to so many rows are written one by one: DuckDB takes longer to unpack a list than to write a row or two."""
RENEWED = timedelta(seconds=1)
"""Where one process writes, a lease renewed so lately (and a third of its time at most) is not renewed again: a run's widest row is spared."""
SETTLED = RUN_ENDED | {RunState.WAITING}


@dataclass(frozen=True, slots=True)
class _Renewed:
    """A lease's last renewal, and what was heard at it."""

    number: int
    moment: datetime
    signals: Signals


class StoreJournal(WaitingRuns, Line):
    """:class:`hishamos.contracts.journal.Journal` on a connector, and what the services of runs need beside it.

    ``clock``: the present time; leases are compared by it.
    """

    def __init__(self, connector: Connector, clock: Callable[[], datetime] = now) -> None:
        self._store = connector
        self._clock = clock
        self.history = RunHistory(connector)
        self._watchers = Watchers(self.history.events_after, poll=not self.exclusive)
        self._events = EventLog(connector, self._watchers)
        self._renewed: dict[str, _Renewed] = {}

    @property
    def exclusive(self) -> bool:
        """See the port: a DuckDB file has one owner process."""
        return self._store.dialect == "duckdb"

    # the engine's port

    def claim(self, run: str, owner: str, seconds: float) -> Claim:
        """See the port."""
        moment = self._clock()

        def work(transaction: Transaction) -> Claim:
            found = self._locked(transaction, run)
            if found["state"] == RunState.RUNNING and found["lease_owner"] and not self._dead(found, owner, moment):
                raise RunHeld(run=run, holder=found["lease_owner"])
            if found["state"] not in {RunState.QUEUED, RunState.RUNNING}:
                raise WrongState(run=run, state=found["state"], verb="work", needed="queued", next=f"See: hishamos show {run}")
            steps = transaction.fetch(SQL["rows_to_resume" if found["kind"] == "map" else "steps_to_resume"], {"run": run})
            ended = sum(step["state"] in STEP_ENDED for step in steps)  # what the run says of it is up to a second old
            deaths = deaths_by(found, ended)
            transaction.after_commit(lambda: self._keep(run, None))  # who had the lease before asks again
            values = {"id": run, "owner": owner, "until": moment + timedelta(seconds=seconds), "moment": moment}
            values |= {"deaths": deaths, "deaths_done": ended}
            claimed = transaction.fetch(SQL["claim_run"], values)[0]
            self._events.record(transaction, run, [EventDraft("run", "running", moment)])
            pinned = Pinned.model_validate_json(claimed["definition"])
            jumping = any(isinstance(step.on_error, Goto) for step in pinned.workflow.steps)
            jumps = transaction.fetch(SQL["jumps"], {"run": run, "state": WENT_BACK}) if jumping else []
            return Claim(
                lease=Lease(run, int(claimed["lease_number"]), owner, seconds),
                run=run_of(claimed),
                pinned=pinned,
                options=MapOptions.model_validate_json(claimed["options"]) if claimed["options"] and claimed["kind"] == "map" else None,
                steps=[step_row(step) for step in steps],
                signals=Signals(claimed["wish"], int(claimed["decisions"])),
                jumps={row["path"]: int(row["times"]) for row in jumps},
                deaths=deaths,
                deadline=claimed["deadline_at"],
            )

        return self._store.transaction(work)

    def write(self, lease: Lease, batch: Batch) -> Future[Signals]:
        """See the port."""
        moment = self._clock()
        careful = False

        def work(transaction: Transaction) -> Signals:
            transaction.lock(f"run:{lease.run}")
            signals = self._renew(transaction, lease, batch, moment)
            if batch.steps:
                self._write_steps(transaction, lease.run, list(batch.steps.values()))
            if batch.rows:
                self._write_rows(transaction, list(batch.rows.values()), careful=careful)
            events = list(batch.events)
            if batch.run is not None and not _overtaken(batch.run.state, signals, batch.seen):
                change = batch.run
                signals = replace(signals, changed=True)
                events.append(EventDraft("run", change.state.value, change.moment, message=_words(change)))
                values = {
                    "run": lease.run,
                    "state": change.state.value,
                    "outputs": json_text(change.outputs),
                    "error": change.error.model_dump_json() if change.error else None,
                    "waiting_for": change.waiting_for,
                    "finished_at": change.finished_at,
                    "release": change.release,
                }
                transaction.execute(SQL["change_run"], values)
            self._events.record(transaction, lease.run, events)
            return signals

        def again() -> Work[Signals]:
            nonlocal careful
            careful = True
            return work

        return unless_known(self._store, work, again, here=True)

    def decisions(self, run: str) -> Mapping[str, Decided]:
        """See the port."""
        rows = self._store.fetch(SQL["decided_steps"], {"run": run})
        return {row["path"]: Decided.model_validate_json(row["decided"]) for row in rows}

    def inputs_of_rows(self, run: str, start: int, count: int) -> Sequence[dict[str, Any]]:
        """See the port."""
        rows = self._store.fetch(SQL["inputs_of_rows"], {"run": run, "start": start, "stop": start + count})
        return [json.loads(row["inputs"]) for row in rows]

    def states_of_rows(self, keys: Sequence[str]) -> Mapping[str, RowState]:
        """See the port."""
        found = self._store.fetch(SQL["rows_by_key"], {"keys": list(keys)})
        return {
            row["key"]: RowState(row["key"], int(row["attempt"]), row["state"], parsed(row["output"]), row["model"], tuple(parsed(row["not_judged"]) or ()))
            for row in found
        }

    def kept(self, key: str) -> str | None:
        """See the port."""
        row = self._store.fetch_one(SQL["kept"], {"id": key})
        return None if row is None else str(row["answer"])

    def keep(self, key: str, text: str) -> str:
        """See the port."""
        values = {"id": key, "answer": text, "made_at": self._clock()}

        def work(transaction: Transaction) -> str:
            transaction.insert(SQL["keep"], values)
            return text

        def again() -> Work[str]:
            return lambda transaction: str(transaction.fetch(SQL["kept"], {"id": key})[0]["answer"])

        return unless_known(self._store, work, again).result()

    # what services do with runs

    def insert(
        self,
        transaction: Transaction,
        run: Run,
        pinned: Pinned,
        *,
        options: MapOptions | ChildOf | None = None,
        rows: Sequence[Mapping[str, Any]] = (),
        files: Mapping[str, Any] | None = None,
        steps: Sequence[StepRow] = (),
        told: str = "",
        inside_of: str | None = None,
        deadline_s: float | None = None,
        by: datetime | None = None,
    ) -> Run:
        """Insert a queued run with the definitions it keeps.

        ``options``: how a map was asked for, or whose child it is; ``rows``: a map's inputs; ``files``: hash and size of its file inputs;
        ``steps``: what it need not do; ``told``: its first event's words; ``inside_of``: the run whose step starts it; ``deadline_s``: how many
        seconds from now it may take, instead of what its workflow says; ``by``: when it has to have ended all the same.
        """
        limit = deadline_s or pinned.workflow.deadline_s
        values = {
            **run.model_dump(include=PLAIN),
            "inside_of": inside_of or run.parent,
            "deadline_s": limit,
            "deadline_at": deadline(run.created_at, limit, by),
            "kind": run.kind.value,
            "state": run.state.value,
            "place": run.where,
            "origin": run.origin.model_dump_json(exclude_defaults=True) if run.origin else None,
            "definition": pinned.model_dump_json(by_alias=True, exclude_defaults=True),
            "options": options.model_dump_json() if options else None,
            "inputs": json_text(run.inputs),
            "files": canonical(files or {}),
        }
        transaction.execute(SQL["insert_run"], values)
        for start in range(0, len(rows), INPUTS_AT_ONCE):
            part = rows[start : start + INPUTS_AT_ONCE]
            columns = {"run": run.id, "items": list(range(start, start + len(part))), "inputs": [json_text(dict(row)) for row in part]}
            transaction.execute(SQL["insert_inputs"], columns)
        if steps:
            self._write_steps(transaction, run.id, list(steps))
        self._events.record(transaction, run.id, [EventDraft("run", run.state.value, run.created_at, message=told)])
        return run

    def to_fork(self, run: str) -> tuple[Pinned, list[StepRow], dict[str, Any]]:
        """Return a run's definitions, the rows of its steps (not of their items), and the facts of its file inputs."""
        found = self._store.fetch(SQL["definition_of_run"], {"run": run})[0]
        rows = self._store.fetch(SQL["rows_to_fork"], {"run": run})
        return Pinned.model_validate_json(found["definition"]), [step_row(row) for row in rows], json.loads(found["files"])

    def map_options(self, run: str) -> MapOptions:
        """Return how a map was asked for."""
        return MapOptions.model_validate_json(self._store.fetch(SQL["options_of_run"], {"run": run})[0]["options"])

    def wish(self, transaction: Transaction, run: str, wish: str) -> bool:
        """Ask for ``pause`` or ``cancel``: done at once where nobody works on the run, unless steps have to be compensated: it is queued for that.

        Returns whether a runner has to be told.
        """
        found = self._locked(transaction, run)
        state = RunState(found["state"])
        target = RunState.PAUSED if wish == "pause" else RunState.CANCELLED
        if state == target:
            return False
        if target not in RUN_CHANGES[state]:
            needed = "queued, running or waiting" if wish == "pause" else "queued, running, waiting or paused"
            raise WrongState(run=run, state=state.value, verb=wish, needed=needed, next=f"See: hishamos show {run}")
        moment = self._clock()
        if state == RunState.RUNNING and not self._dead(found, "", moment, patient=True):
            transaction.execute(SQL["set_wish"], {"run": run, "wish": wish})
            return True
        if target == RunState.CANCELLED and self._to_compensate(transaction, run):
            transaction.execute(SQL["queue_to_cancel"], {"run": run})
            self._events.record(transaction, run, [EventDraft("run", "queued", moment, message="to be cancelled, what had succeeded is compensated first")])
            return True
        self._settle(transaction, run, target, moment)
        return False

    def queue(self, transaction: Transaction, run: str, owner: str, *, again: Sequence[str] = ()) -> None:
        """Queue a run again that is paused, failed, cancelled, or was left running by a dead owner.

        ``again``: steps that are then done anew though they have ended, those without items, the first of them first.

        Raises ``RunHeld`` when it is queued or being worked on, ``WrongState`` when it succeeded or waits for a person.
        """
        found = self._locked(transaction, run)
        state = RunState(found["state"])
        moment = self._clock()
        if state == RunState.QUEUED:
            raise RunHeld(run=run, holder="the queue: it was resumed already")
        if state == RunState.RUNNING and not self._dead(found, owner, moment):
            raise RunHeld(run=run, holder=found["lease_owner"])
        if state not in RESUMABLE | {RunState.RUNNING}:
            following = f"Decide: hishamos approve {run} STEP" if state == RunState.WAITING else f"See: hishamos show {run}"
            raise WrongState(run=run, state=state.value, verb="resume", needed="paused, failed or cancelled", next=following)
        compensated = state in RUN_ENDED or bool(again)
        undone = [row["state"] for row in transaction.fetch(SQL["top_steps"], {"run": run}) if row["path"].endswith(UNDO)] if compensated else []
        if undone and (again or STEP_ENDED.issuperset(undone)):
            told, following = f"{state.value}, and what had succeeded was compensated", f"Start it anew: hishamos run {found['name']}"
            raise WrongState(run=run, state=told, verb="resume", needed="paused, failed or cancelled, and not compensated", next=following)
        if found["deadline_s"] is not None and state in RUN_ENDED:  # who resumes it gives it as long once more
            transaction.execute(SQL["set_deadline"], {"run": run, "deadline_at": deadline(moment, found["deadline_s"])})
        self._settle(transaction, run, RunState.QUEUED, moment)
        if again:
            rows = [step_row(row) for row in transaction.fetch(SQL["rows_to_fork"], {"run": run}) if row["path"] in again]
            self._write_steps(transaction, run, reopened(rows, again[0], moment))
            told = f"done again, and after it: {', '.join(again[1:]) or 'nothing'}"
            self._events.record(transaction, run, [EventDraft("note", "again", moment, again[0], told)])

    def decide(self, transaction: Transaction, run: str, path: str, decided: Decided) -> bool:
        """Store a person's decision on a waiting step. Returns whether the run was queued, else its runner has to be told."""
        found = self._locked(transaction, run)
        step = transaction.fetch_one(SQL["step_for_change"], {"run": run, "path": path})
        waiting = [row["path"] for row in transaction.fetch(SQL["waiting_paths"], {"run": run})]
        if step is None:
            raise UnknownName.among("step", path, waiting, f"Waiting steps of this run: {', '.join(waiting) or 'none'}")
        if path not in waiting or found["state"] in RUN_ENDED:
            state = "decided already" if step["decided"] else f"in state {step['state']} at {path}"
            raise WrongState(run=run, state=state, verb="approve", needed="waiting there for a person", next=f"See: hishamos show {run}")
        transaction.execute(SQL["decide_step"], {"run": run, "path": path, "decided": decided.model_dump_json()})
        idle = bool(found["state"] == RunState.WAITING)
        transaction.execute(SQL["count_decision"], {"id": run, "state": RunState.QUEUED.value if idle else found["state"]})
        moment = self._clock()
        words = f"{decided.decision} by {decided.by}" + (f": {decided.comment}" if decided.comment else "")
        events = [EventDraft("note", None, moment, path, words, decided.model_dump())]
        self._events.record(transaction, run, [*events, EventDraft("run", "queued", moment)] if idle else events)
        return idle

    def subscribe(self, run: str, after: int = 0, settled: frozenset[RunState] = SETTLED, *, live: bool = False) -> Feed[RunEvent]:
        """Return the run's events numbered above ``after``; the feed ends when it reaches one of the ``settled`` states.

        ``live``: with what happens inside its steps, which is not kept.
        """
        return self._watchers.follow(run, after, lambda: self.history.get(run).state, settled, live=live)

    def watched(self, run: str) -> bool:
        """See the port."""
        return self._watchers.watched(run)

    def tell(self, run: str, path: str, event: AgentEvent) -> None:
        """See the port."""
        data = event.model_dump(mode="json")
        self._watchers.tell(RunEvent(seq=0, run_id=run, kind="live", path=path, state=event.kind, data=data, happened_at=self._clock()))

    def close(self) -> None:
        """End every subscription."""
        self._watchers.close()

    # parts

    def _locked(self, transaction: Transaction, run: str) -> Row:
        transaction.lock(f"run:{run}")
        found = transaction.fetch_one(SQL["run_for_change"], {"id": run})
        if found is None:
            raise UnknownName(kind="run", name=run, hint="", next="See: hishamos runs")
        return found

    def _to_compensate(self, transaction: Transaction, run: str) -> bool:
        """Whether a step has succeeded that has a compensation."""
        definition = transaction.fetch(SQL["definition_of_run"], {"run": run})[0]["definition"]
        steps = Pinned.model_validate_json(definition).workflow.steps
        undone = {step.id for step in steps if step.compensate is not None}
        return bool(undone) and any(row["path"] in undone and row["state"] == "succeeded" for row in transaction.fetch(SQL["top_steps"], {"run": run}))

    def _dead(self, found: Row, owner: str, moment: datetime, *, patient: bool = False) -> bool:
        """Whether nobody works on a running run; ``patient``: only an expired lease is a sign of it."""
        if found["lease_owner"] is None or found["lease_until"] is None or found["lease_until"] < moment:
            return True
        return bool(self.exclusive and not patient and found["lease_owner"] != owner)

    def _settle(self, transaction: Transaction, run: str, state: RunState, moment: datetime) -> None:
        ended = state in RUN_ENDED
        if state == RunState.CANCELLED:
            transaction.execute(SQL["cancel_open_steps"], {"run": run, "moment": moment})
        values = {"run": run, "state": state.value, "waiting_for": None, "finished_at": moment if ended else None}
        transaction.execute(SQL["set_state"], values)
        self._events.record(transaction, run, [EventDraft("run", state.value, moment)])

    def _renew(self, transaction: Transaction, lease: Lease, batch: Batch, moment: datetime) -> Signals:
        """Renew the lease and hear what others ask for; raises ``LeaseLost`` when a newer lease exists.

        Where this process alone writes, its own lease of a moment ago is still its own, and who asks for something says so.
        """
        last = self._renewed.get(lease.run)
        lately = min(RENEWED, timedelta(seconds=lease.seconds / 3))
        if last is not None and not batch.listen and batch.run is None and last.number == lease.number and timedelta(0) <= moment - last.moment < lately:
            return last.signals
        values = {"until": moment + timedelta(seconds=lease.seconds), "total": batch.steps_total, "done": batch.steps_done}
        # Two statements: with "returning", DuckDB would read every column of the widest table.
        if not transaction.execute(SQL["renew_lease"], {"run": lease.run, "number": lease.number, **values}):
            current = transaction.fetch_one(SQL["run_for_change"], {"id": lease.run})
            raise LeaseLost(run=lease.run, held=lease.number, current=current["lease_number"] if current else 0)
        [renewed] = transaction.fetch(SQL["wish_of_run"], {"run": lease.run})
        signals = Signals(renewed["wish"], int(renewed["decisions"]))
        if self.exclusive:
            ended = batch.run is not None and batch.run.release
            transaction.after_commit(lambda: self._keep(lease.run, None if ended else _Renewed(lease.number, moment, signals)))
        return signals

    def _keep(self, run: str, renewed: _Renewed | None) -> None:
        if renewed is None:
            self._renewed.pop(run, None)
        else:
            self._renewed[run] = renewed

    def _write_rows(self, transaction: Transaction, rows: list[RowState], *, careful: bool) -> None:
        """Keep how rows ended; what has succeeded stays, also when another map says otherwise later.

        ``careful``: believe nobody who says that a key is new.
        """
        if not self.exclusive:
            transaction.execute(SQL["upsert_rows"], row_columns(rows))
            return
        # DuckDB takes six times as long for an insert that looks for conflicts as for looking first: nobody else writes between the two.
        asked = [row for row in rows if careful or not row.new]
        if len(asked) > FEW:
            found = transaction.fetch(SQL["attempts_of_rows"], {"keys": [row.key for row in asked]})
        else:
            found = [one for row in asked if (one := transaction.fetch_one(SQL["attempt_of_row"], {"key": row.key})) is not None]
        known = {row["key"]: row for row in found}
        for state in rows:
            columns = {name: values[0] for name, values in row_columns([state]).items()}
            before = known.get(state.key)
            if before is None:
                transaction.insert(SQL["insert_row"], columns)
            elif state.attempt >= before["attempt"] and before["state"] != "succeeded":
                transaction.execute(SQL["update_row"], columns)

    def _write_steps(self, transaction: Transaction, run: str, steps: list[StepRow]) -> None:
        columns = step_columns([step for step in steps if not step.known])
        rows = [{"run": run, "latest": True, **dict(zip(columns, values, strict=True))} for values in zip(*columns.values(), strict=True)]
        if len(rows) <= FEW and all(row["state"] in STEP_ENDED for row in rows):
            for row in rows:
                transaction.insert_later(SQL["insert_step"], row)
        else:
            transaction.executemany(SQL["insert_step"], rows)
        columns = step_columns([step for step in steps if step.known])
        if len(columns["path"]) > FEW:
            transaction.execute(SQL["update_steps"], {"run": run, **columns})
        else:
            for values in zip(*columns.values(), strict=True):
                transaction.execute(SQL["update_step"], {"run": run, **dict(zip(columns, values, strict=True))})
        retried = sorted({step.path for step in steps if step.attempt > 1})
        if retried:
            transaction.execute(SQL["outdate_steps"], {"run": run, "path": retried})


def _overtaken(state: RunState, signals: Signals, seen: int) -> bool:
    """Whether a change to waiting or paused would hide what somebody asked for meanwhile."""
    if state is RunState.WAITING:
        return signals.wish is not None or signals.decisions > seen
    return state is RunState.PAUSED and signals.wish == "cancel"


def _words(change: RunChange) -> str:
    return change.error.message if change.error else change.waiting_for or ""
