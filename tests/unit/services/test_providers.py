"""``ws.providers``: how they did, and one tiny call that tells whether one answers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from hishamos.composition import open_in_process
from hishamos.errors import BudgetRefused, CallFailed, InvalidInput, UnknownName
from hishamos.workspace import Workspace
from tests.rigs.simulator import Simulator

TOML = """
[providers.openai]
api_key = "env:OPENAI_API_KEY"
api_base = "{url}/v1"

[providers.anthropic]
api_key = "env:ANTHROPIC_API_KEY"
api_base = "{url}"

[providers.gemini]
api_key = "env:GEMINI_API_KEY"
api_base = "{url}/v1beta"

[routes.default]
models = ["openai/gpt-4.1-mini", "anthropic/claude-haiku-4-5"]
{more}
"""


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    with Simulator() as running:
        yield running


def opened(folder: Path, simulator: Simulator, monkeypatch: pytest.MonkeyPatch, more: str = "") -> Workspace:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-openai-0123456789")
    monkeypatch.setenv("GEMINI_API_KEY", "AIzaSimulated0123456789abcdef")
    (folder / "hishamos.toml").write_text(TOML.format(url=simulator.url, more=more))
    return open_in_process(folder)


def test_a_test_is_one_tiny_call_that_stands_in_the_ledger(tmp_path: Path, simulator: Simulator, monkeypatch: pytest.MonkeyPatch):
    with opened(tmp_path, simulator, monkeypatch) as ws:
        answer = ws.providers.test("openai")
        [entry] = simulator.book()
        assert (answer.status, answer.model) == ("succeeded", "openai/gpt-4.1-mini")
        assert answer.cost_nanos == entry["billed"]["input"] * 400 + entry["billed"]["output"] * 1600
        assert [call.cost_nanos for call in ws.ledger.calls()] == [answer.cost_nanos]
        assert ws.providers.test("gemini/gemini-2.5-flash").model == "gemini/gemini-2.5-flash"
        openai = next(status for status in ws.providers.list() if status.name == "openai")
        assert (openai.state, openai.attempts, openai.failed, openai.cost_nanos) == ("ready", 1, 0, answer.cost_nanos)
        assert openai.p50_ms is not None
        assert openai.ttft_ms is not None
        assert openai.ttft_ms <= openai.p50_ms


def test_what_a_provider_is_not_sent_is_told(tmp_path: Path, simulator: Simulator, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-openai-0123456789")
    (tmp_path / "hishamos.toml").write_text(f'[providers.openai]\napi_base = "{simulator.url}/v1"\nhide = ["email"]\n')
    simulator.script("gpt-4.1-mini", then={"echo": True})
    with open_in_process(tmp_path) as ws:
        assert [one.hides for one in ws.providers.list() if one.name == "openai"] == [("email",)]
        answer = ws.agents.ask("bug-triage", "Who is jane.roe@example.com?", model="openai/gpt-4.1-mini")
        assert answer.text == "Who is jane.roe@example.com?"
        assert [entry["said"] for entry in simulator.book()] == ["Who is p1@hidden.invalid?"]
        assert ws.ledger.calls()[0].why == "hidden from it: 1 email"


def test_it_asks_that_provider_and_no_other(tmp_path: Path, simulator: Simulator, monkeypatch: pytest.MonkeyPatch):
    simulator.script("gpt-4.1-mini", then={"status": 401, "message": "no such key"})
    with opened(tmp_path, simulator, monkeypatch) as ws:
        with pytest.raises(CallFailed, match="openai refuses its key: set a valid one in env:OPENAI_API_KEY"):
            ws.providers.test("openai")
        assert {entry["format"] for entry in simulator.book()} == {"openai"}
        assert next(status for status in ws.providers.list() if status.name == "openai").state == "misconfigured"


def test_it_stays_within_the_budgets(tmp_path: Path, simulator: Simulator, monkeypatch: pytest.MonkeyPatch):
    with opened(tmp_path, simulator, monkeypatch, '[budgets.all]\nscope = "workspace"\nperiod = "total"\nlimit_usd = "0.000001"\n') as ws:
        with pytest.raises(BudgetRefused):
            ws.providers.test("openai")
        assert simulator.book() == []


def test_what_cannot_be_asked_says_what_to_do(tmp_path: Path, simulator: Simulator, monkeypatch: pytest.MonkeyPatch):
    with opened(tmp_path, simulator, monkeypatch) as ws:
        with pytest.raises(UnknownName, match="did you mean 'openai'"):
            ws.providers.test("openia")
        with pytest.raises(InvalidInput, match="no route names a model of gemini"):
            ws.providers.test("gemini")
        with pytest.raises(InvalidInput, match="anthropic: no key.*Set the environment variable ANTHROPIC_API_KEY"):
            ws.providers.test("anthropic")
        assert simulator.book() == []


def test_a_provider_that_fails_is_shown_as_failing_with_its_last_error(tmp_path: Path, simulator: Simulator, monkeypatch: pytest.MonkeyPatch):
    simulator.script("gpt-4.1-mini", then={"status": 503, "message": "out of order"})
    with opened(tmp_path, simulator, monkeypatch, "deadline_s = 20\n") as ws:
        for _ in range(2):
            with pytest.raises(CallFailed):
                ws.providers.test("openai")
        openai = next(status for status in ws.providers.list() if status.name == "openai")
        assert openai.state == "failing"
        assert openai.last_error == "out of order"
        assert [circuit.model for circuit in openai.circuits] == ["openai/gpt-4.1-mini"]
        assert "failed" in openai.advice
