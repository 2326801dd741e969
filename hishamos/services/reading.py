"""Definitions in YAML: only ``true`` and ``false`` are booleans (YAML 1.2 core schema), every value knows its line."""

from __future__ import annotations

import re
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from hishamos.errors import InvalidDefinition, nearest_hint

Place = tuple[str | int, ...]
LONGEST = 1_000_000


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
        self._lines: dict[Place, int] = {}
        self.data = self._parse(text)

    def line(self, place: Place) -> int:
        """Return the line of a value, or of the nearest one above it that the text holds."""
        while place not in self._lines and place:
            place = place[:-1]
        return self._lines.get(place, 1)

    def refused(self, problem: str, place: Place = (), following: str = "") -> InvalidDefinition:
        """Return the error that tells file, line and place."""
        told = _told(place)
        where = f"{self.file}:{self.line(place)}" + (f", {told}" if told else "")
        return InvalidDefinition(problem=problem, where=where, next=following or "Correct the definition.")

    def read(self, model: type[BaseModel], **extra: Any) -> Any:
        """Return the data as a record; raises :class:`InvalidDefinition` for its first mistake."""
        if not isinstance(self.data, dict):
            raise self.refused("a definition is a mapping with name, description and more")
        try:
            return model.model_validate({**self.data, **extra})
        except ValidationError as error:
            first: Any = min(error.errors(include_url=False), key=lambda one: one["type"] != "extra_forbidden")
            place = tuple(part for part in first["loc"])
            raise self.refused(_problem(first, model), _known(place, self._lines), _following(first, model)) from None

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
            raise self.refused(f"this is not valid YAML: {getattr(error, 'problem', None) or error}") from None
        except (ValueError, RecursionError) as error:
            raise self.refused(f"this is not valid YAML: {error}") from None

    def _walk(self, node: yaml.Node, place: Place, depth: int) -> None:
        if depth > 60:
            raise self.refused("it is nested too deeply")
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
                self._lines[(*place, name)] = key.start_mark.line + 1
        elif isinstance(node, yaml.SequenceNode):
            for index, value in enumerate(node.value):
                self._walk(value, (*place, index), depth + 1)


def _known(place: Place, lines: dict[Place, int]) -> Place:
    """Return the part of a validation error's place that stands in the text, with the key that is missing or unknown."""
    found: Place = ()
    for part in place:
        if (*found, part) not in lines:
            return (*found, part)
        found = (*found, part)
    return found


def _told(place: Place) -> str:
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in place).lstrip(".")


def _problem(error: Any, model: type[BaseModel]) -> str:
    name = str(error["loc"][-1]) if error["loc"] else ""
    if error["type"] == "missing":
        return f"{name!r} is missing"
    if error["type"] == "extra_forbidden":
        return f"unknown key {name!r}{nearest_hint(name, _fields(model, error['loc'][:-1]))}"
    return f"{_told(error['loc'])}: {error['msg']}"


def _following(error: Any, model: type[BaseModel]) -> str:
    if error["type"] == "extra_forbidden":
        return f"Known here: {', '.join(_fields(model, error['loc'][:-1]))}."
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
