"""An agent whose process is killed with SIGKILL while its tools run: it goes on, pays nothing again and runs no finished tool again (D13)."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from hishamos.composition import open_in_process
from tests.chaos.test_killed_runs import child, finish, kill, witnessed
from tests.rigs.simulator import Simulator

AGENT = "name: clerk\ndescription: Works.\ninstructions: Work.\ntools: [note, slow]\nlimits: {seconds: 90}\n"
FLOW = """name: agentic
description: An agent at work.
steps:
  - {id: ask, type: agent, with: {agent: clerk, task: "Go", model: openai/gpt-4.1-mini}}
outputs: {said: "{{ steps.ask.output }}"}
"""


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    with Simulator() as running:
        yield running


@pytest.fixture
def workspace(tmp_path: Path, simulator: Simulator) -> Path:
    (tmp_path / "key").write_text("sk-killed-0123456789abcdef")
    (tmp_path / "hishamos.toml").write_text(f'[providers.openai]\napi_key = "file:{tmp_path}/key"\napi_base = "{simulator.url}/v1"\n')
    (tmp_path / "data" / "local").mkdir(parents=True)
    for folder, name, text in (("agents", "clerk", AGENT), ("workflows", "agentic", FLOW)):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / f"{name}.yaml").write_text(text)
    return tmp_path


def test_killed_while_tools_run(workspace: Path, simulator: Simulator):
    tools = [{"name": name, "arguments": {"folder": str(workspace), "word": name}} for name in ("note", "slow")]
    simulator.script("gpt-4.1-mini", {"calls": tools}, {"text": "done"})
    process = child(workspace, "agentic", model=None)
    end = time.monotonic() + 60
    while not (workspace / "witness.txt").exists() or set(witnessed(workspace)) != {"note", "slow"}:
        assert time.monotonic() < end
        time.sleep(0.02)
    time.sleep(0.3)  # what the first tool gave is kept
    kill(process)
    assert len(simulator.book()) == 1
    (workspace / "go").touch()
    finish(workspace)
    with open_in_process(workspace, store="data/local/hishamos.duckdb") as ws:
        (run,) = ws.runs.list()
        assert (run.state, run.outputs) == ("succeeded", {"said": "done"})
        rows = ws.ledger.calls(run=run.id)
        book = simulator.book()
        assert sorted(row.input_tokens for row in rows) == sorted(entry["billed"]["input"] for entry in book)
        assert sorted(row.idempotency_key.removeprefix(f"{run.id}/ask/1/") for row in rows) == ["0", "1"]
    assert sorted(witnessed(workspace)) == ["note", "slow", "slow"]
    assert len(book[-1]["results"]) == 2
