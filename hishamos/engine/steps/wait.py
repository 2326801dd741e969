"""``wait``: go on at a time, or when an event is set; output ``{event, data, by, timed_out}``."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Self

from pydantic import AwareDatetime, Field, model_validator

from hishamos.engine.steptype import Done, Library, Problem, Result, StepContext, StepInputs, StepType, Waiting
from hishamos.records.runs import EVENT_NAME

LONGEST_S = 366 * 24 * 3600.0


class WaitInputs(StepInputs):
    """Until when, or for what."""

    seconds: float | None = Field(None, ge=0, le=LONGEST_S, allow_inf_nan=False)
    """Seconds from when the step began, a year at most."""
    until: AwareDatetime | None = None
    """A date and time with its zone: ``2027-01-31T08:00:00+02:00``."""
    event: str | None = Field(None, pattern=EVENT_NAME)
    """An event's name, set by ``hishamos signal RUN NAME``; with ``seconds`` or ``until`` the step waits so long at most."""

    @model_validator(mode="after")
    def _something(self) -> Self:
        if self.seconds is not None and self.until is not None:
            raise ValueError("give seconds or until, not both")
        if self.seconds is None and self.until is None and self.event is None:
            raise ValueError("give seconds, until or event")
        return self


class WaitStep(StepType[WaitInputs]):
    """Holds the run until its time has come or its event is set. An event that was set before the step began counts, and stays set."""

    name = "wait"
    inputs = WaitInputs
    timed = False

    def run(self, context: StepContext, inputs: WaitInputs) -> Result:
        """See the plug."""
        signal = context.signal(inputs.event) if inputs.event is not None else None
        if signal is not None:
            return Done({"event": signal.name, "data": signal.data, "by": signal.by, "timed_out": False})
        due = _due(context, inputs)
        if due is not None and due <= context.moment:
            return Done({"event": None, "data": None, "by": None, "timed_out": inputs.event is not None})
        return Waiting(until=due, event=inputs.event)

    def check(self, raw: Mapping[str, Any], library: Library) -> list[Problem]:  # noqa: ARG002 - events stand in no library
        """See the plug: what the model can't tell while a template stands beside it."""
        times = [name for name in ("seconds", "until") if raw.get(name) is not None]
        if len(times) > 1:
            return [Problem((times[1],), "give seconds or until, not both")]
        return []


def _due(context: StepContext, inputs: WaitInputs) -> datetime | None:
    if inputs.until is not None:
        return inputs.until
    return None if inputs.seconds is None else context.started_at + timedelta(seconds=inputs.seconds)
