"""Tool calls as providers write them: put together from pieces, then held against the tools that were offered."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from hishamos.errors import InvalidInput, nearest_hint
from hishamos.gateway.adapters.plug import CallPiece
from hishamos.gateway.answers import PROBLEM_LENGTH, no_constant, unfit
from hishamos.gateway.clean import clean
from hishamos.records.tools import Tool, ToolCall
from hishamos.schemas.validation import schema_problem, validator

MOST_CALLS = 16
"""So many calls of one answer are run; the others are broken."""


@dataclass(slots=True)
class _Writing:
    id: str
    name: str = ""
    arguments: list[str] = field(default_factory=list)


class Called:
    """The calls of one answer as they come."""

    def __init__(self) -> None:
        self._all: list[_Writing] = []
        self._at: dict[int, _Writing] = {}

    def __bool__(self) -> bool:
        return bool(self._all)

    def add(self, piece: CallPiece) -> None:
        """Add a piece. Some servers give all their calls one place: another id begins another call."""
        writing = self._at.get(piece.place)
        if writing is None or (piece.id and writing.id and piece.id != writing.id):
            writing = self._at[piece.place] = _Writing(piece.id)
            self._all.append(writing)
        writing.id = writing.id or piece.id
        writing.name = writing.name or piece.name
        if piece.arguments:
            writing.arguments.append(piece.arguments)

    @property
    def text(self) -> str:
        """All that was written, to be counted."""
        return "".join(part for call in self._all for part in (call.name, *call.arguments))

    def calls(self, key: str | None = None) -> list[ToolCall]:
        """Return the calls in the order in which they began, clean, not judged yet. One without an id of its own gets its place."""
        found: dict[str, ToolCall] = {}
        for place, one in enumerate(self._all):
            name = one.id if one.id and one.id not in found else f"call_{place}"
            found[name] = ToolCall(id=clean(name, key), name=clean(one.name, key), arguments=clean("".join(one.arguments), key))
        return list(found.values())


def judged(called: Called, tools: Sequence[Tool], key: str | None = None) -> tuple[ToolCall, ...]:
    """Return the calls with their arguments, or with what is wrong: the tool is unknown, the arguments are no JSON or not what it takes.

    ``key``: the provider's, of which nothing stays in them.
    """
    known = {tool.name: tool for tool in tools}
    found = []
    for place, call in enumerate(called.calls(key)):
        data, problem = _read(call, known) if place < MOST_CALLS else (None, f"more than {MOST_CALLS} tools were asked for at once; ask for the others next")
        found.append(call.model_copy(update={"input": data, "problem": problem}))
    return tuple(found)


def check_tools(tools: Sequence[Tool]) -> None:
    """Raise :class:`InvalidInput` for two tools of one name, and for a schema that no arguments can be held against."""
    names = [tool.name for tool in tools]
    for name in names:
        if names.count(name) > 1:
            raise InvalidInput(what=f"two tools are named {name!r}", where="the tools", next="Give each a name of its own. Nothing was sent.")
    for tool in tools:
        problem = schema_problem(tool.parameters)
        if problem is None and tool.parameters.get("type") != "object":
            problem = "the schema of a tool's arguments has the type object"
        if problem is not None:
            raise InvalidInput(what=problem, where=f"the tool {tool.name}", next="Correct it. Nothing was sent.")


def _read(call: ToolCall, known: dict[str, Tool]) -> tuple[dict[str, Any] | None, str | None]:
    tool = known.get(call.name)
    if tool is None:
        return None, f"there is no tool named {call.name!r}{nearest_hint(call.name, list(known))}; the tools are: {', '.join(known) or 'none'}"
    try:
        data = json.loads(call.arguments, parse_constant=no_constant) if call.arguments.strip() else {}
    except (ValueError, RecursionError) as error:
        return None, f"the arguments are no JSON ({error}); they were: {call.arguments[:PROBLEM_LENGTH]}"
    if not isinstance(data, dict):
        return None, f"the arguments are no JSON object; they were: {call.arguments[:PROBLEM_LENGTH]}"
    problem = unfit(data)
    problem = _misfit(data, tool) if problem is None else f"what the arguments say {problem}"
    return (data, None) if problem is None else (None, problem)


def _misfit(data: dict[str, Any], tool: Tool) -> str | None:
    wrong = sorted(validator(tool.parameters).iter_errors(data), key=lambda error: error.json_path)[:3]
    told = "; ".join(f"{one.json_path}: {one.message}"[:PROBLEM_LENGTH] for one in wrong)
    return f"the arguments do not satisfy the tool's schema: {told}" if told else None
