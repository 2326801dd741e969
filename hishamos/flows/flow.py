"""A workflow as it is being written in Python."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from hishamos.errors import InvalidDefinition, nearest_hint
from hishamos.flows.expressions import Expression, chosen, filled
from hishamos.flows.steps import Inner, Steps
from hishamos.records.definitions import Parameter, ParameterType, WorkflowDefinition

STEP = re.compile(r"\bsteps(?:\.([A-Za-z]\w*)|\[['\"]([A-Za-z][\w-]*)['\"]\])")
BRACES = re.compile(r"\{\{.*?\}\}|\{%.*?%\}", re.DOTALL)


class StepHandle:
    """A step of the flow: what it gives is read by later ones, and by the outputs."""

    def __init__(self, id: str) -> None:
        self.id = id
        path = f"steps.{id}" if id.isidentifier() else f"steps[{id!r}]"
        self.output = Expression(f"{path}.output")
        """What the step gave; null where it was skipped."""
        self.state = Expression(f"{path}.state")
        """``succeeded``, ``skipped``, ``failed`` …"""
        self.error = Expression(f"{path}.error")
        """``{type, message}`` of a step that failed and whose ``on_error`` is ``continue``."""

    def __repr__(self) -> str:
        return f"<step {self.id}>"


class Inputs:
    """The workflow's inputs as expressions, by name."""

    def __init__(self, declared: Mapping[str, Parameter], workflow: str) -> None:
        self._declared, self._workflow = declared, workflow

    def __getattr__(self, name: str) -> Expression:
        if name.startswith("_"):
            raise AttributeError(name)
        if name not in self._declared:
            hint = nearest_hint(name, list(self._declared))
            known = ", ".join(self._declared) or "none"
            raise AttributeError(f"the workflow {self._workflow!r} has no input {name!r}{hint} Inputs: {known}.")
        return Expression(f"inputs.{name}")

    def __dir__(self) -> list[str]:
        return list(self._declared)


class Flow(Steps[StepHandle]):
    """A workflow that is being written: declare inputs, add steps, name outputs, then take its :meth:`definition`.

    A step waits for those whose output it reads, and for those in ``after``. Steps inside others (of a map, loop, switch, or a compensation)
    are made by ``flow.inner`` and have no id.
    """

    def __init__(
        self,
        name: str,
        description: str,
        *,
        inputs: Mapping[str, ParameterType | Parameter | Mapping[str, Any]] | None = None,
        category: str = "",
        tags: Sequence[str] = (),
    ) -> None:
        super().__init__(self._add)
        self.name, self.description = name, description
        self._about = {"category": category, "tags": tuple(tags)}
        self._declared: dict[str, Parameter] = {}
        self._steps: dict[str, dict[str, Any]] = {}
        self._outputs: dict[str, Any] = {}
        self.inputs = Inputs(self._declared, name)
        """The inputs as expressions: ``flow.inputs.file``."""
        self.run = Expression("run")
        """``flow.run.id``, ``flow.run.name``."""
        self.inner: Steps[Inner] = Steps(lambda _, data: Inner(data))
        """Makes steps that stand inside others."""
        for key, declared in (inputs or {}).items():
            self.input(key, **({"type": declared} if isinstance(declared, str) else _given(declared)))

    def input(self, name: str, type: ParameterType = "string", **declared: Any) -> Expression:
        """Declare an input and return it. ``declared``: description, default, optional, choices, min, max, max_length, example."""
        try:
            self._declared[name] = Parameter(type=type, **declared)
        except ValidationError as error:
            raise self._refused(error, f"input {name}") from None
        return Expression(f"inputs.{name}")

    def outputs(self, **values: Any) -> None:
        """Say what the run gives in the end, by name; a later call adds to an earlier one."""
        self._outputs.update({name: filled(value, f"output {name}") for name, value in values.items()})

    @staticmethod
    def expression(text: str) -> Expression:
        """Return an expression written as YAML would: ``flow.expression("steps.read.output.rows | length")``."""
        return Expression(text, 0)

    @staticmethod
    def choose(condition: Any, then: Any, otherwise: Any = None) -> Expression:
        """Return what is ``then`` where a condition holds, else ``otherwise``."""
        return chosen(condition, then, otherwise)

    def definition(self) -> WorkflowDefinition:
        """Return the workflow as a record: the same one, of the same version, as the YAML that says the same.

        Raises :class:`InvalidDefinition` for what has no such form; what it refers to is looked at when it is checked, saved or started.
        """
        steps = [self._ordered(step) for step in self._steps.values()]
        whole = {"name": self.name, "description": self.description, **self._about, "inputs": self._declared, "steps": steps, "outputs": self._outputs}
        try:
            return WorkflowDefinition.model_validate(whole)
        except ValidationError as error:
            raise self._refused(error, "") from None

    def _add(self, id: str, data: dict[str, Any]) -> StepHandle:
        if not id:
            raise InvalidDefinition(problem=f"a step of type {data['type']} has no id", where=f"workflow {self.name}", next='Write flow.command("ID", …).')
        if id in self._steps:
            raise InvalidDefinition(problem=f"the id {id!r} is used twice", where=f"workflow {self.name}, step {id}", next="Give each step its own.")
        self._steps[id] = {"id": id, **data}
        return StepHandle(id)

    def _ordered(self, step: dict[str, Any]) -> dict[str, Any]:
        """Add the steps that a step reads to those it waits for, but for those that come before these anyhow."""
        read = [name for name in _read({key: value for key, value in step.items() if key != "after"}) if name in self._steps and name != step["id"]]
        given = list(step.get("after", ()))
        wanted = given + [name for name in self._steps if name in read and name not in given]
        kept = [name for name in wanted if name in given or not any(name in self._before(other, set()) for other in wanted if other != name)]
        return {**step, "after": kept} if kept else step

    def _before(self, name: str, seen: set[str]) -> set[str]:
        """Return what has ended when a step begins."""
        for earlier in [*self._steps.get(name, {}).get("after", ()), *(_read(self._steps[name]) if name in self._steps else ())]:
            if earlier not in seen and earlier != name:
                seen.add(earlier)
                self._before(earlier, seen)
        return seen

    def _refused(self, error: ValidationError, where: str) -> InvalidDefinition:
        first = error.errors(include_url=False)[0]
        place = [*first["loc"]]
        if len(place) > 1 and place[0] == "steps" and isinstance(place[1], int):
            where, place = f"step {list(self._steps)[place[1]]}", place[2:]
        told = ", ".join(one for one in (f"workflow {self.name}", where, ".".join(str(part) for part in place)) if one)
        return InvalidDefinition(problem=first["msg"].removeprefix("Value error, "), where=told, next="Correct it where the flow is written.")


def workflow(
    name: str,
    description: str,
    *,
    inputs: Mapping[str, ParameterType | Parameter | Mapping[str, Any]] | None = None,
    category: str = "",
    tags: Sequence[str] = (),
) -> Flow:
    """Begin a workflow in Python.

    ``inputs``: name to type, or to a whole declaration. ``flow.inputs.NAME``, and what steps return, are expressions: hand them to later steps.
    """
    return Flow(name, description, inputs=inputs, category=category, tags=tags)


def _given(declared: Parameter | Mapping[str, Any]) -> dict[str, Any]:
    return declared.model_dump(exclude_unset=True) if isinstance(declared, Parameter) else dict(declared)


def _read(data: Any, key: str = "") -> list[str]:
    """Return the ids of the steps that templates and conditions in nested data name."""
    if isinstance(data, str):
        texts = [data] if key in {"when", "until"} else BRACES.findall(data)
        return [first or second for text in texts for first, second in STEP.findall(text)]
    if isinstance(data, Mapping):
        return [name for inner, value in data.items() for name in _read(value, str(inner))]
    if isinstance(data, (list, tuple)):
        return [name for value in data for name in _read(value)]
    return []
