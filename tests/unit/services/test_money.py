"""``ws.ledger``, ``ws.budgets`` and ``ws.providers`` as a person uses them."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
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

[routes.default]
models = ["openai/gpt-4.1-mini"]
{more}
"""

COMMAND = """
name: echo
description: Say it again.
parameters:
  text: {type: text}
template: "{{ text }}"
"""


@pytest.fixture(scope="module")
def simulator() -> Iterator[Simulator]:
    with Simulator() as running:
        yield running


def opened(folder: Path, simulator: Simulator, monkeypatch: pytest.MonkeyPatch, more: str = "") -> Workspace:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-openai-0123456789")
    (folder / "hishamos.toml").write_text(TOML.format(url=simulator.url, more=more))
    (folder / "commands").mkdir(exist_ok=True)
    (folder / "commands" / "echo.yaml").write_text(COMMAND)
    simulator.clear()
    return open_in_process(folder)


def test_money_is_the_same_to_the_last_digit_wherever_one_looks(tmp_path: Path, simulator: Simulator, monkeypatch: pytest.MonkeyPatch):
    with opened(tmp_path, simulator, monkeypatch, '[budgets.month]\nlimit_usd = "5"\n') as ws:
        for number in range(5):
            ws.commands.run("echo", {"text": f"number {number}"}, project="P" if number % 2 else None)
        billed = sum(entry["billed"]["input"] * 400 + entry["billed"]["output"] * 1600 for entry in simulator.book())
        assert sum(call.cost_nanos or 0 for call in ws.ledger.calls()) == billed
        assert int(ws.ledger.spend()["cost_nanos"].sum()) == billed
        assert int(ws.ledger.spend(by=["day", "project"])["cost_nanos"].sum()) == billed
        assert int(ws.sql("select cast(sum(cost_nanos) as bigint) as n from attempts")["n"][0]) == billed
        assert ws.budgets.get("month").committed_nanos == billed
        assert all(check.equal for check in ws.ledger.balances())
        assert len(ws.ledger.calls(project="P")) == 2
        price = ws.ledger.price("openai/gpt-4.1-mini")
        assert price is not None
        assert (price.input, price.output) == (Decimal("0.4"), Decimal("1.6"))
        assert ws.ledger.price("openai/no-such-model") is None


def test_a_budget_is_set_used_up_and_removed(tmp_path: Path, simulator: Simulator, monkeypatch: pytest.MonkeyPatch):
    with opened(tmp_path, simulator, monkeypatch) as ws:
        ws.budgets.set("tiny", limit_usd="0.000001", period="day")
        with pytest.raises(BudgetRefused, match="tiny"):
            ws.commands.run("echo", {"text": "hello"})
        assert simulator.book() == []
        assert ws.ledger.calls() == []
        assert ws.budgets.set("tiny", limit_usd="2").limit_usd == 2
        assert ws.commands.run("echo", {"text": "hello"}).text.startswith("simulated answer")
        assert [budget.name for budget in ws.budgets.list()] == ["tiny"]
        ws.budgets.remove("tiny")
        assert ws.budgets.list() == []
        with pytest.raises(UnknownName):
            ws.budgets.get("tiny")


@pytest.mark.parametrize(
    ("name", "facts"),
    [
        ("1st", {"limit_usd": "1"}), ("b", {"limit_usd": "lots"}), ("b", {"limit_usd": "-1"}), ("b", {"limit_usd": "nan"}),
        ("b", {"limit_usd": "1", "scope": "planet"}), ("b", {"limit_usd": "1", "scope": "project:"}), ("b", {"limit_usd": "1", "period": "year"}),
    ],
)  # fmt: skip
def test_a_budget_that_makes_no_sense_is_refused(tmp_path: Path, name: str, facts: dict[str, str]):
    with open_in_process(tmp_path) as ws:
        with pytest.raises(InvalidInput):
            ws.budgets.set(name, **facts)  # type: ignore[arg-type]
        assert ws.budgets.list() == []


@pytest.mark.parametrize("status", [400, 401])
def test_a_failed_call_s_error_tells_what_shares_of_budgets_it_passed(tmp_path: Path, simulator: Simulator, monkeypatch: pytest.MonkeyPatch, status: int):
    with opened(tmp_path, simulator, monkeypatch) as ws:
        ws.budgets.set("watched", limit_usd="0.005", period="day", warn_at=["0.5"])
        simulator.script("gpt-4.1-mini", {"status": status, "message": "no"})
        with pytest.raises(CallFailed) as caught:
            ws.commands.run("echo", {"text": "much"})
        [message] = caught.value.warnings
        assert message == ws.budgets.get("watched").warnings[0].message
        assert "has passed 50 %" in message
        simulator.script("gpt-4.1-mini", {"status": status, "message": "no"})
        with pytest.raises(CallFailed) as again:
            ws.commands.run("echo", {"text": "more"})
        assert "warnings" not in again.value.facts, "each share is told once"


def test_the_file_wins_for_its_names(tmp_path: Path, simulator: Simulator, monkeypatch: pytest.MonkeyPatch):
    with opened(tmp_path, simulator, monkeypatch, '[budgets.month]\nlimit_usd = "5"\n') as ws:
        with pytest.raises(InvalidInput, match=r"hishamos\.toml"):
            ws.budgets.set("month", limit_usd="9")
        with pytest.raises(InvalidInput, match=r"hishamos\.toml"):
            ws.budgets.remove("month")
        assert ws.budgets.get("month").limit_usd == 5


def test_providers_say_what_they_are_and_how_they_did(tmp_path: Path, simulator: Simulator, monkeypatch: pytest.MonkeyPatch):
    with opened(
        tmp_path,
        simulator,
        monkeypatch,
        '[providers.anthropic]\napi_key = "env:NOT_SET"\n[providers.local]\nkind = "ollama"\napi_base = "http://127.0.0.1:9"\n',
    ) as ws:
        ws.commands.run("echo", {"text": "hello"})
        found = {status.name: status for status in ws.providers.list()}
        assert {name: status.state for name, status in found.items()} == {
            "openai": "ready",
            "anthropic": "no key",
            "local": "unreachable",
            "offline": "offline",
        }
        assert (found["openai"].attempts, found["openai"].failed, found["openai"].key) == (1, 0, "env:OPENAI_API_KEY")
        assert found["openai"].cost_nanos > 0
        assert found["openai"].p50_ms is not None
        assert "NOT_SET" in found["anthropic"].advice
        assert "http://127.0.0.1:9" in found["local"].advice
        assert ws.providers.models() == ["default", "openai/gpt-4.1-mini", "offline/extractive"]


def test_diagnosis_without_any_provider_names_the_offline_model(tmp_path: Path):
    with open_in_process(tmp_path) as ws:
        findings = {finding.subject: finding for finding in ws.providers.diagnose()}
        assert findings["models"].state == "note"
        assert "--model offline/extractive" in findings["models"].advice
        assert findings["provider offline"].state == "ok"


def test_diagnosis_names_an_unpriced_model(tmp_path: Path, simulator: Simulator, monkeypatch: pytest.MonkeyPatch):
    with opened(tmp_path, simulator, monkeypatch, '[routes.other]\nmodels = ["openai/my-own-model"]\n') as ws:
        findings = {finding.subject: finding for finding in ws.providers.diagnose()}
        assert findings["openai/my-own-model"].found == "unpriced"
        assert '[prices."openai/my-own-model"]' in findings["openai/my-own-model"].advice
        assert "openai/gpt-4.1-mini" not in findings


def test_a_price_that_comes_later_is_given_to_what_was_unpriced(tmp_path: Path, simulator: Simulator, monkeypatch: pytest.MonkeyPatch):
    unpriced = f'[providers.lab]\nkind = "openai"\napi_key = "env:OPENAI_API_KEY"\napi_base = "{simulator.url}/v1"\n'
    with opened(tmp_path, simulator, monkeypatch, unpriced) as ws:
        simulator.script("gpt-4.1-mini", {"usage": {"input": 100, "output": 10}})
        assert ws.commands.run("echo", {"text": "hello"}, model="lab/gpt-4.1-mini").cost_nanos is None
        ws.commands.run("echo", {"text": "priced"})
        spent = int(ws.ledger.spend()["cost_nanos"].sum())
        nothing = ws.ledger.reprice()
        assert (nothing.entries, nothing.unpriced, nothing.attempts) == ((), {"lab/gpt-4.1-mini": 1}, 0)
        toml = tmp_path / "hishamos.toml"
        toml.write_text(toml.read_text() + '[prices."lab/gpt-4.1-mini"]\ninput = "3"\noutput = "5"\n')
        done = ws.ledger.reprice()
        assert (done.attempts, done.added_nanos, done.unpriced) == (1, 350_000, {})
        [frame] = [ws.ledger.spend(by="model").set_index("model")]
        assert (int(frame.loc["lab/gpt-4.1-mini", "cost_nanos"]), int(frame.loc["lab/gpt-4.1-mini", "unpriced"])) == (350_000, 0)
        assert int(ws.ledger.spend()["cost_nanos"].sum()) == spent + 350_000
        [entry] = ws.audit.list(action="ledger.reprice")
        assert ws.audit.get(entry.id) == entry == done.entries[0]
        assert (entry.actor, entry.subject, entry.added_nanos) == ("owner", "lab/gpt-4.1-mini", 350_000)
        assert ws.sql("select subject, attempts, added_nanos from audit").to_dict("records") == [
            {"subject": "lab/gpt-4.1-mini", "attempts": 1, "added_nanos": 350_000}
        ]
        assert ws.ledger.reprice().entries == ()
        with pytest.raises(UnknownName):
            ws.audit.get("nothing")
        with pytest.raises(InvalidInput, match="provider's own figures"):
            ws.ledger.settle(ws.ledger.calls()[0].call_id, "0.5")
        with pytest.raises(InvalidInput, match="no cost"):
            ws.ledger.settle("X", "-1")
