"""Tools: what a model may ask to have run, and what it asked for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from pydantic import Field

from hishamos.records.record import Record

F = TypeVar("F", bound=Callable[..., Any])
MARK = "__hishamos_tool__"


def tool(function: F) -> F:
    """Mark a function as one that agents may be given: a model then chooses its arguments.

    Its parameters need types, its docstring tells the model what it is for. A parameter ``ws`` gets the workspace, acting as whoever gave
    the agent its task. It has to stand in the library or be offered as an entry point of the group ``hishamos.functions``.
    """
    setattr(function, MARK, True)
    return function


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


class ToolUse(Record):
    """A tool as an agent used it."""

    agent: str
    name: str
    arguments: str
    """As the model wrote them."""
    result: str
    """What the model was told: JSON with ``result``, or with ``error`` where the tool was not run or failed."""
    failed: bool = False
