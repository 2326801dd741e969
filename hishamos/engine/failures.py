"""Which failures are tried again, and how a failure is kept."""

from __future__ import annotations

import json
from typing import Any

from hishamos.errors import FunctionFailed, GatewayError, HishamosError, StepTimedOut, StoreError, UsageError, to_wire
from hishamos.records.record import Failure

FIRST_PAUSE_S = 0.2
LONGEST_PAUSE_S = 10.0


def tries(error: BaseException, declared: int | None, max_retries: int) -> int:
    """Return how often a step is tried that fails like this.

    A declared ``retry`` counts the first try. Without one, the step's own failures (exception, time limit) have ``max_retries`` more;
    what the gateway gave up on or refused, and wrong usage, is final.
    """
    if isinstance(error, UsageError):
        return 1
    if declared is not None:
        return declared
    final = isinstance(error, HishamosError) and not isinstance(error, (StepTimedOut, StoreError, FunctionFailed))
    return 1 if final or isinstance(error, GatewayError) else 1 + max_retries


def pause_s(tried: int) -> float:
    """Return the seconds to wait before the next try after ``tried`` ones."""
    return float(min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2 ** (tried - 1)))


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


def storable(text: str) -> str:
    """Return a text without what no store keeps: NUL and lone surrogates."""
    return text.replace("\0", "").encode("utf-8", "replace").decode()
