"""``loop``: one step again and again, each after the one before; output ``{output, outputs, iterations, ended}``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from hishamos.engine.steptype import (
    Child,
    ChildEnd,
    Children,
    Done,
    Expression,
    Library,
    Problem,
    Reference,
    Result,
    StepContext,
    StepInputs,
    StepType,
    Waiting,
)
from hishamos.errors import BoundReached, IterationFailed
from hishamos.records.definitions import StepDefinition
from hishamos.records.runs import StepState

PASSED = frozenset({StepState.SUCCEEDED, StepState.SKIPPED})
MOST = 1_000
PREVIOUS = "previous"


class LoopInputs(StepInputs):
    """How often, and what to do each time."""

    for_: list[Any] | None = Field(None, alias="for", max_length=MOST)
    """A list: once for each item, in order."""
    until: str | None = None
    """An expression without braces, looked at after each time: the loop ends when it holds. It sees ``previous`` and the names of the step."""
    at_most: int | None = Field(None, ge=1, le=MOST)
    """With ``until``: how often at most."""
    at_bound: Literal["fail", "continue"] = "fail"
    """What it is when ``until`` did not hold in time: a failure, or an output whose ``ended`` is ``at_most``."""
    as_: str = Field("item", alias="as", pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")
    """The name of the item (with ``until``: of the number from 0); ``NAME_index`` is its number from 0."""
    step: StepDefinition
    """What is done each time. It sees ``previous``: the output of the time before, null at first."""

    @model_validator(mode="after")
    def _bounded(self) -> Self:
        if (self.for_ is None) == (self.until is None):
            raise ValueError("give for or until, one of them")
        if (self.until is None) != (self.at_most is None):
            raise ValueError("until needs at_most, the number of times at most; for has its list's length")
        if self.as_ == PREVIOUS:
            raise ValueError(f"{PREVIOUS} is the name of the output of the time before")
        return self


class LoopStep(StepType[LoopInputs]):
    """Makes one child after another. Resumed, it goes on with the time at which it was; a declared ``retry`` is the inner step's own."""

    name = "loop"
    inputs = LoopInputs
    raw = frozenset({"step", "until"})
    literal = frozenset({"as"})
    composite = True

    def run(self, context: StepContext, inputs: LoopInputs) -> Result:
        """See the plug."""
        ends = context.children or ()
        most = len(inputs.for_) if inputs.for_ is not None else inputs.at_most or 0
        if ends and ends[-1].state not in PASSED:
            last = ends[-1]
            reason = last.error.message if last.error else last.state.value
            raise IterationFailed(step=context.path, number=len(ends), total=most, reason=reason.removeprefix(f"{context.path}[{len(ends) - 1}]: "))
        if ends and inputs.until is not None and context.holds(inputs.until, _names(inputs, len(ends) - 1, ends[-1].output)):
            return _done(ends, "until")
        if len(ends) < most:
            previous = ends[-1].output if ends else None
            return Waiting(children=Children(len(ends) + 1, lambda index: _time(inputs, index, previous)))
        if inputs.until is not None and inputs.at_bound == "fail":
            raise BoundReached(step=context.path, until=inputs.until, times=most)
        return _done(ends, "for" if inputs.until is None else "at_most")

    def check(self, raw: Mapping[str, Any], library: Library) -> list[Problem]:  # noqa: ARG002 - a loop names nothing
        """See the plug: what the model can't tell while the list is a template."""
        if raw.get("for") is not None and (raw.get("until") is not None or raw.get("at_most") is not None):
            return [Problem(("for",), "give for or until with at_most, one of them")]
        return []

    def references(self, raw: Mapping[str, Any]) -> Reference:
        """See the plug."""
        return Reference(steps=[(("step",), StepDefinition.model_validate(raw["step"]), _seen(raw))])

    def expressions(self, raw: Mapping[str, Any]) -> list[Expression]:
        """See the plug."""
        return [Expression(("until",), raw["until"], _seen(raw))] if raw.get("until") is not None else []


def _seen(raw: Mapping[str, Any]) -> tuple[str, ...]:
    name = str(raw.get("as", "item"))
    return (name, f"{name}_index", PREVIOUS)


def _names(inputs: LoopInputs, index: int, previous: Any) -> dict[str, Any]:
    item = inputs.for_[index] if inputs.for_ is not None else index
    return {inputs.as_: item, f"{inputs.as_}_index": index, PREVIOUS: previous}


def _time(inputs: LoopInputs, index: int, previous: Any) -> Child:
    return Child(f"[{index}]", inputs.step, _names(inputs, index, previous))


def _done(ends: Sequence[ChildEnd], ended: str) -> Done:
    outputs = [end.output for end in ends]
    return Done({"output": outputs[-1] if outputs else None, "outputs": outputs, "iterations": len(outputs), "ended": ended})
