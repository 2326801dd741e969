"""Tools: what a model may ask to have run, and what it asked for."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from hishamos.records.record import Record


class Tool(Record):
    """What a model is told of one tool."""

    name: str = Field(pattern=r"^[A-Za-z_][A-Za-z0-9_-]{0,63}$")
    """A name that all providers take."""
    description: str = ""
    parameters: dict[str, Any]
    """JSON Schema of the arguments, an object."""


class ToolCall(Record):
    """What a model asked for. Only a call without a ``problem`` may be run."""

    id: str
    """The provider's name of this call, which its result carries too."""
    name: str
    arguments: str = ""
    """As the model wrote them."""
    input: dict[str, Any] | None = None
    """The arguments, read and held against the tool's schema; None where the call is broken."""
    problem: str | None = None
    """Why the call is broken, in words that a model can act on: no such tool, no JSON, not what the schema asks for."""
