"""What gateway and ledger add to one bare litellm call, against two durable one-row commits on the same store."""

from __future__ import annotations

import asyncio
import statistics
import time
import uuid
from pathlib import Path

import pytest

from hishamos.gateway.adapters.litellm_chat import LitellmAdapter
from tests.rigs.gateways import KEYS, build, provider, settings_for
from tests.rigs.simulator import Simulator

ROUNDS = 150
WARM_UP = 20
LIMIT = 3.5


@pytest.mark.benchmark
def test_added_to_one_bare_call(tmp_path: Path) -> None:
    """Each round does one of each, so that all three meet the same machine; bare calls run on the gateway's own loop."""
    with Simulator() as simulator:
        found = provider("openai", simulator.url)
        house = build(settings_for(found), str(tmp_path / "store.duckdb"))
        house.store.transaction(lambda transaction: transaction.execute("create table rows_of_one (id text)"))
        litellm = LitellmAdapter()._litellm()

        def bare() -> None:
            call = litellm.acompletion(
                model="openai/gpt-4.1-mini",
                messages=[{"role": "user", "content": "hello"}],
                api_key=KEYS["env:OPENAI_API_KEY"],
                api_base=found.api_base,
                max_tokens=100,
                num_retries=0,
                max_retries=0,
            )
            asyncio.run_coroutine_threadsafe(call, house.gateway._loop).result(30)

        def ours() -> None:
            assert house.ask("hello", max_output_tokens=100).text

        def commit() -> None:
            values = {"id": uuid.uuid4().hex}
            house.store.transaction(lambda transaction: transaction.execute("insert into rows_of_one values ($id)", values))

        taken: dict[str, list[float]] = {"bare": [], "ours": [], "commit": []}
        for _ in range(WARM_UP + ROUNDS):
            for work in (bare, ours, bare, commit):
                started = time.perf_counter()
                work()
                taken[work.__name__].append((time.perf_counter() - started) * 1000)
        house.close()
    without, with_all, one = (statistics.median(taken[name][WARM_UP:]) for name in ("bare", "ours", "commit"))
    ratio = (with_all - without) / (2 * one)
    print(f"\nbare {without:.2f} ms, through the gateway {with_all:.2f} ms, one commit {one:.2f} ms: added = {ratio:.2f} × two commits")
    assert ratio <= LIMIT
