"""What every service shares: its actor, one permission check, changes that happen once."""

from __future__ import annotations

import functools
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import TypeAdapter

from hishamos.contracts.verbs import verbs
from hishamos.errors import NotAllowed
from hishamos.records.actors import Actor, allowed
from hishamos.records.origins import Origin, tagged
from hishamos.records.record import now, timed_id

if TYPE_CHECKING:
    from hishamos.services.machinery import Machinery
    from hishamos.store.connectors import Connector, Transaction

S = TypeVar("S", bound="type[Service]")
R = TypeVar("R")

request_id: ContextVar[str | None] = ContextVar("request_id", default=None)
"""The client-made id of the changing call that is being served; None for a call in this process."""
first_try: ContextVar[bool] = ContextVar("first_try", default=False)
"""Whether the client has never sent this id before: then it needs not be looked up."""


@dataclass(frozen=True)
class ActingRun:
    """The run on whose behalf a call is made: results and issues that its steps write carry it."""

    run_id: str
    workflow: str
    project: str | None = None
    step: str | None = None
    """The step's path, where the caller is a notebook that a step executes: its calls belong to that step."""
    budget_nanos: int | None = None
    """The run's own limit: what its functions and notebooks ask is held to it like its steps' calls."""
    origin: Origin | None = None
    """Where the run was started from."""

    def project_for(self, asked: str | None) -> str | None:
        """Return whose project pays: the run's own, for no step may leave its budget by naming another."""
        return self.project or asked


acting_run: ContextVar[ActingRun | None] = ContextVar("acting_run", default=None)
"""Set by the composition root around each call of a ``python`` step's workspace or a notebook that a step executes; None for a call of a face."""
call_origin: ContextVar[Origin | None] = ContextVar("call_origin", default=None)
"""The notebook, cell and commit that the call being served comes from, and its tags, as its client told; None where it told nothing."""


def present_origin() -> Origin | None:
    """Return where the present call comes from: a notebook, else where the run was started on whose behalf it is made. It has that run's tags too."""
    acting, told = acting_run.get(), call_origin.get()
    started = acting.origin if acting else None
    return started if told is None else tagged(told, {**started.own, **told.own}) if started else told


@dataclass
class Service:
    """A service for one actor. ``machinery`` holds the concrete store, gateway, engine that the composition root chose."""

    machinery: Machinery
    actor: Actor

    @property
    def root(self) -> Path:
        """The workspace's folder."""
        return self.machinery.root

    def change(self, verb: str, answer: type[R], work: Callable[[Transaction], R], store: Connector | None = None) -> R:
        """Run ``work`` in one transaction, once per client-made id; a repeat returns the first answer.

        An id that its client sends for the first time is not looked up, unless a repeat of it has come in: that may have overtaken it.

        ``verb``: ``service.method``; ``answer``: the type of what ``work`` returns, None included. ``work`` may run twice (see the store).
        ``store``: another than the workspace's.
        """
        identity, first, repeated = request_id.get(), first_try.get(), self.machinery.repeated
        adapter: TypeAdapter[R] = TypeAdapter(answer)

        def once(transaction: Transaction) -> R:
            if identity is not None and (not first or identity in repeated):
                row = transaction.fetch_one("select answer from requests where id = $id", {"id": identity})
                if row is not None:
                    return adapter.validate_json(row["answer"])
            result = work(transaction)
            if identity is not None:
                text = adapter.dump_json(result).decode()
                values = {"id": identity, "verb": verb, "answer": text, "made_at": now()}
                transaction.insert_later("insert into requests (id, verb, answer, made_at) values ($id, $verb, $answer, $made_at)", values)
            return result

        return (store or self.machinery.store).transaction(once)

    @staticmethod
    def change_id() -> str:
        """Return the client-made id of the call being served, or a new random one."""
        return request_id.get() or timed_id(20)


def implements(contract: type) -> Callable[[S], S]:
    """Wrap every verb of ``contract`` on the class (and its ``_later`` and ``_table`` twin) with the one permission check."""

    def wrap(cls: S) -> S:
        for name, verb in verbs(contract).items():
            twin = {"wait": "_later", "table": "_table"}.get(verb.kind, "")
            for method in {name, name + twin}:
                setattr(cls, method, _checked(getattr(cls, method), verb.permission))
        return cls

    return wrap


def _checked(function: Callable[..., Any], permission: str) -> Callable[..., Any]:
    @functools.wraps(function)
    def check(self: Service, *arguments: Any, **named: Any) -> Any:
        if not allowed(self.actor, permission):
            raise NotAllowed(actor=self.actor.name, permission=permission)
        return function(self, *arguments, **named)

    return check
