"""What the workspace server costs and gives: ``pytest -m benchmark -s tests/benchmarks/test_server_numbers.py`` prints it.

Ratios are of one run on one machine; nothing here fails because a machine is slow.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

import hishamos
from hishamos.remote.requests import Requests
from tests.rigs.simulator import Simulator

pytestmark = [pytest.mark.benchmark, pytest.mark.timeout(600)]
PROCESSES, EACH, TURNS_S = 8, 300, 20
WRITER = """
import sys, time, json, hishamos
from hishamos.records.results import ResultDraft
ws = hishamos.open(sys.argv[1])
ws.health.ping()
print("ready", flush=True)
sys.stdin.readline()
times, errors, begun = [], 0, time.perf_counter()
for number in range(int(sys.argv[2])):
    start = time.perf_counter()
    try: ws.results.save(ResultDraft(title="one row"))
    except hishamos.HishamosError: errors += 1
    times.append(time.perf_counter() - start)
print(json.dumps({"times": times, "errors": errors}))
"""
BY_TURNS = """
import sys, time, json, duckdb
print("ready", flush=True)
sys.stdin.readline()
done = errors = 0
end = time.monotonic() + float(sys.argv[2])
while time.monotonic() < end:
    try:
        with duckdb.connect(sys.argv[1]) as connection:
            connection.execute("insert into t values (1, 'one row')")
        done += 1
    except duckdb.Error:
        errors += 1
        time.sleep(0.001)
print(json.dumps({"done": done, "errors": errors}))
"""


def together(code: str, *arguments: str) -> tuple[float, list[dict[str, object]]]:
    """Run eight processes that begin at the same time; return the seconds until the last one ended and what each said."""
    import json

    command = [sys.executable, "-c", code, *arguments]
    processes = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(PROCESSES)]
    for process in processes:
        assert process.stdout is not None
        process.stdout.readline()
    begun = time.perf_counter()
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    said = [json.loads(process.communicate()[0]) for process in processes]
    return time.perf_counter() - begun, said


def median_ms(work: Callable[[], object], number: int) -> float:
    times = []
    for _ in range(number):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return statistics.median(times) * 1000


def test_durable_rows_against_opening_the_file_by_turns(workspace_dir: Path, tmp_path: Path) -> None:
    import duckdb

    ws = hishamos.open(workspace_dir)
    ws.health.ping()
    seconds, said = together(WRITER, str(workspace_dir), str(EACH))
    times = sorted(one for process in said for one in process["times"])  # type: ignore[attr-defined]
    errors = sum(process["errors"] for process in said)  # type: ignore[misc]
    with duckdb.connect(str(tmp_path / "turns.duckdb")) as connection:
        connection.execute("create table t (n integer, words text)")
    turns_seconds, turns = together(BY_TURNS, str(tmp_path / "turns.duckdb"), str(TURNS_S))
    rate = PROCESSES * EACH / seconds
    by_turns = sum(process["done"] for process in turns) / turns_seconds  # type: ignore[misc]
    lock_errors = sum(process["errors"] for process in turns)  # type: ignore[misc]
    print(
        f"\ndurable one-row changes, 8 processes: {rate:.0f}/s, {errors} errors, p50 {times[len(times) // 2] * 1000:.1f} ms, p95 {times[int(len(times) * 0.95)] * 1000:.1f} ms"
    )
    print(f"by turns: {by_turns:.1f}/s, {lock_errors} lock errors; ratio {rate / by_turns:.0f}")
    assert errors == 0


def test_first_answer_ping_and_offline_command(workspace_dir: Path) -> None:
    begun = time.perf_counter()
    ws = hishamos.open(workspace_dir)
    ws.health.status()
    first = time.perf_counter() - begun
    ping = median_ms(ws.health.ping, 500)
    inputs = {"text": "The app crashes on save and the file is lost"}
    ws.commands.run("classify_bug", inputs, model="offline/extractive")
    command = median_ms(lambda: ws.commands.run("classify_bug", inputs, model="offline/extractive"), 100)
    print(f"\nfirst client to first answer {first:.2f} s; ping p50 {ping:.2f} ms; offline command p50 {command:.1f} ms")
    Requests(workspace_dir).stop()


def test_a_cached_answer(workspace_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-simulated-0123456789")
    with Simulator() as simulator:
        (workspace_dir / "hishamos.toml").write_text(f'[providers.openai]\nkind = "openai"\napi_key = "env:OPENAI_API_KEY"\napi_base = "{simulator.url}/v1"\n')
        (workspace_dir / "commands").mkdir()
        command = "name: say\ndescription: Say it.\nparameters: {text: {type: text}}\ntemplate: '{{ text }}'\ncache: 1h\n"
        (workspace_dir / "commands" / "say.yaml").write_text(command)
        ws = hishamos.open(workspace_dir)
        for _ in range(5):
            ws.commands.run("say", {"text": "hello"}, model="openai/gpt-4.1-mini")
        hit = median_ms(lambda: ws.commands.run("say", {"text": "hello"}, model="openai/gpt-4.1-mini"), 100)
        assert len(simulator.book()) == 1
    print(f"\ncache hit from a warm client p50 {hit:.1f} ms; ping p50 {median_ms(ws.health.ping, 200):.2f} ms")
    Requests(workspace_dir).stop()


def test_import_and_help() -> None:
    def run(*command: str) -> float:
        return median_ms(lambda: subprocess.run(command, capture_output=True, check=True), 7) / 1000

    empty = run(sys.executable, "-c", "pass")
    imported = run(sys.executable, "-c", "import hishamos; hishamos.open")
    shown = run(sys.executable, "-m", "hishamos", "--help")
    print(f"\nimport hishamos {imported - empty:.3f} s over an empty Python ({empty:.3f} s); hishamos --help {shown:.2f} s")
