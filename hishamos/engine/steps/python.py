"""``python``: call a library function; its output is what the function returns, as plain data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import ConfigDict

from hishamos.engine.functions import WORKSPACE, argument_problems, function, takes_workspace
from hishamos.engine.plain import plain_data
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
