"""``cell``: the code of a notebook's cell in a child process; output: the variables that it gives, as plain data."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import Field

from hishamos.contracts.code import CodeCall, CodeEnd, PreparedCode
from hishamos.engine.steptype import Done, Interrupted, Library, Problem, Result, StepContext, StepInputs, StepType, Waiting

MODULE, FUNCTION = "hishamos.kernels.cell_code", "run_cell"


class CellCode(StepInputs):
    """The code of one cell."""

    code: str
    """Plain Python."""
    place: str = "a cell"
    """Where it stands, for errors: ``report.ipynb, cell 4``."""


class CellInputs(CellCode):
    """The code, what runs before it, what it is given, and what it gives."""

    setup: list[CellCode] = []
    """Code that runs before it: imports and functions."""
    values: dict[str, Any] = {}
    """Variables that it finds, by name."""
    gives: list[str] = Field([], max_length=1000)
    """Variables that are its output: texts, numbers, lists, dicts, records."""


class CellStep(StepType[CellInputs]):
    """Runs the code of a cell once, in a child process as functions of the workspace; ``hishamos.open()`` in it gives the run's workspace."""

    name = "cell"
    inputs = CellInputs
    raw = frozenset({"code", "place", "setup", "gives"})

    def run(self, context: StepContext, inputs: CellInputs) -> Result:
        """See the plug."""
        call: PreparedCode | None = context.memory.get("call")
        if call is None:
            arguments = {**inputs.model_dump(), "root": str(context.outside.settings().root)}
            made = CodeCall(context.path, inputs.place, MODULE, FUNCTION, arguments, "")
            call = context.memory["call"] = context.outside.code(made, context.workspace)
            context.at_end(call.stop)
        answer = context.background(call.run, lane="children")
        return Done(_output(answer.value)) if answer.ready else Waiting([answer])

    def check(self, raw: Mapping[str, Any], library: Library) -> list[Problem]:  # noqa: ARG002 - code names nothing of the library
        """See the plug: the code is Python."""
        return [Problem((*place, "code"), f"this is no Python: {problem}") for place, code in _codes(raw) if (problem := syntax_problem(code))]


def syntax_problem(code: str) -> str | None:
    """Return what keeps a text from being Python, and in which of its lines; None for Python."""
    try:
        ast.parse(code)
    except SyntaxError as error:
        return f"{error.msg} (line {error.lineno})"
    except ValueError as error:
        return str(error)
    return None


def _codes(raw: Mapping[str, Any]) -> Iterator[tuple[tuple[str | int, ...], str]]:
    yield (), str(raw.get("code", ""))
    for number, one in enumerate(raw.get("setup") or []):
        yield ("setup", number), str(one.get("code", ""))


def _output(end: CodeEnd) -> Any:
    if end.stopped:
        raise Interrupted
    if end.error is not None:
        raise end.error
    return end.value
