"""A map that is interrupted or killed half way: the same call finishes it, and what was answered is not sent again.

The kills of fewer rows stand in ``test_kills.py``; here are Ctrl-C, and the long form of all of them: ``pytest -m chaos``.
"""

from __future__ import annotations

import collections
import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import hishamos
from hishamos.contracts.wire import Places
from tests.chaos.test_kills import await_billed
from tests.rigs.nursery import Client, python
from tests.rigs.simulator import Simulator

CLIENT = """
import json, sys, hishamos, pandas as pd
ws = hishamos.open(sys.argv[1])
frame = pd.DataFrame({"text": [f"report number {n}" for n in range(int(sys.argv[2]))]}, index=range(1000, 1000 + int(sys.argv[2])))
done = frame.hishamos.map("classify_bug", concurrency=int(sys.argv[3]))
assert list(done.index) == list(frame.index)
print(json.dumps({"states": done["hos_status"].value_counts().to_dict(), "reused": int(done["hos_reused"].sum())}))
"""


@pytest.fixture
def provider(workspace_dir: Path) -> Iterator[Simulator]:
    with Simulator() as simulator:
        simulator.script("gpt-4.1-mini", then={"delay_s": 0.25})
        (workspace_dir / "key").write_text("sk-chaos-0123456789abcdef")
        (workspace_dir / "hishamos.toml").write_text(
            f'[providers.openai]\napi_key = "file:{workspace_dir}/key"\napi_base = "{simulator.url}/v1"\n[routes.default]\nmodels = ["openai/gpt-4.1-mini"]\n'
        )
        yield simulator


def start(folder: Path, rows: int, at_once: int) -> Client:
    return python(CLIENT, folder, rows, at_once, session=True)


def told(client: Client, seconds: float) -> Any:
    out, errors = client.communicate(timeout=seconds)
    assert client.returncode == 0, errors
    return json.loads(out)


def holds(folder: Path, simulator: Simulator, rows: int, in_flight: int) -> None:
    """Every row was answered once; what was sent beyond that pairs with an orphan of what was in flight when a server died."""
    ws = hishamos.open(folder)
    for run in ws.runs.list():
        assert ws.runs.wait(run.id, timeout_s=120).ended
    calls = ws.ledger.calls(limit=10 * rows)
    orphans = [call for call in calls if call.status == "orphaned"]
    sent = collections.Counter(entry["marker"] for entry in simulator.book())
    assert len(sent) == rows
    assert sum(count - 1 for count in sent.values()) <= len(orphans) <= in_flight
    assert all(orphan.usage_source == "estimated" for orphan in orphans)
    assert collections.Counter(call.idempotency_key for call in calls if call.status == "succeeded").most_common(1)[0][1] == 1
    assert sum(call.status == "succeeded" for call in calls) == rows
    assert all(check.equal for check in ws.ledger.balances())


def test_ctrl_c_gives_the_frame_as_far_as_it_is_and_the_same_call_goes_on(workspace_dir: Path, provider: Simulator) -> None:
    client = start(workspace_dir, 40, 8)
    await_billed(provider, 15)
    client.send_signal(signal.SIGINT)
    part = told(client, 60)["states"]
    assert sum(part.values()) == 40
    assert part["succeeded"] >= 8
    assert part["pending"] >= 8
    whole = told(start(workspace_dir, 40, 8), 120)
    assert whole["states"] == {"succeeded": 40}
    assert whole["reused"] >= part["succeeded"], "the second call takes what the first one paid, and joins what it asks"
    holds(workspace_dir, provider, 40, in_flight=0)


@pytest.mark.chaos
@pytest.mark.timeout(900)
@pytest.mark.parametrize("way", ["kill of the client", "ctrl-c", "kill of the server", "kill of both"])
def test_a_thousand_rows(workspace_dir: Path, provider: Simulator, way: str) -> None:
    client = start(workspace_dir, 1000, 32)
    await_billed(provider, 400, 300)
    if way in ("kill of the server", "kill of both"):
        os.kill(int(json.loads(Places(workspace_dir).info.read_text())["pid"]), signal.SIGKILL)
    if way == "ctrl-c":
        client.send_signal(signal.SIGINT)
        assert told(client, 120)["states"]["pending"] > 0
    elif way != "kill of the server":
        client.kill()
        client.wait()
    else:
        assert told(client, 600)["states"] == {"succeeded": 1000}
    assert told(start(workspace_dir, 1000, 32), 600)["states"] == {"succeeded": 1000}
    holds(workspace_dir, provider, 1000, in_flight=32 if "server" in way or "both" in way else 0)
