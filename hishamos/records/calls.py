"""Calls to models: the request, its attempts, the outcome, the stream's events."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import Field

from hishamos.records.attachments import Attachment
from hishamos.records.money import BudgetWarning
from hishamos.records.own_tags import OwnTags
from hishamos.records.record import Failure, Record, canonical, usd
from hishamos.records.tools import Tool, ToolCall, ToolUse

CachePolicy = Literal["never", "1h", "7d", "forever"]
UsageSource = Literal["provider", "estimated", "declared"]
"""Who says what an attempt used: the provider, our estimate, or a person who knows what was billed."""


class Message(Record):
    """One message of a conversation."""

    role: Literal["system", "user", "assistant", "tool"]
    content: str
    calls: tuple[ToolCall, ...] = ()
    """The tools that the assistant asked for."""
    answers: str | None = None
    """Of a tool's result: the ``id`` of the call that it answers."""
    files: tuple[Attachment, ...] = ()
    """Of a user's message: what goes before its words."""


class Tags(Record):
    """What a call belongs to. Run, step, workflow, agent, command, project, user and key are columns of the ledger; the rest is JSON."""

    run: str | None = None
    step: str | None = None
    workflow: str | None = None
    agent: str | None = None
    command: str | None = None
    """``name@version``."""
    project: str | None = None
    user: str | None = None
    key_prefix: str | None = None
    issue: str | None = None
    notebook: str | None = None
    cell: str | None = None
    git_commit: str | None = None
    execution: str | None = None
    """The execution of the notebook, see :class:`hishamos.records.origins.Origin`."""
    agent_version: str | None = None
    """Of the agent, where it is known: the ledger's column has its name alone."""
    own: OwnTags = {}
    """The tags that people gave."""


class ModelRequest(Record):
    """A request to a model, before anything decided who serves it."""

    target: str
    """A model (``provider/model``), a policy, or the name of a route."""
    messages: tuple[Message, ...] = Field(min_length=1)
    output_schema: dict[str, Any] | None = None
    """JSON Schema that the answer must satisfy; None for text."""
    tools: tuple[Tool, ...] = ()
    """What the model may ask to have run. An answer that asks for tools is not held against ``output_schema``."""
    max_output_tokens: int | None = Field(None, gt=0)
    temperature: float | None = Field(None, ge=0, le=2)
    cache: CachePolicy = "never"
    """How old an answer to exactly this question may be to be given again for nothing."""
    refresh: bool = False
    """Ask anew although the cache may have an answer; the new one takes its place."""
    sample: int = Field(1, ge=1)
    """Which of several answers to one question is wanted: each number has a place of its own in the cache."""

    def identity(self) -> dict[str, Any]:
        """Return what can change the answer, as plain data: two requests that differ in it are different requests."""
        asked = self.model_dump(mode="json", exclude={"cache", "refresh"} | ({"sample"} if self.sample == 1 else set()))
        if not self.tools:
            del asked["tools"]  # a request without tools has the hash that it had before there were any
        for message, given in zip(asked["messages"], self.messages, strict=True):
            message["files"] = [file.identity() for file in given.files]
            for name in ("calls", "answers", "files"):
                if not message[name]:
                    del message[name]
        return asked

    @property
    def files(self) -> tuple[Attachment, ...]:
        """All files that go with its messages."""
        return tuple(file for message in self.messages for file in message.files)

    def texts(self) -> list[str]:
        """Return the texts that a model certainly reads: what was said, what was called, what the tools are for."""
        said = [message.content for message in self.messages]
        called = [text for message in self.messages for call in message.calls for text in (call.name, call.arguments)]
        return said + called + [text for tool in self.tools for text in (tool.name, tool.description)]

    def tool_bytes(self) -> int:
        """Return the UTF-8 bytes of the tools as JSON, and of what was called so far."""
        called = sum(len(f"{call.id}{call.name}{call.arguments}".encode()) for message in self.messages for call in message.calls)
        return called + (len(canonical([tool.model_dump(mode="json") for tool in self.tools]).encode()) if self.tools else 0)


class Usage(Record):
    """Tokens of one attempt. ``input`` includes cached and cache-write tokens, ``output`` includes reasoning."""

    input: int = 0
    cached: int = 0
    cache_write: int = 0
    output: int = 0
    reasoning: int = 0
    source: UsageSource = "provider"


class AttemptStatus(StrEnum):
    """Where one request to one provider stands."""

    SENT = "sent"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    INCOMPLETE = "incomplete"
    CANCELLED = "cancelled"
    CACHED = "cached"
    ORPHANED = "orphaned"


class CallStatus(StrEnum):
    """Where a call (a request with its attempts) stands."""

    OPEN = "open"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    REFUSED = "refused"
    INCOMPLETE = "incomplete"
    CANCELLED = "cancelled"


class Attempt(Record):
    """One request to one provider: one row of the ledger."""

    id: str
    call_id: str
    idempotency_key: str
    run_id: str | None = None
    step_id: str | None = None
    workflow: str | None = None
    command: str | None = None
    agent: str | None = None
    project: str | None = None
    user_name: str | None = None
    key_prefix: str | None = None
    provider: str
    model: str
    """As in the route, ``provider/model``."""
    number: int = 1
    """Which attempt of its call it is, from 1."""
    hop: int = 0
    """How many of the route's targets were tried before this one."""
    status: AttemptStatus
    cause: str | None = None
    """Why it did not succeed: ``rate_limit``, ``overloaded``, ``server_error``, ``authentication``, ``connection``, ``timeout``, …"""
    error: str | None = None
    """The provider's words, redacted."""
    input_tokens: int | None = None
    cached_tokens: int | None = None
    cache_write_tokens: int | None = None
    output_tokens: int | None = None
    reasoning_tokens: int | None = None
    usage_source: UsageSource | None = None
    cost_nanos: int | None = None
    """Nano-dollars; None means unpriced, or still being sent."""
    overrun: bool = False
    latency_ms: float | None = None
    ttft_ms: float | None = None
    """Time to the first token, milliseconds."""
    started_at: datetime
    finished_at: datetime | None = None
    tags: dict[str, Any] = {}

    @property
    def usage(self) -> Usage | None:
        """The tokens as one record; None while nothing is known of them."""
        if self.input_tokens is None or self.output_tokens is None:
            return None
        return Usage(
            input=self.input_tokens,
            cached=self.cached_tokens or 0,
            cache_write=self.cache_write_tokens or 0,
            output=self.output_tokens,
            reasoning=self.reasoning_tokens or 0,
            source=self.usage_source or "estimated",
        )

    @property
    def cost_usd(self) -> Decimal | None:
        """The cost in USD, exact; None when unpriced."""
        return usd(self.cost_nanos)

    @property
    def offline(self) -> bool:
        """Whether the offline model answered: not a real answer."""
        return self.provider == "offline"

    @property
    def own_tags(self) -> dict[str, str]:
        """The tags that people gave, such as ``{"customer": "acme"}``."""
        return self.tags.get("own", {})  # type: ignore[no-any-return]  # a Tags wrote them

    @property
    def why(self) -> str:
        """Why this model was asked, as its route chose, whom it passed over, and what was hidden from it; empty where there is nothing to tell."""
        passed, hidden = self.tags.get("passed_over"), self.tags.get("hidden")
        return "; ".join(part for part in (self.tags.get("choice"), passed and f"passed over: {passed}", hidden and f"hidden from it: {hidden}") if part)


class Outcome(Record):
    """How a call ended. Returned only after it is durable; a repeated key returns the same one with ``reused`` set."""

    call_id: str
    key: str
    status: CallStatus
    text: str = ""
    data: Any = None
    """The parsed answer where the request had a schema and the text satisfied it."""
    calls: tuple[ToolCall, ...] = ()
    """The tools that the model asks for; those with a ``problem`` are not to be run."""
    model: str | None = None
    """The model that served, ``provider/model``."""
    usage: Usage | None = None
    cost_nanos: int | None = 0
    """Sum over all attempts; None when any billed attempt is unpriced."""
    attempts: tuple[Attempt, ...] = ()
    """All attempts in order: the hops that a fallback took are here."""
    error: Failure | None = None
    not_judged: tuple[str, ...] = ()
    """Fields that the offline model could not judge."""
    warnings: tuple[BudgetWarning, ...] = ()
    """Shares of budgets that this call's reservations passed."""
    reused: bool = False

    @property
    def offline(self) -> bool:
        """Whether the offline model answered."""
        return bool(self.model and self.model.startswith("offline/"))

    @property
    def cost_usd(self) -> Decimal | None:
        """The cost in USD, exact; None when unpriced."""
        return usd(self.cost_nanos)


def summed(calls: Iterable[Outcome]) -> int | None:
    """Return the nano-dollars of several calls; None where one of them is unpriced."""
    costs = [call.cost_nanos for call in calls]
    return None if None in costs else sum(cost for cost in costs if cost is not None)


class AttemptBegan(Record):
    """A model is asked."""

    kind: Literal["attempt"] = "attempt"
    model: str


class TextPiece(Record):
    """The next piece of the answer."""

    kind: Literal["text"] = "text"
    text: str
    model: str | None


class ToolCalled(Record):
    """The model asks for a tool; told once its whole answer is durable."""

    kind: Literal["tool"] = "tool"
    model: str | None
    call: ToolCall
    agent: str | None = None
    """Who is given the tool's result, in an agent's work."""


class Restarted(Record):
    """The text so far is void: its attempt broke, another begins."""

    kind: Literal["restart"] = "restart"
    model: str


class UsageTold(Record):
    """What an attempt took, once its row in the ledger is complete; a broken attempt's is estimated."""

    kind: Literal["usage"] = "usage"
    model: str
    usage: Usage
    cost_nanos: int | None
    """Nano-dollars; None when unpriced."""


class Finished(Record):
    """How the call ended; always the last event."""

    kind: Literal["finish"] = "finish"
    status: CallStatus
    model: str | None
    cost_nanos: int | None
    """Nano-dollars over all attempts; None when any billed one is unpriced."""


StreamEvent = Annotated[AttemptBegan | TextPiece | ToolCalled | Restarted | UsageTold | Finished, Field(discriminator="kind")]
"""One event of a streamed answer, told apart by its class or its ``kind``."""


class CommandResult(Record):
    """What running a command or asking an agent gave."""

    output: Any
    """Parsed data where a schema was declared, else text."""
    text: str
    model: str | None
    command: str | None = None
    agent: str | None = None
    call_ids: tuple[str, ...] = ()
    attempts: tuple[Attempt, ...] = ()
    cost_nanos: int | None = 0
    status: CallStatus = CallStatus.SUCCEEDED
    tools: tuple[ToolUse, ...] = ()
    """What an agent had run, in order."""
    not_judged: tuple[str, ...] = ()
    warnings: tuple[BudgetWarning, ...] = ()
    """Shares of budgets that these calls' reservations passed."""
    reused: bool = False

    @property
    def offline(self) -> bool:
        """Whether the offline model answered: not a real answer."""
        return bool(self.model and self.model.startswith("offline/"))

    @property
    def cached(self) -> bool:
        """Whether an earlier answer to exactly this question was given again, for nothing."""
        return bool(self.attempts) and all(attempt.status is AttemptStatus.CACHED for attempt in self.attempts)

    @property
    def cost_usd(self) -> Decimal | None:
        """The cost in USD, exact; None when unpriced."""
        return usd(self.cost_nanos)
