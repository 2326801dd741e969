"""Everybody on one workspace at once: console, notebooks, a batch, a terminal. Nobody is locked out; the console shows it live."""

from __future__ import annotations

import time
from contextlib import contextmanager
from pathlib import Path

import pytest

import hishamos
from hishamos.opening import shipped
from tests.faces.conftest import Terminal
from tests.rigs.consoles import SWITCHES, serve
from tests.rigs.nursery import Client, python

NOTEBOOK = """
import sys, time, hishamos, pandas as pd
ws = hishamos.open(sys.argv[1])
frame = pd.read_csv(hishamos.sample("bugs.csv"))
end, turns = time.monotonic() + float(sys.argv[2]), 0
while time.monotonic() < end:
    run = ws.workflows.start("triage_bugs", {"file": hishamos.sample("bugs.csv"), "publish": "yes"}, model="offline/extractive").wait(120)
    assert run.state == "succeeded", run.error
    done = ws.map(frame.head(10), "classify_bug", columns={"text": "body"}, model="offline/extractive", fresh=True)
    assert (done["hos_status"] == "succeeded").all()
    ws.ledger.spend(by=["day", "model"])
    turns += 1
print(turns)
"""


@pytest.mark.parametrize("seconds", [3, pytest.param(300, marks=pytest.mark.chaos)])
@pytest.mark.timeout(500)
def test_everybody_at_once(workspace_dir: Path, chromium_path: str, seconds: int) -> None:
    from playwright.sync_api import sync_playwright

    ws = hishamos.open(workspace_dir)
    terminal = Terminal(workspace_dir)
    notebooks: list[Client] = []
    try:
        with contextmanager(serve)(workspace_dir) as console, sync_playwright() as play:
            browser = play.chromium.launch(executable_path=chromium_path, args=SWITCHES)
            page = browser.new_page(reduced_motion="reduce")
            page.goto(f"{console}/runs")
            page.get_by_text("No run yet").wait_for(timeout=30_000)
            notebooks += [python(NOTEBOOK, workspace_dir, seconds) for _ in range(2)]
            rows = [{"row_id": number, "text": f"The export fails for file {number}"} for number in range(20 if seconds > 60 else 4)]
            batch = ws.batch.start(str(shipped("notebooks") / "batch_report.ipynb"), rows, jobs=4)
            page.get_by_text("batch_report").first.wait_for(state="attached", timeout=20_000)
            listed, end = 0, time.monotonic() + seconds
            while time.monotonic() < end or any(one.poll() is None for one in notebooks):
                listed = max(listed, len(terminal.json("runs")))
                assert page.get_by_text("lock").count() == 0
                time.sleep(0.2)
            assert ws.runs.wait(batch.id, timeout_s=300).state == "succeeded"
            browser.close()
        for one in notebooks:
            out, errors = one.communicate(timeout=60)
            assert one.returncode == 0, errors[-3000:]
            assert int(out) >= 1
        assert listed >= 5
    finally:
        for one in notebooks:
            one.terminate()
            one.wait(20)
    log = (workspace_dir / "data/local/server.log").read_text()
    assert "lock" not in log.lower()
    assert "unexpected error" not in log
    assert all(check.equal for check in ws.ledger.balances())
