"""A map over a DataFrame against bare ``litellm.acompletion``, its kernel's memory, and the first call of a fresh kernel.

``pytest -m benchmark -s tests/benchmarks/test_frames.py``; ``HISHAMOS_BENCHMARK_ROWS`` for fewer than 10,000 rows.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

import hishamos
from tests.rigs.simulator import Simulator

pytestmark = [pytest.mark.benchmark, pytest.mark.timeout(900)]

ROWS = int(os.environ.get("HISHAMOS_BENCHMARK_ROWS") or 10_000)
AT_ONCE = 64
SAY = "name: say\ndescription: Say it.\nparameters: {text: {type: text}}\ntemplate: '{{ text }}'\nmax_output_tokens: 100\n"
BARE = """
import asyncio, json, sys, time
import litellm
url, calls, at_once = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
ask = {"model": "openai/gpt-4.1-mini", "max_tokens": 100, "num_retries": 0, "max_retries": 0, "timeout": 60.0, "api_key": "sk-bare-0123456789abcdef", "api_base": url}
async def bare(calls):
    places = asyncio.Semaphore(at_once)
    async def one(number):
        async with places:
            await litellm.acompletion(messages=[{"role": "user", "content": f"hello {number}"}], **ask)
    await one(-1)
    began, used = time.perf_counter(), time.process_time()
    await asyncio.gather(*(one(number) for number in range(calls)))
    return calls / (time.perf_counter() - began), (time.process_time() - used) / calls
asyncio.run(bare(at_once))
print(json.dumps(asyncio.run(bare(calls))))
"""
KERNEL = """
import json, os, sys, time
import hishamos
import pandas as pd
path, rows, at_once = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
def memory(name):
    return next(int(line.split()[1]) / 1024 for line in open("/proc/self/status") if line.startswith(name))
ws = hishamos.open(path)
ws.map(pd.DataFrame({"text": [f"warm {number}" for number in range(at_once)]}), "say", concurrency=at_once, fresh=True)
frame = pd.DataFrame({"text": [f"hello {number}" for number in range(rows)]})
open("/proc/self/clear_refs", "w").write("5")
before, began, used = memory("VmRSS"), time.perf_counter(), time.process_time()
done = ws.map(frame, "say", concurrency=at_once, fresh=True)
taken = time.perf_counter() - began
assert (done["hos_status"] == "succeeded").all()
print(json.dumps({
    "rate": rows / taken, "client_cpu": (time.process_time() - used) / rows, "grown_mb": memory("VmHWM") - before,
    "frame_mb": float(done.memory_usage(deep=True).sum()) / 2**20, "heavy": sorted({"litellm", "duckdb"} & set(sys.modules)),
}))
"""
FIRST = """
import time; began = time.perf_counter()
import hishamos
ws = hishamos.open({path!r})
names = [command.name for command in ws.commands.list()]
print(time.perf_counter() - began)
"""


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    with Simulator() as running:
        running.script("*", then={"delay_s": 0.1})
        yield running


@pytest.fixture
def workspace(workspace_dir: Path, simulator: Simulator) -> Path:
    (workspace_dir / "key").write_text("sk-frames-0123456789abcdef")
    (workspace_dir / "hishamos.toml").write_text(
        f'[providers.openai]\napi_key = "file:{workspace_dir}/key"\napi_base = "{simulator.url}/v1"\nconcurrency = {AT_ONCE}\n'
        '[routes.default]\nmodels = ["openai/gpt-4.1-mini"]\n'
    )
    (workspace_dir / "commands").mkdir()
    (workspace_dir / "commands" / "say.yaml").write_text(SAY)
    return workspace_dir


def child(code: str, *arguments: object) -> Any:
    done = subprocess.run([sys.executable, "-c", code, *map(str, arguments)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout)


def test_a_map_of_many_rows(workspace: Path, simulator: Simulator) -> None:
    hishamos.open(workspace).commands.run("say", {"text": "warm"})
    server = psutil.Process(json.loads((workspace / "data" / "local" / "server.json").read_text())["pid"])
    races: list[tuple[float, float]] = []
    for _ in range(2):
        before, cpu_before = child(BARE, f"{simulator.url}/v1", ROWS // 4, AT_ONCE)
        used = sum(server.cpu_times()[:2])
        found = child(KERNEL, workspace, ROWS, AT_ONCE)
        cpu = (sum(server.cpu_times()[:2]) - used) / (ROWS + AT_ONCE)
        after, cpu_after = child(BARE, f"{simulator.url}/v1", ROWS // 4, AT_ONCE)
        races.append((statistics.mean((before, after)), found["rate"]))
        print(
            f"\nmap of {ROWS:,} rows, {AT_ONCE} at once, 100 ms provider: {found['rate']:.0f} rows/s, bare {before:.0f} and {after:.0f} calls/s:"
            f" {found['rate'] / statistics.mean((before, after)):.2f} × bare"
            f"\n  processor: server {cpu * 1e3:.2f} ms a row, kernel {found['client_cpu'] * 1e3:.2f} ms, bare {(cpu_before + cpu_after) * 500:.2f} ms a call"
            f"\n  kernel's peak grew by {found['grown_mb']:.1f} MB, the finished frame has {found['frame_mb']:.1f} MB; loaded: {found['heavy'] or 'nothing heavy'}",
            flush=True,
        )
        assert found["heavy"] == []
        assert found["grown_mb"] <= 2 * found["frame_mb"] + 32
    assert max(ours / bare for bare, ours in races) >= 0.8


def test_the_first_call_of_a_fresh_kernel(workspace: Path) -> None:
    from jupyter_client.manager import start_new_kernel

    hishamos.open(workspace).commands.list()
    times = []
    for _ in range(5):
        manager, client = start_new_kernel(kernel_name="python3")
        said: list[Any] = []
        client.execute_interactive(FIRST.format(path=str(workspace)), timeout=60, output_hook=said.append)
        times.append(float("".join(message["content"].get("text", "") for message in said)))
        client.stop_channels()
        manager.shutdown_kernel(now=True)
    print(f"\nfirst call of a fresh kernel, server warm, imports included: {statistics.median(times):.2f} s (of {', '.join(f'{one:.2f}' for one in times)})")
    assert statistics.median(times) <= 0.7


def test_the_first_call_of_a_fresh_process(workspace: Path) -> None:
    hishamos.open(workspace).commands.list()
    code = FIRST.format(path=str(workspace))
    times = []
    for _ in range(5):
        began = time.perf_counter()
        subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
        times.append(time.perf_counter() - began)
    print(f"\nfirst call of a fresh process, Python's own start included: {statistics.median(times):.2f} s")
    assert statistics.median(times) <= 0.7
