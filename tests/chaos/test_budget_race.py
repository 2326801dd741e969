"""A hard budget under four processes with sixty-four calls each: never above it, nothing refused was sent, used up to within one call."""

from __future__ import annotations

import collections
import json
import time
from pathlib import Path

import pytest

import hishamos
from tests.rigs.nursery import python
from tests.rigs.simulator import Simulator

LIMIT = 1_000_000_000
CLIENT = """
import sys, json, hishamos
from concurrent.futures import ThreadPoolExecutor
ws = hishamos.open(sys.argv[1])
def ask(number):
    try:
        ws.agents.ask("bug-triage", f"process {sys.argv[2]} call {number}")
        return "succeeded"
    except hishamos.HishamosError as error:
        return type(error).__name__
with ThreadPoolExecutor(64) as pool:
    print(json.dumps(list(pool.map(ask, range(64)))))
"""


@pytest.mark.parametrize("engine", ["duckdb", "postgres"])
def test_a_hard_budget_holds_at_every_instant(workspace_dir: Path, engine: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-budget-0123456789abcdef")
    store = f'[workspace]\nstore = "{request.getfixturevalue("postgres_url")}"\n' if engine == "postgres" else ""
    with Simulator() as simulator:
        simulator.script("gpt-4.1-mini", then={"delay_s": 0.1, "usage": {"input": 100, "output": 90}})
        (workspace_dir / "hishamos.toml").write_text(
            store + f'[providers.openai]\napi_key = "env:OPENAI_API_KEY"\napi_base = "{simulator.url}/v1"\n'
            '[routes.default]\nmodels = ["openai/gpt-4.1-mini"]\nmax_output_tokens = 100\n'
            '[prices."openai/gpt-4.1-mini"]\ninput = "1"\noutput = "100"\n'
            '[budgets.all]\nperiod = "total"\nlimit_usd = "1"\n'
        )
        ws = hishamos.open(workspace_dir)
        clients = [python(CLIENT, workspace_dir, n) for n in range(4)]
        highest = 0
        while any(client.poll() is None for client in clients):
            budget = ws.budgets.get("all")
            highest = max(highest, budget.committed_nanos + budget.reserved_nanos)
            time.sleep(0.02)  # a look takes longer; the calls need the processors too
        ends = collections.Counter(end for client in clients for end in json.loads(client.communicate()[0]))
        budget = ws.budgets.get("all")
        sent = len(simulator.book())
        attempts = ws.ledger.calls(limit=1000)
    assert 0 < highest <= LIMIT
    assert set(ends) == {"succeeded", "BudgetRefused"}
    assert sum(ends.values()) == 256
    assert sent == ends["succeeded"] == len([attempt for attempt in attempts if attempt.status == "succeeded"]), "refused calls were never sent"
    assert budget.reserved_nanos == 0
    assert budget.committed_nanos == ends["succeeded"] * (100 * 1000 + 90 * 100_000)
    largest = 100 * 100_000 + 20_000 * 1000  # the output limit and a prompt of 20,000 bytes
    assert LIMIT - largest < budget.committed_nanos <= LIMIT, "used up to within one reservation"
    assert all(check.equal for check in ws.ledger.balances())
