"""``python``: call a library function; its output is what the function returns, as plain data."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal
from enum import Enum
from pathlib import PurePath
from typing import Any

from pydantic import BaseModel, ConfigDict

from hishamos.engine.functions import WORKSPACE, argument_problems, function, takes_workspace
from hishamos.engine.steptype import Done, Library, Problem, Result, StepContext, StepInputs, StepType, Waiting
from hishamos.errors import HishamosError


class PythonInputs(StepInputs):
    """Which function; everything else under ``with`` is its arguments."""

    model_config = ConfigDict(frozen=True, extra="allow", use_attribute_docstrings=True)

    function: str
    """``hishamos.library.functions.MODULE:FUNCTION``, or an entry point's name."""


class PythonStep(StepType[PythonInputs]):
    """Calls the function in a thread of its own; a parameter ``ws`` gets the run's workspace."""

    name = "python"
    inputs = PythonInputs
    literal = frozenset({"function"})

    def run(self, context: StepContext, inputs: PythonInputs) -> Result:
        """See the plug."""
        called = function(inputs.function)
        arguments = dict(inputs.model_extra or {})

        def work() -> Any:
            injected = {WORKSPACE: context.workspace()} if takes_workspace(called) else {}
            return plain_data(called(**arguments, **injected))

        answer = context.background(work)
        return Done(answer.value) if answer.ready else Waiting([answer])

    def check(self, raw: Mapping[str, Any], library: Library) -> list[Problem]:  # noqa: ARG002 - functions stand in no library of definitions
        """See the plug: the function may be named, exists and takes these arguments."""
        try:
            called = function(str(raw.get("function", "")))
        except HishamosError as error:
            return [Problem(("function",), str(error))]
        found = argument_problems(called, set(raw) - {"function"})
        return [Problem((name,) if name in raw else (), problem) for name, problem in found]


def plain_data(value: Any) -> Any:  # noqa: PLR0911 - one line a kind of value
    """Return what a function gave as plain data; raises TypeError for what has no such form."""
    if value is None or isinstance(value, (bool, int, str)):
        return value.value if isinstance(value, Enum) else value
    if isinstance(value, float):
        if not math.isfinite(value):
            raise TypeError(f"it returned {value}, which JSON can't hold; return None instead")
        return value
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain_data(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): plain_data(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain_data(inner) for inner in value]
    if isinstance(value, (set, frozenset)):
        return sorted(plain_data(inner) for inner in value)
    if isinstance(value, (date, datetime)):
        return value.isoformat()
    if isinstance(value, (Decimal, PurePath)):
        return str(value)
    raise TypeError(f"it returned a {type(value).__name__}, which is no plain data; return text, numbers, lists, dicts or records")
