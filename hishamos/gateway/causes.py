"""Why a provider did not answer, and what to do about it: one table, by status and not by exception class."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from hishamos.errors import CallFailed
from hishamos.gateway.adapters.plug import Fault, Transport


class Action(StrEnum):
    """What the ladder does next."""

    RETRY = "retry"
    """The same target again, after a pause; then the next one."""
    NEXT = "next"
    """The next target at once."""
    LARGER = "larger"
    """The route's chain for prompts that are too long."""
    OTHER_POLICY = "other policy"
    """The route's chain for refused content."""
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Cause:
    """A cause: what is done next, and by what a provider's failure is known to be it."""

    name: str
    action: Action
    billed: bool = False
    """Whether the provider may have billed the attempt without telling."""
    tries: int = 3
    """How often at most one target is tried for this cause."""
    transports: tuple[Transport, ...] = ()
    codes: tuple[str, ...] = ()
    """What providers name it, in small letters; a code says more than a status."""
    words: str = ""
    """An expression for what providers tell of an invalid request in words only."""
    statuses: tuple[int, ...] = ()


# What a connection shows.
CONNECTION = Cause("connection", Action.NEXT, transports=("refused", "name"))
DISCONNECTED = Cause("disconnected", Action.RETRY, billed=True, tries=2, transports=("disconnected",))
TIMEOUT = Cause("timeout", Action.RETRY, billed=True, tries=2, transports=("timeout",))
GARBLED = Cause("garbled", Action.RETRY, billed=True, tries=2, transports=("garbled",))

# What a provider says.
AUTHENTICATION = Cause(
    "authentication",
    Action.NEXT,
    codes=("invalid_api_key", "authentication_error", "permission_error", "unauthenticated", "permission_denied"),
    words=r"api.?key not valid|invalid api.?key|api_key_invalid",  # Gemini answers 400
    statuses=(401, 403),
)
QUOTA = Cause(
    "quota",
    Action.NEXT,
    codes=("insufficient_quota", "billing_hard_limit_reached", "billing_error"),
    words=r"credit balance is too low",  # Anthropic answers 400
    statuses=(402,),
)
CONTEXT_OVERFLOW = Cause(
    "context_overflow",
    Action.LARGER,
    codes=("context_length_exceeded", "request_too_large"),
    words=r"context.{0,20}(length|window|limit)|maximum context|prompt is too long|input token count.{0,40}exceed|too many tokens",
    statuses=(413,),
)
CONTENT_POLICY = Cause(
    "content_policy",
    Action.OTHER_POLICY,
    codes=("content_filter", "content_policy_violation"),
    words=r"content.{0,12}(policy|filter|management)|safety (system|settings)|prohibited content",
)
UNKNOWN_MODEL = Cause("unknown_model", Action.NEXT, codes=("model_not_found", "not_found_error"), statuses=(404,))
RATE_LIMIT = Cause("rate_limit", Action.RETRY, codes=("rate_limit_exceeded", "rate_limit_error", "resource_exhausted"), statuses=(429,))
OVERLOADED = Cause("overloaded", Action.RETRY, codes=("overloaded_error", "unavailable"), statuses=(503, 529))
SERVER_ERROR = Cause("server_error", Action.RETRY, codes=("server_error", "api_error", "internal"), statuses=(408, 409, 425))
REDIRECTED = Cause("redirected", Action.NEXT, statuses=(301, 302, 303, 307, 308))
INVALID_REQUEST = Cause("invalid_request", Action.FAIL, statuses=(400, 422))

TABLE = (
    CONNECTION, DISCONNECTED, TIMEOUT, GARBLED,
    AUTHENTICATION, QUOTA, CONTEXT_OVERFLOW, CONTENT_POLICY, UNKNOWN_MODEL, RATE_LIMIT, OVERLOADED, SERVER_ERROR, REDIRECTED, INVALID_REQUEST,
)  # fmt: skip
"""All that a fault can stand for; where words fit several, the first."""

# What the gateway itself sees.
INCOMPLETE = Cause("incomplete", Action.RETRY, billed=True, tries=2)
LENGTH = Cause("length", Action.FAIL, billed=True)
DEADLINE = Cause("deadline", Action.FAIL, billed=True)
CANCELLED = Cause("cancelled", Action.FAIL, billed=True)
UNSENT = Cause("cancelled", Action.FAIL)
CLOSING = Cause("owner_died", Action.FAIL, billed=True)

_BY_TRANSPORT = {transport: cause for cause in TABLE for transport in cause.transports}
_BY_CODE = {code: cause for cause in TABLE for code in cause.codes}
_BY_STATUS = {status: cause for cause in TABLE for status in cause.statuses}
_BY_WORDS = [(re.compile(cause.words, re.IGNORECASE), cause) for cause in TABLE if cause.words]
_WORDED = frozenset({400, 413, 422})


def classify(fault: Fault) -> Cause:
    """Return the cause that a fault's transport, code, words and status stand for, in this order; an unknown status is a server error."""
    if fault.transport is not None:
        return _BY_TRANSPORT[fault.transport]
    code = (fault.code or "").lower()
    if code in _BY_CODE:
        return _BY_CODE[code]
    if fault.status is None:
        return SERVER_ERROR
    worded = (cause for pattern, cause in _BY_WORDS if fault.status in _WORDED and pattern.search(str(fault)))
    unnamed = INVALID_REQUEST if 400 <= fault.status < 500 else SERVER_ERROR
    return next(worded, _BY_STATUS.get(fault.status, unnamed))


def call_failed(model: str, reason: str, cause: str, attempts: int, advice: str) -> CallFailed:
    """Return the typed error of a call that nobody answered."""
    return CallFailed(model=model, reason=reason, cause=cause, attempts=attempts, next=advice)
