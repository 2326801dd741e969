"""A notebook as a workflow: cells tagged ``step:NAME`` become durable steps; what they hand on is found by the names that they read and set."""

from __future__ import annotations

import builtins
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from hishamos.errors import InvalidDefinition, nearest_hint
from hishamos.records.definitions import WorkflowDefinition
from hishamos.services.notebook_cells import Cell, Names, inputs_of, names_in, read_cells, workflow_name

KNOWN = ("parameters", "setup")
PREFIXES = ("step", "after", "output")
NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")
GIVEN = frozenset(dir(builtins)) | {"display", "__name__"}
INPUT = ""
"""Who gives an input: no step."""


@dataclass
class _Step:
    """A cell that is a step."""

    id: str
    cell: Cell
    after: list[str]
    outputs: list[str]
    names: Names
    values: dict[str, str] = field(default_factory=dict)
    """Variables that it finds, and the step that gives each; ``INPUT`` for an input."""
    gives: set[str] = field(default_factory=set)
    setup: tuple[Cell, ...] = ()


def workflow_of(notebook: Path) -> WorkflowDefinition:
    """Return the workflow that a notebook's tags describe.

    Raises :class:`InvalidDefinition` with the cell and the nearest match for tags, names and code that can't be understood.
    """
    cells = read_cells(notebook)
    code = [cell for cell in cells if cell.code]
    for cell in code:
        _check_tags(cell)
    parameters = next((cell for cell in code if "parameters" in cell.tags), None)
    inputs = inputs_of(parameters) if parameters else {}
    steps = _steps(code)
    _join(code, steps, list(inputs))
    title = next((line.lstrip("# ").strip() for cell in cells if not cell.code for line in cell.source.splitlines() if line.strip()), "")
    outputs = {output: _expression(step.id, output) for step in steps for output in step.outputs}
    whole = {
        "name": workflow_name(notebook),
        "description": title or f"From {notebook.name}.",
        "inputs": inputs,
        "steps": [_definition(step, [one.id for one in steps]) for step in steps],
        "outputs": outputs,
    }
    try:
        return WorkflowDefinition.model_validate(whole)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        raise InvalidDefinition(problem=f"{first['msg']}: {place}", where=notebook.name, next="Correct the notebook.") from None


def _steps(code: Sequence[Cell]) -> list[_Step]:
    found: dict[str, _Step] = {}
    for cell in code:
        if not cell.tagged("step"):
            _check_no_step(cell)
            continue
        step = _step(cell)
        if step.id in found:
            raise cell.refused(f"{found[step.id].cell.place} has the name {step.id!r} already", "Give each step its own.")
        found[step.id] = step
    if not found:
        where = code[0].notebook if code else "the notebook"
        raise InvalidDefinition(problem="no cell is a step", where=where, next="Tag the cells that are to run as steps: step:NAME.")
    for step in found.values():
        _check_names(step, list(found))
    return list(found.values())


def _step(cell: Cell) -> _Step:
    ids = cell.tagged("step")
    if len(ids) > 1:
        raise cell.refused(f"it has several names: {', '.join(ids)}", "Keep one step:NAME.")
    if not NAME.fullmatch(ids[0]):
        raise cell.refused(f"{ids[0]!r} is no name of a step", "Begin with a letter; then letters, digits, _ and -.")
    return _Step(ids[0], cell, cell.tagged("after"), cell.tagged("output"), names_in(cell))


def _check_no_step(cell: Cell) -> None:
    for prefix in ("after", "output"):
        for name in cell.tagged(prefix):
            raise cell.refused(f"the tag {prefix}:{name} stands at a cell that is no step", "Tag the cell step:NAME too.")


def _check_names(step: _Step, ids: Sequence[str]) -> None:
    others = [other for other in ids if other != step.id]
    for name in step.after:
        if name not in others:
            raise step.cell.refused(f"there is no other step {name!r}{nearest_hint(name, others)}", f"Steps: {', '.join(others) or 'none'}.")
    known = sorted(step.names.sets | step.names.changes)
    for name in step.outputs:
        if name not in known:
            told = f"it sets no {name!r}, which is to be an output{nearest_hint(name, known)}"
            raise step.cell.refused(told, f"It sets: {', '.join(known) or 'nothing'}.")


def _join(code: Sequence[Cell], steps: Sequence[_Step], inputs: Sequence[str]) -> None:
    """Find who gives what each step reads, as if the cells had run from the top."""
    by_cell = {step.cell.number: step for step in steps}
    givers: dict[str, str] = dict.fromkeys(inputs, INPUT)
    setup: list[Cell] = []
    prepared: set[str] = set()
    for cell in code:
        if "setup" in cell.tags:
            _check_setup(cell, code, givers, prepared)
            setup.append(cell)
            prepared |= names_in(cell).own
        elif cell.number in by_cell:
            step = by_cell[cell.number]
            step.setup = tuple(setup)
            wanted = step.names.reads.union(*(names_in(one).reads for one in setup)) - GIVEN
            step.values = {name: givers[name] for name in sorted(wanted) if name in givers}
            for name in sorted(step.names.reads - GIVEN - set(givers) - prepared - step.names.own):
                raise _unknown(cell, name, code, [*givers, *prepared])
            # What it was given and changes in place is handed on as it is then.
            givers |= dict.fromkeys(step.names.sets | (step.names.changes & set(step.values)), step.id)
            step.gives |= set(step.outputs)
    named = {step.id: step for step in steps}
    for step in steps:
        for name, giver in step.values.items():
            if giver != INPUT:
                named[giver].gives.add(name)


def _check_setup(cell: Cell, code: Sequence[Cell], givers: Mapping[str, str], prepared: set[str]) -> None:
    names = names_in(cell)
    for name in sorted(names.reads - GIVEN - prepared - names.own):
        if name not in givers:
            raise _unknown(cell, name, code, [*givers, *prepared])
        if givers[name] != INPUT:
            told = f"setup runs before every step and can't read {name!r}, which step {givers[name]} sets"
            raise cell.refused(told, "Move that line into the step that needs it.")


def _unknown(cell: Cell, name: str, code: Sequence[Cell], known: Sequence[str]) -> InvalidDefinition:
    """Say who sets a name that a cell reads and does not get, or which name is meant."""
    for other in code:
        if other.number != cell.number and name in other.parts():
            if other.tagged("step"):
                return cell.refused(f"it reads {name!r}, which only {other.place} sets, further down", "Move that step up.")
            return cell.refused(f"it reads {name!r}, which only {other.place} sets, and that is no step", f"Tag {other.place} setup, or step:NAME.")
    return cell.refused(f"it reads {name!r}, which no cell sets{nearest_hint(name, list(known))}", f"Known here: {', '.join(sorted(known)) or 'nothing'}.")


def _definition(step: _Step, order: Sequence[str]) -> dict[str, Any]:
    before = set(step.values.values()) - {INPUT, *step.after}
    after = [*step.after, *(name for name in order if name in before)]
    own = {
        "code": step.cell.source,
        "place": step.cell.place,
        "setup": [{"code": cell.source, "place": cell.place} for cell in step.setup],
        "values": {name: f"{{{{ inputs.{name} }}}}" if giver == INPUT else _expression(giver, name) for name, giver in step.values.items()},
        "gives": sorted(step.gives),
    }
    described = next(_comment(step.cell.source), "")
    return {"id": step.id, "type": "cell", "description": described, "after": after, "with": {key: value for key, value in own.items() if value}}


def _comment(source: str) -> Iterator[str]:
    first = source.strip().partition("\n")[0]
    if first.startswith("#"):
        yield first.lstrip("# ").strip()


def _expression(step: str, name: str) -> str:
    return f"{{{{ steps.{step}.output.{name} }}}}" if step.isidentifier() else f"{{{{ steps['{step}'].output.{name} }}}}"


def _check_tags(cell: Cell) -> None:
    """Refuse tags that are nearly ours; those of other tools are no business of ours."""
    for tag in cell.tags:
        prefix, colon, rest = tag.partition(":")
        if tag in KNOWN or (colon and prefix in PREFIXES and rest):
            continue
        hint = nearest_hint(prefix, list(PREFIXES)) if colon else nearest_hint(tag, list(KNOWN))
        if prefix in PREFIXES:
            raise cell.refused(f"the tag {tag!r} names nothing", f"Write {prefix}:NAME.")
        if hint:
            raise cell.refused(f"unknown tag {tag!r}{hint}", "Tags: parameters, setup, step:NAME, after:NAME, output:NAME.")
