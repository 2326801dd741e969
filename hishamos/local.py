"""The workspace in this process: its services, for an actor, or for one step of a run."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from hishamos.callbacks import called
from hishamos.contracts.services import CONTRACTS
from hishamos.contracts.shapes import as_model, as_schema
from hishamos.contracts.verbs import Verb, verbs
from hishamos.frames.frame_room import Frames
from hishamos.provenance import whence
from hishamos.records.actors import OWNER, Actor
from hishamos.records.origins import Origin, tagged
from hishamos.records.runs import Run, RunKind
from hishamos.services.agents import AgentsService
from hishamos.services.audit import AuditService
from hishamos.services.batch import BatchService
from hishamos.services.budgets import BudgetsService
from hishamos.services.commands import CommandsService
from hishamos.services.conversations import ConversationsService
from hishamos.services.definitions import DefinitionsService
from hishamos.services.functions import FunctionsService
from hishamos.services.health import HealthService
from hishamos.services.issues import IssuesService
from hishamos.services.ledger import LedgerService
from hishamos.services.machinery import Machinery
from hishamos.services.projects import ProjectsService
from hishamos.services.providers import ProvidersService
from hishamos.services.queries import SqlService
from hishamos.services.results import ResultsService
from hishamos.services.runs import RunsService
from hishamos.services.schedules import SchedulesService
from hishamos.services.service import ActingRun, Service, acting_run, call_origin, first_try, present_origin, request_id
from hishamos.services.workflows import WorkflowsService
from hishamos.workspace import Workspace, bind, with_files

NO_TAGS: Mapping[str, str] = {}
SERVICES: dict[str, type[Service]] = {
    "commands": CommandsService,
    "agents": AgentsService,
    "conversations": ConversationsService,
    "workflows": WorkflowsService,
    "definitions": DefinitionsService,
    "runs": RunsService,
    "schedules": SchedulesService,
    "batch": BatchService,
    "ledger": LedgerService,
    "budgets": BudgetsService,
    "audit": AuditService,
    "results": ResultsService,
    "projects": ProjectsService,
    "issues": IssuesService,
    "providers": ProvidersService,
    "health": HealthService,
    "queries": SqlService,
    "functions": FunctionsService,
}


def workspace_of(machinery: Machinery, actor: Actor, closer: Callable[[], None], own: Mapping[str, str] = NO_TAGS) -> Workspace:
    """Return the workspace of services in this process for an actor; ``closer``: what closing it does; ``own``: the tags of all that it asks."""
    services: dict[str, Any] = {name: kind(machinery, actor) for name, kind in SERVICES.items()}

    def tagger(more: dict[str, str]) -> Workspace:
        return workspace_of(machinery, actor, lambda: None, {**own, **more})  # the first one is what is closed

    workspace = Workspace(root=str(machinery.root), frames=Frames(), closer=closer, tagger=tagger, **services)
    for name in SERVICES:
        setattr(workspace, name, _Local(workspace, getattr(workspace, name), name, own))
    return workspace


class _Local:
    """A service in this process, with what a remote one does for its caller: file inputs made absolute, shapes as schemas, runs that can wait."""

    def __init__(self, workspace: Workspace, service: Service, name: str, own: Mapping[str, str]) -> None:
        self._workspace, self._service, self._own = workspace, service, own
        for verb in verbs(CONTRACTS[name], name).values():
            setattr(self, verb.name, partial(self._call, verb))

    def __getattr__(self, name: str) -> Any:
        # The twins of the verbs (`run_later`, `spend_table`), which the server calls.
        return getattr(self._service, name)

    def _call(self, verb: Verb, *values: Any, **named: Any) -> Any:
        bound = verb.signature.bind(None, *values, **named)
        arguments = dict(bound.arguments)
        arguments.pop("self")
        arguments, shape = as_schema(verb, with_files(self._workspace, verb, arguments))

        def call(given: dict[str, Any]) -> Any:
            return as_model(bind(self._workspace, getattr(self._service, verb.name)(**given)), shape)

        token = call_origin.set(self._here())
        try:
            return called(self._workspace, verb, arguments, call)
        finally:
            call_origin.reset(token)

    def _here(self) -> Origin | None:
        """A run's functions ask on behalf of the run, in whatever process that is at work; others in the name of the cell, if this is a kernel."""
        if acting_run.get() is None and call_origin.get() is None:
            return whence(Path(self._workspace.root), self._own)
        return tagged(present_origin(), self._own) if self._own else call_origin.get()


def workspace_for_step(machinery: Machinery, run: Run, path: str) -> Workspace:
    """Return the run's workspace for one entry of a step: its changing calls take their ids from (run, step path, call position)."""
    return workspace_in_the_name_of(machinery, starter(run), belonging(run), f"{run.id}/{path}")


def belonging(run: Run, step: str | None = None) -> ActingRun:
    """Return what changes made for a run, or for one of its steps, belong to."""
    workflow = run.name if run.kind is RunKind.WORKFLOW else ""
    return ActingRun(run_id=run.id, workflow=workflow, project=run.project, step=step, budget_nanos=run.budget_nanos, origin=run.origin)


def starter(run: Run) -> Actor:
    """Return whoever started a run: what its steps do is done, and paid, in that name and by that API key."""
    return Actor(name=run.user_name or OWNER.name, key_prefix=run.key_prefix)


def workspace_in_the_name_of(machinery: Machinery, actor: Actor, acting: ActingRun | None, name: str) -> Workspace:
    """Return a workspace whose changes belong to a run and take their ids from ``name`` and their position: entered again, it writes once."""
    return _in_the_name_of(machinery, actor, acting, name, itertools.count(), NO_TAGS)


def _in_the_name_of(machinery: Machinery, actor: Actor, acting: ActingRun | None, name: str, positions: Iterator[int], own: Mapping[str, str]) -> Workspace:
    workspace = workspace_of(machinery, actor, lambda: None, own)
    workspace.tagger = lambda more: _in_the_name_of(machinery, actor, acting, name, positions, {**own, **more})
    for part, contract in CONTRACTS.items():
        service = getattr(workspace, part)
        for verb in verbs(contract, part).values():
            setattr(service, verb.name, partial(_as_run, getattr(service, verb.name), acting, verb, positions, name))
    return workspace


def _as_run(call: Any, acting: ActingRun | None, verb: Verb, positions: Iterator[int], name: str, /, *values: Any, **named: Any) -> Any:
    changing = verb.kind in {"change", "wait"}
    identity = f"{name}/{next(positions)}" if changing else None
    tokens = request_id.set(identity), acting_run.set(acting), first_try.set(False)
    try:
        return call(*values, **named)
    finally:
        first_try.reset(tokens[2])
        acting_run.reset(tokens[1])
        request_id.reset(tokens[0])
