"""Definitions held against what they refer to, before anything runs: names, expressions, order, schemas."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from typing import Any

from jinja2 import meta, nodes
from pydantic import ValidationError

from hishamos.contracts.journal import Pinned
from hishamos.engine.inputs import default_problem
from hishamos.engine.steps import known, step_type
from hishamos.engine.steptype import Library, Problem, StepType
from hishamos.engine.templates import tree
from hishamos.engine.toolbox import named_by, tool_problem
from hishamos.errors import TemplateFailed, UnknownName, nearest_hint
from hishamos.records.definitions import AgentDefinition, CommandDefinition, Parameter, StepDefinition, WorkflowDefinition
from hishamos.schemas.validation import schema_problem

Place = tuple[str | int, ...]
GLOBALS = frozenset({"range", "dict", "namespace", "cycler", "joiner"})
RUN = frozenset({"id", "name"})
DEEPEST = 8
"""How deep workflows may start one another."""


def agent_problems(agent: AgentDefinition, library: Library) -> list[Problem]:
    """Return what is wrong with an agent: its tools, its schema."""
    found = ((place, tool_problem(agent, place, library)) for place in range(len(agent.tools)))
    problems = [Problem(("tools", place), problem) for place, problem in found if problem is not None]
    wrong = None if agent.output is None else schema_problem(agent.output)
    if wrong:
        problems.append(Problem(("output",), wrong))
    return problems


def command_problems(command: CommandDefinition, library: Library) -> list[Problem]:
    """Return what is wrong with a command: its template, its parameters, its schema, its agent."""
    problems = list(_parameter_problems(command.parameters, ("parameters",)))
    names = frozenset(command.parameters)
    problems += _text_problems(command.template, ("template",), names, f"command {command.name}", "Its parameters")
    for place, text in _texts(command.output, ("output",)):
        problems += _text_problems(text, place, names, f"command {command.name}", "Its parameters")
    if command.output is not None and not any("{{" in text for _, text in _texts(command.output, ())):
        wrong = schema_problem(command.output)
        if wrong:
            problems.append(Problem(("output",), wrong))
    if command.agent is not None:
        try:
            library.agent(command.agent)
        except UnknownName as error:
            problems.append(Problem(("agent",), str(error)))
    for number, example in enumerate(command.examples):
        for name in example.inputs:
            if name not in command.parameters:
                hint = nearest_hint(name, list(command.parameters))
                problems.append(Problem(("examples", number, "inputs", name), f"unknown parameter {name!r}{hint}"))
    return problems


def workflow_problems(workflow: WorkflowDefinition, library: Library) -> list[Problem]:
    """Return everything that keeps a workflow from running, in the order of the text."""
    problems = list(_parameter_problems(workflow.inputs, ("inputs",)))
    if not workflow.steps:
        problems.append(Problem(("steps",), "a workflow has at least one step"))
    ids = [step.id for step in workflow.steps]
    for number, step in enumerate(workflow.steps):
        if not step.id:
            problems.append(Problem(("steps", number), "'id' is missing"))
        elif step.id in ids[:number]:
            problems.append(Problem(("steps", number, "id"), f"the id {step.id!r} is used twice"))
        problems += _order_problems(step, ("steps", number), ids)
    circle = _circle(workflow)
    if circle:
        number = ids.index(circle[0])
        problems.append(Problem(("steps", number, "after"), f"these steps wait for each other: {' → '.join(circle)}", "Take one after away."))
        return problems
    before = _before(workflow)
    for number, step in enumerate(workflow.steps):
        sight = _Sight(workflow, before.get(step.id, frozenset()), frozenset(), step.id)
        problems += _step_problems(step, ("steps", number), sight, library)
    sight = _Sight(workflow, frozenset(ids), frozenset(), "outputs")
    for place, text in _texts(workflow.outputs, ("outputs",)):
        problems += sight.problems(text, place)
    if not problems:
        deep = _too_deep(workflow, library, (workflow.name,))
        problems += [Problem(("steps",), deep, "Leave one of these steps out.")] if deep else []
    return problems


def _included(workflow: WorkflowDefinition) -> set[str]:
    """Return the names of the workflows that a correct one starts."""
    names: set[str] = set()
    steps = list(workflow.steps)
    while steps:
        step = steps.pop()
        found = step_type(step.type).references(step.with_)
        names |= found.workflows
        steps += [inner for _, inner, _ in found.steps]
    return names


def _too_deep(workflow: WorkflowDefinition, library: Library, above: tuple[str, ...]) -> str | None:
    """Return what is wrong with the workflows that a workflow starts, and these in turn."""
    for name in sorted(_included(workflow)):
        way = " → ".join((*above, name))
        if name in above:
            return f"a workflow can't start itself: {way}"
        if len(above) > DEEPEST:
            return f"workflows start one another more than {DEEPEST} deep: {way}"
        below = _too_deep(library.workflow(name), library, (*above, name))
        if below:
            return below
    return None


def pinned(workflow: WorkflowDefinition, library: Library) -> Pinned:
    """Return the workflow with every definition that it names, as they are now."""
    commands: dict[str, CommandDefinition] = {}
    agents: dict[str, AgentDefinition] = {}
    workflows: dict[str, WorkflowDefinition] = {}
    steps = list(workflow.steps)
    while steps:
        step = steps.pop()
        found = step_type(step.type).references(step.with_)
        for name in found.commands:
            commands[name] = library.command(name)
            if commands[name].agent:
                found.agents.add(str(commands[name].agent))
        for name in found.agents:
            _pin_agent(library.agent(name), library, commands, agents)
        for name in found.workflows - set(workflows):
            workflows[name] = library.workflow(name)
            steps += workflows[name].steps
        steps += [inner for _, inner, _ in found.steps]
    return Pinned(workflow=workflow, commands=commands, agents=agents, workflows=workflows)


def _pin_agent(agent: AgentDefinition, library: Library, commands: dict[str, CommandDefinition], agents: dict[str, AgentDefinition]) -> None:
    """Keep an agent with all that its tools name."""
    if agent.name in agents:
        return
    agents[agent.name] = agent
    for tool in named_by(agent, library):
        if isinstance(tool, AgentDefinition):
            _pin_agent(tool, library, commands, agents)
        else:
            commands[tool.name] = tool
            if tool.agent:
                _pin_agent(library.agent(tool.agent), library, commands, agents)


class _Sight:
    """What the templates of one step may name."""

    def __init__(self, workflow: WorkflowDefinition, before: frozenset[str], names: frozenset[str], reader: str) -> None:
        self.workflow, self.before, self.names, self.reader = workflow, before, names, reader

    def within(self, names: tuple[str, ...]) -> _Sight:
        """Return what an inner step sees."""
        return _Sight(self.workflow, self.before, self.names | set(names), self.reader)

    def problems(self, text: str, place: Place, *, bare: bool = False) -> list[Problem]:
        """Return what is wrong with a template, or with an expression without braces."""
        try:
            parsed = tree(text, _told(place), bare=bare)
        except TemplateFailed as error:
            return [Problem(place, str(error.problem), "Correct the expression.")]
        allowed = {"inputs", "steps", "run", *self.names}
        found = []
        for name in sorted(meta.find_undeclared_variables(parsed) - GLOBALS - allowed):
            hint = nearest_hint(name, sorted(allowed | {f"inputs.{one}" for one in self.workflow.inputs}))
            found.append(Problem(place, f"{name!r} is not known here{hint}", f"Known: {', '.join(sorted(allowed))}."))
        for root, name in _members(parsed):
            found += self._member(root, name, place)
        return found

    def _member(self, root: str, name: str, place: Place) -> list[Problem]:
        if root in self.names:
            return []
        if root == "inputs" and name not in self.workflow.inputs:
            known_inputs = list(self.workflow.inputs)
            return [Problem(place, f"there is no input {name!r}{nearest_hint(name, known_inputs)}", f"Inputs: {', '.join(known_inputs) or 'none'}.")]
        if root == "run" and name not in RUN:
            return [Problem(place, f"a run has no {name!r} here", "Known: run.id, run.name.")]
        ids = [step.id for step in self.workflow.steps]
        if root == "steps" and name not in ids:
            return [Problem(place, f"there is no step {name!r}{nearest_hint(name, ids)}", f"Steps: {', '.join(ids)}.")]
        if root == "steps" and name not in self.before:
            problem = f"the step {name!r} may not have ended before {self.reader!r} begins"
            return [Problem(place, problem, f"Add it to the step's after: after: [{name}].")]
        return []


def _step_problems(step: StepDefinition, place: Place, sight: _Sight, library: Library) -> Iterator[Problem]:
    if step.type not in known():
        hint = nearest_hint(step.type, known())
        yield Problem((*place, "type"), f"there is no step type {step.type!r}{hint}", f"Known: {', '.join(known())}.")
        return
    kind = step_type(step.type)
    if step.when is not None:
        yield from sight.problems(step.when, (*place, "when"), bare=True)
    if step.timeout is not None and not kind.timed:
        yield Problem((*place, "timeout"), f"a step of type {kind.name} has no time limit", "Leave timeout out.")
    yield from _with_problems(kind, step, place, sight)
    shape = list(_shape_problems(kind, step.with_, (*place, "with")))
    yield from shape
    if shape:
        return
    for problem in kind.check(step.with_, library):
        yield Problem((*place, "with", *problem.place), problem.problem, problem.next)
    for expression in kind.expressions(step.with_):
        yield from sight.within(expression.names).problems(expression.text, (*place, "with", *expression.place), bare=True)
    for below, inner, names in kind.references(step.with_).steps:
        inside = (*place, "with", *below)
        if inner.id or inner.after:
            yield Problem((*inside, "id" if inner.id else "after"), "a step inside another has neither id nor after")
        yield from _step_problems(inner, inside, sight.within(names), library)


def _with_problems(kind: StepType[Any], step: StepDefinition, place: Place, sight: _Sight) -> Iterator[Problem]:
    for key, value in step.with_.items():
        if key in kind.raw:
            continue
        for inner, text in _texts(value, (*place, "with", key)):
            if key in kind.literal and _templated(text):
                yield Problem(inner, f"{key!r} has to be known when the definition is loaded; it takes no template")
            else:
                yield from sight.problems(text, inner)


def _shape_problems(kind: StepType[Any], raw: Mapping[str, Any], place: Place) -> Iterator[Problem]:
    """Hold ``with`` against the step type's model, fields with templates left out."""
    fields = [field.alias or name for name, field in kind.inputs.model_fields.items()]
    try:
        kind.inputs.model_validate(raw)
    except ValidationError as error:
        for one in sorted(error.errors(include_url=False), key=lambda one: one["type"] != "extra_forbidden"):
            name = str(one["loc"][0]) if one["loc"] else ""
            if name in raw and name not in kind.raw and any(_templated(text) for _, text in _texts(raw[name], ())):
                continue
            if one["type"] == "missing":
                yield Problem(place, f"{_told(one['loc'])!r} is missing", f"A step of type {kind.name} takes: {', '.join(fields)}.")
            elif one["type"] == "extra_forbidden":
                last = str(one["loc"][-1])
                yield Problem(
                    (*place, *one["loc"]), f"a step of type {kind.name} takes no {last!r}{nearest_hint(last, fields)}", f"It takes: {', '.join(fields)}."
                )
            else:
                yield Problem((*place, *one["loc"]), f"{_told(one['loc'])}: {one['msg']}")


def _order_problems(step: StepDefinition, place: Place, ids: list[str]) -> Iterator[Problem]:
    for number, name in enumerate(step.after):
        if name == step.id:
            yield Problem((*place, "after", number), f"the step {name!r} waits for itself")
        elif name not in ids:
            yield Problem((*place, "after", number), f"there is no step {name!r}{nearest_hint(name, ids)}", f"Steps: {', '.join(ids)}.")
        elif name in step.after[:number]:
            yield Problem((*place, "after", number), f"{name!r} stands twice")


def _parameter_problems(parameters: Mapping[str, Parameter], place: Place) -> Iterator[Problem]:
    for name, parameter in parameters.items():
        if not name.isidentifier():
            yield Problem((*place, name), f"{name!r} can't be named in a template", "Use letters, digits and _.")
        if parameter.type == "choice" and not parameter.choices:
            yield Problem((*place, name), f"the choice {name!r} has no choices", "Add: choices: [one, two].")
        wrong = default_problem(name, parameter)
        if wrong:
            yield Problem((*place, name, "default"), wrong)


def _text_problems(text: str, place: Place, names: frozenset[str], where: str, known_as: str) -> Iterator[Problem]:
    try:
        parsed = tree(text, where)
    except TemplateFailed as error:
        yield Problem(place, str(error.problem), "Correct the template.")
        return
    for name in sorted(meta.find_undeclared_variables(parsed) - GLOBALS - names):
        yield Problem(place, f"{name!r} is no parameter{nearest_hint(name, sorted(names))}", f"{known_as}: {', '.join(sorted(names)) or 'none'}.")


def _members(parsed: nodes.Template) -> Iterator[tuple[str, str]]:
    """Return (root, name) of each ``root.name`` and ``root['name']``."""
    for found in parsed.find_all(nodes.Getattr):
        if isinstance(found.node, nodes.Name) and found.node.name in {"inputs", "steps", "run"}:
            yield found.node.name, found.attr
    for item in parsed.find_all(nodes.Getitem):
        if isinstance(item.node, nodes.Name) and item.node.name in {"inputs", "steps", "run"} and isinstance(item.arg, nodes.Const):
            yield item.node.name, str(item.arg.value)


def _texts(data: Any, place: Place) -> Iterator[tuple[Place, str]]:
    if isinstance(data, str):
        yield place, data
    elif isinstance(data, Mapping):
        for key, value in data.items():
            yield from _texts(value, (*place, str(key)))
    elif isinstance(data, (list, tuple)):
        for number, value in enumerate(data):
            yield from _texts(value, (*place, number))


def _templated(text: str) -> bool:
    return "{{" in text or "{%" in text


def _told(place: Place) -> str:
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in place).lstrip(".")


def _circle(workflow: WorkflowDefinition) -> list[str]:
    """Return steps that wait for each other, the first one again at the end; empty when there are none."""
    try:
        TopologicalSorter(_after(workflow)).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def _before(workflow: WorkflowDefinition) -> dict[str, frozenset[str]]:
    """Return for each step all steps that have ended when it begins."""
    after = _after(workflow)
    found: dict[str, frozenset[str]] = {}
    for name in TopologicalSorter(after).static_order():
        found[name] = frozenset(after[name]).union(*(found[one] for one in after[name]))
    return found


def _after(workflow: WorkflowDefinition) -> dict[str, list[str]]:
    ids = {step.id for step in workflow.steps}
    return {step.id: [name for name in step.after if name in ids and name != step.id] for step in workflow.steps}
