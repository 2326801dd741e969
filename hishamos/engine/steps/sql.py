"""``sql``: one SELECT over the views that people query; output ``{rows, truncated}``."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from pydantic import Field, model_validator

from hishamos.engine.places import inside
from hishamos.engine.steptype import Done, Library, Problem, Result, StepContext, StepInputs, StepType, Waiting
from hishamos.errors import HishamosError, InvalidInput
from hishamos.records.plain import plain_data

MOST_ROWS = 100_000
LONGEST_FILE = 100_000


class SqlInputs(StepInputs):
    """What is asked."""

    query: str | None = None
    """One SELECT; values come in by ``$name``, never by a template."""
    file: str | None = None
    """Instead of ``query``: a ``.sql`` file of the workspace."""
    parameters: dict[str, str | int | float | bool | None] = {}
    """The values of ``$name``."""
    limit: int = Field(1000, ge=1, le=MOST_ROWS)
    """Most rows; ``output.truncated`` tells when there were more."""

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.query is None) == (self.file is None):
            raise ValueError("give query or file, one of them")
        return self


class SqlStep(StepType[SqlInputs]):
    """Asks the workspace's own store as ``ws.sql`` does, with the permissions of the run's actor, within the step's time limit."""

    name = "sql"
    inputs = SqlInputs
    literal = frozenset({"query", "file"})

    def run(self, context: StepContext, inputs: SqlInputs) -> Result:
        """See the plug."""

        def work() -> dict[str, Any]:
            workspace = context.workspace()
            statement = inputs.query if inputs.file is None else _text(Path(workspace.root), inputs.file)
            table = workspace.queries.query_table(statement, limit=inputs.limit, timeout_s=context.limit_s, parameters=inputs.parameters)
            rows = [{name: _plain(value) for name, value in row.items()} for row in table.to_pylist()]
            return {"rows": rows, "truncated": b"truncated" in (table.schema.metadata or {})}

        answer = context.background(work)
        return Done(answer.value) if answer.ready else Waiting([answer])

    def check(self, raw: Mapping[str, Any], library: Library) -> list[Problem]:
        """See the plug: the file is there and stays inside the workspace."""
        if not isinstance(raw.get("file"), str):
            return []
        try:
            _text(library.root, raw["file"])
        except HishamosError as error:
            return [Problem(("file",), str(error))]
        return []


def _text(root: Path, name: str) -> str:
    path = inside(root, name, "a sql step's file")
    if path.suffix != ".sql" or not path.is_file():
        raise InvalidInput(what=f"there is no file {name!r} that ends in .sql", where=str(root), next="Put the statement there, or use query.")
    if path.stat().st_size > LONGEST_FILE:
        raise InvalidInput(what=f"{name!r} is longer than {LONGEST_FILE} bytes", where=str(root), next="One SELECT fits.")
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise InvalidInput(what=f"{name!r} is not UTF-8", where=str(root), next="Save it as UTF-8.") from None


def _plain(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, list):
        return [_plain(inner) for inner in value]
    if isinstance(value, Mapping):
        return {str(key): _plain(inner) for key, inner in value.items()}
    return value if value is None or isinstance(value, (bool, int, float, str)) else _told(value)


def _told(value: Any) -> Any:
    try:
        return plain_data(value)
    except TypeError:
        return str(value)
