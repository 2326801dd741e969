"""kill -9 at the worst instant: what was finished is not sent again, nothing is lost, what may be billed twice is marked."""

from __future__ import annotations

import collections
import json
import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest

import hishamos
from hishamos.contracts.wire import Places
from tests.rigs.nursery import Client, python
from tests.rigs.simulator import Simulator

ROWS = 40
CLIENT = """
import sys, hishamos, pandas as pd
ws = hishamos.open(sys.argv[1])
frame = pd.DataFrame({"text": [f"report number {n}" for n in range(int(sys.argv[2]))]})
done = ws.map(frame, "classify_bug", concurrency=8)
print(done["hos_status"].value_counts().to_dict())
"""


@pytest.fixture
def provider(workspace_dir: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-chaos-0123456789abcdef")
    with Simulator() as simulator:
        simulator.script("gpt-4.1-mini", then={"delay_s": 0.25})
        (workspace_dir / "hishamos.toml").write_text(
            f'[providers.openai]\napi_key = "env:OPENAI_API_KEY"\napi_base = "{simulator.url}/v1"\n[routes.default]\nmodels = ["openai/gpt-4.1-mini"]\n'
        )
        yield simulator


def start_client(folder: Path, rows: int = ROWS) -> Client:
    return python(CLIENT, folder, rows)


def await_billed(simulator: Simulator, number: int, seconds: float = 90) -> None:
    deadline = time.monotonic() + seconds
    while sum(entry["finished"] is not None for entry in simulator.book()) < number:
        assert time.monotonic() < deadline, "the map did not get going"
        time.sleep(0.05)


def billed(simulator: Simulator) -> collections.Counter[str]:
    return collections.Counter(entry["marker"] for entry in simulator.book() if entry["billed"] is not None)


def test_kill_of_the_client_sends_nothing_twice(workspace_dir: Path, provider: Simulator) -> None:
    client = start_client(workspace_dir)
    await_billed(provider, 15)
    client.kill()
    client.wait()
    again = start_client(workspace_dir)
    out, errors = again.communicate(timeout=120)
    assert again.returncode == 0, errors
    assert f"'succeeded': {ROWS}" in out
    assert len(provider.book()) == ROWS, "a call in flight when only the client died is not sent again"
    assert set(billed(provider).values()) == {1}


STREAMER = """
import sys, hishamos
for event in hishamos.open(sys.argv[1]).agents.stream("bug-triage", "Which is worst?", key="asked once"):
    print(event.kind, flush=True)
"""


def slow_stream(folder: Path, simulator: Simulator) -> Client:
    """Start a client that reads an answer of twelve words, and wait until its first words have come."""
    words = "one two three four five six seven eight nine ten eleven twelve"
    simulator.script("gpt-4.1-mini", then={"text": words, "chunk_s": 0.5})
    client = python(STREAMER, folder)
    assert client.stdout is not None
    while client.stdout.readline().strip() != "text":
        assert client.poll() is None
    return client


def test_kill_of_a_streaming_client_leaves_its_call_to_be_found_again(workspace_dir: Path, provider: Simulator) -> None:
    client = slow_stream(workspace_dir, provider)
    client.kill()
    client.wait()
    events = list(hishamos.open(workspace_dir).agents.stream("bug-triage", "Which is worst?", key="asked once"))
    assert "".join(event.text for event in events if event.kind == "text") == "one two three four five six seven eight nine ten eleven twelve"
    assert (events[-1].kind, events[-1].status) == ("finish", "succeeded")
    assert len(provider.book()) == 1


def test_ctrl_c_in_a_streaming_client_cancels_its_call(workspace_dir: Path, provider: Simulator) -> None:
    client = slow_stream(workspace_dir, provider)
    client.send_signal(signal.SIGINT)
    client.wait(20)
    ws = hishamos.open(workspace_dir)
    deadline = time.monotonic() + 10
    while (calls := ws.ledger.calls())[0].status == "sent":
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert [call.status for call in calls] == ["cancelled"]


def test_kill_of_client_and_server_marks_what_may_be_billed_twice(workspace_dir: Path, provider: Simulator) -> None:
    client = start_client(workspace_dir)
    await_billed(provider, 16)
    os.kill(int(json.loads(Places(workspace_dir).info.read_text())["pid"]), signal.SIGKILL)
    client.kill()
    client.wait()
    again = start_client(workspace_dir)
    out, errors = again.communicate(timeout=120)
    assert again.returncode == 0, errors
    assert f"'succeeded': {ROWS}" in out
    ws = hishamos.open(workspace_dir)
    for run in ws.runs.list():
        assert ws.runs.wait(run.id, timeout_s=60).ended
    attempts = ws.ledger.calls(limit=1000)
    orphans = [attempt for attempt in attempts if attempt.status == "orphaned"]
    requests = collections.Counter(entry["marker"] for entry in provider.book())
    assert len(requests) == ROWS
    assert sum(count - 1 for count in requests.values()) <= len(orphans), "every request beyond the first for one key pairs with an orphan"
    assert len(orphans) <= 8, "only what was in flight"
    assert all(attempt.usage_source == "estimated" and attempt.cost_nanos for attempt in orphans)
    succeeded = collections.Counter(attempt.idempotency_key for attempt in attempts if attempt.status == "succeeded")
    assert len(succeeded) == ROWS
    assert set(succeeded.values()) == {1}
    assert all(check.equal for check in ws.ledger.balances())


def test_kill_of_the_server_alone_goes_unnoticed_by_its_client(workspace_dir: Path, provider: Simulator) -> None:
    client = start_client(workspace_dir)
    await_billed(provider, 16)
    os.kill(int(json.loads(Places(workspace_dir).info.read_text())["pid"]), signal.SIGKILL)
    out, errors = client.communicate(timeout=120)
    assert client.returncode == 0, errors
    assert f"'succeeded': {ROWS}" in out
    ws = hishamos.open(workspace_dir)
    orphans = [attempt for attempt in ws.ledger.calls(limit=1000) if attempt.status == "orphaned"]
    requests = collections.Counter(entry["marker"] for entry in provider.book())
    assert sum(count - 1 for count in requests.values()) <= len(orphans) <= 8


def test_a_workflow_goes_on_after_its_server_was_killed(workspace_dir: Path, provider: Simulator) -> None:
    ws = hishamos.open(workspace_dir)
    run = ws.workflows.start("triage_bugs", {"file": hishamos.sample("bugs.csv"), "publish": "ask"})
    await_billed(provider, 16)
    pid = ws.health.ping().pid
    os.kill(pid, signal.SIGKILL)
    run = ws.runs.wait(run.id, timeout_s=120)
    assert (run.state, ws.health.ping().pid != pid) == ("waiting", True), run.error
    requests = collections.Counter(entry["marker"] for entry in provider.book())
    orphans = [attempt for attempt in ws.runs.calls(run.id) if attempt.status == "orphaned"]
    assert sum(count - 1 for count in requests.values()) <= len(orphans) <= 16
    sent = len(provider.book())
    os.kill(ws.health.ping().pid, signal.SIGKILL)
    assert ws.runs.get(run.id).state == "waiting"
    ws.runs.approve(run.id, "approve")
    assert ws.runs.wait(run.id, timeout_s=60).state == "succeeded"
    assert len(provider.book()) == sent, "nothing that stands before an approval is run again"
