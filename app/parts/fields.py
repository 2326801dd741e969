"""A form drawn from declared parameters: one field each, of the kind that its type asks for."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import streamlit as st

from hishamos.errors import InvalidInput
from hishamos.records.definitions import Parameter

TALL = ("list", "object", "text")
OFFLINE = "`offline/extractive` needs no key and costs nothing: it selects and classifies, it writes no prose."


def model_field(key: str) -> str | None:
    """Draw the field for a model; None where the definition decides."""
    return st.text_input("model (optional)", key=f"{key} option model", placeholder="as defined; a model, route or policy", help=OFFLINE) or None


def fields(parameters: Mapping[str, Parameter], key: str) -> dict[str, Any]:
    """Draw the fields and return what they hold; what was left empty is left out, so that its default holds.

    ``key``: distinguishes this form's fields from those of any other. Raises :class:`InvalidInput` for an object that is no JSON; all else the
    service checks.
    """
    given: dict[str, Any] = {}
    for pair in _pairs(parameters):
        for place, name in zip(st.columns(len(pair), vertical_alignment="bottom"), pair, strict=True):
            with place:
                given[name] = _field(name, parameters[name], f"{key} input {name}")
    if not parameters:
        st.caption("It takes no inputs.")
    return {name: value for name, value in given.items() if value is not None}


def _pairs(parameters: Mapping[str, Parameter]) -> Iterator[list[str]]:
    """Return the names in the order given: two of one line each beside each other, one of several lines by itself."""
    waiting: list[str] = []
    for name, parameter in parameters.items():
        tall = parameter.type in TALL
        if waiting and (tall or len(waiting) == 2):
            yield waiting
            waiting = []
        if tall:
            yield [name]
        else:
            waiting.append(name)
    if waiting:
        yield waiting


def _field(name: str, parameter: Parameter, key: str) -> Any:
    facts: dict[str, Any] = {"label": name if parameter.required else f"{name} (optional)", "help": _help(parameter), "key": key}
    draw = FIELDS.get(parameter.type, _line)
    return draw(parameter, facts)


def _switch(parameter: Parameter, facts: dict[str, Any]) -> Any:
    return st.toggle(**facts, value=bool(parameter.default))


def _choice(parameter: Parameter, facts: dict[str, Any]) -> Any:
    default = parameter.choices.index(parameter.default) if parameter.default in parameter.choices else None
    return st.selectbox(**facts, options=parameter.choices, index=default)


def _number(parameter: Parameter, facts: dict[str, Any]) -> Any:
    kind = int if parameter.type == "integer" else float
    low, high, value = (None if one is None else kind(one) for one in (parameter.min, parameter.max, parameter.default))
    return st.number_input(**facts, min_value=low, max_value=high, value=value, step=1 if kind is int else None)


def _date(parameter: Parameter, facts: dict[str, Any]) -> Any:
    day = st.date_input(**facts, value=parameter.default)
    return None if day is None else day.isoformat()


def _list(parameter: Parameter, facts: dict[str, Any]) -> Any:
    lines = st.text_area(**facts, value="\n".join(map(str, parameter.default or ())), placeholder="one item a line")
    return [line.strip() for line in lines.splitlines() if line.strip()] or None


def _text(parameter: Parameter, facts: dict[str, Any]) -> Any:
    return st.text_area(**facts, value=parameter.default or "", max_chars=parameter.max_length, placeholder=_example(parameter)) or None


def _line(parameter: Parameter, facts: dict[str, Any]) -> Any:
    hint = "a path on the server's machine" if parameter.type == "file" else _example(parameter)
    return st.text_input(**facts, value=parameter.default or "", max_chars=parameter.max_length, placeholder=hint) or None


def _object(parameter: Parameter, facts: dict[str, Any]) -> Any:
    default = "" if parameter.default is None else json.dumps(parameter.default, ensure_ascii=False, indent=2)
    text = st.text_area(**facts, value=default, placeholder="{ }")
    if not text.strip():
        return None
    try:
        return json.loads(text)
    except ValueError as error:
        raise InvalidInput(what=f"{facts['label']} is no JSON: {error}", where="this form", next='Write an object such as {"key": "value"}.') from None


def _help(parameter: Parameter) -> str:
    bounds = [f"at least {parameter.min:g}" if parameter.min is not None else "", f"at most {parameter.max:g}" if parameter.max is not None else ""]
    return " · ".join(part for part in (parameter.description, parameter.type, *bounds) if part)


def _example(parameter: Parameter) -> str | None:
    return None if parameter.example is None else f"for example {parameter.example}"


FIELDS: dict[str, Callable[[Parameter, dict[str, Any]], Any]] = {
    "boolean": _switch,
    "choice": _choice,
    "integer": _number,
    "number": _number,
    "date": _date,
    "list": _list,
    "object": _object,
    "text": _text,
}
"""The field of each type; what is not named here, ``string`` and ``file``, is one line of text."""
