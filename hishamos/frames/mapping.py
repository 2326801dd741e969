"""A command over the rows of a DataFrame: rows out, the server does the work, columns come back."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hishamos.contracts.services import MapMode
from hishamos.errors import InvalidInput, UnknownName, nearest_hint
from hishamos.records.definitions import CommandDefinition
from hishamos.records.record import usd
from hishamos.records.runs import Run
from hishamos.records.workspaces import MapRow
from hishamos.text.files import absolute

if TYPE_CHECKING:
    import pandas

    from hishamos.workspace import Workspace

PAGE = 2000
FACTS = ("hos_status", "hos_error", "hos_model", "hos_cost_usd", "hos_attempts", "hos_command", "hos_reused")


def map_frame(
    workspace: Workspace,
    frame: pandas.DataFrame,
    command: str,
    *,
    columns: Mapping[str, str] | None,
    inputs: Mapping[str, Any] | None,
    model: str | None,
    concurrency: int,
    mode: MapMode,
    budget_usd: str | None,
    prefix: str,
    fresh: bool,
    key: str | None,
) -> pandas.DataFrame:
    """Implements :class:`hishamos.workspace.FrameMap`."""
    definition = workspace.commands.get(command)
    chosen = _columns(frame, definition, columns or {}, inputs or {})
    added = [prefix + name for name in (*_properties(definition), *FACTS)]
    _no_clash(frame, added, prefix)
    if not len(frame):
        return frame.assign(**dict.fromkeys(added))
    rows = [_with_paths(row, definition, Path(workspace.root)) for row in _rows(frame, chosen, inputs or {})]
    run = workspace.commands.start_map(definition.name, rows, model=model, concurrency=concurrency, mode=mode, budget_usd=budget_usd, fresh=fresh, key=key)
    ended = _wait(workspace, run)
    return _with_columns(workspace, frame, definition, ended, prefix)


def frame_inputs(
    workspace: Workspace, frame: pandas.DataFrame, command: str, columns: Mapping[str, str] | None, inputs: Mapping[str, Any] | None
) -> list[dict[str, Any]]:
    """Return the inputs that :func:`map_frame` would give the command, a row each."""
    return list(_rows(frame, _columns(frame, workspace.commands.get(command), columns or {}, inputs or {}), inputs or {}))


def _wait(workspace: Workspace, run: Run) -> Run:
    """Wait through the face's watch; an interrupt detaches, and the rows that have come are returned."""
    try:
        return workspace.watch(workspace, run.id, None)
    except KeyboardInterrupt:
        return workspace.runs.get(run.id)


def _columns(frame: pandas.DataFrame, definition: CommandDefinition, columns: Mapping[str, str], inputs: Mapping[str, Any]) -> dict[str, str]:
    """Return parameter to column; a parameter that has neither a column nor a value nor a default is told before anything starts."""
    where = f"ws.map, command {definition.name}"
    names = [str(name) for name in frame.columns]
    for parameter, column in columns.items():
        if parameter not in definition.parameters:
            raise UnknownName.among("parameter", parameter, list(definition.parameters), f"{definition.name} takes: {', '.join(definition.parameters)}.")
        if column not in frame.columns:
            raise InvalidInput(what=f"the frame has no column {column!r}{nearest_hint(column, names)}", where=where, next=f"It has: {', '.join(names)}.")
    found = dict(columns)
    for name, declared in definition.parameters.items():
        if name in found or name in inputs:
            continue
        if name in frame.columns:
            found[name] = name
        elif declared.required:
            advice = f'Say which: columns={{"{name}": COLUMN}}. The frame has: {", ".join(names)}.'
            raise InvalidInput(what=f"no column for the parameter {name!r}", where=where, next=advice)
    repeated = [name for name in found.values() if names.count(name) > 1]
    if repeated:
        raise InvalidInput(what=f"the frame has the column {repeated[0]!r} twice", where=where, next="Rename one of them.")
    return found


def _no_clash(frame: pandas.DataFrame, added: list[str], prefix: str) -> None:
    clash = [name for name in added if name in frame.columns]
    if clash:
        advice = f'Give prefix="{prefix or "new"}_" to name the new columns otherwise.'
        raise InvalidInput(what=f"the frame already has the column {clash[0]!r}", where="ws.map", next=advice)


def _properties(definition: CommandDefinition) -> list[str]:
    schema = definition.output or {}
    properties = schema.get("properties")
    return list(properties) if schema.get("type") == "object" and properties else ["output"]


def _rows(frame: pandas.DataFrame, chosen: Mapping[str, str], inputs: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield each row's inputs as plain values; a missing value is left out, so that the parameter's default holds."""
    values = {parameter: [_plain(value) for value in frame[column].tolist()] for parameter, column in chosen.items()}
    for index in range(len(frame)):
        row = {parameter: column[index] for parameter, column in values.items() if column[index] is not None}
        yield {**inputs, **row}


def _with_paths(row: dict[str, Any], definition: CommandDefinition, root: Path) -> dict[str, Any]:
    """Make relative paths absolute: only the caller knows its folder."""
    files = [name for name, parameter in definition.parameters.items() if parameter.type == "file" and isinstance(row.get(name), (str, os.PathLike))]
    return row | {name: absolute(row[name], root) for name in files}


def _plain(value: Any) -> Any:
    import pandas as pd

    if isinstance(value, (list, dict, tuple, set)):
        return list(value) if isinstance(value, (tuple, set)) else value
    if pd.api.types.is_scalar(value) and pd.isna(value):
        return None
    if isinstance(value, bytes):
        return value.decode("utf-8", errors="replace")
    if hasattr(value, "isoformat"):
        return value.isoformat()
    return value.item() if hasattr(value, "item") else value


def _pages(workspace: Workspace, run: str) -> Iterator[MapRow]:
    after = -1
    while page := workspace.commands.map_rows(run, after=after, limit=PAGE):
        yield from page
        after = page[-1].index


def _with_columns(workspace: Workspace, frame: pandas.DataFrame, definition: CommandDefinition, run: Run, prefix: str) -> pandas.DataFrame:
    import pandas as pd

    properties = _properties(definition)
    columns: dict[str, list[Any]] = {name: [None] * len(frame) for name in (*properties, *FACTS)}
    columns["hos_status"] = ["pending"] * len(frame)
    columns["hos_command"] = [definition.reference] * len(frame)
    for row in _pages(workspace, run.id):
        for name in properties:
            columns[name][row.index] = _property(row.output, name, properties)
        facts = (row.status, row.error, row.model, usd(row.cost_nanos), row.attempts, definition.reference, row.reused)
        for name, value in zip(FACTS, facts, strict=True):
            columns[name][row.index] = value
    added = {prefix + name: _series(values, frame.index) for name, values in columns.items()}
    return pd.concat([frame, pd.DataFrame(added, index=frame.index)], axis=1)


def _series(values: list[Any], index: pandas.Index) -> pandas.Series:
    """Return a column; nested values and exact decimals stay objects, the rest gets pandas' own nullable types."""
    import pandas as pd

    series = pd.Series(values, index=index, dtype=object)
    kinds = {type(value) for value in values if value is not None}
    if kinds <= {str}:
        return series.astype("str") if None not in values else series.astype(pd.StringDtype(na_value=float("nan")))
    if kinds == {bool}:
        return series.astype("boolean" if None in values else bool)
    if kinds == {int}:
        return series.astype("Int64" if None in values else "int64")
    if kinds <= {int, float}:
        return series.astype(float)
    return series


def _property(output: Any, name: str, properties: list[str]) -> Any:
    if properties == ["output"]:
        return output if not isinstance(output, (dict, list)) else json.dumps(output, ensure_ascii=False)
    return output.get(name) if isinstance(output, dict) else None
