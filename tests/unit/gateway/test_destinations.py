"""A known provider's key goes to that provider, or stays."""

from __future__ import annotations

import pytest

from hishamos.errors import KeyWithheld
from hishamos.gateway.destinations import check_destination
from hishamos.records.configuration import ProviderSettings

KEYS = {"env:OPENAI_API_KEY": "sk-mine", "env:OTHER": "other", "env:COPY": "sk-mine"}


def check(api_base: str | None, *, name: str = "openai", kind: str = "openai", reference: str = "env:OPENAI_API_KEY") -> None:
    check_destination(ProviderSettings(name=name, kind=kind, api_key=reference, api_base=api_base), KEYS.get(reference), KEYS.get)


@pytest.mark.parametrize(
    "base", [None, "https://api.openai.com/v1", "http://127.0.0.1:4010/v1", "http://localhost:1/v1", "http://[::1]:9/v1", "https://API.OpenAI.com."]
)
def test_goes_home_or_stays_on_this_machine(base: str | None):
    check(base)


@pytest.mark.parametrize(
    "base",
    [
        "https://evil.example/v1", "http://api.openai.com/v1", "https://api.openai.com.evil.example", "https://evil.example/api.openai.com",
        "https://api.openai.com@evil.example/v1", "http://0x7f000001.evil.example", "http://10.0.0.5/v1", "http://127.0.0.1.evil.example", "//evil.example",
    ],
)  # fmt: skip
def test_is_withheld_elsewhere(base: str):
    with pytest.raises(KeyWithheld) as caught:
        check(base)
    assert "sk-mine" not in str(caught.value)


def test_is_known_under_any_name():
    with pytest.raises(KeyWithheld):
        check("https://evil.example", name="friendly", reference="env:OPENAI_API_KEY")
    with pytest.raises(KeyWithheld):
        check("https://evil.example", name="friendly", reference="env:COPY")
    with pytest.raises(KeyWithheld):
        check("https://evil.example", name="openai", reference="env:OTHER")


def test_a_servers_own_key_goes_to_it():
    check("https://models.example/v1", name="models", reference="env:OTHER")
