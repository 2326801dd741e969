"""Definitions held against what they refer to, before anything runs: names, expressions, order, schemas."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from graphlib import CycleError, TopologicalSorter
from typing import Any

from jinja2 import nodes
from pydantic import ValidationError

from hishamos.contracts.journal import Pinned
from hishamos.engine.failures import error_names
from hishamos.engine.form_errors import FORMS, in_words
from hishamos.engine.sight import Place, Sight, always_false, members, templated, text_problems, texts, told
from hishamos.engine.steps import known, step_type
from hishamos.engine.steptype import Library, Problem, StepType
from hishamos.engine.templates import tree
from hishamos.engine.toolbox import named_by, tool_problem
from hishamos.errors import TemplateFailed, UnknownName, nearest_hint
from hishamos.records.definitions import AgentDefinition, CommandDefinition, Goto, Parameter, StepDefinition, WorkflowDefinition
from hishamos.records.mcp import ServerTool
from hishamos.schemas.inputs import default_problem
from hishamos.schemas.validation import schema_problem

ON_ERROR = ("fail", "continue")
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
    problems += text_problems(command.template, ("template",), names, f"command {command.name}", "Its parameters")
    for place, text in texts(command.output, ("output",)):
        problems += text_problems(text, place, names, f"command {command.name}", "Its parameters")
    if command.output is not None and not any("{{" in text for _, text in texts(command.output, ())):
        wrong = schema_problem(command.output)
        if wrong:
            problems.append(Problem(("output",), wrong))
    for number, name in enumerate(command.attach):
        if name not in command.parameters:
            hint = nearest_hint(name, list(command.parameters))
            problems.append(Problem(("attach", number), f"unknown parameter {name!r}{hint}", f"Its parameters: {', '.join(command.parameters) or 'none'}."))
        elif command.parameters[name].type != "file":
            problems.append(Problem(("attach", number), f"the parameter {name!r} is no file", f"Write: {name}: {{type: file}}"))
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
        problems += _goto_problems(workflow, step, ("steps", number, "on_error"), before)
    for number, step in enumerate(workflow.steps):
        sight = Sight(workflow, before.get(step.id, frozenset()), frozenset(), step.id)
        problems += _step_problems(step, ("steps", number), sight, library)
        if step.compensate is not None:
            inside = ("steps", number, "compensate")
            problems += _undo_problems(step.compensate, inside)
            problems += _step_problems(step.compensate, inside, sight.after(step.id), library)
    sight = Sight(workflow, frozenset(ids), frozenset(), "outputs")
    for place, text in texts(workflow.outputs, ("outputs",)):
        problems += sight.problems(text, place)
    for number, step in enumerate(() if problems else workflow.steps):
        deep = _too_deep(_included([step]), library, (workflow.name,))
        problems += [Problem(("steps", number, "with", "workflow"), deep, "Leave one of these steps out.")] if deep else []
    return problems


def _included(wanted: Sequence[StepDefinition]) -> set[str]:
    """Return the names of the workflows that correct steps start."""
    names: set[str] = set()
    steps = list(wanted)
    while steps:
        step = steps.pop()
        found = step_type(step.type).references(step.with_)
        names |= found.workflows
        steps += [inner for _, inner, _ in found.steps] + ([] if step.compensate is None else [step.compensate])
    return names


def _too_deep(names: set[str], library: Library, above: tuple[str, ...]) -> str | None:
    """Return what is wrong with workflows that are started by the last of those ``above``, and with what they start in turn."""
    for name in sorted(names):
        way = " → ".join((*above, name))
        if name in above:
            return f"a workflow can't start itself: {way}"
        if len(above) > DEEPEST:
            return f"workflows start one another more than {DEEPEST} deep: {way}"
        below = _too_deep(_included(library.workflow(name).steps), library, (*above, name))
        if below:
            return below
    return None


def inputs_read(step: StepDefinition) -> frozenset[str] | None:
    """Return the inputs of the run that a step's templates name; None when that can't be told and it may be any of them."""
    written = list(texts(step.with_, ("with",))) + ([] if step.when is None else [(("when",), step.when)])
    found: set[str] = set()
    for place, text in written:
        try:
            parsed = tree(text, told(place), bare=place[-1] == "when" and not templated(text))
        except TemplateFailed:
            return None
        named = [name for root, name, _ in members(parsed) if root == "inputs"]
        if len(named) < sum(1 for one in parsed.find_all(nodes.Name) if one.name == "inputs"):
            return None
        found.update(named)
    return frozenset(found)


def pinned(workflow: WorkflowDefinition, library: Library) -> Pinned:
    """Return the workflow with every definition that it names, as they are now."""
    commands: dict[str, CommandDefinition] = {}
    agents: dict[str, AgentDefinition] = {}
    workflows: dict[str, WorkflowDefinition] = {}
    server_tools: dict[str, ServerTool] = {}
    steps = list(workflow.steps)
    while steps:
        step = steps.pop()
        found = step_type(step.type).references(step.with_)
        for name in found.commands:
            commands[name] = library.command(name)
            if commands[name].agent:
                found.agents.add(str(commands[name].agent))
        for name in found.agents:
            _pin_agent(library.agent(name), library, commands, agents, server_tools)
        for name in found.workflows - set(workflows):
            workflows[name] = library.workflow(name)
            steps += workflows[name].steps
        steps += [inner for _, inner, _ in found.steps]
        if step.compensate is not None:
            steps.append(step.compensate)
    return Pinned(workflow=workflow, commands=commands, agents=agents, workflows=workflows, server_tools=server_tools)


def _pin_agent(
    agent: AgentDefinition,
    library: Library,
    commands: dict[str, CommandDefinition],
    agents: dict[str, AgentDefinition],
    server_tools: dict[str, ServerTool],
) -> None:
    """Keep an agent with all that its tools name."""
    if agent.name in agents:
        return
    agents[agent.name] = agent
    for tool in named_by(agent, library):
        if isinstance(tool, AgentDefinition):
            _pin_agent(tool, library, commands, agents, server_tools)
        elif isinstance(tool, ServerTool):
            server_tools[tool.reference] = tool
        else:
            commands[tool.name] = tool
            if tool.agent:
                _pin_agent(library.agent(tool.agent), library, commands, agents, server_tools)


def _step_problems(step: StepDefinition, place: Place, sight: Sight, library: Library) -> Iterator[Problem]:
    if step.type not in known():
        hint = nearest_hint(step.type, known())
        yield Problem((*place, "type"), f"there is no step type {step.type!r}{hint}", f"Known: {', '.join(known())}.")
        return
    kind = step_type(step.type)
    yield from _when_problems(step.when, (*place, "when"), sight)
    if step.timeout is not None and not kind.timed:
        yield Problem((*place, "timeout"), f"a step of type {kind.name} has no time limit", "Leave timeout out.")
    yield from _retry_problems(step, (*place, "retry"))
    if isinstance(step.on_error, str) and step.on_error not in ON_ERROR:
        wrong = f"on_error is no {step.on_error!r}{nearest_hint(step.on_error, list(ON_ERROR))}"
        yield Problem((*place, "on_error"), wrong, "Write fail, continue, or {goto: STEP, at_most: N}.")
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
        if inner.compensate is not None:
            yield Problem((*inside, "compensate"), "a step inside another is not compensated by itself", "Give the step around it the compensate.")
        if isinstance(inner.on_error, Goto):
            yield Problem((*inside, "on_error"), "a step inside another goes nowhere else", "Give the step around it the goto, or write: on_error: continue")
        yield from _step_problems(inner, inside, sight.within(names), library)


def _when_problems(when: str | None, place: Place, sight: Sight) -> Iterator[Problem]:
    if when is not None:
        yield from sight.problems(when, place, bare=True)
        if always_false(when):
            yield Problem(place, f"the step never runs: {when!r} never holds", "Name what it depends on, or take the step out.")


def _retry_problems(step: StepDefinition, place: Place) -> Iterator[Problem]:
    if step.retry is None:
        return
    known_errors = error_names()
    following = "Name an error of HishamOS (StepTimedOut, CallFailed) or of Python (OSError)."
    for number, name in enumerate(step.retry.on):
        if name not in known_errors:
            hint = nearest_hint(name, known_errors)
            yield Problem((*place, "on", number), f"there is no error {name!r}{hint}", following)
    longest, first = step.retry.max_s, step.retry.backoff_s
    if longest is not None and longest < first:
        yield Problem((*place, "max_s"), f"the longest wait (max_s, {longest:g}) is shorter than the first one (backoff_s, {first:g})", "Raise max_s.")


def _goto_problems(workflow: WorkflowDefinition, step: StepDefinition, place: Place, before: Mapping[str, frozenset[str]]) -> Iterator[Problem]:
    """Hold a goto against the graph: a known step before this one, with a bound, or after it."""
    if not isinstance(step.on_error, Goto):
        return
    target, steps = step.on_error.goto, {one.id: one for one in workflow.steps}
    inside = (*place, "goto")
    if target not in steps:
        yield Problem(inside, f"there is no step {target!r}{nearest_hint(target, list(steps))}", f"Steps: {', '.join(steps)}.")
    elif target == step.id:
        yield Problem(inside, f"the step {target!r} can't go to itself", "To try it again, write: retry: {attempts: N}")
    elif target in before[step.id]:
        if step.on_error.at_most is None:
            yield Problem(place, f"going back from {step.id!r} to {target!r} has no bound", "Add at_most: on_error: {goto: " + target + ", at_most: 3}")
        for name in (one for one in steps if one == target or target in before[one]):
            kind = steps[name].type
            if kind in known() and (step_type(kind).composite or kind == "workflow"):
                yield Problem(inside, f"going back to {target!r} would run {name!r} again, a {kind}", "Go back to a step after it, or give the items a retry.")
    elif step.id not in before[target]:
        yield Problem(inside, f"the step {target!r} comes neither before nor after {step.id!r}", f"Add to {target!r}: after: [{step.id}].")
    else:
        yield from _skipped_problems(workflow, step.id, target, inside, before)


def _skipped_problems(workflow: WorkflowDefinition, step: str, target: str, place: Place, before: Mapping[str, frozenset[str]]) -> Iterator[Problem]:
    """Refuse to go forward over a step whose output is read further down as if it were always there."""
    skipped = [one.id for one in workflow.steps if step in before[one.id] and one.id != target and target not in before[one.id]]
    for reader in (one for one in workflow.steps if one.id == target or target in before[one.id]):
        read = "\n".join(text for _, text in texts(reader.with_, ())) + f"\n{reader.when or ''}"
        for name in skipped:
            guarded = any(f"steps.{name}.{sign}" in read for sign in ("state", "error"))
            if f"steps.{name}.output." in read and not guarded:
                following = f"In {reader.id!r} look at it first (when: \"steps.{name}.state == 'succeeded'\"), or go on further up."
                yield Problem(place, f"going on with {target!r} skips {name!r}, whose output {reader.id!r} reads", following)


def _undo_problems(step: StepDefinition, place: Place) -> Iterator[Problem]:
    """Hold a compensation against what it may be: one step that needs nobody, in no order of its own."""
    for name in ("id", "after", "compensate", "on_error"):
        if name in step.model_fields_set and getattr(step, name) != StepDefinition.model_fields[name].default:
            yield Problem((*place, name), f"a compensation has no {name!r}", "It is done when the run fails or is cancelled, the last step's first.")
    if step.type in known() and (step_type(step.type).composite or not step_type(step.type).timed):
        yield Problem((*place, "type"), f"a step of type {step.type} compensates nothing", "Use one that does its work alone: python, command, agent.")


def _with_problems(kind: StepType[Any], step: StepDefinition, place: Place, sight: Sight) -> Iterator[Problem]:
    for key, value in step.with_.items():
        if key in kind.raw:
            continue
        for inner, text in texts(value, (*place, "with", key)):
            if key in kind.literal and templated(text):
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
            if name in raw and name not in kind.raw and any(templated(text) for _, text in texts(raw[name], ())):
                continue
            if one["type"] == "missing":
                yield Problem(place, f"{told(one['loc'])!r} is missing", f"A step of type {kind.name} takes: {', '.join(fields)}.")
            elif one["type"] == "extra_forbidden":
                last = str(one["loc"][-1])
                yield Problem(
                    (*place, *one["loc"]), f"a step of type {kind.name} takes no {last!r}{nearest_hint(last, fields)}", f"It takes: {', '.join(fields)}."
                )
            else:
                yield Problem((*place, *one["loc"]), in_words(one, told(tuple(part for part in one["loc"] if part not in FORMS)) or "with"))


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
