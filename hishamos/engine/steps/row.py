"""What ``ws.map`` is made of: ``rows`` holds one ``row`` for each line of the frame; a failed row never fails the map."""

from __future__ import annotations

from dataclasses import replace

from pydantic import Field

from hishamos.contracts.journal import RowState
from hishamos.engine.conversation import converse
from hishamos.engine.rows import PlannedRow
from hishamos.engine.steptype import Answer, Child, Children, Done, Result, StepContext, StepInputs, StepType, Waiting
from hishamos.errors import BudgetRefused, HishamosError
from hishamos.records.calls import ModelRequest, Outcome
from hishamos.records.definitions import StepDefinition


class RowsInputs(StepInputs):
    """How many rows, and how many at once."""

    count: int = Field(ge=0)
    concurrency: int = Field(ge=1)
    limit_s: float | None = None
    """The time limit of a row, seconds; left out: the workspace's."""


class RowInputs(StepInputs):
    """Nothing: the row's number says all."""


class RowsStep(StepType[RowsInputs]):
    """Arranges the rows and counts how they ended."""

    name = "rows"
    inputs = RowsInputs
    composite = True

    def run(self, context: StepContext, inputs: RowsInputs) -> Result:
        """See the plug."""
        if context.children is None:
            inner = StepDefinition(type="row", timeout=inputs.limit_s)
            return Waiting(children=Children(inputs.count, lambda index: Child(f"[{index}]", inner), inputs.concurrency, lenient=True))
        counts: dict[str, int] = {}
        for end in context.children:
            counts[end.state.value] = counts.get(end.state.value, 0) + 1
        return Done({"rows": inputs.count, **counts})


class RowStep(StepType[RowInputs]):
    """One row: reused where the workspace has its answer, else asked for under the key it has in the workspace."""

    name = "row"
    inputs = RowInputs

    def run(self, context: StepContext, inputs: RowInputs) -> Result:  # noqa: ARG002 - the row's number says all
        """See the plug."""
        book = context.rows()
        plan: PlannedRow | None = context.memory.get("plan")
        if plan is None:
            if book.command.attach:  # its files are read: that is not for the runner's threads
                planned = context.background(lambda: book.take(context.item or 0))
                if not planned.ready:
                    return Waiting([planned])
                plan = planned.value
            else:
                plan = book.take(context.item or 0)
            context.memory["plan"] = plan
        if plan.error is not None:
            raise plan.error
        if plan.known is not None and plan.known.state == "succeeded":
            return Done(plan.known.output, model=plan.known.model, not_judged=plan.known.not_judged, reused=True)
        book.open(plan)
        return self._ask(context, plan)

    def _ask(self, context: StepContext, plan: PlannedRow) -> Result:
        command = context.rows().command
        asked: list[Answer[Outcome]] = []

        def submit(request: ModelRequest) -> Answer[Outcome]:
            key = f"row/{plan.key}/{plan.number}/{len(asked)}"
            asked.append(context.submit(request, command=command.reference, agent=command.agent, key=key, fresh=plan.first, batch=context.rows().batch))
            return asked[-1]

        try:
            result = converse(plan.wanted, submit, command.repairs, f"command {command.name}")
        except HishamosError as error:
            if context.rows().again(plan, sent=not asked or not all(_was_stored(one) for one in asked)):
                return self._ask(context, plan)
            context.row_ended(RowState(plan.key, plan.number, "refused" if isinstance(error, BudgetRefused) else "failed", new=plan.first))
            raise
        if isinstance(result, Done):
            result = replace(result, reused=all(_asked_elsewhere(one.value, context) for one in asked))
            context.row_ended(RowState(plan.key, plan.number, "succeeded", result.output, result.model, result.not_judged, new=plan.first))
        return result


def _asked_elsewhere(outcome: Outcome, context: StepContext) -> bool:
    """Whether an answer was asked for by another row, of this map or of another."""
    if not outcome.attempts:
        return outcome.reused
    return all((attempt.run_id, attempt.step_id) != (context.run.id, context.path) for attempt in outcome.attempts)


def _was_stored(answer: Answer[Outcome]) -> bool:
    """Whether the answer was there before it was asked for."""
    return answer.ready and answer.future.exception() is None and answer.value.reused
