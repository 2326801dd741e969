"""The functions that ``python`` steps may name: the library's, and those of entry points."""

from __future__ import annotations

import functools
import importlib
import inspect
from collections.abc import Callable, Mapping
from importlib import metadata
from typing import Any

from hishamos.errors import InvalidInput, UnknownName, nearest_hint
from hishamos.records.tools import MARK

ROOM = "hishamos.library.functions."
OWN = (ROOM,)
"""Where the modules stand whose functions run in this very process; all others run in child processes (:mod:`hishamos.engine.foreign`)."""
WORKSPACE = "ws"
"""The parameter that gets the run's workspace."""


@functools.lru_cache(maxsize=512)
def function(name: str) -> Callable[..., Any]:
    """Return the function named ``module:function`` (or by its entry point's name).

    Raises :class:`InvalidInput` for any other place, :class:`UnknownName` for one that does not exist.
    """
    address = _plugged().get(name, name)
    module, _, attribute = address.partition(":")
    if name not in _plugged() and not _in_library(module, attribute):
        following = f"Name a function as {ROOM}MODULE:FUNCTION, or one of the entry points: {', '.join(_plugged()) or 'none'}."
        raise InvalidInput(what=f"{name!r} is no library function", where="a python step", next=following)
    try:
        loaded = importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name is None or not module.startswith(error.name):
            raise
        raise UnknownName.among("function", name, _modules(), "The module does not exist.") from None
    found = vars(loaded).get(attribute)
    if not inspect.isfunction(found) or found.__module__ != loaded.__name__:
        own = [key for key, value in vars(loaded).items() if inspect.isfunction(value) and value.__module__ == module and not key.startswith("_")]
        raise UnknownName.among("function", attribute, own, f"{module} has: {', '.join(own) or 'none'}.")
    return found


def is_own(name: str) -> bool:
    """Return whether a name stands for a function that runs in this process."""
    return _plugged().get(name, name).startswith(OWN)


def plugged() -> Mapping[str, str]:
    """Return the addresses of entry points' functions by name."""
    return _plugged()


def tool_function(name: str) -> Callable[..., Any]:
    """Return a function that agents may be given: one of the library by its own name, or any that :func:`function` knows, if it is marked so.

    Raises what :func:`function` raises, and :class:`InvalidInput` for one without the mark.
    """
    known = _library_tools()
    if name in known:
        return known[name]
    if ":" not in name and name not in _plugged():
        raise UnknownName.among("function", name, [*known, *_plugged()])
    called = function(name)
    if not getattr(called, MARK, False):
        raise InvalidInput(what=f"{name} is not meant for models", where="tools", next="Mark it with @hishamos.tool: a model then chooses its arguments.")
    return called


def takes_workspace(called: Callable[..., Any]) -> bool:
    """Return whether the function wants the run's workspace."""
    return WORKSPACE in inspect.signature(called).parameters


def argument_problems(name: str, signature: inspect.Signature, given: set[str]) -> list[tuple[str, str]]:
    """Return (argument, problem) for each given argument that a function does not take and each it needs and does not get."""
    parameters = {key: one for key, one in signature.parameters.items() if key != WORKSPACE}
    problems = []
    if not any(one.kind is one.VAR_KEYWORD for one in parameters.values()):
        unknown = sorted(given - set(parameters))
        problems += [(key, f"{name} takes no argument {key!r}{nearest_hint(key, list(parameters))}") for key in unknown]
    for key, one in parameters.items():
        if one.default is one.empty and one.kind in {one.POSITIONAL_OR_KEYWORD, one.KEYWORD_ONLY} and key not in given:
            problems.append((key, f"{name} needs the argument {key!r}"))
    return problems


def _in_library(module: str, attribute: str) -> bool:
    parts = module.removeprefix(ROOM).split(".")
    plain = module.startswith(ROOM) and all(part.isidentifier() and not part.startswith("_") for part in parts)
    return plain and attribute.isidentifier() and not attribute.startswith("_")


def _modules() -> list[str]:
    import pkgutil

    room = importlib.import_module(ROOM.rstrip("."))
    return [f"{ROOM}{found.name}" for found in pkgutil.iter_modules(room.__path__)]


@functools.cache
def _library_tools() -> dict[str, Callable[..., Any]]:
    loaded = [vars(importlib.import_module(module)) for module in _modules()]
    return {name: value for names in loaded for name, value in names.items() if inspect.isfunction(value) and getattr(value, MARK, False)}


@functools.cache
def _plugged() -> dict[str, str]:
    return {point.name: point.value for point in metadata.entry_points(group="hishamos.functions")}
