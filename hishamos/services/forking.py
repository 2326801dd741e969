"""What a new run may keep of an old one: the steps before the one it is forked from, where they still fit."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from graphlib import TopologicalSorter

from hishamos.contracts.journal import UNDO, Pinned, StepRow
from hishamos.engine.checking import inputs_read
from hishamos.engine.steps import step_type
from hishamos.errors import InvalidInput, UnknownName
from hishamos.records.definitions import StepDefinition
from hishamos.records.runs import StepState

PASSED = frozenset({StepState.SUCCEEDED, StepState.SKIPPED})
LOST = frozenset({StepState.FAILED, StepState.TIMED_OUT})
MAKING = ("type", "with_", "when")
"""The fields of a step that its output depends on, besides what it waits for."""


def kept_rows(run: str, before: Pinned, now: Pinned, rows: Sequence[StepRow], changed: set[str], from_step: str) -> list[StepRow]:
    """Return the rows of the steps that a fork of ``run`` from ``from_step`` does not do again.

    ``before``, ``now``: the old run's definitions and the fork's; ``rows``: the old run's steps; ``changed``: inputs that differ. What comes
    before ``from_step`` has to be there and to fit, else :class:`InvalidInput` says why not; what stands beside it is kept where it fits.
    """
    steps = {step.id: step for step in now.workflow.steps}
    if from_step not in steps:
        raise UnknownName.among("step", from_step, list(steps), f"Steps: {', '.join(steps)}.")
    order = list(TopologicalSorter({step.id: step.after for step in now.workflow.steps}).static_order())
    earlier, later = _before(from_step, steps), {from_step}
    found = {row.path: row for row in rows}
    kept: dict[str, StepRow] = {}
    refused = []
    for name in order:
        if later.intersection(steps[name].after):
            later.add(name)
        if name in later or not kept.keys() >= set(steps[name].after):
            continue
        reasons = list(_misfits(name, before, now, found, changed))
        if not reasons:
            number = now.workflow.steps.index(steps[name])
            kept[name] = replace(found[name], attempt=1, first=1, position=f"{number:04d}", reused=True, known=False, waiting_for=None, decided=None)
        elif name in earlier:
            refused += reasons
    if refused:
        raise InvalidInput(
            what=f"What stands before {from_step!r} does not fit: {'; '.join(refused)}", where=f"fork of {run}", next="Fork from an earlier step."
        )
    return list(kept.values())


def redone(run: str, pinned: Pinned, rows: Sequence[StepRow], from_step: str) -> list[str]:
    """Return the steps that are done again when a run is resumed from one: it, and what comes after it, in order.

    Raises :class:`UnknownName` for a step that there is not, :class:`InvalidInput` where a step with items or a run of its own would be done
    again: what these have finished stays finished in their run.
    """
    steps, begun = {step.id: step for step in pinned.workflow.steps}, {row.path for row in rows}
    if from_step not in steps:
        raise UnknownName.among("step", from_step, list(steps), f"Steps: {', '.join(steps)}.")
    order = TopologicalSorter({step.id: step.after for step in pinned.workflow.steps}).static_order()
    found = [name for name in order if name == from_step or from_step in _before(name, steps)]
    for name in found:
        kind = steps[name].type
        if name in begun and (step_type(kind).composite or kind == "workflow"):
            what = f"resuming from {from_step!r} would do {name!r} again, a {kind}"
            raise InvalidInput(what=what, where=f"resume of {run}", next=f"Do it in a run of its own: hishamos fork {run} --from {from_step}")
    return found


def _misfits(name: str, before: Pinned, now: Pinned, found: Mapping[str, StepRow], changed: set[str]) -> Iterator[str]:
    """Say why a step's old output can't be kept."""
    old, new, row = _step(before, name), _step(now, name), found.get(name)
    if old is None or new is None:
        yield f"{name} is new"
        return
    if row is None or not (row.state in PASSED or (row.state in LOST and new.on_error == "continue")):
        yield f"{name} {'has not begun' if row is None else f'is {row.state.value}'}"
        return
    if f"{name}{UNDO}" in found:
        yield f"what {name} did was compensated"
    different = [field.rstrip("_") for field in MAKING if getattr(old, field) != getattr(new, field)]
    different += ["after"] if set(old.after) != set(new.after) else []
    if different:
        yield f"{name} was changed ({', '.join(different)})"
    was, is_ = _named(old, before), _named(new, now)
    for one in sorted(key for key in was if was[key] != is_.get(key)):
        yield f"{name} uses the {one}, which was changed"
    read = inputs_read(new)
    for one in sorted(changed if read is None else changed & read):
        yield f"{name} was made from the input {one!r}, which is another one"


def _step(pinned: Pinned, name: str) -> StepDefinition | None:
    return next((step for step in pinned.workflow.steps if step.id == name), None)


def _named(step: StepDefinition, pinned: Pinned) -> dict[str, str | None]:
    """Return the versions of the commands and agents that a step and the steps inside it use."""
    found: dict[str, str | None] = {}
    steps = [step]
    while steps:
        one = steps.pop()
        references = step_type(one.type).references(one.with_)
        agents = set(references.agents)
        for name in references.commands:
            command = pinned.commands.get(name)
            found[f"command {name}"] = command.version if command is not None else None
            agents |= {command.agent} if command is not None and command.agent else set()
        found |= {f"agent {name}": pinned.agents[name].version for name in agents if name in pinned.agents}
        steps += [inner for _, inner, _ in references.steps]
    return found


def _before(name: str, steps: Mapping[str, StepDefinition]) -> set[str]:
    found: set[str] = set()
    left = list(steps[name].after)
    while left:
        one = left.pop()
        if one not in found:
            found.add(one)
            left += steps[one].after
    return found
