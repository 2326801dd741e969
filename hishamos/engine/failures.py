"""Which failures are tried again, and how a failure is kept."""

from __future__ import annotations

import builtins
import json
from typing import Any

from pydantic import ValidationError

from hishamos import errors
from hishamos.errors import FunctionFailed, GatewayError, HishamosError, InvalidInput, StepTimedOut, StoreError, UsageError, to_wire
from hishamos.records.definitions import Retry
from hishamos.records.record import Failure

UNDECLARED = Retry(attempts=1)
"""How long is waited where nothing is declared."""


def tries(error: BaseException, declared: Retry | None, max_retries: int) -> int:
    """Return how often a step is tried that fails like this.

    A declared ``retry`` counts the first try and, where it names errors, holds for these only. Without one, the step's own failures
    (exception, time limit) have ``max_retries`` more; what the gateway gave up on or refused is final. Wrong usage is final unless it is named.
    """
    if declared is not None and declared.on:
        return declared.attempts if any(_is(error, name) for name in declared.on) else 1
    if isinstance(error, UsageError):
        return 1
    if declared is not None:
        return declared.attempts
    final = isinstance(error, HishamosError) and not isinstance(error, (StepTimedOut, StoreError, FunctionFailed))
    return 1 if final or isinstance(error, GatewayError) else 1 + max_retries


def error_names() -> list[str]:
    """Return the names of errors that a ``retry`` may name."""
    return sorted({*_own_errors(), *_python_errors()})


def _is(error: BaseException, name: str) -> bool:
    """Whether an error is one of a name, or derived from one; a function's failure is also what the function raised."""
    own, raised = _own_errors().get(name), _python_errors().get(name)
    if own is not None and isinstance(error, own):
        return True
    if raised is None or not isinstance(error, FunctionFailed):
        return False
    kind = _python_errors().get(error.kind)
    return issubclass(kind, raised) if kind is not None else raised is Exception


def _own_errors() -> dict[str, type[HishamosError]]:
    return {name: value for name, value in vars(errors).items() if isinstance(value, type) and issubclass(value, HishamosError)}


def _python_errors() -> dict[str, type[Exception]]:
    return {name: value for name, value in vars(builtins).items() if isinstance(value, type) and issubclass(value, Exception)}


def typed(error: BaseException, step: str) -> HishamosError:
    """Return the error itself if it is typed, else one that says what a step's function raised."""
    if isinstance(error, HishamosError):
        return error
    reason = str(error) or "no message"
    return FunctionFailed(step=step, function="the step's code", kind=type(error).__name__, reason=reason[:2000])


def failure(error: HishamosError) -> Failure:
    """Return the error as plain data."""
    wire: dict[str, Any] = json.loads(storable(json.dumps(to_wire(error), default=str, ensure_ascii=False)))
    return Failure(type=wire["type"], message=storable(wire["message"]), facts=wire["facts"])


def invalid(path: str, error: ValidationError) -> InvalidInput:
    """Return what is wrong with the inputs of a step, in words."""
    first: Any = error.errors(include_url=False, include_input=False)[0]
    place = ".".join(str(part) for part in first["loc"]) or "with"
    return InvalidInput(what=f"{place}: {first['msg']}", where=f"step {path}", next="Correct the definition's with, or what it is filled from.")


def storable(text: str) -> str:
    """Return a text without what no store keeps: NUL and lone surrogates."""
    return text.replace("\0", "").encode("utf-8", "replace").decode()
