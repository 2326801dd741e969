"""Functions of a notebook or script that runs call back: which there are, what is asked of them, what they gave."""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Callable
from typing import Any, TypeVar

from hishamos.records.record import Record
from hishamos.records.tools import Tool

F = TypeVar("F", bound=Callable[..., Any])
KERNEL = "kernel:"
"""What stands before a function's name in a definition when it runs where the run was started."""
MARK = "__hishamos_step__"
"""Where a function keeps how a definition names it."""
registered: dict[str, Callable[..., Any]] = {}
"""The functions of this process that :func:`step` marked, by name; the latest one of a name wins."""


def step(function: F) -> F:
    """Register a function of a notebook or script, so that ``python`` steps may name it as ``kernel:NAME``.

    The run that is started here then calls it here, in a thread of this very process: it pauses when this process is gone, and goes on
    where functions of the same names and source are registered. Arguments and output are plain data; a parameter ``ws`` gets the run's
    workspace. In ``steps/*.py`` the mark changes nothing: what stands there runs in the server's child processes.
    """
    registered[function.__name__] = function
    own = (function.__module__ or "").startswith("steps.")
    setattr(function, MARK, f"{function.__module__}:{function.__qualname__}" if own else f"{KERNEL}{function.__name__}")
    return function


class OfferedFunction(Record):
    """A function as its process offers it."""

    name: str
    source: str
    """Hash of its source."""
    needs: tuple[str, ...] = ()
    """Parameters without a default."""
    takes: tuple[str, ...] = ()
    """Parameters with one."""
    takes_any: bool = False
    """Whether it takes others too."""

    @property
    def signature(self) -> inspect.Signature:
        """Its parameters, all by name."""
        kind, empty = inspect.Parameter.KEYWORD_ONLY, inspect.Parameter.empty
        named = [inspect.Parameter(name, kind, default=empty if name in self.needs else None) for name in (*self.needs, *self.takes)]
        return inspect.Signature([*named, *([inspect.Parameter("others", inspect.Parameter.VAR_KEYWORD)] if self.takes_any else [])])


class Offer(Record):
    """What a process offers to a run, or to an agent; ``desk``: the name under which it fetches what is asked of it."""

    desk: str
    functions: tuple[OfferedFunction, ...] = ()
    tools: tuple[Tool, ...] = ()
    """Functions as models are told of them."""


class CallBack(Record):
    """One call that a process is to make."""

    id: str
    function: str
    arguments: dict[str, Any]


class CalledBack(Record):
    """What came of it: the value, a typed ``error`` as it travels, or what was ``raised``."""

    value: Any = None
    error: dict[str, Any] | None = None
    raised: str | None = None
    """The exception's name."""
    reason: str = ""


class Asked(Record):
    """What the run's workspace answers to a function."""

    head: dict[str, Any]
    body: str
    """Base 64."""


def offered(name: str, function: Callable[..., Any]) -> OfferedFunction:
    """Return a function as it is offered."""
    parameters = [one for one in inspect.signature(function).parameters.values() if one.name != "ws"]
    named = [one for one in parameters if one.kind in {one.POSITIONAL_OR_KEYWORD, one.KEYWORD_ONLY}]
    return OfferedFunction(
        name=name,
        source=source_hash(function),
        needs=tuple(one.name for one in named if one.default is one.empty),
        takes=tuple(one.name for one in named if one.default is not one.empty),
        takes_any=any(one.kind is one.VAR_KEYWORD for one in parameters),
    )


def source_hash(function: Callable[..., Any]) -> str:
    """Return the hash of a function's source; of its compiled form where the source can't be had."""
    try:
        text = inspect.getsource(function)
    except (OSError, TypeError):
        code = function.__code__
        text = repr((code.co_code, code.co_consts, code.co_names))
    return hashlib.sha256(text.encode()).hexdigest()[:16]
