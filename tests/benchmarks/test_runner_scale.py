"""How the runner scales: items a second at two sizes, the time to a resumed run's first call, steps that do nothing."""

from __future__ import annotations

import time

import pytest

from hishamos.engine import functions
from tests.rigs.run_bench import Bench
from tests.rigs.scripted_models import ScriptedModels

pytestmark = pytest.mark.benchmark
ITEM = {"type": "command", "with": {"command": "echo", "inputs": {"text": "{{ item }}"}}}


@pytest.fixture
def bench(tmp_path):
    made = Bench(str(tmp_path / "scale.duckdb"), ScriptedModels(lambda request, key: "ok", threads=2))
    yield made
    made.close()


def mapped(bench, count):
    identity = bench.insert([{"id": "m", "type": "map", "with": {"over": f"{{{{ range({count}) }}}}", "concurrency": 64, "step": ITEM}}])
    begun = time.perf_counter()
    bench.work(identity)
    return identity, time.perf_counter() - begun


def test_a_map_takes_time_in_proportion_to_its_items(bench):
    mapped(bench, 200)
    small, large = mapped(bench, 1_000)[1], mapped(bench, 5_000)[1]
    print(f"\nmap: 1,000 items {small:.2f} s, 5,000 items {large:.2f} s, ratio {large / small:.1f} (in proportion: 5.0)")
    assert large / small < 10


def test_a_run_with_10000_finished_items_resumes_within_a_second(bench):
    identity, _ = mapped(bench, 10_000)
    last = f"{identity}/m[9999]/1/0"

    def cut_off(transaction):
        transaction.execute("update journal_runs set state = 'running', lease_owner = 'dead'")
        transaction.execute("delete from journal_steps where path in ('m', 'm[9999]')")

    bench.store.transaction(cut_off)
    bench.models.forget(last)
    sent = len(bench.models.sent)
    begun = time.perf_counter()
    work = bench.process().begin(identity)
    while len(bench.models.sent) == sent:
        time.sleep(0.001)
    took = time.perf_counter() - begun
    work.result(60)
    print(f"\nresume of 10,000 finished items: {took:.2f} s to the first new call")
    assert bench.models.sent[sent:] == [last]
    assert took < 2


def test_steps_that_do_nothing(bench, monkeypatch):
    monkeypatch.setattr(functions, "OWN", (functions.ROOM, "tests.rigs."))
    monkeypatch.setattr(functions, "_plugged", lambda: {"note": "tests.rigs.step_functions:note"})
    functions.function.cache_clear()
    chain = [{"id": f"s{n}", "type": "python", "after": [f"s{n - 1}"] if n else [], "with": {"function": "note"}} for n in range(100)]
    bench.work(bench.insert(chain[:5]))
    identity = bench.insert(chain)
    runner = bench.process()
    begun = time.perf_counter()
    bench.work(identity, runner)
    alone = (time.perf_counter() - begun) / 100
    writes = []
    insert = "insert into requests (id, verb, answer, made_at) values ($id, 'x', '', $moment)"
    for number in range(50):
        begun = time.perf_counter()
        values = {"id": f"x{number}", "moment": bench.get(identity).created_at}
        bench.store.transaction(lambda transaction, values=values: transaction.execute(insert, values))
        writes.append(time.perf_counter() - begun)
    commit = sorted(writes)[25]
    print(f"\na durable step that does nothing: {alone * 1000:.1f} ms, {alone / commit:.1f} one-row commits")
    functions.function.cache_clear()
