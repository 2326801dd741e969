"""Exceptions of HTTP clients and litellm as plain facts: status, code, transport, Retry-After."""

from __future__ import annotations

import contextlib
import errno
import json
import math
import re
import socket
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from hishamos.gateway.adapters.plug import Fault, Transport

DISCONNECTED = frozenset({"RemoteProtocolError", "ReadError", "WriteError", "ServerDisconnectedError", "ClientPayloadError", "ClientOSError"})
TIMED_OUT = frozenset({"TimeoutException", "ReadTimeout", "ConnectTimeout", "WriteTimeout", "PoolTimeout", "APITimeoutError", "ServerTimeoutError"})
GARBLED = frozenset({"JSONDecodeError", "ContentTypeError", "DecodingError", "APIResponseValidationError"})
SHAPELESS = (LookupError, TypeError, AttributeError, ValueError)
UNREACHABLE = frozenset({errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENETDOWN})
NAME_WORDS = ("name or service not known", "nodename nor servname", "temporary failure in name resolution", "no address associated", "getaddrinfo")
GARBLED_WORDS = ("error converting to valid response block",)
"""litellm gives an answer that it can't read a status of its own: 422, as if the request had been at fault."""
REFUSED_WORDS = ("connection refused", "connect call failed", "network is unreachable", "no route to host", "all connection attempts failed")
_RETRY_DELAY = re.compile(r"""retryDelay['"\\]*:\s*['"\\]*([0-9.]+)s""")
_WRAPPING = re.compile(r"^(?:litellm\.)?(?:\w+Error: |litellm\.\w+: |\w+(?:Exception|Error)(?: \w+)? - )+")


def fault_of(error: BaseException) -> Fault:
    """Return what a client's exception says, whatever its class is called."""
    chain = list(_chain(error))
    headers = _headers(chain)
    transport = _transport(chain)
    status = next((found for found in map(_status_of, reversed(chain)) if found), None)  # litellm gives Anthropic's 529 out as 500
    words = _words(error)
    if transport == "garbled" and isinstance(chain[-1], SHAPELESS):
        words = f"the answer is not of the form that was asked for ({type(chain[-1]).__name__}: {chain[-1]})"
    if transport in ("refused", "name", "disconnected") and str(chain[-1]) not in words:
        words = f"{words.rstrip('.')}: {chain[-1]}"
    return Fault(
        words,
        status=None if transport else status,
        code=_code(chain),
        transport=transport,
        retry_after_s=_pause(headers, error),
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
        except (ValueError, TypeError, IndexError, OverflowError):
            return None
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        seconds = (moment - (now or datetime.now(UTC))).total_seconds()
    return max(0.0, seconds) if math.isfinite(seconds) else None


def _pause(headers: Mapping[str, str], error: BaseException) -> float | None:
    """Return how long the provider asks to wait, seconds: in milliseconds (OpenAI), in the header of old, in the error's details (Gemini)."""
    exact = retry_after(headers.get("retry-after-ms"))
    if exact is not None:
        return exact / 1000
    told = _RETRY_DELAY.search(str(error))
    return retry_after(headers.get("retry-after") or (told[1] if told else None))


def _status_of(link: BaseException) -> int | None:
    for found in (getattr(link, "status_code", None), getattr(getattr(link, "response", None), "status_code", None)):
        if isinstance(found, int):
            return found
    return None


def _chain(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    current: BaseException | None = error
    while current is not None and id(current) not in seen:
        seen.add(id(current))
        yield current
        current = current.__cause__ or current.__context__


def _transport(chain: list[BaseException]) -> Transport | None:
    known = next((found for found in map(_transport_of, reversed(chain)) if found), None)  # the innermost knows best
    if known is None and isinstance(chain[-1], SHAPELESS) and not any(getattr(link, "response", None) is not None for link in chain):
        return "garbled"  # litellm stumbled over an answer that came, and may be billed, but lacks what its format promises
    return known


def _transport_of(link: BaseException) -> Transport | None:
    name, words = type(link).__name__, str(link).lower()
    kinds: dict[Transport, bool] = {
        "name": isinstance(link, socket.gaierror) or any(word in words for word in NAME_WORDS),
        "refused": isinstance(link, ConnectionRefusedError) or getattr(link, "errno", None) in UNREACHABLE or any(word in words for word in REFUSED_WORDS),
        "disconnected": isinstance(link, ConnectionError) or name in DISCONNECTED,
        "timeout": isinstance(link, TimeoutError) or name in TIMED_OUT,
        "garbled": name in GARBLED or any(word in words for word in GARBLED_WORDS),
    }
    return next((kind for kind, fits in kinds.items() if fits), None)


def _headers(chain: list[BaseException]) -> Mapping[str, str]:
    for link in chain:
        response = getattr(link, "response", None)
        for found in (getattr(link, "litellm_response_headers", None), getattr(response, "headers", None), getattr(link, "headers", None)):
            if found:
                return {str(name).lower(): str(value) for name, value in found.items()}
    return {}


def _code(chain: list[BaseException]) -> str | None:
    for link in chain:
        body: Any = getattr(link, "body", None)
        inner = body.get("error", body) if isinstance(body, dict) else {}
        facts = inner if isinstance(inner, dict) else {}
        for found in (getattr(link, "code", None), facts.get("code"), facts.get("type")):
            if isinstance(found, str) and found and not found.isdigit():
                return found
    return None


def _words(error: BaseException) -> str:
    """Return the provider's own words, out of what litellm wraps around them."""
    text = _WRAPPING.sub("", str(getattr(error, "message", "") or error).strip())
    text = text.split("\nTraceback")[0].split(". Handle with `litellm")[0].split(" File an issue if")[0].strip()
    start = text.find("{")
    if start >= 0:
        body = text[start : text.rfind("}") + 1]
        with contextlib.suppress(ValueError):
            data = json.loads(body)
            inner = data.get("error", data)
            text = inner["message"] if isinstance(inner, dict) and isinstance(inner.get("message"), str) else text
    return text or type(error).__name__
