"""The gateway as the engine and the services see it: requests in, durable outcomes out."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future
from typing import Protocol

from hishamos.contracts.feeds import Feed
from hishamos.records.calls import ModelRequest, Outcome, StreamEvent, Tags


class PendingCall(Protocol):
    """A call that is under way, or has ended."""

    @property
    def key(self) -> str:
        """The idempotency key, with the attempt number where failed calls are tried again."""
        ...

    @property
    def outcome(self) -> Future[Outcome]:
        """Resolved once the outcome is durable.

        What the provider did (failed, cut off) and what a budget refused is in the outcome. Only misuse raises: ``KeyReused``,
        ``NoProvider``, ``UnknownName``, ``KeyWithheld``, ``InvalidInput`` (the schema), ``StoreError``; and ``ServerClosing`` when the
        process leaves while the provider answers: the call stays open and is found again by its key.

        A request with a schema whose answer does not satisfy it has ``succeeded`` (it was paid) with ``data`` None and ``error`` of
        type ``OutputInvalid``, whose fact ``problem`` can be told to the model; each repair is a further call, under a key of its own.

        An answer that asks for tools has ``succeeded`` with ``calls``; those that can't be run carry a ``problem`` to be told to the model.
        """
        ...

    def events(self) -> Feed[StreamEvent]:
        """Return the answer's events, replayed from the first one."""
        ...

    def detach(self, *, cancel: bool) -> Future[None]:
        """Tell that this caller no longer waits. With ``cancel``, the call is cancelled unless others wait for it.

        What is returned is resolved once what this cancels has ended and what it cost is durable; at once where it cancels nothing.
        """
        ...


class ModelGateway(Protocol):
    """How models are called. Thread-safe and synchronous; holds no thread while a provider answers."""

    def submit(
        self,
        request: ModelRequest,
        *,
        key: str,
        tags: Tags,
        run_budget_nanos: int | None = None,
        stream: bool = False,
        fresh: bool = False,
        batch: bool = False,
    ) -> PendingCall:
        """Send a request once per ``key``.

        A known key with the same request joins the call in flight or returns the stored outcome (``reused``); with another request
        it raises :class:`hishamos.errors.KeyReused`. A cancelled call has no answer: its key opens it again. A call found open whose
        process died is orphaned and handled by its route's policy. ``run_budget_nanos``: a hard limit on the spend of ``tags.run``,
        on top of the workspace's budgets. ``fresh``: the key is new as far as the caller knows, so nobody looks first whether it is known.
        ``batch``: hand it to the provider together with others, to be answered within a day at batch prices.
        """
        ...

    def settled(self, key: str) -> Future[None]:
        """Return what is resolved once no call under this key, or under one that begins with it and a slash, is under way in this process."""
        ...

    def check(self, target: str) -> None:
        """Raise :class:`UnknownName` or :class:`NoProvider` unless some configured model can serve ``target``; costs nothing."""
        ...

    def targets(self) -> Sequence[str]:
        """Return the names that a request may use: routes, policies, and models that are configured."""
        ...
