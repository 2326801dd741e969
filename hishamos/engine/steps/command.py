"""``command``: run a command once; its output is the command's."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import Field

from hishamos.engine.attaching import check_chosen, command_files, kept_files, read_back
from hishamos.engine.conversation import command_request, converse
from hishamos.engine.steptype import Library, Problem, Reference, Result, StepContext, StepInputs, StepType, Waiting
from hishamos.errors import UnknownName, nearest_hint
from hishamos.records.attachments import Attachment
from hishamos.schemas.inputs import validated


class CommandInputs(StepInputs):
    """What to run, and with what."""

    command: str
    """The command's name."""
    inputs: dict[str, Any] = Field(default={})
    """Its parameters."""
    model: str | None = None
    """A model, route or policy, before the command's own."""
    agent: str | None = None
    """The agent whose instructions lead, before the command's own."""


class CommandStep(StepType[CommandInputs]):
    """Renders, asks, holds the answer against the schema, sends it back while it is invalid."""

    name = "command"
    inputs = CommandInputs
    literal = frozenset({"command", "agent"})

    def run(self, context: StepContext, inputs: CommandInputs) -> Result:
        """See the plug."""
        command = context.pinned.commands[inputs.command]
        chosen = inputs.agent or command.agent
        agent = context.pinned.agents[chosen] if chosen else None
        what = f"command {command.name}"
        values = validated(command.parameters, inputs.inputs, what, Path(context.outside.settings().root))
        files: dict[str, Attachment] = {}
        if command.attach:
            check_chosen(context, [values[name] for name in command.attach if values[name] is not None], what)
            kept = kept_files(context, lambda: command_files(command, values).items())
            if not kept.ready:
                return Waiting([kept])
            files = dict(read_back(kept.value))
        target = context.target(inputs.model, command.model, agent.model if agent else None)
        request = command_request(command, agent, values, target, files)
        return converse(request, lambda one: context.submit(one, command=command.reference, agent=chosen), command.repairs, what)

    def check(self, raw: Mapping[str, Any], library: Library) -> list[Problem]:
        """See the plug: the command, its agent and its parameters exist."""
        problems = []
        if isinstance(raw.get("agent"), str):
            problems += named(library.agent, raw["agent"], ("agent",))
        try:
            command = library.command(str(raw.get("command", "")))
        except UnknownName as error:
            return [*problems, Problem(("command",), str(error))]
        given = raw.get("inputs", {})
        if not isinstance(given, Mapping):
            return problems
        known = ", ".join(command.parameters) or "none"
        for name in given:
            if name not in command.parameters:
                hint = nearest_hint(str(name), list(command.parameters))
                problems.append(Problem(("inputs", str(name)), f"the command {command.name!r} has no parameter {name!r}{hint}", f"Its parameters: {known}."))
        for name, parameter in command.parameters.items():
            if parameter.required and name not in given:
                problems.append(Problem(("inputs",), f"the command {command.name!r} needs the parameter {name!r}", f"Its parameters: {known}."))
        return problems

    def references(self, raw: Mapping[str, Any]) -> Reference:
        """See the plug."""
        return Reference(commands={str(raw["command"])}, agents={raw["agent"]} if raw.get("agent") else set())


def named(look_up: Any, name: str, place: tuple[str | int, ...]) -> list[Problem]:
    """Return the problem of a name that is not known."""
    try:
        look_up(name)
    except UnknownName as error:
        return [Problem(place, str(error))]
    return []
