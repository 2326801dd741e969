"""How a run begins: pinned, inserted, handed to whoever does it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from hishamos.contracts.journal import MapOptions, Pinned, StepRow
from hishamos.errors import InvalidInput
from hishamos.records.actors import Actor
from hishamos.records.callbacks import Offer
from hishamos.records.definitions import WorkflowDefinition
from hishamos.records.origins import tagged
from hishamos.records.record import nanos, new_id, now
from hishamos.records.runs import Run, RunKind, RunState
from hishamos.schemas.inputs import file_facts, validated
from hishamos.services.kernel_functions import bound
from hishamos.services.service import Service, acting_run, present_origin

if TYPE_CHECKING:
    from hishamos.services.machinery import Machinery
    from hishamos.store.connectors import Transaction

repeated_run: ContextVar[str | None] = ContextVar("repeated_run", default=None)
"""The run that the one which is being started repeats, if any."""
NORMAL = 5
PRIORITIES = range(10)
LONGEST_S = 10 * 366 * 86_400.0


def start_run(
    service: Service,
    workflow: WorkflowDefinition,
    inputs: Mapping[str, Any],
    *,
    verb: str,
    kind: RunKind = RunKind.WORKFLOW,
    identity: str | None = None,
    version: str | None = None,
    model: str | None = None,
    project: str | None = None,
    budget_usd: str | None = None,
    pinned: Pinned | None = None,
    options: MapOptions | None = None,
    rows: Sequence[Mapping[str, Any]] = (),
    files: Mapping[str, Any] | None = None,
    steps: Sequence[StepRow] = (),
    told: str = "",
    priority: int = NORMAL,
    deadline_s: float | None = None,
    leaves: int | None = None,
) -> Run:
    """Insert a queued run, once per client-made id, and have it worked on.

    ``identity``: the run's id, where it has to be known before; ``version``: what the run shows, else the workflow's; ``pinned``: the
    definitions it keeps, else those that the workflow names now; ``rows``: a map's inputs; ``files``: hash and size of file inputs;
    ``steps``: those that it has not to do, with what they gave; ``told``: what its first event says; ``priority``: 0 to 9; ``deadline_s``: how
    many seconds it may take, the time in line included; ``leaves``: how many steps it has, a map's rows counted, else those of the workflow.
    """
    machinery, acting = service.machinery, acting_run.get()
    if priority not in PRIORITIES:
        raise InvalidInput(what=f"{priority!r} is no priority", where="priority", next=f"Give a whole number from 0 to 9; {NORMAL} is usual, 9 is first.")
    if model is not None:
        machinery.models.check(model)
    if deadline_s is not None and not 0 < deadline_s < LONGEST_S:
        raise InvalidInput(what=f"{deadline_s!r} is no deadline", where="deadline_s", next="Give seconds, more than 0 and at most ten years.")
    kept = pinned or machinery.catalog.pin(workflow)
    run = drafted(
        service.actor,
        workflow,
        inputs,
        identity=identity,
        kind=kind,
        version=version,
        model=model,
        project=project,
        budget_nanos=budget_nanos(budget_usd),
        leaves=len(workflow.steps) if leaves is None else leaves,
        priority=priority,
        where="kernel" if kept.kernel else "server",
    )

    def insert(transaction: Transaction) -> Run:
        inside_of = acting.run_id if acting else None
        return machinery.journal.insert(
            transaction, run, kept, options=options, rows=rows, files=files, steps=steps, told=told, inside_of=inside_of, deadline_s=deadline_s
        )

    made = service.change(verb, Run, insert)
    if acting or kept.kernel:  # the step that starts it may wait for it, or its notebook asks this process for what to call
        machinery.runner.begin(made.id)
    else:
        machinery.dispatcher.dispatch(made.id)
    return made


def drafted(
    actor: Actor,
    workflow: WorkflowDefinition,
    inputs: Mapping[str, Any],
    *,
    identity: str | None = None,
    kind: RunKind = RunKind.WORKFLOW,
    version: str | None = None,
    model: str | None = None,
    project: str | None = None,
    budget_nanos: int | None = None,
    leaves: int | None = None,
    priority: int = NORMAL,
    where: Literal["server", "kernel"] = "server",
    own: Mapping[str, str] | None = None,
) -> Run:
    """Return a queued run that nothing has been done for yet; started by a step of a run, it belongs to that run's project.

    ``own``: tags that it has beneath those of the call that starts it.
    """
    acting, present = acting_run.get(), present_origin()
    return Run(
        id=identity or new_id(),
        kind=kind,
        name=workflow.name,
        version=version or workflow.version,
        state=RunState.QUEUED,
        inputs=dict(inputs),
        model=model,
        project=acting.project_for(project) if acting else project,
        where=where,
        origin=tagged(present, {**own, **(present.own if present else {})}) if own else present,
        repeats=repeated_run.get(),
        user_name=actor.name,
        key_prefix=actor.key_prefix,
        steps_total=leaves or len(workflow.steps),
        budget_nanos=budget_nanos,
        priority=priority,
        created_at=now(),
    )


@dataclass(frozen=True)
class Prepared:
    """A workflow that can be started as it is: inputs checked, definitions pinned, models known."""

    workflow: WorkflowDefinition
    values: dict[str, Any]
    pinned: Pinned
    files: dict[str, Any]
    project: str | None


def prepared(
    machinery: Machinery,
    workflow: WorkflowDefinition,
    inputs: Mapping[str, Any] | None,
    *,
    pinned: Pinned | None = None,
    model: str | None = None,
    project: str | None = None,
    functions: Offer | None = None,
) -> Prepared:
    """Look at everything that a start may be refused for; raises: unknown parameter, wrong value, unknown model, no provider, no such function."""
    values = validated(workflow.inputs, inputs or {}, f"workflow {workflow.name}", machinery.root)
    pinned = bound(pinned or machinery.catalog.pin(workflow), functions)
    route = machinery.settings().workspace.route
    targets = {one.model or route for one in pinned.commands.values()} | {one.model or route for one in pinned.agents.values()}
    for target in sorted(targets) if model is None else [model]:
        machinery.models.check(target)
    return Prepared(workflow, values, pinned, file_facts(workflow.inputs, values), project or _project(workflow, values))


def _project(workflow: WorkflowDefinition, values: Mapping[str, Any]) -> str | None:
    """A workflow that takes a project works for it."""
    found = values.get("project") if "project" in workflow.inputs else None
    return found if isinstance(found, str) and found else None


def budget_nanos(amount: str | None) -> int | None:
    """Return a decimal amount in USD as nano-dollars; raises :class:`InvalidInput` for anything else."""
    if amount is None:
        return None
    try:
        found = nanos(amount)
    except (ArithmeticError, ValueError, TypeError):
        found = -1
    if found < 0:
        raise InvalidInput(what=f"{amount!r} is no amount of money", where="budget_usd", next='Write US dollars as a decimal text: "2" or "0.50".')
    return found
