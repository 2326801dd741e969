"""Whether the server's memory stays flat: ``pytest -m benchmark -s tests/benchmarks/test_memory.py`` (some ten minutes)."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

import hishamos
from hishamos.remote.requests import Requests

CALLS = int(os.environ.get("HISHAMOS_BENCHMARK_CALLS") or 100_000)
PROCESSES, THREADS = 2, 4
CALLER = """
import sys, hishamos
from concurrent.futures import ThreadPoolExecutor
path, mine, calls, threads = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
ws = hishamos.open(path)
def one(number):
    text = f"Report {mine}-{number}: the app crashes on save and the file is lost"
    return ws.commands.run("classify_bug", {"text": text}, model="offline/extractive").output["severity"]
with ThreadPoolExecutor(threads) as pool:
    for done, _ in enumerate(pool.map(one, range(calls)), 1):
        if done % 100 == 0: print(done, flush=True)
"""


@pytest.mark.benchmark
@pytest.mark.timeout(3000)
def test_the_server_stays_as_large_as_it_was(workspace_dir: Path) -> None:
    ws = hishamos.open(workspace_dir)
    ws.health.ping()
    server = psutil.Process(json.loads((workspace_dir / "data" / "local" / "server.json").read_text())["pid"])
    command = [sys.executable, "-c", CALLER, str(workspace_dir)]
    started = time.perf_counter()
    callers = [subprocess.Popen([*command, str(mine), str(CALLS // PROCESSES), str(THREADS)], stdout=subprocess.PIPE, text=True) for mine in range(PROCESSES)]
    levels: dict[int, float] = {}
    for line in callers[0].stdout or ():
        done = int(line) * PROCESSES
        if done % (CALLS // 10) == 0:
            levels[done] = server.memory_info().rss / 1e6
            print(f"\nafter {done:>7,} calls: {levels[done]:.0f} MB", end="", flush=True)
    assert all(caller.wait() == 0 for caller in callers)
    calls = int(ws.sql("select count(*) as calls from attempts")["calls"][0])
    first = levels[min(levels)]
    spread = [level / first - 1 for level in levels.values()]
    print(f"\n{calls:,} calls in {time.perf_counter() - started:.0f} s; against the level after {min(levels):,}: {min(spread):+.1%} to {max(spread):+.1%}")
    Requests(workspace_dir).stop()
    assert calls == CALLS
