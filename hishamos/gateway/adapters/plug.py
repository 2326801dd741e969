"""The adapter plug: what it is asked, what it answers, how it fails."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from hishamos.records.calls import Message, Usage
from hishamos.records.configuration import ProviderSettings
from hishamos.records.tools import Tool

Transport = Literal["refused", "name", "disconnected", "timeout", "garbled"]


@dataclass(frozen=True, slots=True)
class AdapterRequest:
    """One request to one model of one provider, with its own key and address."""

    provider: ProviderSettings
    model: str
    """The provider's own name of the model, without the provider."""
    messages: tuple[Message, ...]
    output_schema: dict[str, Any] | None
    max_output_tokens: int
    temperature: float | None
    api_key: str | None
    stream: bool
    """Whether somebody reads the answer as it comes; an adapter may stream all the same."""
    timeout_s: float
    """What is left for this attempt, seconds; the ladder ends it then whatever the adapter does."""
    tools: tuple[Tool, ...] = ()
    """What the model may call; only given to an adapter that has ``calls_tools = True``."""
    files: Mapping[str, bytes] = field(default_factory=dict)
    """The bytes of the messages' images and PDFs by their SHA-256; only given to an adapter that has ``takes_files = True``."""


@dataclass(frozen=True, slots=True)
class Text:
    """A piece of the answer."""

    text: str


@dataclass(frozen=True, slots=True)
class CallPiece:
    """A piece of a tool call; pieces of several calls may come by turns. What was written is told as it is: the gateway judges it."""

    place: int
    """Which of the answer's calls it belongs to, from 0."""
    id: str = ""
    name: str = ""
    """Both whole, with a call's first piece."""
    arguments: str = ""
    """The next piece of its JSON."""


@dataclass(frozen=True, slots=True)
class Used:
    """Tokens so far, as the provider reports them; a later report replaces an earlier one."""

    usage: Usage


@dataclass(frozen=True, slots=True)
class Finish:
    """The provider said that the answer is complete. A stream without it is incomplete."""

    reason: str
    """``stop``, ``tool_calls``, ``length``, ``content_filter``, or the provider's own word."""
    not_judged: tuple[str, ...] = ()


AdapterEvent = Text | CallPiece | Used | Finish


class Fault(Exception):
    """A provider's failure in plain facts; the ladder decides by them."""

    def __init__(
        self,
        message: str,
        *,
        status: int | None = None,
        code: str | None = None,
        transport: Transport | None = None,
        retry_after_s: float | None = None,
    ) -> None:
        self.status, self.code, self.transport, self.retry_after_s = status, code, transport, retry_after_s
        super().__init__(message)


class Adapter(Protocol):
    """Calls one kind of provider."""

    def stream(self, request: AdapterRequest) -> AsyncIterator[AdapterEvent]:
        """Send the request and give the answer's events; a plain answer is the stream, collected. Raises :class:`Fault`."""
        ...

    def warm(self) -> None:
        """Import what is heavy; called in a thread of its own when the server starts."""
        ...

    async def close(self) -> None:
        """Let go of connections."""
        ...


AdapterFactory = Callable[[], Adapter]
