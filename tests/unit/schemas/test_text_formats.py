"""Formats of texts: what pydantic's fields refuse is found before the answer is taken for one, and nothing else."""

from __future__ import annotations

import datetime
import ipaddress
import uuid
from typing import Any

import pytest
from pydantic import UUID4, AnyUrl, Base64Bytes, Base64UrlBytes, HttpUrl, IPvAnyAddress, IPvAnyNetwork, PostgresDsn, TypeAdapter, ValidationError

from hishamos.gateway.answers import parse
from hishamos.gateway.offline.specimens import FORMATS
from hishamos.schemas.text_formats import READERS, fits

KINDS: list[tuple[Any, str, str]] = [
    (datetime.date, "2026-02-28", "2026-02-30"),
    (datetime.datetime, "2026-02-28T10:00:00", "yesterday at noon"),
    (datetime.datetime, "2026-02-28T10:00:00+02:00", "2026-02-28T25:00:00Z"),
    (datetime.time, "10:00:00", "ten"),
    (datetime.timedelta, "P3DT4H", "three days"),
    (uuid.UUID, "12345678-1234-4234-8234-1234567890ab", "12345678"),
    (UUID4, "12345678-1234-4234-8234-1234567890ab", "12345678-1234-1234-8234-1234567890ab"),
    (AnyUrl, "mailto:mona@example.org", "no address"),
    (HttpUrl, "https://example.org/a?b=c", "example"),
    (PostgresDsn, "postgresql://one,two/db", "db"),
    (ipaddress.IPv4Address, "10.0.0.1", "10.0.0.256"),
    (ipaddress.IPv6Address, "fe80::1", "fe80:::1"),
    (ipaddress.IPv4Network, "10.0.0.0/8", "10.0.0.1/8"),
    (ipaddress.IPv6Interface, "fe80::1/64", "10.0.0.1"),
    (IPvAnyAddress, "::1", "localhost"),
    (IPvAnyNetwork, "10.0.0.0/8", "ten"),
    (Base64Bytes, "aGVsbG8=", "hello!"),
    (Base64UrlBytes, "aGVsbG8_", "a"),
]


@pytest.mark.parametrize(("kind", "good", "bad"), KINDS, ids=[f"{kind}-{bad}" for kind, _, bad in KINDS])
def test_a_format_is_held_to_what_the_field_takes(kind: Any, good: str, bad: str):
    field: TypeAdapter[Any] = TypeAdapter(kind)
    schema = field.json_schema()
    assert schema["format"] in READERS
    field.validate_python(good)
    with pytest.raises(ValidationError):
        field.validate_python(bad)
    assert parse(f'"{good}"', schema) == (good, None)
    data, problem = parse(f'"{bad}"', schema)
    assert data is None
    assert problem is not None
    assert schema["format"] in problem, "a model is told what it should have been"


@pytest.mark.parametrize(("text", "good"), [("mona@example.org", True), ("mona", False), ("mona@example", False), ("a b@example.org", False)])
def test_addresses_that_are_none(text: str, good: bool):
    assert fits("email", text) is good


def test_what_is_not_known_or_no_text_is_a_remark():
    assert fits("colour", "blue")
    assert fits("date", 3)
    assert parse("3", {"format": "date"}) == (3, None)


@pytest.mark.parametrize("kind", sorted(set(FORMATS) & set(READERS)))
def test_the_offline_model_s_values_are_of_their_formats(kind: str):
    assert fits(kind, FORMATS[kind])


def test_the_offline_model_knows_every_format():
    assert set(READERS) <= set(FORMATS)
