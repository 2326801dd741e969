"""Durable steps that do nothing beside DBOS on SQLite, in one run: ``pip install '.[benchmarks]'``, ``pytest -m benchmark -s tests/benchmarks/test_beside_dbos.py``.

Both at their default durability. By turns, three times; what is compared is the median of the ratios.
"""

from __future__ import annotations

import importlib.util
import json
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from hishamos.engine import functions
from hishamos.records.runs import RunState
from tests.rigs.run_bench import Bench

pytestmark = [
    pytest.mark.benchmark,
    pytest.mark.timeout(600),
    pytest.mark.skipif(importlib.util.find_spec("dbos") is None, reason="needs dbos: pip install '.[benchmarks]'"),
]
SCRIPT = Path(__file__).parents[1] / "rigs" / "dbos_bench.py"
TURNS, STEPS, RUNS = 3, 200, 64


def theirs(file: Path) -> dict[str, Any]:
    done = subprocess.run([sys.executable, str(SCRIPT), str(file), str(STEPS), str(RUNS)], capture_output=True, text=True, check=True)
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return answer


def chain(count: int) -> list[dict[str, Any]]:
    return [{"id": f"s{n}", "type": "python", "after": [f"s{n - 1}"] if n else [], "with": {"function": "note"}} for n in range(count)]


def ours(file: Path) -> dict[str, Any]:
    bench = Bench(str(file))
    try:
        runner = bench.process()
        bench.work(bench.insert(chain(5)), runner)
        long = bench.insert(chain(STEPS))
        begun = time.perf_counter()
        bench.work(long, runner)
        step_s = (time.perf_counter() - begun) / STEPS
        begun = time.perf_counter()
        started = [bench.insert(chain(5)) for _ in range(RUNS)]
        states = [work.result(120) for work in [runner.begin(one) for one in started]]
        together_s = time.perf_counter() - begun
        sql = "select name, value from duckdb_settings() where name like '%sync%' or name like 'wal%' or name = 'checkpoint_threshold' order by name"
        settings = {row["name"]: row["value"] for row in bench.store.fetch(sql)}
        return {"step_s": step_s, "together_s": together_s, "errors": sum(state is not RunState.SUCCEEDED for state in states), "settings": settings}
    finally:
        bench.close()


def test_beside_dbos(tmp_path, monkeypatch):
    monkeypatch.setattr(functions, "OWN", (functions.ROOM, "tests.rigs."))
    monkeypatch.setattr(functions, "_plugged", lambda: {"note": "tests.rigs.step_functions:note"})
    functions.function.cache_clear()
    turns = [(ours(tmp_path / f"{turn}.duckdb"), theirs(tmp_path / f"{turn}.sqlite")) for turn in range(TURNS)]
    functions.function.cache_clear()
    print(f"\nours: DuckDB, every commit is written and synced to its log; settings {turns[0][0]['settings']}")
    print(f"DBOS: SQLite, settings {turns[0][1]['settings']} (synchronous 2 is FULL: synced at every commit)")
    for what, name in (("a durable step that does nothing", "step_s"), (f"{RUNS} runs x 5 steps at once", "together_s")):
        ratios = [mine[name] / other[name] for mine, other in turns]
        pairs = ", ".join(f"{mine[name] * 1000:.1f} against {other[name] * 1000:.1f} ms" for mine, other in turns)
        print(f"{what}: {statistics.median(ratios):.2f} x DBOS ({pairs})")
        assert statistics.median(ratios) <= 1.0
    assert sum(one["errors"] for pair in turns for one in pair) == 0
