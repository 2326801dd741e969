"""A key goes where its owner lets it: a cloned workspace can send it nowhere, ``hishamos trust`` says otherwise, for that workspace only."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest

from hishamos.records.configuration import origin
from tests.faces.conftest import Terminal

TOML = """
[providers.openai]
api_base = "https://llm.example.invalid:8443/v1"
api_key = "env:OPENAI_API_KEY"

[routes.default]
models = ["openai/gpt-4.1-mini"]
deadline_s = 20
"""


@pytest.fixture
def cloned(own_terminal: Terminal, tmp_path: Path) -> Terminal:
    own_terminal.environment |= {"OPENAI_API_KEY": "sk-openai-0123456789", "XDG_CONFIG_HOME": str(tmp_path / "config")}
    own_terminal.file("hishamos.toml", TOML)
    return own_terminal


def asked(terminal: Terminal) -> str:
    done = terminal.type("command", "classify_bug", "-i", "text=It crashes")
    assert done.returncode == 1
    return done.stderr


def test_a_foreign_host_gets_no_key_until_it_is_trusted(cloned: Terminal, tmp_path: Path) -> None:
    refused = asked(cloned)
    assert "The key of openai is not sent to https://llm.example.invalid:8443" in refused
    assert "hishamos trust https://llm.example.invalid:8443 --provider openai" in refused
    assert cloned.json("trust") == []

    listed = cloned.json("trust", "https://LLM.example.invalid.:8443/")
    assert listed == [{"workspace": str(cloned.folder), "provider": "openai", "host": "https://llm.example.invalid:8443"}]
    reached = asked(cloned)  # by the server that already runs
    assert "is not sent" not in reached
    assert "openai can't be reached" in reached

    file = tmp_path / "config" / "hishamos" / "trust.json"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    assert not any("llm.example.invalid" in path.read_text(errors="replace") for path in cloned.folder.glob("*.json"))

    assert cloned.json("trust", "https://llm.example.invalid:8443", "--remove") == []
    assert "is not sent" in asked(cloned)


def test_trust_is_for_one_workspace_one_provider_and_one_origin(cloned: Terminal, tmp_path: Path) -> None:
    file = tmp_path / "config" / "hishamos" / "trust.json"
    file.parent.mkdir(parents=True)
    here = str(cloned.folder)
    for wrong in (
        {"/somewhere/else": {"openai": ["https://llm.example.invalid:8443"]}},
        {here: {"anthropic": ["https://llm.example.invalid:8443"]}},
        {here: {"openai": ["https://llm.example.invalid"]}},
        {here: {"openai": ["http://llm.example.invalid:8443"]}},
        {here: {"openai": ["https://example.invalid:8443"]}},
    ):
        file.write_text(json.dumps(wrong))
        assert "is not sent" in asked(cloned), wrong


def test_a_workspace_cannot_trust_itself(cloned: Terminal) -> None:
    cloned.file("hishamos.toml", TOML.replace("[routes", 'trusted = ["https://llm.example.invalid:8443"]\n\n[routes'))
    assert "unknown key 'trusted'" in cloned.type("doctor").stdout + cloned.type("providers").stderr


def test_what_it_is_given_is_checked(cloned: Terminal, tmp_path: Path) -> None:
    for host in ("https://user@llm.example.invalid", "llm example", "ftp://llm.example.invalid", ""):
        done = cloned.type("trust", host)
        assert done.returncode == 2, host
        assert "no plain host" in done.stderr
    done = cloned.type("trust", "other.example.invalid")
    assert done.returncode == 2
    assert "With an api_base: openai" in done.stderr
    (tmp_path / "config" / "hishamos").mkdir(parents=True)
    (tmp_path / "config" / "hishamos" / "trust.json").write_text("{broken")
    done = cloned.type("trust")
    assert done.returncode == 2
    assert "trust.json" in done.stderr


@pytest.mark.parametrize(
    ("address", "plain"),
    [
        ("https://Example.COM", "https://example.com"),
        ("example.com.", "https://example.com"),
        ("https://example.com:443/v1", "https://example.com"),
        ("http://example.com:80", "http://example.com"),
        ("http://10.0.0.5:8000/v1", "http://10.0.0.5:8000"),
        ("https://[2001:DB8::1]:8443", "https://[2001:db8::1]:8443"),
        ("https://bücher.example", "https://xn--bcher-kva.example"),
        ("https://user:pass@example.com", None),
        ("https://api.openai.com@evil.example", None),
        ("https://api.openai.com\\@evil.example", None),
        ("https://evil.example%2f.api.openai.com", None),
        ("https://example.com:port", None),
        ("file:///etc/passwd", None),
        ("https://", None),
        ("exa mple.com", None),
    ],
)
def test_an_origin_is_spelt_in_one_way(address: str, plain: str | None) -> None:
    assert origin(address) == plain
