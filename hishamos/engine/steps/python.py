"""``python``: call a function; its output is what the function returns, as plain data."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ConfigDict

from hishamos.contracts.code import CodeCall, CodeEnd, PreparedCode
from hishamos.engine.foreign import foreign
from hishamos.engine.functions import WORKSPACE, argument_problems, function, is_own, takes_workspace
from hishamos.engine.steptype import Done, Interrupted, Library, Parked, Problem, Result, StepContext, StepInputs, StepType, Waiting
from hishamos.errors import HishamosError, InvalidInput
from hishamos.records.callbacks import KERNEL
from hishamos.records.plain import plain_data


class PythonInputs(StepInputs):
    """Which function; everything else under ``with`` is its arguments."""

    model_config = ConfigDict(frozen=True, extra="allow", use_attribute_docstrings=True)

    function: str
    """``steps.MODULE:FUNCTION`` of the workspace, ``hishamos.library.functions.MODULE:FUNCTION``, an entry point's name, or ``kernel:NAME`` for one
    that the notebook or script which starts the run registers with ``@hishamos.step``.
    """


class PythonStep(StepType[PythonInputs]):
    """Calls a function of the library in a thread of its own, any other one in a child process; a parameter ``ws`` gets the run's workspace."""

    name = "python"
    inputs = PythonInputs
    literal = frozenset({"function"})

    def run(self, context: StepContext, inputs: PythonInputs) -> Result:
        """See the plug."""
        if not is_own(inputs.function):
            return _elsewhere(context, inputs)
        called = function(inputs.function)
        arguments = dict(inputs.model_extra or {})

        def work() -> Any:
            injected = {WORKSPACE: context.workspace()} if takes_workspace(called) else {}
            return plain_data(called(**arguments, **injected))

        answer = context.background(work)
        return Done(answer.value) if answer.ready else Waiting([answer])

    def check(self, raw: Mapping[str, Any], library: Library) -> list[Problem]:
        """See the plug: the function may be named, exists and takes these arguments."""
        name = str(raw.get("function", ""))
        if name.startswith(KERNEL):
            plain = name.removeprefix(KERNEL).isidentifier()
            return [] if plain else [Problem(("function",), f"{name!r} names no function of a notebook", "Write kernel:NAME.")]
        try:
            signature = inspect.signature(function(name)) if is_own(name) else foreign(name, library.root).signature
        except HishamosError as error:
            return [Problem(("function",), str(error))]
        if signature is None:
            return []
        found = argument_problems(name.rpartition(":")[2], signature, set(raw) - {"function"})
        return [Problem((argument,) if argument in raw else (), problem) for argument, problem in found]


def _elsewhere(context: StepContext, inputs: PythonInputs) -> Result:
    call: PreparedCode | None = context.memory.get("call")
    if call is None:
        call = context.memory["call"] = _prepared(context, inputs)
        context.at_end(call.stop)
    answer = context.background(call.run, lane="steps" if inputs.function.startswith(KERNEL) else "children")
    return Done(_output(answer.value)) if answer.ready else Waiting([answer])


def _prepared(context: StepContext, inputs: PythonInputs) -> PreparedCode:
    arguments = dict(inputs.model_extra or {})
    if inputs.function.startswith(KERNEL):
        use = context.pinned.kernel
        if use is None:
            following = "Start it in the notebook or script that registers it."
            raise InvalidInput(what=f"{inputs.function} is called by no run that was started elsewhere", where=context.path, next=following)
        call = CodeCall(context.path, inputs.function, "", inputs.function.removeprefix(KERNEL), arguments, "")
        return context.outside.call_back(context.run.id, use.desk, call, context.workspace)
    found = foreign(inputs.function, Path(context.outside.settings().root))
    return context.outside.code(CodeCall(context.path, found.name, found.module, found.attribute, arguments, found.stamp), context.workspace)


def _output(end: CodeEnd) -> Any:
    if end.stopped:
        raise Interrupted
    if end.parked is not None:
        raise Parked(end.parked)
    if end.error is not None:
        raise end.error
    return end.value
