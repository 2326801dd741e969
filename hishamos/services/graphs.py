"""Graphs of workflows and runs, put together from definitions and what the journal says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from hishamos.contracts.journal import UNDO
from hishamos.engine.steps import step_type
from hishamos.records.definitions import Goto, StepDefinition, WorkflowDefinition
from hishamos.records.pictures import Graph, GraphPart, GraphStep
from hishamos.records.record import now
from hishamos.records.runs import STEP_ENDED, Run, Step, StepState
from hishamos.store.progress import ChildCount

SUBJECTS = (
    "command", "agent", "function", "workflow", "notebook", "program", "url", "file", "query", "over", "on", "for", "until", "event", "message", "seconds",
    "place",
)  # fmt: skip
"""The inputs that say what a step is about, the most telling first."""
LONGEST = 80
FAILED = frozenset({StepState.FAILED.value, StepState.TIMED_OUT.value})
ROLES = {"map": "each", "loop": "each time"}


def workflow_graph(workflow: WorkflowDefinition) -> Graph:
    """Return a workflow's graph."""
    return Graph(name=workflow.name, version=workflow.version, steps=tuple(_planned(step) for step in workflow.steps))


def run_graph(run: Run, workflow: WorkflowDefinition, tops: Sequence[Step], children: Sequence[ChildCount]) -> Graph:
    """Return a run's graph: the definition it was started with, and how each step stands. ``tops``: the steps below no other."""
    rows = {step.path: step for step in tops}
    below: dict[str, list[ChildCount]] = {}
    for count in children:
        below.setdefault(count.parent, []).append(count)
    begun = {step.id: sum(count.count for count in below.get(step.id, ())) for step in workflow.steps}
    open_maps = [step.id for step in workflow.steps if step.type in {"map", "batch"} and step.id in rows and rows[step.id].state not in STEP_ENDED]
    totals = {step.id: begun[step.id] for step in workflow.steps if step.id in rows and rows[step.id].state in STEP_ENDED}
    left = run.steps_total - sum(not step_type(step.type).composite for step in workflow.steps) - sum(begun.values())
    if len(open_maps) == 1 and left >= 0:  # the run counts the leaves of its graph: what is left over are this map's items to come
        totals[open_maps[0]] = begun[open_maps[0]] + left
    steps = tuple(_stands(run, step, rows, below.get(step.id, ()), totals.get(step.id)) for step in workflow.steps)
    return Graph(name=run.name, version=run.version, run=run.id, state=run.state.value, offline=run.offline, steps=steps)


def _planned(step: StepDefinition) -> GraphStep:
    kind = step_type(step.type)
    parts = [_part(_role(step.type, place), inner) for place, inner, _ in kind.references(step.with_).steps]
    if step.compensate is not None:
        parts.append(_part("undone by", step.compensate))
    goto = step.on_error if isinstance(step.on_error, Goto) else None
    return GraphStep(
        id=step.id,
        type=step.type,
        subject=_subject(step.with_),
        description=step.description,
        after=step.after,
        when=step.when,
        parts=tuple(parts),
        many=step.type in ROLES,
        lenient=step.on_error == "continue",
        goto=goto.goto if goto else None,
        at_most=goto.at_most if goto else None,
    )


def _stands(run: Run, step: StepDefinition, rows: Mapping[str, Step], children: Sequence[ChildCount], total: int | None) -> GraphStep:
    planned = _planned(step)
    row, undo = rows.get(step.id), rows.get(f"{step.id}{UNDO}")
    if undo is not None:
        undone = planned.parts[-1].model_copy(update={"state": undo.state.value})
        planned = planned.model_copy(update={"parts": (*planned.parts[:-1], undone)})
    if row is None:
        return planned.model_copy(update={"state": "pending"})
    many = planned.many or step.type in {"rows", "batch"}
    taken = None if row.started_at is None else ((row.finished_at or now()) - row.started_at).total_seconds()
    facts: dict[str, Any] = {
        "state": row.state.value,
        "note": row.error.message if row.error else row.waiting_for or "",
        "seconds": taken,
        "cost_nanos": row.cost_nanos,
        "attempts": row.attempts,
        "unpriced": row.cost_nanos is None,
        "offline": bool(row.model and row.model.startswith("offline/")) or (many and run.offline),
        "reused": row.reused,
    }
    if many:
        ended = [count for count in children if count.state in STEP_ENDED]
        facts["done"] = sum(count.count for count in ended)
        facts["failed"] = sum(count.count for count in ended if count.state in FAILED)
        facts["total"] = run.steps_total if step.type == "rows" else total
    return planned.model_copy(update=facts)


def _part(role: str, step: StepDefinition) -> GraphPart:
    return GraphPart(role=role, type=step.type, subject=_subject(step.with_))


def _role(kind: str, place: Sequence[str | int]) -> str:
    if kind in ROLES:
        return ROLES[kind]
    return str(place[-1]) if place[0] == "cases" else "otherwise"


def _subject(inputs: Mapping[str, Any]) -> str:
    found = next((inputs[name] for name in SUBJECTS if inputs.get(name) not in (None, "")), "")
    words = " ".join(str(found).split())
    if words.startswith("{{") and words.endswith("}}") and words.count("{{") == 1:
        words = words[2:-2].strip()
    if inputs.get("function"):
        words = words.rpartition(":")[2]
    return words if len(words) <= LONGEST else f"{words[: LONGEST - 1]}…"
