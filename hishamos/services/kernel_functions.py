"""Runs that call functions of a notebook or script: what they need is held against what their starter offers, before anything is stored."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from hishamos.contracts.code import CodeCall
from hishamos.contracts.journal import KernelUse, Pinned
from hishamos.engine.functions import argument_problems
from hishamos.engine.steps import step_type
from hishamos.engine.toolbox import Ability, Elsewhere
from hishamos.errors import ConnectionLost, InvalidInput, NeedsKernel, nearest_hint
from hishamos.records.callbacks import KERNEL, Offer
from hishamos.records.definitions import StepDefinition, WorkflowDefinition
from hishamos.records.tools import Tool

if TYPE_CHECKING:
    from hishamos.kernels.desks import Desks

REGISTER = "Mark it with @hishamos.step in this notebook or script, then start the workflow here."
FUNCTION = "function"


def bound(pinned: Pinned, offer: Offer | None) -> Pinned:
    """Return the definitions with what their run calls back, if anything.

    Raises :class:`NeedsKernel` for a function that is not offered, :class:`InvalidInput` for arguments that one does not take.
    """
    named = list(_calling(pinned.workflow))
    for below in pinned.workflows.values():
        for step in _calling(below):
            what = f"{below.name!r} is started by another workflow, and its step {step.id} calls a function of a notebook"
            raise InvalidInput(what=what, where=f"workflow {pinned.workflow.name}", next="Put the function into steps/, or start that workflow by itself.")
    if not named:
        return pinned.model_copy(update={"kernel": None}) if pinned.kernel else pinned
    offered = {one.name: one for one in offer.functions} if offer else {}
    sources = {}
    for step in named:
        name = _name(step)
        if name not in offered:
            problem = f"{name} is not registered here{nearest_hint(name, list(offered))}"
            raise NeedsKernel(workflow=pinned.workflow.name, names=_listed(named), problem=problem.rstrip("?"), next=REGISTER)
        for argument, problem in argument_problems(name, offered[name].signature, set(step.with_) - {FUNCTION}):
            raise InvalidInput(what=problem, where=f"workflow {pinned.workflow.name}, step {step.id or name}", next=f"Correct {argument!r}, or the function.")
        sources[name] = offered[name].source
    assert offer is not None
    return pinned.model_copy(update={"kernel": KernelUse(desk=offer.desk, sources=sources)})


def checked_again(run: str, pinned: Pinned, offer: Offer | None, *, accept_changes: bool) -> str | None:
    """Return the desk at which a run goes on, None for one that needs none; raises :class:`NeedsKernel` where it can't go on."""
    use = pinned.kernel
    if use is None:
        return None
    offered = {one.name: one.source for one in offer.functions} if offer else {}
    missing = [name for name in use.sources if name not in offered]
    changed = [name for name, source in use.sources.items() if name in offered and offered[name] != source]
    told = {"workflow": f"run {run} of {pinned.workflow.name}", "names": ", ".join(use.sources)}
    if missing:
        following = f'Run the cells that register them, then: ws.runs.resume("{run}")'
        raise NeedsKernel(**told, problem=f"{', '.join(missing)} is not registered here", next=following)
    if changed and not accept_changes:
        following = f'If that is wanted: ws.runs.resume("{run}", accept_changes=True)'
        raise NeedsKernel(**told, problem=f"the source of {', '.join(changed)} is not what the run was started with", next=following)
    return offer.desk if offer else None


def offered_tools(desks: Desks, offer: Offer | None) -> tuple[Ability, ...]:
    """Return the tools that the asking process offers, called back there."""

    def ability(tool: Tool, desk: str) -> Ability:
        def call(arguments: Mapping[str, Any], workspace: Callable[[], Any]) -> Any:
            end = desks.prepare("", desk, CodeCall(f"tool {tool.name}", tool.name, "", tool.name, arguments, ""), workspace).run()
            if end.error is not None:
                raise end.error
            if end.parked is not None or end.stopped:
                raise ConnectionLost(problem=end.parked or "the server is leaving", where=f"tool {tool.name}")
            return end.value

        return Ability(tool, Elsewhere(call))

    return tuple(ability(tool, offer.desk) for tool in offer.tools) if offer else ()


def _calling(workflow: WorkflowDefinition) -> Iterator[StepDefinition]:
    """Give the steps of a workflow, inner ones too, that call a function of a notebook."""
    left = list(workflow.steps)
    while left:
        step = left.pop()
        if step.type == "python" and str(step.with_.get(FUNCTION, "")).startswith(KERNEL):
            yield step
        left += [inner for _, inner, _ in step_type(step.type).references(step.with_).steps]
        left += [] if step.compensate is None else [step.compensate]


def _name(step: StepDefinition) -> str:
    return str(step.with_[FUNCTION]).removeprefix(KERNEL)


def _listed(steps: Iterable[StepDefinition]) -> str:
    return ", ".join(sorted({_name(step) for step in steps}))
