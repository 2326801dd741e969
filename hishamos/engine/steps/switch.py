"""``switch``: do the one step whose case equals a value; its output is that step's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import Field

from hishamos.engine.sandbox import text_of
from hishamos.engine.steptype import Child, Children, Done, Reference, Result, Skipped, StepContext, StepInputs, StepType, Waiting
from hishamos.errors import CaseFailed
from hishamos.records.definitions import StepDefinition
from hishamos.records.runs import StepState


class SwitchInputs(StepInputs):
    """On what value, and what to do in which case."""

    on: Any
    """The value; it is compared as text, true and false as ``true`` and ``false``."""
    cases: dict[str, StepDefinition] = Field(min_length=1)
    """Value to step."""
    default: StepDefinition | None = None
    """What to do when no case matches; left out: nothing, the step is skipped."""


class SwitchStep(StepType[SwitchInputs]):
    """Chooses one inner step."""

    name = "switch"
    inputs = SwitchInputs
    raw = frozenset({"cases", "default"})
    composite = True

    def run(self, context: StepContext, inputs: SwitchInputs) -> Result:
        """See the plug."""
        case = text_of(inputs.on)
        chosen = inputs.cases.get(case, inputs.default)
        if chosen is None:
            return Skipped(f"no case for {case!r}")
        if context.children is None:
            name = case if case in inputs.cases else "default"
            return Waiting(children=Children(1, lambda _: Child(f"/{name}", chosen)))
        end = context.children[0]
        if end.state is StepState.SKIPPED:
            return Skipped(f"the case {case!r} was skipped")
        if not end.passed:
            raise CaseFailed(step=context.path, case=case, reason=end.error.message if end.error else end.state.value)
        return Done(end.output)

    def references(self, raw: Mapping[str, Any]) -> Reference:
        """See the plug."""
        steps: list[tuple[tuple[str | int, ...], StepDefinition, tuple[str, ...]]] = []
        for case, step in dict(raw["cases"]).items():
            steps.append((("cases", case), StepDefinition.model_validate(step), ()))
        if raw.get("default") is not None:
            steps.append((("default",), StepDefinition.model_validate(raw["default"]), ()))
        return Reference(steps=steps)
