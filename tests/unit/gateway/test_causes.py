"""Causes: by status, code and transport; Retry-After in all its spellings."""

from __future__ import annotations

import errno
import socket
from datetime import UTC, datetime

import pytest

from hishamos.gateway.adapters.faults import fault_of, retry_after
from hishamos.gateway.adapters.plug import Fault
from hishamos.gateway.causes import TABLE, Action, classify


@pytest.mark.parametrize(
    ("fault", "cause", "action"),
    [
        (Fault("", status=429), "rate_limit", Action.RETRY),
        (Fault("", status=429, code="insufficient_quota"), "quota", Action.NEXT),
        (Fault("", status=500), "server_error", Action.RETRY),
        (Fault("", status=503), "overloaded", Action.RETRY),
        (Fault("", status=529), "overloaded", Action.RETRY),
        (Fault("", status=599), "server_error", Action.RETRY),
        (Fault("", status=401), "authentication", Action.NEXT),
        (Fault("", status=403), "authentication", Action.NEXT),
        (Fault("API key not valid. Please pass a valid API key.", status=400), "authentication", Action.NEXT),
        (Fault("", status=404), "unknown_model", Action.NEXT),
        (Fault("", status=400), "invalid_request", Action.FAIL),
        (Fault("", status=418), "invalid_request", Action.FAIL),
        (Fault("This model's maximum context length is 8192 tokens", status=400), "context_overflow", Action.LARGER),
        (Fault("prompt is too long: 210000 tokens > 200000 maximum", status=400), "context_overflow", Action.LARGER),
        (Fault("The input token count (99) exceeds the maximum", status=400), "context_overflow", Action.LARGER),
        (Fault("", status=400, code="content_filter"), "content_policy", Action.OTHER_POLICY),
        (Fault("", transport="refused"), "connection", Action.NEXT),
        (Fault("", transport="name"), "connection", Action.NEXT),
        (Fault("", transport="timeout"), "timeout", Action.RETRY),
        (Fault("", transport="disconnected", status=500), "disconnected", Action.RETRY),
        (Fault("", transport="garbled"), "garbled", Action.RETRY),
        (Fault("no idea"), "server_error", Action.RETRY),
        (Fault("", status=402), "quota", Action.NEXT),
        (Fault("Your credit balance is too low to access the Anthropic API.", status=400), "quota", Action.NEXT),
        (Fault("", status=413), "context_overflow", Action.LARGER),
        (Fault("", status=400, code="context_length_exceeded"), "context_overflow", Action.LARGER),
        (Fault("blocked by the content management policy", status=400), "content_policy", Action.OTHER_POLICY),
        (Fault("context length", status=500), "server_error", Action.RETRY),
        (Fault("", status=500, code="rate_limit_exceeded"), "rate_limit", Action.RETRY),
        (Fault("", status=429, code="RESOURCE_EXHAUSTED"), "rate_limit", Action.RETRY),
        (Fault("", status=200, code="UNAVAILABLE"), "overloaded", Action.RETRY),
        (Fault("", status=400, code="INVALID_ARGUMENT"), "invalid_request", Action.FAIL),
        (Fault("", status=408), "server_error", Action.RETRY),
        (Fault("", status=504), "server_error", Action.RETRY),
    ],
)
def test_cause(fault: Fault, cause: str, action: Action):
    found = classify(fault)
    assert (found.name, found.action) == (cause, action)


def test_a_sign_stands_for_one_cause():
    signs = [sign for cause in TABLE for sign in (*cause.transports, *cause.codes, *cause.statuses)]
    assert len(signs) == len(set(signs))
    assert all(code == code.lower() for cause in TABLE for code in cause.codes)


NOW = datetime(2026, 11, 23, 12, 0, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, None), ("2", 2.0), ("0.5", 0.5), ("-3", 0.0), ("Mon, 23 Nov 2026 12:00:07 GMT", 7.0), ("Mon, 23 Nov 2026 11:00:00 GMT", 0.0),
        ("Mon, 23 Nov 99999 12:00:00 GMT", None), ("Mon, 23 Nov 2026 12:00:00 +9999", None), ("1e9", 1e9), ("-1e9", 0.0), ("1e999", None),
        ("soon", None), ("", None), ("inf", None), ("nan", None), ("99999999", 99999999.0),
    ],
)  # fmt: skip
def test_retry_after(header: str | None, seconds: float | None):
    assert retry_after(header, NOW) == seconds


def test_the_innermost_exception_says_how_the_connection_failed():
    error = RuntimeError("Connection error.")
    error.__cause__ = OSError(errno.ENETUNREACH, "Network is unreachable")
    assert fault_of(error).transport == "refused"
    lookup = RuntimeError("Connection error.")
    lookup.__cause__ = socket.gaierror(-2, "Name or service not known")
    assert fault_of(lookup).transport == "name"


def test_the_innermost_exception_says_the_status():
    class Wrapped(Exception):
        def __init__(self, status: int):
            self.status_code = status

    error = Wrapped(500)
    error.__cause__ = Wrapped(529)
    assert fault_of(error).status == 529


def test_status_is_read_whatever_the_class_is_called():
    class Strange(Exception):
        status_code = 529
        message = 'litellm.APIError: APIError: OpenAIException - {"error": {"message": "Overloaded", "type": "overloaded_error"}}'

    fault = fault_of(Strange())
    assert (fault.status, str(fault)) == (529, "Overloaded")
