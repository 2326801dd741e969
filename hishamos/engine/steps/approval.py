"""``approval``: wait for a person; output ``{decision, comment, by}``."""

from __future__ import annotations

from typing import Literal

from hishamos.engine.steptype import Done, Result, StepContext, StepInputs, StepType, Waiting
from hishamos.errors import Rejected


class ApprovalInputs(StepInputs):
    """What a person is asked."""

    message: str
    """The question, in a sentence."""
    on_reject: Literal["fail", "continue"] = "fail"
    """``fail``: a rejection ends the run as failed. ``continue``: later steps look at ``output.decision``."""


class ApprovalStep(StepType[ApprovalInputs]):
    """Holds the run until somebody approves or rejects; no process has to live meanwhile."""

    name = "approval"
    inputs = ApprovalInputs
    timed = False

    def run(self, context: StepContext, inputs: ApprovalInputs) -> Result:
        """See the plug."""
        decided = context.decided
        if decided is None:
            return Waiting(person=inputs.message)
        if decided.decision == "reject" and inputs.on_reject == "fail":
            raise Rejected(step=context.path, by=decided.by, comment=f": {decided.comment}" if decided.comment else "", run=context.run.id)
        return Done(decided.model_dump())
