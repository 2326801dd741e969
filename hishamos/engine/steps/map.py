"""``map``: one step for each item of a list, many at once; its output is the list of outputs, in order."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import Field

from hishamos.engine.steptype import Child, Children, Done, Reference, Result, StepContext, StepInputs, StepType, Waiting
from hishamos.errors import ItemsFailed
from hishamos.records.definitions import StepDefinition

SHOWN = 3


class MapInputs(StepInputs):
    """Over what, and what to do with each item."""

    over: list[Any]
    """The list."""
    as_: str = Field("item", alias="as", pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")
    """The name under which the inner step's templates see the item; ``NAME_index`` is its number from 0."""
    concurrency: int = Field(8, ge=1, le=1000)
    """How many items are at work at once."""
    step: StepDefinition
    """What is done with each item."""


class MapStep(StepType[MapInputs]):
    """Arranges the items. A failed one fails the map once the others have finished; a declared ``retry`` is each item's."""

    name = "map"
    inputs = MapInputs
    raw = frozenset({"step"})
    literal = frozenset({"as"})
    composite = True

    def run(self, context: StepContext, inputs: MapInputs) -> Result:
        """See the plug."""
        if context.children is None:
            step = inputs.step
            if step.retry is None and context.retry is not None:
                step = step.model_copy(update={"retry": context.retry})
            return Waiting(children=Children(len(inputs.over), lambda index: self._item(inputs, step, index), inputs.concurrency))
        failed = [(index, end) for index, end in enumerate(context.children) if not end.passed]
        if failed:
            reasons = "; ".join(f"{context.path}[{index}]: {end.error.message if end.error else end.state.value}" for index, end in failed[:SHOWN])
            more = f"; and {len(failed) - SHOWN} more" if len(failed) > SHOWN else ""
            raise ItemsFailed(step=context.path, failed=len(failed), total=len(context.children), reasons=reasons + more)
        return Done([end.output for end in context.children])

    def references(self, raw: Mapping[str, Any]) -> Reference:
        """See the plug."""
        name = str(raw.get("as", "item"))
        return Reference(steps=[(("step",), StepDefinition.model_validate(raw["step"]), (name, f"{name}_index"))])

    @staticmethod
    def _item(inputs: MapInputs, step: StepDefinition, index: int) -> Child:
        return Child(f"[{index}]", step, {inputs.as_: inputs.over[index], f"{inputs.as_}_index": index})
