"""What was typed as ``-i key=value``, read by the declared type of the parameter."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hishamos.errors import InvalidInput, UnknownName
from hishamos.text.files import nearest_file

if TYPE_CHECKING:
    from hishamos.records.definitions import Parameter


def inputs_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a verb ``-i key=value``, any number of times."""
    return click.option("-i", "--input", "inputs", metavar="KEY=VALUE", multiple=True, help="An input; JSON for lists and objects.")(command)


def tag_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a verb ``--tag NAME=VALUE``, any number of times: what it asks and starts carries these tags."""

    def remember(context: click.Context, _: click.Parameter, pairs: tuple[str, ...]) -> None:
        if pairs:
            from hishamos.records.own_tags import from_pairs

            context.find_root().obj.tags = from_pairs(pairs, "--tag")

    told = "A tag of your own for what this asks, such as customer=acme; any number of times. Then: hishamos spend --by tag:NAME"
    return click.option("--tag", metavar="NAME=VALUE", multiple=True, expose_value=False, callback=remember, help=told)(command)


def parse_inputs(pairs: Sequence[str], parameters: Mapping[str, Parameter], *, of: str, root: str) -> dict[str, Any]:
    """Return typed values for ``key=value`` pairs.

    ``of``: what they are inputs of, for the error; ``root``: the workspace's folder, where a file is looked for after the current folder.
    Raises :class:`InvalidInput` and, with the nearest name, :class:`UnknownName`.
    """
    values: dict[str, Any] = {}
    for pair in pairs:
        name, equals, text = pair.partition("=")
        if not equals:
            raise InvalidInput(what=f"{pair!r} is no KEY=VALUE", where="-i", next=f"Write: -i {pair}=VALUE")
        if name not in parameters:
            raise UnknownName.among("input", name, list(parameters), next=f"The inputs of {of}: {', '.join(parameters) or 'none'}.")
        if name in values:
            raise InvalidInput(what=f"The input {name!r} is given twice", where=f"-i, {of}", next="Keep one of the two.")
        values[name] = _value(text, parameters[name], name, of, root)
    return values


def parse_columns(pairs: Sequence[str], form: str = "PARAMETER=COLUMN", example: str = "text=body") -> dict[str, str]:
    """Return ``--columns what=column`` pairs; ``form`` and ``example`` say in the error how they are written."""
    found = {}
    for pair in pairs:
        what, equals, column = pair.partition("=")
        if not equals or not column:
            raise InvalidInput(what=f"{pair!r} is no {form}", where="--columns", next=f"Write, for example: --columns {example}")
        found[what] = column
    return found


def _value(text: str, parameter: Parameter, name: str, of: str, root: str) -> Any:
    match parameter.type:
        case "integer" | "number" | "boolean" | "list" | "object":
            return _json(text, parameter.type, f"-i {name}, {of}")
        case "file":
            return str(find_file(text, root, f"-i {name}, {of}"))
        case _:
            return text


_EXAMPLES = {"integer": "12", "number": "0.5", "boolean": "true", "list": '["ui", "api"]', "object": '{"a": 1}'}
_TYPES: dict[str, tuple[type, ...]] = {"integer": (int,), "number": (int, float), "boolean": (bool,), "list": (list,), "object": (dict,)}


def _json(text: str, kind: str, where: str) -> Any:
    try:
        value = json.loads(text)
    except ValueError:
        value = None
    if not isinstance(value, _TYPES[kind]) or (isinstance(value, bool) and kind != "boolean"):
        shown = text if len(text) <= 60 else f"{text[:60]}…"
        raise InvalidInput(what=f"{shown!r} is no {kind}", where=where, next=f"Write it as JSON, for example: {_EXAMPLES[kind]}")
    return value


def find_file(text: str, root: str, where: str) -> Path:
    """Return a file's absolute path: looked for in the current folder, then in the workspace."""
    path = Path(text).expanduser()
    for candidate in (path, Path(root) / path):
        if candidate.is_file():
            return candidate.absolute()
    if path.is_dir():
        raise InvalidInput(what=f"{text} is a folder", where=where, next="Give the path of a file.")
    raise InvalidInput(what=f"The file {text} does not exist", where=where, next=nearest_file(path) or "Give the path of an existing file.")
