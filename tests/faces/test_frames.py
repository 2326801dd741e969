"""Frames from a program of one's own, over the server: verbs on frames, progress on stderr, nothing heavy in the client."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import hishamos
from tests.faces.conftest import Terminal
from tests.rigs.nursery import python
from tests.rigs.simulator import Simulator

SAY = "name: say\ndescription: Say it.\nparameters: {text: {type: text}}\ntemplate: 'Say {{ text }}.'\nmax_output_tokens: 50\n"
PROGRAM = """
import json, sys
import hishamos
before = {"pandas", "polars"} & set(sys.modules)
ws = hishamos.open(sys.argv[1])
opened = {"pandas", "polars"} & set(sys.modules)
import pandas as pd
frame = pd.DataFrame({"text": [f"report {number}" for number in range(100)]})
forecast = frame.hishamos.map.forecast("say")
done = frame.hishamos.map("say", concurrency=16)
again = ws.map(frame, "say")
heavy = {"litellm", "duckdb", "streamlit", "papermill", "polars", "altair", "plotly"} & set(sys.modules)
told = {"before": sorted(before | opened), "heavy": sorted(heavy), "likely_nanos": forecast.likely_nanos, "to_ask": forecast.parts[0].times}
told |= {"cost": str(sum(done["hos_cost_usd"])), "reused": int(again["hos_reused"].sum()), "outputs": int(again["output"].notna().sum())}
print(json.dumps(told))
"""

ON_TERMINAL = "import os, sys\nos.dup2(os.open(sys.argv[2], os.O_WRONLY | os.O_NOCTTY), 2)\n"


@pytest.fixture(scope="module")
def simulator() -> Iterator[Simulator]:
    with Simulator() as running:
        yield running


@pytest.fixture
def workspace(workspace_dir: Path, simulator: Simulator) -> Path:
    simulator.clear()
    (workspace_dir / "key").write_text("sk-frames-0123456789abcdef")
    (workspace_dir / "hishamos.toml").write_text(
        f'[providers.openai]\napi_key = "file:{workspace_dir}/key"\napi_base = "{simulator.url}/v1"\n[routes.default]\nmodels = ["openai/gpt-4.1-mini"]\n'
    )
    (workspace_dir / "commands").mkdir()
    (workspace_dir / "commands" / "say.yaml").write_text(SAY)
    return workspace_dir


@pytest.mark.long
def test_a_script_sees_its_pace_and_that_the_second_run_pays_nothing(workspace: Path, simulator: Simulator) -> None:
    hishamos.open(workspace).health.ping()  # the server is the nursery's; the program has a process of its own: which modules it has loaded is asked
    done = subprocess.run([sys.executable, "-c", PROGRAM, str(workspace)], capture_output=True, text=True, timeout=120, check=True)
    told = json.loads(done.stdout)
    assert told["before"] == [], "importing and opening load no frames"
    assert told["heavy"] == [], "nothing heavy is loaded in a client"
    assert (told["to_ask"], told["reused"], told["outputs"]) == (100, 100, 100)
    assert told["likely_nanos"] > 0
    assert float(told["cost"]) > 0
    assert len(simulator.book()) == 100
    first, second = done.stderr.splitlines()
    assert first.startswith("say  100 rows: 0 reused, 100 new, 0.0")
    assert second.startswith("say  100 rows: 100 reused, 0 new, 0.00 USD")


@pytest.mark.long
def test_on_a_terminal_the_pace_is_one_line_that_is_written_over(workspace: Path, simulator: Simulator) -> None:
    simulator.script("gpt-4.1-mini", then={"delay_s": 0.15})
    here, there = pty.openpty()
    try:
        client = python(ON_TERMINAL + PROGRAM, workspace, os.ttyname(there))
        client.communicate(timeout=120)
        assert client.returncode == 0
        os.close(there)
        shown = b""
        while chunk := _read(here):
            shown += chunk
    finally:
        os.close(here)
    lines = [line.rpartition("\x1b[K")[2] for line in shown.decode().strip().split("\n")]
    assert [line.partition("rows: ")[2][:17] for line in lines] == ["0 reused, 100 new", "100 reused, 0 new"]
    assert " of 100 rows" in shown.decode()


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65536)
    except OSError:  # its other end is closed, and all has been read
        return b""


def test_the_terminal_says_what_was_reused(own_terminal: Terminal) -> None:
    own_terminal.file("rows.csv", "text\nIt crashes on save\nA typo\n")
    line = ("map", "rows.csv", "classify_bug", "--model", "offline/extractive")
    assert "0 reused, 2 new" in own_terminal.type(*line).stdout
    forecast = own_terminal.json(*line, "--forecast")
    assert (forecast["rows"], forecast["reused"], forecast["parts"][0]["times"]) == (2, 2, 0)
    document = own_terminal.json(*line)
    assert (document["run"]["reused"], document["states"]) == (2, {"succeeded": 2})
