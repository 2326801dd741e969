"""The picture of a run tells what its journal holds, alike on both store engines."""

from __future__ import annotations

import time
from types import SimpleNamespace

import pytest

from hishamos.engine import functions
from hishamos.records.actors import Actor
from hishamos.services.runs import RunsService
from tests.rigs import step_functions
from tests.rigs.run_bench import Bench
from tests.rigs.scripted_models import ScriptedModels

STEPS = [
    {"id": "charge", "type": "python", "with": {"function": "note"}, "compensate": {"type": "python", "with": {"function": "note", "value": "undone"}}},
    {
        "id": "each",
        "type": "map",
        "after": ["charge"],
        "with": {
            "over": "{{ inputs.rows }}",
            "as": "row",
            "concurrency": 2,
            "step": {"type": "command", "with": {"command": "echo", "inputs": {"text": "{{ row }}"}}},
        },
    },
    {"id": "last", "type": "python", "after": ["each"], "with": {"function": "boom"}, "retry": {"attempts": 1}},
]


@pytest.fixture(params=["duckdb", "postgres"])
def address(request, tmp_path, monkeypatch):
    monkeypatch.setattr(functions, "OWN", (functions.ROOM, "tests.rigs."))
    monkeypatch.setattr(functions, "_plugged", lambda: {name: f"tests.rigs.step_functions:{name}" for name in ("note", "boom")})
    functions.function.cache_clear()
    step_functions.calls.clear()
    yield request.getfixturevalue("postgres_url") if request.param == "postgres" else str(tmp_path / "journal.duckdb")
    functions.function.cache_clear()


def until(check, pause_s: float = 0.005) -> None:
    end = time.monotonic() + 20
    while not check():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(pause_s)


def pictured(bench: Bench, run: str, format: str = "text") -> str:
    machinery = SimpleNamespace(journal=bench.journal, store=bench.store)
    return RunsService(machinery, Actor(name="amal")).picture(run, format=format).text


def test_a_run_before_in_and_after(address):
    models = ScriptedModels(hold=True)
    bench = Bench(address, models)
    try:
        run = bench.insert(STEPS, {"rows": ["a", "b", "c", "d", "e"]})
        assert pictured(bench, run).count("pending") == 3
        runner = bench.process()
        ended = runner.begin(run)
        until(lambda: len(models.open_keys) == 2)
        models.release(models.open_keys[0])
        until(lambda: "1/5" in pictured(bench, run), pause_s=0.1)
        assert "each    ● running" in pictured(bench, run)
        models.hold = False
        models.release()
        ended.result(60)
        told = pictured(bench, run)
        assert "5/5" in told
        assert "each    ✓ succeeded" in told
        assert "last    ✕ failed" in told
        assert "undone by: python note ✓ succeeded" in told
        assert 's2["last' in pictured(bench, run, "mermaid")
    finally:
        bench.close()


def test_a_run_shows_the_definition_that_it_was_started_with(address):
    bench = Bench(address)
    try:
        run = bench.run(
            [{"id": "route", "type": "switch", "with": {"on": "{{ inputs.kind }}", "cases": {"حرج": {"type": "command", "with": {"command": "echo"}}}}}],
            {"kind": "z"},
        )
        told = pictured(bench, run.id)
        assert "route  ○ skipped" in told
        assert "حرج: command echo" in told
    finally:
        bench.close()
