"""What an agent may use: the commands, agents and functions that its definition names, as a model is told of them."""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError, create_model

from hishamos.contracts.journal import Pinned
from hishamos.engine.failures import storable
from hishamos.engine.functions import WORKSPACE, takes_workspace, tool_function
from hishamos.engine.outside import Outside
from hishamos.engine.steptype import Definitions
from hishamos.errors import HishamosError, InvalidInput, UnknownName
from hishamos.records.definitions import AgentDefinition, CommandDefinition, Parameter
from hishamos.records.mcp import KIND as MCP
from hishamos.records.mcp import ServerTool
from hishamos.records.plain import plain_data
from hishamos.records.record import canonical
from hishamos.records.tools import Tool
from hishamos.security import redact

KINDS = ("command", "agent", "function")
RESULT_LENGTH = 20_000
"""Characters of a tool's result that a model is told; the rest is cut off, and it is said so."""
ERROR_LENGTH = 2_000
DEEPEST = 3
"""So many agents at most give each other tasks."""
TASK = {"type": "object", "properties": {"task": {"type": "string", "description": "what to do, with all it has to know"}}, "required": ["task"]}
TYPES: Mapping[str, dict[str, Any]] = {
    "integer": {"type": "integer"},
    "number": {"type": "number"},
    "boolean": {"type": "boolean"},
    "list": {"type": "array"},
    "object": {"type": "object"},
    "date": {"type": "string", "description": "a date as 2026-11-23"},
}
_STRANGE = re.compile(r"[^A-Za-z0-9_-]")


@dataclass(frozen=True, slots=True)
class Ability:
    """One tool of an agent: what a model is told of it, and what it stands for."""

    tool: Tool
    does: CommandDefinition | AgentDefinition | ServerTool | Elsewhere | Callable[..., Any]


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """A tool whose function stands in another process. ``call``: makes a call there, given the arguments and what makes the tool's workspace."""

    call: Callable[[Mapping[str, Any], Callable[[], Any]], Any]


class PinnedLibrary:
    """The definitions that a run keeps (:class:`hishamos.engine.steptype.Definitions`)."""

    def __init__(self, pinned: Pinned) -> None:
        self._pinned = pinned

    def command(self, name: str) -> CommandDefinition:
        """See the plug."""
        if name not in self._pinned.commands:
            raise UnknownName.among("command", name, list(self._pinned.commands))
        return self._pinned.commands[name]

    def agent(self, name: str) -> AgentDefinition:
        """See the plug."""
        if name not in self._pinned.agents:
            raise UnknownName.among("agent", name, list(self._pinned.agents))
        return self._pinned.agents[name]

    def server_tool(self, reference: str) -> ServerTool:
        """See the plug."""
        if reference not in self._pinned.server_tools:
            raise UnknownName.among("tool", reference, list(self._pinned.server_tools))
        return self._pinned.server_tools[reference]


def abilities(agent: AgentDefinition, library: Definitions, more: Sequence[Ability] = ()) -> dict[str, Ability]:
    """Return an agent's tools, and ``more``, by the names that a model knows them by; raises ``UnknownName`` or ``InvalidInput`` for one that can't be used."""
    found: dict[str, Ability] = {}
    for ability in (*(_ability(reference, _found(reference, library)) for reference in agent.tools), *more):
        if ability.tool.name in found:
            raise InvalidInput(what=f"two tools are named {ability.tool.name!r}", where=f"agent {agent.name}, tools", next="Leave one out.")
        found[ability.tool.name] = ability
    return found


def tool_problem(agent: AgentDefinition, place: int, library: Definitions) -> str | None:
    """Return what is wrong with the agent's tool at ``place`` (from 0); None when it can be used."""
    try:
        found = _found(agent.tools[place], library)
        ability = _ability(agent.tools[place], found)
        earlier = {_ability(one, _found(one, library)).tool.name for one in agent.tools[:place]}
    except HishamosError as error:
        return str(error)
    if ability.tool.name in earlier:
        return f"two tools are named {ability.tool.name!r}"
    if isinstance(found, AgentDefinition):
        circle = _circle((agent.name,), found, library)
        if circle:
            return f"these agents give each other tasks: {' → '.join(circle)}"
    return None


def named_by(agent: AgentDefinition, library: Definitions) -> Iterator[CommandDefinition | AgentDefinition | ServerTool]:
    """Give the commands, agents and tools of MCP servers among an agent's tools."""
    for ability in abilities(agent, library).values():
        if isinstance(ability.does, CommandDefinition | AgentDefinition | ServerTool):
            yield ability.does


def described(function: Callable[..., Any]) -> Tool:
    """Return what a model is told of a function; raises :class:`InvalidInput` for one that can't be a tool."""
    return _ability(function.__name__, function).tool


def call_function(called: Elsewhere | Callable[..., Any], arguments: Mapping[str, Any], workspace: Callable[[], Any], name: str) -> Any:
    """Call a tool's function with arguments that a model wrote; raises :class:`InvalidInput` for those that its types refuse, and what it raises."""
    if isinstance(called, Elsewhere):
        return called.call(arguments, workspace)
    try:
        given = _arguments(called).model_validate(arguments)
    except ValidationError as error:
        first: Any = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        raise InvalidInput(what=f"{place}: {first['msg']}", where=f"tool {name}", next="Correct the arguments.") from error
    injected = {WORKSPACE: workspace()} if takes_workspace(called) else {}
    return plain_data(called(**{field: getattr(given, field) for field in given.model_fields_set}, **injected))


def called_there(tool: ServerTool, outside: Outside) -> Elsewhere:
    """Return what calls a tool of an MCP server."""
    return Elsewhere(lambda arguments, _: outside.server(tool, arguments))


def told(value: Any) -> str:
    """Return a tool's result as a model is told it: JSON, of a bounded length, without anything that looks like a key."""
    value = _without_keys(value)
    text = storable(canonical({"result": value}))
    if len(text) <= RESULT_LENGTH:
        return text
    whole = storable(value if isinstance(value, str) else canonical(value))
    return canonical({"result": whole[:RESULT_LENGTH], "cut_off": f"the result has {len(whole):,} characters; these are the first {RESULT_LENGTH:,}"})


def _without_keys(value: Any) -> Any:
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, dict):
        return {redact(key) if isinstance(key, str) else key: _without_keys(one) for key, one in value.items()}
    return [_without_keys(one) for one in value] if isinstance(value, list | tuple) else value


def refused(problem: str) -> str:
    """Return why a tool gave nothing, as a model is told it."""
    return canonical({"error": storable(redact(problem)[:ERROR_LENGTH])})


def is_refusal(text: str) -> bool:
    """Return whether a model was told that a tool gave nothing."""
    return "error" in json.loads(text)


def _found(reference: str, library: Definitions) -> CommandDefinition | AgentDefinition | ServerTool | Callable[..., Any]:
    """Return what a reference names: ``command:NAME``, ``agent:NAME``, ``function:NAME``, ``mcp:SERVER/TOOL``, or a bare name that one thing only has."""
    look_up: dict[str, Callable[[str], Any]] = {"command": library.command, "agent": library.agent, "function": tool_function}
    kind, _, name = reference.partition(":")
    if kind in KINDS:
        return look_up[kind](name)  # type: ignore[no-any-return]
    if kind == MCP:
        return library.server_tool(reference)
    if ":" in reference:
        return tool_function(reference)
    found, hint = {}, ""
    for one in KINDS:
        try:
            found[one] = look_up[one](reference)
        except UnknownName as error:
            hint = hint or str(error.facts.get("hint", ""))
    if len(found) > 1:
        following = "Write " + " or ".join(f"{one}:{reference}" for one in found) + "."
        raise InvalidInput(what=f"{reference!r} names more than one thing: {', '.join(found)}", where="tools", next=following)
    if not found:
        raise UnknownName(kind="tool", name=reference, hint=hint, next="A tool is a command, an agent, or a function marked with @hishamos.tool.")
    return next(iter(found.values()))  # type: ignore[no-any-return]


def _ability(reference: str, does: CommandDefinition | AgentDefinition | ServerTool | Callable[..., Any]) -> Ability:
    if isinstance(does, ServerTool):
        return Ability(does.told(), does)
    if isinstance(does, CommandDefinition):
        file = next((name for name, parameter in does.parameters.items() if parameter.type == "file"), None)
        if file is not None:
            following = "Leave it out: which file is read is for a person to say."
            raise InvalidInput(what=f"the command {does.name!r} takes a file ({file!r}), which no model may choose", where=f"tool {reference}", next=following)
        return Ability(Tool(name=_wire(does.name), description=does.description, parameters=_of_parameters(does.parameters)), does)
    if isinstance(does, AgentDefinition):
        return Ability(Tool(name=_wire(does.name), description=does.description, parameters=TASK), does)
    description = inspect.cleandoc(does.__doc__ or "").partition("\n\n")[0].replace("\n", " ")
    if not description:
        raise InvalidInput(
            what=f"the function {does.__name__!r} has no docstring", where=f"tool {reference}", next="Say in it what it is for: a model reads it."
        )
    return Ability(Tool(name=_wire(does.__name__), description=description, parameters=_arguments(does).model_json_schema()), does)


def _wire(name: str) -> str:
    return _STRANGE.sub("_", name)[:64]


def _of_parameters(parameters: Mapping[str, Parameter]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {name: _of_parameter(parameter) for name, parameter in parameters.items()},
        "required": [name for name, parameter in parameters.items() if parameter.required],
        "additionalProperties": False,
    }


def _of_parameter(parameter: Parameter) -> dict[str, Any]:
    schema = dict(TYPES.get(parameter.type, {"type": "string"}))
    limits = {"minimum": parameter.min, "maximum": parameter.max, "enum": list(parameter.choices) or None, "description": parameter.description or None}
    if parameter.max_length is not None:
        limits["maxItems" if parameter.type == "list" else "maxLength"] = parameter.max_length
    return schema | {name: value for name, value in limits.items() if value is not None}


@lru_cache(maxsize=256)
def _arguments(called: Callable[..., Any]) -> type[BaseModel]:
    """Return a model of a function's parameters; raises :class:`InvalidInput` for one without a type, or whose type has no JSON Schema."""
    try:
        parameters = inspect.signature(called, eval_str=True).parameters
        fields: dict[str, Any] = {}
        for name, one in parameters.items():
            if name == WORKSPACE:
                continue
            if one.annotation is one.empty or one.kind in {one.VAR_POSITIONAL, one.VAR_KEYWORD, one.POSITIONAL_ONLY}:
                raise TypeError(f"its parameter {name!r} has no type, or no name of its own")  # noqa: TRY301 - told as what pydantic finds is
            fields[name] = (one.annotation, ... if one.default is one.empty else one.default)
        model: type[BaseModel] = create_model(called.__name__, __config__=ConfigDict(extra="forbid", protected_namespaces=()), **fields)
        model.model_json_schema()
    except Exception as error:
        following = "Give each parameter a type that pydantic knows."
        raise InvalidInput(what=f"the function {called.__name__!r} can't be a tool: {error}", where="tools", next=following) from error
    return model


def _circle(before: tuple[str, ...], agent: AgentDefinition, library: Definitions) -> tuple[str, ...]:
    """Return agents that give each other tasks in a circle, or more of them than may; empty when all is well."""
    path = (*before, agent.name)
    if agent.name in before or len(path) > DEEPEST:
        return path
    for reference in agent.tools:
        try:
            found = _found(reference, library)
        except HishamosError:
            continue  # told where that agent is checked
        circle = _circle(path, found, library) if isinstance(found, AgentDefinition) else ()
        if circle:
            return circle
    return ()
