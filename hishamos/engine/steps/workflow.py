"""``workflow``: another workflow as a run of its own; output ``{run, outputs}``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hishamos.engine.steptype import Done, Library, Problem, Reference, Result, StepContext, StepInputs, StepType, Waiting
from hishamos.errors import HishamosError, StepFailed, nearest_hint
from hishamos.records.runs import RUN_ENDED, RunState

AT_WORK = frozenset({RunState.QUEUED, RunState.RUNNING})


class WorkflowInputs(StepInputs):
    """Which workflow, with what."""

    workflow: str
    """Its name; it is kept with the run as it was when the run started."""
    inputs: dict[str, Any] = {}
    """Its inputs."""


class WorkflowStep(StepType[WorkflowInputs]):
    """Starts a child run once and waits for its end, without a process where the child itself waits. Resumed, it resumes the same child."""

    name = "workflow"
    inputs = WorkflowInputs
    literal = frozenset({"workflow"})
    timed = False

    def run(self, context: StepContext, inputs: WorkflowInputs) -> Result:
        """See the plug."""
        child = context.child(inputs.workflow, inputs.inputs)
        if child.state is RunState.SUCCEEDED:
            return Done({"run": child.id, "outputs": child.outputs})
        if child.state in RUN_ENDED:
            reason = child.error.message if child.error else child.state.value
            raise StepFailed(step=context.path, reason=f"its run {child.id} of {inputs.workflow} {child.state.value}: {reason}")
        return Waiting(run=child.id, at_work=child.state in AT_WORK)

    def check(self, raw: Mapping[str, Any], library: Library) -> list[Problem]:
        """See the plug: the workflow can run and takes these inputs."""
        try:
            workflow = library.workflow(str(raw.get("workflow", "")))
        except HishamosError as error:
            return [Problem(("workflow",), str(error))]
        given = raw.get("inputs", {})
        if not isinstance(given, Mapping):
            return []
        known = f"Its inputs: {', '.join(workflow.inputs) or 'none'}."
        found = []
        for name in given:
            if name not in workflow.inputs:
                hint = nearest_hint(str(name), list(workflow.inputs))
                found.append(Problem(("inputs", str(name)), f"the workflow {workflow.name!r} has no input {name!r}{hint}", known))
        for name, parameter in workflow.inputs.items():
            if parameter.required and name not in given:
                found.append(Problem(("inputs",), f"the workflow {workflow.name!r} needs the input {name!r}", known))
        return found

    def references(self, raw: Mapping[str, Any]) -> Reference:
        """See the plug."""
        return Reference(workflows={str(raw["workflow"])})
