"""Why a provider did not answer, and what to do about it: one table, by status and not by exception class."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from hishamos.errors import CallFailed
from hishamos.gateway.adapters.plug import Fault


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
    """A cause, its action, and whether the provider may have billed the attempt."""

    name: str
    action: Action
    billed: bool = False
    tries: int = 3
    """How often at most one target is tried for this cause."""


RATE_LIMIT = Cause("rate_limit", Action.RETRY)
OVERLOADED = Cause("overloaded", Action.RETRY)
SERVER_ERROR = Cause("server_error", Action.RETRY)
TIMEOUT = Cause("timeout", Action.RETRY, billed=True, tries=2)
DISCONNECTED = Cause("disconnected", Action.RETRY, billed=True, tries=2)
GARBLED = Cause("garbled", Action.RETRY, billed=True, tries=2)
INCOMPLETE = Cause("incomplete", Action.RETRY, billed=True, tries=2)
CONNECTION = Cause("connection", Action.NEXT)
AUTHENTICATION = Cause("authentication", Action.NEXT)
QUOTA = Cause("quota", Action.NEXT)
UNKNOWN_MODEL = Cause("unknown_model", Action.NEXT)
CONTEXT_OVERFLOW = Cause("context_overflow", Action.LARGER)
CONTENT_POLICY = Cause("content_policy", Action.OTHER_POLICY)
INVALID_REQUEST = Cause("invalid_request", Action.FAIL)
LENGTH = Cause("length", Action.FAIL, billed=True)
DEADLINE = Cause("deadline", Action.FAIL, billed=True)
CANCELLED = Cause("cancelled", Action.FAIL, billed=True)
UNSENT = Cause("cancelled", Action.FAIL)
CLOSING = Cause("owner_died", Action.FAIL, billed=True)

BY_TRANSPORT = {"refused": CONNECTION, "name": CONNECTION, "disconnected": DISCONNECTED, "timeout": TIMEOUT, "garbled": GARBLED}

BY_CODE = {
    "insufficient_quota": QUOTA,
    "billing_hard_limit_reached": QUOTA,
    "context_length_exceeded": CONTEXT_OVERFLOW,
    "content_filter": CONTENT_POLICY,
    "content_policy_violation": CONTENT_POLICY,
    "model_not_found": UNKNOWN_MODEL,
    "invalid_api_key": AUTHENTICATION,
    "overloaded_error": OVERLOADED,
}

BY_STATUS = {
    400: INVALID_REQUEST,
    401: AUTHENTICATION,
    402: QUOTA,
    403: AUTHENTICATION,
    404: UNKNOWN_MODEL,
    408: SERVER_ERROR,
    409: SERVER_ERROR,
    413: CONTEXT_OVERFLOW,
    422: INVALID_REQUEST,
    425: SERVER_ERROR,
    429: RATE_LIMIT,
    503: OVERLOADED,
    529: OVERLOADED,
}

# Providers tell these two apart from other invalid requests in words only.
_TOO_LONG = re.compile(r"context.{0,20}(length|window|limit)|maximum context|prompt is too long|input token count.{0,40}exceed|too many tokens", re.IGNORECASE)
_POLICY = re.compile(r"content.{0,12}(policy|filter|management)|safety (system|settings)|prohibited content", re.IGNORECASE)
_BAD_KEY = re.compile(r"api.?key not valid|invalid api.?key|api_key_invalid", re.IGNORECASE)  # Gemini answers 400


def classify(fault: Fault) -> Cause:
    """Return the cause that a fault's transport, code, status and words stand for; an unknown status is a server error."""
    if fault.transport is not None:
        return BY_TRANSPORT[fault.transport]
    if fault.code in BY_CODE:
        return BY_CODE[fault.code]
    if fault.status is None:
        return SERVER_ERROR
    if fault.status in (400, 413, 422):
        for pattern, cause in ((_BAD_KEY, AUTHENTICATION), (_TOO_LONG, CONTEXT_OVERFLOW), (_POLICY, CONTENT_POLICY)):
            if pattern.search(str(fault)):
                return cause
    if fault.status in BY_STATUS:
        return BY_STATUS[fault.status]
    return INVALID_REQUEST if 400 <= fault.status < 500 else SERVER_ERROR


def call_failed(model: str, reason: str, cause: str, attempts: int, advice: str) -> CallFailed:
    """Return the typed error of a call that nobody answered."""
    return CallFailed(model=model, reason=reason, cause=cause, attempts=attempts, next=advice)
