"""Cards of definitions: what a command, an agent, a workflow is for, what it takes, what it gives."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hishamos.charts.formats import count, missing
from hishamos.notebook import markup
from hishamos.records.definitions import AgentDefinition, CommandDefinition, Parameter, WorkflowDefinition
from hishamos.records.pictures import Picture

Definition = CommandDefinition | AgentDefinition | WorkflowDefinition
KINDS: dict[type, str] = {CommandDefinition: "command", AgentDefinition: "agent", WorkflowDefinition: "workflow"}


def definition_card(definition: Definition, graph: Picture | None = None) -> str:
    """Return a definition's card: what it is for, what it takes. ``graph``: a workflow's, drawn."""
    kind = KINDS[type(definition)]
    body = markup.line(markup.text(definition.description))
    if isinstance(definition, CommandDefinition):
        body += _command(definition)
    elif isinstance(definition, AgentDefinition):
        body += _agent(definition)
    else:
        rows = [
            (f"<strong>{markup.text(step.id)}</strong>", markup.text(step.type), markup.text(", ".join(step.after)), markup.text(step.when or ""))
            for step in definition.steps
        ]
        steps = markup.table(("step", "type", "after", "when"), rows)
        body += parameters_table(definition.inputs, "input") + (markup.graph(graph) if graph else steps)
    name = markup.text(definition.name)
    act = {
        "command": f'ws.commands.run("{name}", {{…}})',
        "agent": f'ws.agents.ask("{name}", "…")',
        "workflow": f'ws.workflows.start("{name}", {{…}})',
    }[kind]
    source = [markup.text(definition.source)] if definition.source else []
    foot = [f"version {definition.version}", *source, f"next: <code>{act}</code> or <code>hishamos.form(…)</code>"]
    return markup.card(markup.head(definition.name, definition.category, kind=kind), body, markup.SEPARATOR.join(foot))


def definitions_card(definitions: Sequence[Definition]) -> str:
    """Return many definitions of one kind as a table."""
    kind = KINDS[type(definitions[0])]
    rows = [
        (
            f"<strong>{markup.text(one.name)}</strong>",
            markup.text(one.description),
            markup.text(one.category or ", ".join(one.tags)),
            markup.text(", ".join(_takes(one))),
        )
        for one in definitions
    ]
    table = markup.table((kind, "what it is for", "category", "takes" if kind != "agent" else "can"), rows)
    return markup.card(markup.head(f"{kind.capitalize()}s", count(len(definitions))), table, f"next: <code>ws.{kind}s.get(name)</code>")


def parameters_table(parameters: dict[str, Parameter], noun: str = "parameter") -> str:
    """Return what is taken: name, type with its limits, description, default."""
    rows = [
        (f"<strong>{markup.text(name)}</strong>", markup.text(kind_words(one)), markup.text(one.description), markup.text(default_words(one)))
        for name, one in parameters.items()
    ]
    return markup.table((noun, "type", "description", "default"), rows) if rows else ""


def kind_words(parameter: Parameter) -> str:
    """Return a parameter's type with its limits: ``integer, 1 to 5``, ``choice: ui, api``."""
    if parameter.choices:
        return f"{parameter.type}: {', '.join(parameter.choices)}"
    low, high = (None if bound is None else f"{bound:g}" for bound in (parameter.min, parameter.max))
    limits = f"{low} to {high}" if low and high else f"at least {low}" if low else f"at most {high}" if high else ""
    longest = f"at most {count(parameter.max_length)} characters" if parameter.max_length else ""
    return ", ".join(part for part in (parameter.type, limits, longest) if part)


def default_words(parameter: Parameter) -> str:
    """Return what holds when no value is given."""
    if parameter.required:
        return "required"
    default: Any = parameter.default
    if default is None or default == "":
        return missing()
    return ", ".join(map(str, default)) if isinstance(default, list) else str(default)


def _command(command: CommandDefinition) -> str:
    shape = "text"
    if command.output is not None:
        properties = command.output.get("properties")
        shape = ", ".join(properties) if isinstance(properties, dict) else str(command.output.get("type", "JSON"))
    facts = markup.facts(
        [
            ("gives", shape),
            ("model", command.model),
            ("agent", command.agent),
            ("cache", command.cache if command.cache != "never" else None),
            ("at most", f"{count(command.max_output_tokens)} tokens out" if command.max_output_tokens else None),
            ("tags", ", ".join(command.tags)),
        ]
    )
    return facts + parameters_table(command.parameters) + markup.folded("template", command.template)


def _agent(agent: AgentDefinition) -> str:
    limits = agent.limits
    facts = markup.facts([("can", ", ".join(agent.capabilities) or missing()), ("tools", ", ".join(agent.tools)), ("model", agent.model)])
    bounds = [f"{limits.turns} turns", *([f"{limits.usd} USD"] if limits.usd is not None else []), f"{limits.seconds:g} s"]
    return facts + markup.facts([("limits of a task", ", ".join(bounds))]) + markup.folded("instructions", agent.instructions)


def _takes(definition: Definition) -> Sequence[str]:
    if isinstance(definition, AgentDefinition):
        return definition.capabilities
    return list(definition.parameters if isinstance(definition, CommandDefinition) else definition.inputs)
