"""What the templates of a definition may name, and what is wrong with those that name something else."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from jinja2 import nodes

from hishamos.engine.steptype import Problem
from hishamos.engine.templates import condition, foreign_names, tree
from hishamos.errors import HishamosError, TemplateFailed, nearest_hint
from hishamos.records.definitions import WorkflowDefinition

Place = tuple[str | int, ...]
GLOBALS = frozenset({"range", "dict", "namespace", "cycler", "joiner"})
RUN = frozenset({"id", "name"})
ROOTS = frozenset({"inputs", "steps", "run"})
PIPED = {"len": "length", "str": "string", "sorted": "sort", "reversed": "reverse"} | {
    name: name for name in ("int", "float", "abs", "round", "sum", "min", "max", "list")
}
"""What Python calls as a function and templates write as a filter."""


class Sight:
    """What the templates of one step may name."""

    def __init__(self, workflow: WorkflowDefinition, before: frozenset[str], names: frozenset[str], reader: str) -> None:
        self.workflow, self.before, self.names, self.reader = workflow, before, names, reader

    def after(self, step: str) -> Sight:
        """Return what is seen once a step has ended."""
        return Sight(self.workflow, self.before | {step}, self.names, f"{step}'s compensate")

    def within(self, names: tuple[str, ...]) -> Sight:
        """Return what an inner step sees."""
        return Sight(self.workflow, self.before, self.names | set(names), self.reader)

    def problems(self, text: str, place: Place, *, bare: bool = False) -> list[Problem]:
        """Return what is wrong with a template, or with an expression without braces."""
        try:
            parsed = tree(text, told(place), bare=bare)
        except TemplateFailed as error:
            return [Problem(place, _syntax(error), "Correct the expression.", error.line)]
        allowed = {*ROOTS, *self.names}
        found = []
        for name in sorted(foreign_names(parsed) - GLOBALS - allowed):
            hint = _hint(name, sorted(allowed | {f"inputs.{one}" for one in self.workflow.inputs}))
            found.append(Problem(place, f"{name!r} is not known here{hint}", f"Known: {', '.join(sorted(allowed))}.", _line(parsed, name)))
        for root, name, line in members(parsed):
            found += self._member(root, name, place, line)
        return found

    def _member(self, root: str, name: str, place: Place, line: int) -> list[Problem]:
        if root in self.names:
            return []
        if root == "inputs" and name not in self.workflow.inputs:
            known_inputs = list(self.workflow.inputs)
            hint = nearest_hint(name, known_inputs)
            return [Problem(place, f"there is no input {name!r}{hint}", f"Inputs: {', '.join(known_inputs) or 'none'}.", line)]
        if root == "run" and name not in RUN:
            return [Problem(place, f"a run has no {name!r} here", "Known: run.id, run.name.", line)]
        ids = [step.id for step in self.workflow.steps]
        if root == "steps" and name not in ids:
            return [Problem(place, f"there is no step {name!r}{nearest_hint(name, ids)}", f"Steps: {', '.join(ids)}.", line)]
        if root == "steps" and name not in self.before:
            problem = f"the step {name!r} may not have ended before {self.reader!r} begins"
            return [Problem(place, problem, f"Add it to the step's after: after: [{name}].", line)]
        return []


def text_problems(text: str, place: Place, names: frozenset[str], where: str, known_as: str) -> Iterator[Problem]:
    """Return what is wrong with a template that sees ``names`` only, as a command's does."""
    try:
        parsed = tree(text, where)
    except TemplateFailed as error:
        yield Problem(place, _syntax(error), "Correct the template.", error.line)
        return
    for name in sorted(foreign_names(parsed) - GLOBALS - names):
        hint = _hint(name, sorted(names))
        yield Problem(place, f"{name!r} is no parameter{hint}", f"{known_as}: {', '.join(sorted(names)) or 'none'}.", _line(parsed, name))


def always_false(expression: str) -> bool:
    """Return whether a condition that names nothing does not hold, ever."""
    try:
        return not foreign_names(tree(expression, "when", bare=True)) and not condition(expression, {}, "when")
    except HishamosError:
        return False


def members(parsed: nodes.Template) -> Iterator[tuple[str, str, int]]:
    """Return (root, name, line in the text) of each ``root.name`` and ``root['name']``."""
    for found in parsed.find_all(nodes.Getattr):
        if isinstance(found.node, nodes.Name) and found.node.name in ROOTS:
            yield found.node.name, found.attr, found.lineno
    for item in parsed.find_all(nodes.Getitem):
        if isinstance(item.node, nodes.Name) and item.node.name in ROOTS and isinstance(item.arg, nodes.Const):
            yield item.node.name, str(item.arg.value), item.lineno


def texts(data: Any, place: Place) -> Iterator[tuple[Place, str]]:
    """Return every text in nested data with its place."""
    if isinstance(data, str):
        yield place, data
    elif isinstance(data, Mapping):
        for key, value in data.items():
            yield from texts(value, (*place, str(key)))
    elif isinstance(data, (list, tuple)):
        for number, value in enumerate(data):
            yield from texts(value, (*place, number))


def templated(text: str) -> bool:
    """Return whether a text is filled in before it is used."""
    return "{{" in text or "{%" in text


def told(place: Place) -> str:
    """Return a place in words: ``steps[2].with.command``."""
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in place).lstrip(".")


def _hint(name: str, known: list[str]) -> str:
    return f"; write it as a filter: VALUE | {PIPED[name]}" if name in PIPED else nearest_hint(name, known)


def _syntax(error: TemplateFailed) -> str:
    return str(error.problem).removeprefix(f"line {error.line}: ")


def _line(parsed: nodes.Template, name: str) -> int:
    return next((found.lineno for found in parsed.find_all(nodes.Name) if found.name == name), 1)
