"""What an agent's work tells while it goes on: the pieces of each answer, the tools between them, what it cost so far, and the end."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from hishamos.records.calls import AttemptBegan, CommandResult, Finished, Restarted, TextPiece, ToolCalled, UsageTold
from hishamos.records.record import Record

SHOWN = 400
"""Characters of a tool's result that an event carries; the whole one stands in the answer's ``tools``."""


class ToolEnded(Record):
    """A tool gave its result, or was not run."""

    kind: Literal["tool_result"] = "tool_result"
    agent: str
    id: str
    """As in the event that told of its call."""
    name: str
    result: str
    """What the model is told, JSON with ``result`` or ``error``; cut after 400 characters."""
    failed: bool


class TurnEnded(Record):
    """A model has answered a question of the agent."""

    kind: Literal["turn"] = "turn"
    agent: str
    number: int
    """Which turn of this agent it was, from 1."""
    tools: int
    """For how many tools it asked; 0 for an answer."""
    cost_nanos: int | None
    """Nano-dollars of all that this agent asked so far, its tools' calls included; None when any billed one is unpriced."""


class Answered(Record):
    """The agent's answer, as ``ask`` returns it."""

    kind: Literal["answer"] = "answer"
    result: CommandResult


AgentEvent = Annotated[AttemptBegan | TextPiece | ToolCalled | ToolEnded | Restarted | UsageTold | TurnEnded | Answered | Finished, Field(discriminator="kind")]
"""One event of an agent's work, told apart by its class or its ``kind``.

Text is that of the agent that was asked. What other agents, and commands, say as its tools is told by the tools' results; their calls are
told by ``usage``, and tools and turns by the agent that they belong to.
"""
