"""The step types: one row here, one file each. Others plug in by entry points of the group ``hishamos.steps``."""

from __future__ import annotations

import functools
import importlib
from importlib import metadata
from typing import Any

from hishamos.engine.steptype import StepType
from hishamos.errors import UnknownName

TABLE = {
    "agent": "hishamos.engine.steps.agent:AgentStep",
    "approval": "hishamos.engine.steps.approval:ApprovalStep",
    "cell": "hishamos.engine.steps.cell:CellStep",
    "command": "hishamos.engine.steps.command:CommandStep",
    "http": "hishamos.engine.steps.http:HttpStep",
    "loop": "hishamos.engine.steps.loop:LoopStep",
    "map": "hishamos.engine.steps.map:MapStep",
    "notebook": "hishamos.engine.steps.notebook:NotebookStep",
    "python": "hishamos.engine.steps.python:PythonStep",
    "shell": "hishamos.engine.steps.shell:ShellStep",
    "sql": "hishamos.engine.steps.sql:SqlStep",
    "switch": "hishamos.engine.steps.switch:SwitchStep",
    "wait": "hishamos.engine.steps.wait:WaitStep",
    "workflow": "hishamos.engine.steps.workflow:WorkflowStep",
}
OWN = {
    "batch": "hishamos.engine.steps.batch:BatchStep",
    "batch_row": "hishamos.engine.steps.batch:BatchRowStep",
    "row": "hishamos.engine.steps.row:RowStep",
    "rows": "hishamos.engine.steps.row:RowsStep",
}
"""What ``ws.map`` and ``ws.batch`` are made of; not for definitions."""


def known() -> list[str]:
    """Return the names of the step types that definitions may use."""
    return sorted({*TABLE, *_plugged()})


@functools.lru_cache(maxsize=256)
def step_type(name: str) -> StepType[Any]:
    """Return a step type; raises :class:`UnknownName` with the nearest name."""
    address = {**_plugged(), **TABLE, **OWN}.get(name)
    if address is None:
        raise UnknownName.among("step type", name, known(), f"Known: {', '.join(known())}.")
    module, _, attribute = address.partition(":")
    loaded: StepType[Any] = getattr(importlib.import_module(module), attribute)()
    return loaded


@functools.cache
def _plugged() -> dict[str, str]:
    return {point.name: point.value for point in metadata.entry_points(group="hishamos.steps")}
