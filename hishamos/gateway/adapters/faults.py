"""Exceptions of HTTP clients and litellm as plain facts: status, code, transport, Retry-After."""

from __future__ import annotations

import errno
import math
import socket
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from hishamos.gateway.adapters.plug import Fault, Transport

DISCONNECTED = frozenset({"RemoteProtocolError", "ReadError", "WriteError", "ServerDisconnectedError", "ClientPayloadError", "ClientOSError"})
TIMED_OUT = frozenset({"TimeoutException", "ReadTimeout", "ConnectTimeout", "WriteTimeout", "PoolTimeout", "APITimeoutError", "ServerTimeoutError"})
GARBLED = frozenset({"JSONDecodeError", "ContentTypeError", "DecodingError", "APIResponseValidationError"})
NAME_WORDS = ("name or service not known", "nodename nor servname", "temporary failure in name resolution", "no address associated", "getaddrinfo")
REFUSED_WORDS = ("connection refused", "connect call failed", "network is unreachable", "no route to host", "all connection attempts failed")


def fault_of(error: BaseException) -> Fault:
    """Return what a client's exception says, whatever its class is called."""
    chain = list(_chain(error))
    headers = _headers(chain)
    transport = _transport(chain)
    status = next((found for found in (getattr(link, "status_code", None) for link in chain) if isinstance(found, int)), None)
    return Fault(
        _words(error),
        status=None if transport else status,
        code=_code(chain),
        transport=transport,
        retry_after_s=retry_after(headers.get("retry-after")),
    )


def retry_after(value: str | None, now: datetime | None = None) -> float | None:
    """Return a Retry-After header in seconds from now: a number or an HTTP date; None for garbage, 0 for the past."""
    if value is None:
        return None
    try:
        seconds = float(value)
    except ValueError:
        try:
            moment = parsedate_to_datetime(value)
        except (ValueError, TypeError, IndexError):
            return None
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        seconds = (moment - (now or datetime.now(UTC))).total_seconds()
    return max(0.0, seconds) if math.isfinite(seconds) else None


def _chain(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    current: BaseException | None = error
    while current is not None and id(current) not in seen:
        seen.add(id(current))
        yield current
        current = current.__cause__ or current.__context__


def _transport(chain: list[BaseException]) -> Transport | None:
    for link in reversed(chain):  # the innermost knows best
        if isinstance(link, socket.gaierror):
            return "name"
        if isinstance(link, ConnectionRefusedError) or (isinstance(link, OSError) and link.errno in (errno.ENETUNREACH, errno.EHOSTUNREACH)):
            return "refused"
        name, words = type(link).__name__, str(link).lower()
        if any(word in words for word in NAME_WORDS):
            return "name"
        if any(word in words for word in REFUSED_WORDS):
            return "refused"
        if isinstance(link, ConnectionError) or name in DISCONNECTED:
            return "disconnected"
        if isinstance(link, TimeoutError) or name in TIMED_OUT:
            return "timeout"
        if name in GARBLED:
            return "garbled"
    return None


def _headers(chain: list[BaseException]) -> Mapping[str, str]:
    for link in chain:
        for found in (
            getattr(link, "litellm_response_headers", None),
            getattr(getattr(link, "response", None), "headers", None),
            getattr(link, "headers", None),
        ):
            if found:
                return {str(name).lower(): str(value) for name, value in found.items()}
    return {}


def _code(chain: list[BaseException]) -> str | None:
    for link in chain:
        body: Any = getattr(link, "body", None)
        inner = body.get("error", body) if isinstance(body, dict) else None
        for found in (
            getattr(link, "code", None),
            inner.get("code") if isinstance(inner, dict) else None,
            inner.get("type") if isinstance(inner, dict) else None,
        ):
            if isinstance(found, str) and found and not found.isdigit():
                return found
    return None


def _words(error: BaseException) -> str:
    text = str(getattr(error, "message", "") or error).strip()
    return text or type(error).__name__
