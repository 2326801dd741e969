"""What happened in runs, read from the store; money and calls come from the ledger, the one truth about them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypedDict, Unpack

from hishamos.contracts.journal import Pinned
from hishamos.errors import InvalidInput, UnknownName
from hishamos.records.calls import Attempt
from hishamos.records.origins import Origin
from hishamos.records.record import Failure
from hishamos.records.runs import Approval, Run, RunEvent, RunGroup, Step
from hishamos.records.workspaces import MapRow
from hishamos.store.journal_columns import parsed
from hishamos.store.ledger import attempt_of
from hishamos.store.pruning import raise_pruned
from hishamos.store.statements import statements

if TYPE_CHECKING:
    from hishamos.store.connectors import Connector, Row

SQL = statements("history")
PAGE = 1_000
SHORTEST = 4
COMPOSITE = {"batch": "[", "loop": "[", "map": "[", "switch": "/"}
"""Types of steps that only arrange others, and what the paths of those below them begin with after their own."""
_ROW_STATUS = {"succeeded": "succeeded", "failed": "failed", "timed_out": "failed", "cancelled": "cancelled"}


class Wanted(TypedDict, total=False):
    """Which runs are wanted; what is left out, or None, leaves all of them."""

    state: str | None
    kind: str | None
    name: str | None
    project: str | None
    user: str | None
    since: datetime | None


class RunHistory:
    """Reads runs, steps, events and a map's rows."""

    def __init__(self, connector: Connector) -> None:
        self._store = connector

    def get(self, run: str) -> Run:
        """Return one run with its spend; raises :class:`UnknownName`."""
        row = self._store.fetch_one(SQL["run_by_id"], {"id": run})
        if row is None:
            raise_pruned(self._store, run)
            raise UnknownName.among("run", run, [found["id"] for found in self._store.fetch(SQL["run_ids"])])
        return self._with_spend([row])[0]

    def identify(self, name: str) -> str:
        """Return the id of the run that ``name`` begins; raises :class:`UnknownName` or, where several do, :class:`InvalidInput`."""
        wanted = name.strip().upper()
        if self._store.fetch_one(SQL["run_by_id"], {"id": wanted}) is not None:
            return wanted
        found: list[str] = []
        if len(wanted) >= SHORTEST and wanted.isalnum():
            found = [row["id"] for row in self._store.fetch(SQL["run_ids_like"], {"pattern": f"{wanted}%"})]
        if len(found) > 1:
            raise InvalidInput(what=f"{name!r} begins the ids of several runs", where=", ".join(found[:5]), next="Give more characters.")
        if not found:
            if len(wanted) >= SHORTEST and wanted.isalnum():
                raise_pruned(self._store, wanted)
            raise UnknownName.among("run", name, [row["id"] for row in self._store.fetch(SQL["run_ids"])], "See: hishamos runs")
        return found[0]

    def found(self, *, limit: int, **wanted: Unpack[Wanted]) -> list[Run]:
        """Return runs, newest first."""
        return self._with_spend(self._store.fetch(SQL["runs_found"], _filters(wanted) | {"limit": limit}))

    def counts(self, by: RunGroup, **wanted: Unpack[Wanted]) -> dict[str, int]:
        """Return how many runs have which value, the most frequent first; those that have none under the empty text."""
        rows = self._store.fetch(SQL["runs_counted"], _filters(wanted) | {"by": by})
        return {row["value"]: int(row["runs"]) for row in rows}

    def steps(self, run: str, *, under: str | None, state: str | None, after: str | None, limit: int) -> list[Step]:
        """Return the latest attempt of each step in the order of the graph; ``under``: one parent's children, ``""`` the top."""
        values = {"run": run, "under": under, "state": state, "after": after, "limit": limit}
        rows = self._store.fetch(SQL["steps_of_run"], values)
        spend = self._spend_of_steps(run, rows)
        return [_step_of(row, spend.get(row["path"], {})) for row in rows]

    def steps_at(self, run: str, paths: Sequence[str]) -> list[Step]:
        """Return the latest attempt of the steps at these paths that there are, in the order of the graph."""
        rows = self._store.fetch(SQL["steps_at"], {"run": run, "paths": list(paths)}) if paths else []
        spend = self._spend_of_steps(run, rows)
        return [_step_of(row, spend.get(row["path"], {})) for row in rows]

    def states_below(self, runs: Sequence[str], parent: str) -> dict[str, dict[str, str]]:
        """Return the state of each child of a step that has begun, by run and path."""
        found: dict[str, dict[str, str]] = {run: {} for run in runs}
        for row in self._store.fetch(SQL["states_below"], {"runs": list(runs), "parent": parent}) if runs else []:
            found[row["run_id"]][row["path"]] = row["state"]
        return found

    def map_rows(self, run: str, *, after: int, limit: int) -> list[MapRow]:
        """Return a map's rows with an index above ``after``, in order."""
        rows = self._store.fetch(SQL["rows_of_map"], {"run": run, "after": after, "last": after + limit})
        spend = self._spend_of_steps(run, [row for row in rows if row["path"]])
        return [_map_row(row, spend.get(row["path"] or "", {})) for row in rows]

    def events(self, run: str, *, after: int, limit: int) -> list[RunEvent]:
        """Return the run's events numbered above ``after``."""
        return [event_of(row) for row in self._store.fetch(SQL["events_of_run"], {"run": run, "after": after, "limit": limit})]

    def events_after(self, run: str, after: int) -> Sequence[RunEvent]:
        """Return the next page of the run's events."""
        return self.events(run, after=after, limit=PAGE)

    def calls(self, run: str, *, step: str | None = None, limit: int) -> list[Attempt]:
        """Return the run's attempts at providers, oldest first; ``step``: only those of one step."""
        return [attempt_of(row) for row in self._store.fetch(SQL["calls_of_run"], {"run": run, "step": step, "limit": limit})]

    def pinned(self, run: str) -> Pinned:
        """Return the definitions that a run was started with."""
        found = self.kept(run)
        assert found is not None
        return found

    def kept(self, run: str) -> Pinned | None:
        """Return the definitions that a run was started with; None where the run is gone."""
        row = self._store.fetch_one(SQL["pinned_of_run"], {"run": run})
        return None if row is None else Pinned.model_validate_json(row["definition"])

    def last_event(self, run: str) -> int:
        """Return the number of the run's newest event; 0 without one."""
        row = self._store.fetch_one(SQL["last_event"], {"run": run})
        return int(row["seq"]) if row else 0

    def approvals(self) -> list[Approval]:
        """Return the steps that wait for a person, oldest first."""
        rows = self._store.fetch(SQL["approvals"])
        sums = self._sums([row["run_id"] for row in rows])
        return [_approval_of(row, sums.get(row["run_id"])) for row in rows]

    def _with_spend(self, rows: Sequence[Row]) -> list[Run]:
        if not rows:
            return []
        ids = {"ids": [row["id"] for row in rows]}
        sums = self._sums(ids["ids"])
        reused = {row["run_id"]: row for row in self._store.fetch(SQL["reused_of_runs"], ids)}
        return [_with_reused(run_of(row, sums.get(row["id"])), reused.get(row["id"])) for row in rows]

    def _sums(self, runs: Sequence[str]) -> dict[str, Row]:
        """Return the sums over the attempts of each of some runs that has any."""
        return {row["run_id"]: row for row in self._store.fetch(SQL["spend_of_runs"], {"ids": list(runs)})} if runs else {}

    def _spend_of_steps(self, run: str, rows: Sequence[Row]) -> dict[str, Row]:
        leaves = [row["path"] for row in rows if row.get("type") not in COMPOSITE]
        found: dict[str, Row] = {}
        if leaves:
            found = {row["step_id"]: row for row in self._store.fetch(SQL["spend_of_steps"], {"run": run, "paths": leaves})}
        for row in rows:
            if row.get("type") in COMPOSITE:
                separator = COMPOSITE[row["type"]]
                below = self._store.fetch_one(SQL["spend_below"], {"run": run, "path": row["path"], "below": f"{_escaped(row['path'])}{separator}%"})
                found[row["path"]] = below or {}
        return found


def _filters(wanted: Wanted) -> dict[str, Any]:
    given: dict[str, Any] = dict(wanted)
    return {name: given.get(name) for name in Wanted.__annotations__}


def run_of(row: Row, spend: Mapping[str, Any] | None = None) -> Run:
    """Return a run's record from its row and the sums over its attempts."""
    sums = {"cost_nanos": int(spend["cost_nanos"]), "unpriced": int(spend["unpriced"]), "calls": int(spend["calls"])} if spend else {}
    return Run(
        **{key: row[key] for key in _PLAIN},
        where=row["place"],
        origin=Origin.model_validate_json(row["origin"]) if row["origin"] else None,
        parent=json.loads(row["options"])["parent"] if row["kind"] == "workflow" and row["options"] else None,
        inputs=json.loads(row["inputs"]),
        outputs=None if row["outputs"] is None else json.loads(row["outputs"]),
        error=Failure.model_validate_json(row["error"]) if row["error"] else None,
        progress=_progress(row),
        **sums,
        attempts=int(spend["attempts"]) if spend else 0,
        offline=bool(spend and spend["offline"]),
    )


def _approval_of(row: Row, spend: Mapping[str, Any] | None) -> Approval:
    facts = {name: row[name] for name in ("run_id", "path", "workflow", "user_name", "project")}
    sums = {"cost_nanos": int(spend["cost_nanos"]), "unpriced": int(spend["unpriced"]), "offline": bool(spend["offline"])} if spend else {}
    return Approval(**facts, **sums, message=row["message"] or "", since=row["started_at"])


def _progress(row: Row) -> float | None:
    """Return how far a run is by the number of its steps."""
    if row["state"] == "succeeded":
        return 1.0
    return round(min(1.0, row["steps_done"] / row["steps_total"]), 4) if row["steps_total"] else None


def event_of(row: Row) -> RunEvent:
    """Return an event's record from its row."""
    return RunEvent(**{**row, "seq": int(row["seq"]), "data": json.loads(row["data"])})


_PLAIN = (
    "id", "kind", "name", "version", "state", "model", "project", "user_name", "waiting_for", "steps_total", "steps_done",
    "budget_nanos", "priority", "key_prefix", "repeats", "created_at", "started_at", "finished_at",
)  # fmt: skip


def _step_of(row: Row, spend: Mapping[str, Any]) -> Step:
    return Step(
        run_id=row["run_id"],
        path=row["path"],
        attempt=row["attempt"],
        type=row["type"],
        state=row["state"],
        input_hash=row["input_hash"],
        inputs=parsed(row["inputs"]),
        output=parsed(row["output"]),
        error=Failure.model_validate_json(row["error"]) if row["error"] else None,
        waiting_for=row["waiting_for"],
        model=row["model"],
        reused=bool(row["reused"]),
        not_judged=tuple(parsed(row["not_judged"]) or ()),
        started_at=row["started_at"],
        finished_at=row["finished_at"],
        cost_nanos=None if spend.get("unpriced") else spend.get("cost_nanos", 0),
        calls=spend.get("calls", 0),
        attempts=spend.get("attempts", 0),
    )


def _with_reused(run: Run, reused: Row | None) -> Run:
    """What was reused made no attempt in this run; an offline answer stays labelled all the same."""
    if reused is None:
        return run
    return run.model_copy(update={"reused": int(reused["reused"]), "offline": run.offline or bool(reused["offline"])})


def _map_row(row: Row, spend: Mapping[str, Any]) -> MapRow:
    error = Failure.model_validate_json(row["error"]) if row["error"] else None
    status = _ROW_STATUS.get(row["state"] or "", "pending")
    return MapRow(
        index=row["item"],
        status="refused" if error is not None and error.type == "BudgetRefused" else status,
        output=parsed(row["output"]),
        error=error.message if error else None,
        model=row["model"],
        cost_nanos=None if spend.get("unpriced") else spend.get("cost_nanos", 0),
        attempts=spend.get("attempts", 0),
        reused=bool(row["reused"]),
        not_judged=tuple(parsed(row["not_judged"]) or ()),
    )


def _escaped(path: str) -> str:
    return path.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
