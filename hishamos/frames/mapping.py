"""A command over the rows of a frame: rows out, the server does the work, columns come back."""

from __future__ import annotations

import json
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hishamos.contracts.shapes import Shape
from hishamos.errors import InvalidInput, UnknownName, nearest_hint
from hishamos.frames.kinds import Column, Given, given
from hishamos.frames.row_answers import Answers, Asking, Question, ask, forecast
from hishamos.frames.row_pages import ColumnRows, Rows, files_of
from hishamos.records.definitions import CommandDefinition
from hishamos.records.forecasts import Forecast
from hishamos.records.record import usd
from hishamos.records.workspaces import MapRow

if TYPE_CHECKING:
    from hishamos.workspace import Workspace

FACTS = ("hos_status", "hos_error", "hos_model", "hos_cost_usd", "hos_attempts", "hos_command", "hos_reused")


FACT_KINDS = {"hos_attempts": "whole", "hos_reused": "truth"}


@dataclass(frozen=True)
class MapWork:
    """One map over one frame, held against it: it can be forecast, and done."""

    workspace: Workspace
    frame: Given
    question: Question
    rows: Rows
    asking: Asking = field(default_factory=Asking)
    prefix: str = ""
    judged: bool = False
    """Whether what the offline model could not judge is a missing value."""
    adds: bool = True
    """Whether the answers become columns."""

    def __post_init__(self) -> None:
        if self.adds:
            no_clash(self.frame.names, (*self.question.properties, *FACTS), self.prefix)

    def forecast(self) -> Forecast:
        """Return what it will cost and take."""
        return forecast(self.workspace, self.question, self.rows, self.asking)

    def do(self) -> Any:
        """Return the frame with the answers' columns."""
        return self.framed(ask(self.workspace, self.question, self.rows, self.asking))

    def framed(self, answers: Answers) -> Any:
        """Return the frame with answers that have come."""
        properties, reference = self.question.properties, self.question.command.reference
        columns: dict[str, Column] = {self.prefix + name: self.frame.column(self.question.kind(name)) for name in properties}
        columns |= {self.prefix + name: self.frame.column(FACT_KINDS.get(name, "text")) for name in FACTS}
        for page in answers.pages():
            values = [[_property(row, name, properties, judged=self.judged) for row in page] for name in properties]
            for column, cells in zip(columns.values(), [*values, *facts(page, reference)], strict=True):
                column.add(cells)
        return self.frame.with_columns(columns)


def facts(page: Sequence[MapRow], reference: str) -> list[list[Any]]:
    """Return the columns of :data:`FACTS` for some rows."""
    return [
        [row.status for row in page],
        [row.error for row in page],
        [row.model for row in page],
        [usd(row.cost_nanos) for row in page],
        [row.attempts for row in page],
        [reference] * len(page),
        [row.reused for row in page],
    ]


def plan_map(
    workspace: Workspace,
    frame: Any,
    command: str,
    *,
    columns: Mapping[str, Hashable] | None,
    inputs: Mapping[str, Any] | None,
    output: Shape | None,
    prefix: str,
    asking: Asking,
) -> MapWork:
    """Hold a map against its command and its frame; what can't work is told before anything starts."""
    definition = workspace.commands.get(command)
    takes = f"{definition.name} takes: {', '.join(definition.parameters)}."
    for what, holds, told in (("columns", "COLUMN", columns), ("inputs", "VALUE", inputs)):
        if told is not None and not isinstance(told, Mapping):
            advice = f'Write {what}={{"PARAMETER": {holds}}}. {takes}'
            raise InvalidInput(what=f"{what} is {told!r:.60}, no mapping", where=f"ws.map, command {definition.name}", next=advice)
    taken = given(frame, f"ws.map, command {definition.name}")
    chosen = _columns(taken, definition, columns or {}, inputs or {})
    rows = ColumnRows(taken, chosen, files_of(definition), Path(workspace.root))
    return MapWork(workspace, taken, Question(definition, dict(inputs or {}), output), rows, asking, prefix)


def known_columns(frame: Given, names: Sequence[Hashable], where: str) -> None:
    """Raise :class:`InvalidInput` for a column that a frame has not, with the nearest name, or that it has twice."""
    told = [str(name) for name in frame.names]
    for column in names:
        if column not in frame.names:
            raise InvalidInput(what=f"the frame has no column {column!r}{nearest_hint(str(column), told)}", where=where, next=f"It has: {', '.join(told)}.")
        if frame.names.count(column) > 1:
            raise InvalidInput(what=f"the frame has the column {column!r} twice", where=where, next="Rename one of them.")


def no_clash(names: Sequence[Hashable], added: Sequence[str], prefix: str) -> None:
    """Raise :class:`InvalidInput` where a new column, ``prefix`` before a name of ``added``, would have the name of one that is there."""
    if not isinstance(prefix, str):
        raise InvalidInput(what=f"prefix is {prefix!r}", where="prefix", next='Give a text, such as "new_", to go before the new columns\' names.')
    there = {name[0] if isinstance(name, tuple) else name for name in names}
    clash = [prefix + name for name in added if prefix + name in there]
    if clash:
        advice = f'Give prefix="{prefix or "new"}_" to name the new columns otherwise.'
        raise InvalidInput(what=f"the frame already has the column {clash[0]!r}", where="ws.map", next=advice)


def _columns(frame: Given, definition: CommandDefinition, columns: Mapping[str, Hashable], inputs: Mapping[str, Any]) -> dict[str, Hashable]:
    """Return parameter to column; a parameter that has neither a column nor a value nor a default is told before anything starts."""
    where = f"ws.map, command {definition.name}"
    takes = f"{definition.name} takes: {', '.join(definition.parameters)}."
    for parameter in (*columns, *inputs):
        if parameter not in definition.parameters:
            raise UnknownName.among("parameter", parameter, list(definition.parameters), takes)
    known_columns(frame, list(columns.values()), where)
    found = dict(columns)
    for name, declared in definition.parameters.items():
        if name in found or name in inputs:
            continue
        if name in frame.names:
            found[name] = name
        elif declared.required:
            told = ", ".join(str(one) for one in frame.names)
            advice = f'Say which: columns={{"{name}": COLUMN}}. The frame has: {told}.'
            raise InvalidInput(what=f"no column for the parameter {name!r}", where=where, next=advice)
    known_columns(frame, list(found.values()), where)
    return found


def _property(row: MapRow, name: str, properties: list[str], *, judged: bool) -> Any:
    if properties == ["output"] and (not isinstance(row.output, dict) or list(row.output) != ["output"]):
        return json.dumps(row.output, ensure_ascii=False) if isinstance(row.output, (dict, list)) else row.output
    if not isinstance(row.output, dict) or (judged and name in row.not_judged):
        return None
    return row.output.get(name)
