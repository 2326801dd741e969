"""How far a run is, and what of its time and money is left: from the items it has done, and from how its steps went in earlier runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from graphlib import TopologicalSorter
from typing import TYPE_CHECKING

from hishamos.records.pictures import Graph, GraphStep
from hishamos.records.record import now
from hishamos.records.runs import STEP_ENDED, Run, RunKind
from hishamos.services.graphs import run_graph
from hishamos.store.progress import children
from hishamos.store.usual import Usual, usual_steps

if TYPE_CHECKING:
    from hishamos.services.machinery import Machinery

PEOPLE = frozenset({"approval", "wait"})
"""Steps whose time is somebody else's: it is in no estimate."""


@dataclass(frozen=True, slots=True)
class _Work:
    """A step's seconds and nano-dollars, done and left; None: nobody knows."""

    done_s: float
    left_s: float | None
    left_nanos: int | None


def with_outlook(machinery: Machinery, run: Run) -> Run:
    """Return a run that has not ended with its progress and what is left; None where there is nothing to tell it from."""
    if run.ended:
        return run
    if run.kind is not RunKind.WORKFLOW:
        return run.model_copy(update=_of_rows(run, now()))
    history = machinery.journal.history
    tops = history.steps(run.id, under="", state=None, after=None, limit=10_000)
    graph = run_graph(run, history.pinned(run.id).workflow, tops, children(machinery.store, run.id))
    return run.model_copy(update=outlook(graph, usual_steps(machinery.store, run.name), run.progress))


def outlook(graph: Graph, usual: Mapping[str, Usual], counted: float | None) -> dict[str, float | int | None]:
    """Return ``progress``, ``left_s`` and ``left_nanos`` of a run's graph. ``counted``: how far it is by the number of its steps.

    The time left is that of the longest way through what is left, without the time of people. It is None while a step that is to come has
    never been seen to end and shows no pace of its own; so is the money, also where a model has no price.
    """
    work = {step.id: _work(step, usual.get(step.id)) for step in graph.steps}
    left = {name: one.left_s for name, one in work.items() if one.left_s is not None}
    money = [one.left_nanos for one in work.values() if one.left_nanos is not None]
    known = len(left) == len(work)
    done, whole = sum(one.done_s for one in work.values()), sum(one.done_s for one in work.values()) + sum(left.values())
    return {
        "progress": round(min(done / whole, 0.99), 4) if known and whole > 0 else counted,
        "left_s": round(_longest(graph, left), 3) if known else None,
        "left_nanos": sum(money) if len(money) == len(work) else None,
    }


def _work(step: GraphStep, usual: Usual | None) -> _Work:
    so_far, cost = step.seconds or 0.0, step.cost_nanos or 0
    if step.state in STEP_ENDED:
        return _Work(0.0 if step.type in PEOPLE else so_far, 0.0, 0)
    if step.type in PEOPLE:
        return _Work(0.0, 0.0, 0)
    if step.total and step.done and step.seconds:
        rest = step.total - step.done
        return _Work(so_far, so_far / step.done * rest, None if step.unpriced else cost * rest // step.done)
    if usual is None:
        return _Work(so_far, None, None)
    return _Work(so_far, max(0.0, usual.seconds - so_far), None if usual.nanos is None or step.unpriced else max(0, usual.nanos - cost))


def _longest(graph: Graph, left: Mapping[str, float]) -> float:
    """Return the time of the longest way through steps that wait for each other."""
    ends: dict[str, float] = {}
    after = {step.id: step.after for step in graph.steps}
    for name in TopologicalSorter(after).static_order():
        ends[name] = left[name] + max((ends[one] for one in after[name]), default=0.0)
    return max(ends.values(), default=0.0)


def _of_rows(run: Run, moment: datetime) -> dict[str, float | int | None]:
    """Return what the pace of a map or a batch tells: rows done in the time since it began."""
    rest = run.steps_total - run.steps_done
    if run.started_at is None or not run.steps_done:
        return {"left_s": None, "left_nanos": None}
    each: Callable[[float], float] = lambda amount: amount / run.steps_done * rest  # noqa: E731 - said twice below
    taken = (moment - run.started_at).total_seconds()
    return {"left_s": round(each(taken), 3), "left_nanos": None if run.unpriced else int(each(run.cost_nanos))}
