"""What every record shares: it is frozen, knows its fields, and refuses unknown ones."""

from __future__ import annotations

import hashlib
import json
import secrets
import time
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from pydantic import BaseModel, ConfigDict

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"  # Crockford's base 32: no I, L, O, U

NANOS_PER_USD = 1_000_000_000


class Record(BaseModel):
    """A frozen fact or noun. Change one with ``model_copy(update=…)`` and hand it to a service."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class Failure(Record):
    """Why something failed: the typed error's name and facts, and its message for people."""

    type: str
    message: str
    facts: dict[str, Any] = {}


def new_id(length: int = 12) -> str:
    """Return a random identifier of ``length`` characters that people can read aloud (Crockford base 32, 5 bits each)."""
    return "".join(_ALPHABET[byte & 31] for byte in secrets.token_bytes(length))


def timed_id(length: int = 16) -> str:
    """Return an identifier of ``length`` characters, 8 for the time in hundredths of a second and the others random.

    For rows that come in great numbers: what is written together stands together in an index, whose older parts then need not be in memory.
    """
    moment = time.time_ns() // 10_000_000
    return "".join(_ALPHABET[(moment >> shift) & 31] for shift in range(35, -1, -5)) + new_id(length - 8)


def derived_id(text: str, length: int = 12) -> str:
    """Return the identifier that a text always has, of the form of :func:`new_id`."""
    return "".join(_ALPHABET[byte & 31] for byte in hashlib.sha256(text.encode()).digest()[:length])


def now() -> datetime:
    """Return the current time, aware, in UTC."""
    return datetime.now(UTC)


def canonical(value: Any) -> str:
    """Return the canonical JSON text of plain data: sorted keys, no spaces, as used for every content hash."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=str)


def content_hash(value: Any, length: int = 64) -> str:
    """Return the first ``length`` hex digits of the SHA-256 of ``value``'s canonical JSON."""
    return hashlib.sha256(canonical(value).encode("utf-8", "surrogatepass")).hexdigest()[:length]


def usd(nanos: int | None) -> Decimal | None:
    """Return integer nano-dollars as an exact decimal in USD; None (unpriced) stays None."""
    return None if nanos is None else Decimal(nanos) / NANOS_PER_USD


def nanos(amount: str | int | Decimal) -> int:
    """Return an exact decimal amount in USD as nano-dollars, rounded half-even once; floats are not accepted."""
    return int((Decimal(amount) * NANOS_PER_USD).to_integral_value(rounding="ROUND_HALF_EVEN"))
