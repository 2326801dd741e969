"""The formats of texts that pydantic writes into its schemas, each held to what pydantic itself takes.

So an answer that a model's field would refuse is told to the one who answered, who may mend it, and not found out after all is paid. A format
that is not named here is a remark, as JSON Schema has it.
"""

from __future__ import annotations

import datetime
import ipaddress
import re
import uuid
from collections.abc import Callable
from functools import cache, partial
from typing import TYPE_CHECKING, Any

from pydantic import AnyUrl, Base64Bytes, Base64UrlBytes, TypeAdapter, ValidationError

from hishamos.schemas import json_schema

if TYPE_CHECKING:
    from jsonschema import FormatChecker

_EMAIL = re.compile(r"[^@\s]+@[^@\s.]+(\.[^@\s.]+)+")
_URL_WITH_HOSTS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://\S+")


def _version(number: int) -> Callable[[str], object]:
    def read(text: str) -> object:
        if uuid.UUID(text).version != number:
            raise ValueError
        return text

    return read


def _matching(pattern: re.Pattern[str]) -> Callable[[str], object]:
    def read(text: str) -> object:
        if pattern.fullmatch(text) is None:
            raise ValueError
        return text

    return read


def _pydantic(kind: Any) -> Callable[[str], object]:
    adapter: TypeAdapter[Any] = TypeAdapter(kind)
    return adapter.validate_python


READERS: dict[str, Callable[[str], object]] = {
    "date": _pydantic(datetime.date),
    "date-time": _pydantic(datetime.datetime),
    "time": _pydantic(datetime.time),
    "duration": _pydantic(datetime.timedelta),
    "email": _matching(_EMAIL),
    "uuid": _pydantic(uuid.UUID),
    **{f"uuid{number}": _version(number) for number in (1, 3, 4, 5, 6, 7, 8)},
    "uri": _pydantic(AnyUrl),
    "multi-host-uri": _matching(_URL_WITH_HOSTS),
    "ipv4": ipaddress.IPv4Address,
    "ipv6": ipaddress.IPv6Address,
    "ipv4network": ipaddress.IPv4Network,
    "ipv6network": ipaddress.IPv6Network,
    "ipv4interface": ipaddress.IPv4Interface,
    "ipv6interface": ipaddress.IPv6Interface,
    "ipvanyaddress": ipaddress.ip_address,
    "ipvanynetwork": ipaddress.ip_network,
    "ipvanyinterface": ipaddress.ip_interface,
    "base64": _pydantic(Base64Bytes),
    "base64url": _pydantic(Base64UrlBytes),
}
"""How a text of each format is read; whoever can't read it raises ValueError."""


def fits(kind: str, value: Any) -> bool:
    """Return whether a value is of a format; what is no text is of any, and every text is of one that is not known."""
    read = READERS.get(kind)
    if read is None or not isinstance(value, str):
        return True
    try:
        read(value)
    except (ValueError, ValidationError):
        return False
    return True


@cache
def checker() -> FormatChecker:
    """Return what holds texts to these formats, for a validator of jsonschema."""
    made: FormatChecker = json_schema.load().FormatChecker(formats=())
    # Not by its decorator, which would change every other checker of the process.
    made.checkers = {kind: (partial(fits, kind), ()) for kind in READERS}
    return made
