"""Conversations with agents: who with whom, what was said, what it cost."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from decimal import Decimal
from typing import Any, Literal

from pydantic import PrivateAttr

from hishamos.records.attachments import Attachment
from hishamos.records.calls import CommandResult
from hishamos.records.record import Failure, Record, usd
from hishamos.records.turns import AgentEvent

MessageState = Literal["open", "answered", "failed"]


class Said(Record):
    """One message of a conversation with its answer."""

    conversation: str
    number: int
    """From 1 on, in the order in which they were said."""
    id: str
    """The message's own id: sent again under it, it is not paid again."""
    text: str
    data: Any = None
    files: tuple[Attachment, ...] = ()
    """Files that went with it."""
    state: MessageState
    answer: CommandResult | None = None
    error: Failure | None = None
    """Why it has no answer. Of one that was cancelled, its fact ``text`` is what had come till then."""
    cost_nanos: int | None = 0
    """Nano-dollars of all that was asked for it, a summary of earlier messages included; None when any of it is unpriced."""
    left_out: int = 0
    """How many of the earlier messages the model was not given word by word: they were summed up, or left out."""
    asked_at: datetime
    ended_at: datetime | None = None

    @property
    def cost_usd(self) -> Decimal | None:
        """The cost in USD, exact; None when unpriced."""
        return usd(self.cost_nanos)


class Conversation(Record):
    """A conversation with one agent. It belongs to whoever began it."""

    id: str
    agent: str
    title: str
    model: str | None = None
    """A model, route or policy for all its messages, before the agent's own."""
    project: str | None = None
    user_name: str
    messages: int = 0
    cost_nanos: int = 0
    """Nano-dollars of all its messages that have a price."""
    unpriced: int = 0
    """How many of its messages have none."""
    summary: str | None = None
    """What stands for the messages up to ``summed_up``."""
    summed_up: int = 0
    created_at: datetime
    changed_at: datetime
    _speaker: Any = PrivateAttr(None)

    @property
    def cost_usd(self) -> Decimal | None:
        """The cost in USD of what has a price, exact."""
        return usd(self.cost_nanos)

    def say(self, text: str, **options: Any) -> CommandResult:
        """Say something and return the answer: :meth:`hishamos.contracts.conversations.Conversations.say`."""
        return self._service().say(self.id, text, **options)  # type: ignore[no-any-return]

    def stream(self, text: str, **options: Any) -> Iterator[AgentEvent]:
        """Say something and stream the answer as it comes."""
        return self._service().stream(self.id, text, **options)  # type: ignore[no-any-return]

    def _service(self) -> Any:
        if self._speaker is None:
            raise RuntimeError("this record came from no workspace: use ws.conversations.say")
        return self._speaker()

    def bound_to(self, speaker: Callable[[], Any]) -> None:
        """Let the conversation speak through a workspace's service."""
        self._speaker = speaker
