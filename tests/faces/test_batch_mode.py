"""``ws.map(…, mode="batch")`` and ``hishamos map --mode batch``: over the server, which is killed while the provider works."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import hishamos
from tests.faces.conftest import Terminal
from tests.rigs.simulator import Simulator

SAY = "name: say\ndescription: Say it.\nparameters: {text: {type: text}}\ntemplate: 'Say {{ text }}.'\nmax_output_tokens: 50\n"


@pytest.fixture(scope="module")
def simulator() -> Iterator[Simulator]:
    with Simulator() as running:
        yield running


@pytest.fixture
def workspace(workspace_dir: Path, simulator: Simulator, monkeypatch: pytest.MonkeyPatch) -> Path:
    simulator.clear()
    (workspace_dir / "key").write_text("sk-batches-0123456789abcdef")
    (workspace_dir / "hishamos.toml").write_text(
        f'[providers.openai]\napi_key = "file:{workspace_dir}/key"\napi_base = "{simulator.url}/v1"\n[routes.default]\nmodels = ["openai/gpt-4.1-mini"]\n'
    )
    (workspace_dir / "commands").mkdir()
    (workspace_dir / "commands" / "say.yaml").write_text(SAY)
    return workspace_dir


def until(holds: Callable[[], Any], seconds: float = 90) -> Any:
    end = time.monotonic() + seconds
    while not (found := holds()):
        assert time.monotonic() < end
        time.sleep(0.1)
    return found


@pytest.mark.long
def test_a_killed_server_collects_what_it_had_handed_in(workspace: Path, simulator: Simulator):
    simulator.script("batches", then={"hold": True})
    frame = pd.DataFrame({"text": ["one", "two", "two", "three"]})
    ws = hishamos.open(workspace)
    done: list[pd.DataFrame] = []
    waiting = threading.Thread(target=lambda: done.append(ws.map(frame, "say", mode="batch")))
    waiting.start()
    (batch,) = until(simulator.batches)
    assert len(batch["rows"]) == 3, "equal rows are paid once"
    until(lambda: ws.sql("select count(*) as n from attempts where status = 'sent'")["n"][0] == 3)
    time.sleep(2)  # the id is written
    os.kill(json.loads((workspace / "data" / "local" / "server.json").read_text())["pid"], signal.SIGKILL)
    simulator.script("batches", then={})
    waiting.join(120)
    assert list(done[0]["hos_status"]) == ["succeeded"] * 4
    assert len(simulator.batches()) == 1
    assert simulator.book() == []
    rows = ws.sql("select status, cost_nanos, tags from attempts").to_dict("records")
    assert [row["status"] for row in rows] == ["succeeded"] * 3
    assert all(json.loads(row["tags"])["mode"] == "batch" for row in rows)
    again = ws.map(frame, "say")
    assert list(again["hos_reused"]) == [True] * 4, "what a batch answered is not asked again"


def test_the_terminal_hands_in_a_file(workspace: Path, simulator: Simulator):
    (workspace / "rows.csv").write_text("id,text\n1,one\n2,two\n")
    terminal = Terminal(workspace)
    assert terminal.json("map", "rows.csv", "say", "--mode", "batch")["states"] == {"succeeded": 2}
    assert [len(batch["rows"]) for batch in simulator.batches()] == [2]
