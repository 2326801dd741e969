"""The main job against a third-party fake of three wire formats, on a route whose first model does not answer."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path

import pytest

import hishamos
from tests.conftest import free_port

MODELS = {"openai": "openai/gpt-4.1-mini", "anthropic": "anthropic/claude-haiku-4-5", "gemini": "gemini/gemini-2.5-flash"}
KEYS = {"openai": "OPENAI_API_KEY", "anthropic": "ANTHROPIC_API_KEY", "gemini": "GEMINI_API_KEY"}
PROMPT, ANSWER = 120, 40
"""Tokens that the fake says it billed (tests/rigs/aimock/fixtures.json)."""


@pytest.mark.parametrize("kind", ["openai", "anthropic", "gemini"])
def test_triage_falls_back_and_accounts_for_it(kind: str, aimock: dict[str, str], workspace_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(KEYS[kind], "sk-aimock-0123456789abcdef")
    model = MODELS[kind]
    (workspace_dir / "hishamos.toml").write_text(
        f'[providers.down]\nkind = "openai"\napi_key = "env:{KEYS[kind]}"\napi_base = "http://127.0.0.1:{free_port()}/v1"\n'
        f'[providers.{kind}]\napi_key = "env:{KEYS[kind]}"\napi_base = "{aimock[kind]}"\n'
        f'[routes.default]\nmodels = ["down/gpt-4.1-mini", "{model}"]\n'
        '[prices."down/gpt-4.1-mini"]\ninput = "1"\noutput = "1"\n'
    )
    reports = workspace_dir / "reports.csv"
    reports.write_text("id,title,body\n" + "".join(f"{n},Crash {n},The app crashes when saving file number {n}\n" for n in range(5)))
    ws = hishamos.open(workspace_dir)
    run = ws.workflows.start("triage_bugs", {"file": str(reports), "publish": "yes"}).wait(120)
    assert run.state == "succeeded", run.error
    assert not run.offline
    attempts = ws.runs.calls(run.id, limit=1000)
    served = [attempt for attempt in attempts if attempt.status == "succeeded"]
    hops = [attempt for attempt in attempts if attempt.status == "failed"]
    calls = {attempt.call_id for attempt in attempts}
    assert {attempt.model for attempt in served} == {model}
    assert len(served) == len(calls) == 6, "five reports and one ranking"
    assert {(hop.model, hop.cause) for hop in hops} == {("down/gpt-4.1-mini", "connection")}
    assert {hop.call_id for hop in hops} <= calls
    price = ws.ledger.price(model)
    assert price is not None
    one = int(((price.input * PROMPT + price.output * ANSWER) * 1000).to_integral_value())
    assert {(attempt.input_tokens, attempt.output_tokens, attempt.usage_source, attempt.cost_nanos) for attempt in served} == {
        (PROMPT, ANSWER, "provider", one)
    }
    assert [hop.cost_nanos for hop in hops] == [0] * len(hops), "a refused connection bills nothing"
    total = 6 * one
    assert ws.runs.cost(run.id) == ws.runs.get(run.id).cost_nanos == total
    assert int(ws.ledger.spend(by="model", run=run.id)["cost_nanos"].sum()) == total
    assert int(ws.sql("select cast(sum(cost_nanos) as bigint) as spent from attempts")["spent"][0]) == total
    assert Decimal(total) / 10**9 == ws.runs.get(run.id).cost_usd
    assert run.outputs["top"][0]["id"] in {"0", "1", "2", "3", "4"}
    assert len(ws.issues.list(project="DEMO")) >= 1
    assert json.dumps(run.outputs)
