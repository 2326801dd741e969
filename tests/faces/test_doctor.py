"""What the doctor finds on machines with no key, a wrong key, a dead proxy, a server of one's own, and what it says to do."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from hishamos.composition import open_in_process
from hishamos.errors import AdapterBroken
from hishamos.gateway import gateway, probing
from hishamos.records.workspaces import Finding
from tests.rigs.simulator import Simulator

DEAD = "http://127.0.0.1:9"
KEYS = {"openai": "sk-openai-0123456789", "anthropic": "sk-ant-0123456789", "gemini": "AIzaSimulated0123456789abcdef"}
BASES = {"openai": "/v1", "anthropic": "", "gemini": "/v1beta"}
MODELS = {"openai": "gpt-4.1-mini", "anthropic": "claude-haiku-4-5", "gemini": "gemini-2.5-flash"}
Doctor = Callable[..., dict[str, Finding]]

every = pytest.mark.parametrize("kind", ["openai", "anthropic", "gemini"])


@pytest.fixture(scope="module")
def simulator() -> Iterator[Simulator]:
    with Simulator() as running:
        yield running


@pytest.fixture
def doctor(tmp_path: Path, simulator: Simulator, monkeypatch: pytest.MonkeyPatch) -> Doctor:
    """Ask the doctor in a workspace with one provider; its findings by subject."""
    simulator.clear()
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(gateway, "ollama_nearby", lambda: None)

    def ask(kind: str | None = None, base: str | None = None, *, model: str | None = None, network: bool = True) -> dict[str, Finding]:
        if kind is not None:
            variable = f"{kind.upper()}_API_KEY"
            monkeypatch.setenv(variable, KEYS[kind])
            address = simulator.url + BASES[kind] if base is None else base
            route = f'[routes.default]\nmodels = ["{kind}/{model or MODELS[kind]}"]\n'
            (tmp_path / "hishamos.toml").write_text(f'[providers.{kind}]\napi_key = "env:{variable}"\napi_base = "{address}"\n{route}')
        with open_in_process(tmp_path) as ws:
            return {finding.subject: finding for finding in ws.providers.diagnose(network=network)}

    return ask


def test_with_no_key_nobody_is_asked_and_it_says_how_to_add_one(own_terminal: Any):
    own_terminal.type("server", "status")
    started = time.monotonic()
    done = own_terminal.type("doctor")
    assert time.monotonic() - started < 30
    assert done.returncode == 0, done.stdout + done.stderr
    assert "no provider is ready; only offline/extractive can be used" in done.stdout
    assert "OPENAI_API_KEY" in done.stdout


def test_a_wrong_key_in_the_terminal(own_terminal: Any, simulator: Simulator):
    simulator.clear()
    simulator.script("models", then={"status": 401})
    own_terminal.environment["OPENAI_API_KEY"] = KEYS["openai"]
    (own_terminal.folder / "hishamos.toml").write_text(f'[providers.openai]\napi_key = "env:OPENAI_API_KEY"\napi_base = "{simulator.url}/v1"\n')
    done = own_terminal.type("doctor")
    assert done.returncode == 1
    assert f"✕ provider openai: {simulator.url} refuses the key from env:OPENAI_API_KEY (401)" in done.stdout
    assert "Set the environment variable OPENAI_API_KEY." in done.stdout
    assert KEYS["openai"] not in done.stdout + done.stderr
    [found] = [one for one in own_terminal.json("doctor", code=1) if one["subject"] == "provider openai"]
    assert (found["state"], found["advice"]) == ("problem", "Set the environment variable OPENAI_API_KEY.")
    assert own_terminal.type("doctor", "--no-network").returncode == 0
    assert len(simulator.listed()) == 2
    assert own_terminal.json("spend") == [], "asking costs nothing"


@every
def test_a_good_key_is_proven_for_nothing(doctor: Doctor, simulator: Simulator, kind: str):
    found = doctor(kind)[f"provider {kind}"]
    assert found.state == "ok", found
    assert f"answers at {simulator.url}" in found.found
    assert f"with 5 models, key from env:{kind.upper()}_API_KEY" in found.found
    assert [entry["key"] for entry in simulator.listed()] == [KEYS[kind]]
    assert simulator.book() == []


@every
def test_a_model_that_the_provider_does_not_have_is_named_with_the_nearest(doctor: Doctor, kind: str):
    wrong = {"openai": "gpt-4.1-mni", "anthropic": "claude-haiku-4-6", "gemini": "gemini-2.5-flesh"}[kind]
    found = doctor(kind, model=wrong)[f"provider {kind}"]
    assert (found.state, f"not among them: {wrong}; did you mean '{MODELS[kind][:12]}" in found.found) == ("problem", True), found


@every
@pytest.mark.parametrize(
    ("act", "state", "told", "advice"),
    [
        ({"status": 401}, "problem", "refuses the key from env:", "Set the environment variable"),
        ({"status": 403}, "problem", "refuses the key from env:", "Set the environment variable"),
        ({"status": 400, "message": "API key not valid. Please pass a valid API key."}, "problem", "refuses the key", "Set the environment variable"),
        ({"status": 429}, "note", "takes no more requests just now", "in a minute"),
        ({"status": 404}, "note", "lists no models (404)", "hishamos providers --test"),
        ({"status": 503}, "problem", "answers with 503", "Try again later"),
        ({"status": 307, "headers": {"location": "http://elsewhere.example/v1"}}, "problem", "redirect to http://elsewhere.example", "Correct api_base"),
        ({"html": True}, "problem", "answers with HTML", "Correct api_base"),
    ],
    ids=lambda value: str(value.get("status", "html")) if isinstance(value, dict) else "",
)
def test_each_answer_is_told_apart(doctor: Doctor, simulator: Simulator, kind: str, act: dict, state: str, told: str, advice: str):
    simulator.script("models", then=act)
    found = doctor(kind)[f"provider {kind}"]
    assert (found.state, told in found.found, advice in found.advice) == (state, True, True), found
    assert len(simulator.listed()) == 1, "nobody else was asked"


def test_a_proxy_that_cannot_be_reached_is_named_with_its_variable(doctor: Doctor, simulator: Simulator, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HTTP_PROXY", "http://me:secret@127.0.0.1:9")
    found = doctor("openai")["provider openai"]
    assert (found.state, "the proxy http://127.0.0.1:9 (HTTP_PROXY) can't be used" in found.found) == ("problem", True), found
    assert "Correct or unset HTTP_PROXY, or add 127.0.0.1 to NO_PROXY" in found.advice
    assert "secret" not in found.found + found.advice
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    assert doctor("openai")["provider openai"].state == "ok"
    assert len(simulator.listed()) == 1


def test_what_does_not_answer_is_told_within_the_deadline(doctor: Doctor, simulator: Simulator, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(probing, "DEADLINE_S", 0.3)
    simulator.script("models", then={"hang": True})
    found = doctor("anthropic")["provider anthropic"]
    assert (found.state, "gives no answer within 0.3 s" in found.found) == ("problem", True), found


def test_an_unknown_name_and_a_closed_port(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(gateway, "ollama_nearby", lambda: None)
    (tmp_path / "hishamos.toml").write_text(
        f'[providers.far]\nkind = "openai"\napi_base = "http://no-such-host.invalid/v1"\n[providers.shut]\nkind = "openai"\napi_base = "{DEAD}/v1"\n'
    )
    with open_in_process(tmp_path) as ws:
        found = {finding.subject: finding for finding in ws.providers.diagnose()}
    assert "the name no-such-host.invalid is not known here" in found["provider far"].found
    assert f"Nothing answers at {DEAD}" in found["provider shut"].advice


def test_a_kind_of_provider_that_nobody_serves(tmp_path: Path, simulator: Simulator, monkeypatch: pytest.MonkeyPatch):
    simulator.clear()
    monkeypatch.setattr(gateway, "ollama_nearby", lambda: None)
    (tmp_path / "hishamos.toml").write_text(f'[providers.own]\nkind = "housegpt"\napi_base = "{simulator.url}/v1"\n')
    with open_in_process(tmp_path) as ws:
        [found] = [finding for finding in ws.providers.diagnose() if finding.subject == "provider own"]
        with pytest.raises(AdapterBroken, match="Correct the provider's kind in hishamos.toml"):
            ws.commands.run("classify_bug", {"text": "It crashes."}, model="own/large")
    assert (found.state, "misconfigured" in found.found) == ("problem", True), found
    assert "'housegpt' of the package litellm can't be used: it has no provider of that kind" in found.advice
    assert simulator.listed() == []


def test_a_certificate_that_nobody_signed(tmp_path: Path, simulator: Simulator, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(gateway, "ollama_nearby", lambda: None)
    (tmp_path / "hishamos.toml").write_text(f'[providers.own]\nkind = "openai"\napi_base = "https://127.0.0.1:{simulator.port}/v1"\n')
    with open_in_process(tmp_path) as ws:
        [found] = [finding for finding in ws.providers.diagnose() if finding.subject == "provider own"]
    assert (found.state, "can't be trusted" in found.found) == ("problem", True), found


def test_a_server_like_ollamas(tmp_path: Path, simulator: Simulator, monkeypatch: pytest.MonkeyPatch):
    simulator.clear()
    monkeypatch.setenv("OLLAMA_HOST", simulator.url.removeprefix("http://"))
    (tmp_path / "hishamos.toml").write_text('[routes.default]\nmodels = ["ollama/llama3.2"]\n[routes.other]\nmodels = ["ollama/mistral"]\n')
    with open_in_process(tmp_path) as ws:
        [found] = [finding for finding in ws.providers.diagnose() if finding.subject == "provider ollama"]
    assert (found.state, found.advice) == ("problem", "Run: ollama pull mistral")
    assert "with 5 models; not among them: mistral" in found.found
    assert simulator.listed() == [{"path": "/api/tags", "key": ""}]


def test_a_server_like_ollamas_that_nobody_configured(simulator: Simulator):
    simulator.clear()
    found = probing.ollama_nearby(simulator.url)
    assert found is not None
    assert (found.state, "not configured, but a server answers at" in found.found) == ("note", True)
    assert f"OLLAMA_HOST=127.0.0.1:{simulator.port}" in found.advice
    assert probing.ollama_nearby(DEAD) is None


def test_a_key_goes_nowhere_that_it_may_not(doctor: Doctor, simulator: Simulator):
    found = doctor("openai", "https://llm.example.com/v1")["provider openai"]
    assert found.state == "problem"
    assert "hishamos trust" in found.advice
    assert simulator.listed() == []
