"""Definitions in YAML: only ``true`` and ``false`` are booleans (YAML 1.2 core schema), every value knows its line."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from hishamos.engine.form_errors import FORMS, in_words
from hishamos.engine.sight import Place, told
from hishamos.engine.steptype import Problem
from hishamos.errors import InvalidDefinition, nearest_hint
from hishamos.records.checks import Mistake
from hishamos.records.definitions import Definition, WorkflowDefinition

LONGEST = 1_000_000
MOST_VALUES = 50_000
"""Aliases make values of a text many more than it has characters."""


class _Core(yaml.SafeLoader):
    """PyYAML's safe loader with the booleans, numbers and nulls of YAML 1.2."""


_Core.yaml_implicit_resolvers = {}
for _tag, _pattern, _first in (
    ("bool", r"^(?:true|True|TRUE|false|False|FALSE)$", "tTfF"),
    ("int", r"^(?:[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+)$", "-+0123456789"),
    ("float", r"^(?:[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$", "-+0123456789."),
    ("null", r"^(?:~|null|Null|NULL|)$", "~nN\0"),
):
    _Core.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(_pattern), [*_first.replace("\0", ""), *([""] if "\0" in _first else [])])


def _whole(_loader: Any, node: Any) -> int:
    text = str(node.value)
    return int(text, 0) if text[:2] in {"0o", "0x"} else int(text)


_Core.add_constructor("tag:yaml.org,2002:int", _whole)
_Core.add_constructor("tag:yaml.org,2002:float", lambda _, node: float(str(node.value).replace(".inf", "inf").replace(".nan", "nan")))


class Source:
    """A definition's text with the line of each value, for errors."""

    def __init__(self, text: str, file: str) -> None:
        self.file = file
        self.text = text
        self._lines: dict[Place, int] = {}
        self._blocks: set[Place] = set()
        """Texts whose lines stand in the file as they are (``|``)."""
        self._values = 0
        self.data = self._parse(text)

    def line(self, place: Place, within: int | None = None) -> int:
        """Return the line of a value, or of the nearest one above it that the text holds; ``within``: of which of its own lines, from 1."""
        if within is not None and place in self._blocks:
            return self._lines[place] + within
        while place and place not in self._lines:
            as_text = (*place[:-1], str(place[-1]))  # a key that is a number
            place = as_text if as_text in self._lines else place[:-1]
        return self._lines.get(place, 1)

    def mistake(self, problem: Problem) -> Mistake:
        """Return a problem with its file, line and place."""
        line = self.line(problem.place, problem.line)
        return Mistake(file=self.file, line=line, place=told(problem.place), problem=problem.problem, next=problem.next or "Correct the definition.")

    def refused(self, problem: str, place: Place = (), following: str = "") -> InvalidDefinition:
        """Return the error that tells file, line and place."""
        return refusal([self.mistake(Problem(place, problem, following))])

    def read(self, model: type[BaseModel], **extra: Any) -> tuple[Any, list[Mistake]]:
        """Return the data as a record, or None and what is wrong with its form."""
        if not isinstance(self.data, dict):
            return None, [self.mistake(Problem((), "a definition is a mapping with name, description and more"))]
        try:
            return model.model_validate({**self.data, **extra}), []
        except ValidationError as error:
            found = sorted(error.errors(include_url=False), key=lambda one: one["type"] != "extra_forbidden")
            problems = {_known(tuple(one["loc"]), self._lines): one for one in reversed(found)}
            return None, self.mistakes([Problem(place, _problem(one, model), _following(one, model)) for place, one in reversed(problems.items())])

    def mistakes(self, problems: Sequence[Problem]) -> list[Mistake]:
        """Return the problems with their lines, in the order of the text; one that stands there twice is told once."""
        return sorted(dict.fromkeys(self.mistake(problem) for problem in problems), key=lambda one: one.line or 0)

    def _parse(self, text: str) -> Any:
        if len(text) > LONGEST:
            raise self.refused(f"it is longer than {LONGEST:,} characters")
        try:
            loader = _Core(text)
            try:
                node = loader.get_single_node()
                if node is None:
                    raise self.refused("the file is empty")
                self._walk(node, (), 0)
                return loader.construct_document(node)
            finally:
                loader.dispose()
        except yaml.YAMLError as error:
            mark = getattr(error, "problem_mark", None)
            self._lines[()] = mark.line + 1 if mark else 1
            raise self._no_yaml(error, mark) from None
        except (ValueError, RecursionError) as error:
            raise self.refused(f"this is not valid YAML: {error}") from None

    def _no_yaml(self, error: yaml.YAMLError, mark: Any) -> InvalidDefinition:
        problem = str(getattr(error, "problem", None) or error)
        if "'\\t'" in problem or (mark is not None and mark.buffer and mark.buffer[mark.pointer : mark.pointer + 1] == "\t"):
            return self.refused("this is not valid YAML: a tab stands where only spaces may", (), "Indent with spaces.")
        if "expected a single document" in str(error):
            return self.refused("a file holds one definition, and this is the beginning of a second document", (), "Put it into a file of its own.")
        return self.refused(f"this is not valid YAML: {problem}", (), "Texts with ': ', '#', '{{' or quotes in them stand in quotes.")

    def _walk(self, node: yaml.Node, place: Place, depth: int) -> None:
        self._values += 1
        if depth > 60:
            raise self.refused("it is nested too deeply", place)
        if self._values > MOST_VALUES:
            raise self.refused(f"it has more than {MOST_VALUES:,} values, aliases counted as often as they are used", place)
        self._lines[place] = node.start_mark.line + 1
        if isinstance(node, yaml.MappingNode):
            seen: set[str] = set()
            for key, value in node.value:
                name = str(key.value)
                if name in seen:
                    self._lines[(*place, name)] = key.start_mark.line + 1
                    raise self.refused(f"the key {name!r} stands here twice", (*place, name))
                seen.add(name)
                self._walk(value, (*place, name), depth + 1)
                if (*place, name) not in self._blocks:
                    self._lines[(*place, name)] = key.start_mark.line + 1
        elif isinstance(node, yaml.SequenceNode):
            for index, value in enumerate(node.value):
                self._walk(value, (*place, index), depth + 1)
        elif isinstance(node, yaml.ScalarNode) and node.style == "|":
            self._blocks.add(place)


class Made:
    """A definition that is a Python object: it has no lines, its steps are told by their ids."""

    def __init__(self, kind: str, definition: Definition) -> None:
        self._file = f"{kind} {definition.name}"
        self._ids = [step.id for step in definition.steps] if isinstance(definition, WorkflowDefinition) else []

    def mistakes(self, problems: Sequence[Problem]) -> list[Mistake]:
        """Return the problems with where they are."""
        found = [Mistake(file=self._file, place=self._told(one.place), problem=one.problem, next=one.next or "Correct the definition.") for one in problems]
        return list(dict.fromkeys(found))

    def _told(self, place: Place) -> str:
        if len(place) > 1 and place[0] == "steps" and isinstance(place[1], int) and self._ids[place[1]]:
            below = told(place[2:])
            return f"step {self._ids[place[1]]}" + (f", {below}" if below else "")
        return told(place)


def refusal(mistakes: Sequence[Mistake]) -> InvalidDefinition:
    """Return the error that tells the first of some mistakes, and how many more there are; its ``mistakes`` are all of them."""
    first, rest = mistakes[0], len(mistakes) - 1
    more = f" And {rest} more." if rest else ""
    listed = [one.model_dump() for one in mistakes]
    return InvalidDefinition(problem=first.problem, where=first.where, next=first.next + more, mistakes=listed)


def _known(place: Place, lines: dict[Place, int]) -> Place:
    """Return the part of a validation error's place that stands in the text, with the key that is missing or unknown."""
    found: Place = ()
    for part in place:
        if (*found, part) not in lines:
            return (*found, part)
        found = (*found, part)
    return found


def _problem(error: Any, model: type[BaseModel]) -> str:
    name = str(error["loc"][-1]) if error["loc"] else ""
    if error["type"] == "missing":
        return f"{name!r} is missing"
    if error["type"] == "extra_forbidden":
        return f"unknown key {name!r}{nearest_hint(name, _fields(model, error['loc'][:-1]))}"
    return in_words(error, told(tuple(part for part in error["loc"] if part not in FORMS)))


def _following(error: Any, model: type[BaseModel]) -> str:
    if error["type"] == "extra_forbidden":
        return f"Known here: {', '.join(_fields(model, error['loc'][:-1]))}."
    if error["type"] in {"model_type", "model_attributes_type"}:
        return f"It takes: {', '.join(_fields(model, error['loc']))}."
    return ""


def _fields(model: type[BaseModel], place: Place) -> list[str]:
    """Return the keys that the record at a place knows."""
    known = {name: field for name, field in model.model_fields.items() if not field.exclude}
    for part in place:
        if isinstance(part, str) and part in known:
            inner = _record_in(known[part].annotation)
            if inner is not None:
                known = dict(inner.model_fields)
    return [field.alias or name for name, field in known.items()]


def _record_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for inner in getattr(annotation, "__args__", ()):
        found = _record_in(inner)
        if found is not None:
            return found
    return None


class _Writer(yaml.SafeDumper):
    """Quotes a text that YAML 1.2 or 1.1 would read as something else."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002 - PyYAML's signature
        return True


_Writer.yaml_implicit_resolvers = {
    first: [*_Core.yaml_implicit_resolvers.get(first, []), *yaml.SafeDumper.yaml_implicit_resolvers.get(first, [])]
    for first in {*_Core.yaml_implicit_resolvers, *yaml.SafeDumper.yaml_implicit_resolvers}
}
_Writer.add_representer(str, lambda writer, text: writer.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None))


def written(definition: Definition) -> str:
    """Return a definition as YAML that reads back as the same version."""
    data = definition.model_dump(mode="json", exclude_defaults=True, by_alias=True)
    return yaml.dump(data, Dumper=_Writer, sort_keys=False, allow_unicode=True, width=140)
