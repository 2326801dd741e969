"""Many calls at once, against bare ``litellm.acompletion`` in the same run: ``pytest -m benchmark -s tests/benchmarks/test_throughput.py``.

The gateway runs as in a server, the bare calls as in anybody's program: each with its own setting of Python's cycle collector.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import statistics
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hishamos.composition import spare_the_collector
from hishamos.contracts.models import PendingCall
from hishamos.gateway.adapters.litellm_chat import LitellmAdapter
from hishamos.records.calls import Tags
from tests.rigs.gateways import KEYS, House, build, provider, request, settings_for
from tests.rigs.simulator import Simulator

pytestmark = [pytest.mark.benchmark, pytest.mark.timeout(600)]


@contextlib.contextmanager
def as_in_a_server() -> Iterator[None]:
    usual = gc.get_threshold()
    spare_the_collector()
    try:
        yield
    finally:
        gc.unfreeze()
        gc.set_threshold(*usual)


class Race:
    """The same number of the same calls, bare on a loop of its own and through the gateway, by turns."""

    def __init__(self, simulator: Simulator, folder: Path, at_once: int) -> None:
        self.at_once, self.url = at_once, f"{simulator.url}/v1"
        self.house: House = build(settings_for(provider("openai", simulator.url, concurrency=at_once)), str(folder / "store.duckdb"))
        self.litellm = LitellmAdapter()._litellm()

    async def bare(self, calls: int) -> float:
        places = asyncio.Semaphore(self.at_once)
        ask: dict[str, Any] = {"model": "openai/gpt-4.1-mini", "max_tokens": 100, "num_retries": 0, "max_retries": 0, "timeout": 60.0}

        async def one(number: int) -> None:
            async with places:
                messages = [{"role": "user", "content": f"hello {number}"}]
                await self.litellm.acompletion(messages=messages, api_key=KEYS["env:OPENAI_API_KEY"], api_base=self.url, **ask)

        await one(-1)  # its connection pool and imports
        started = time.perf_counter()
        await asyncio.gather(*(one(number) for number in range(calls)))
        return time.perf_counter() - started

    def ours(self, calls: int) -> float:
        self.house.ask()
        started = time.perf_counter()
        with as_in_a_server():
            pending = [self._submit(f"hello {number}", f"{started}-{number}") for number in range(calls)]
            assert all(call.outcome.result(120).text for call in pending)
        return time.perf_counter() - started

    def _submit(self, text: str, key: str) -> PendingCall:
        return self.house.gateway.submit(request(text, max_output_tokens=100), key=key, tags=Tags())

    def ratio(self, calls: int, rounds: int) -> tuple[float, float, float]:
        """Return calls per second bare and ours, and the median of the rounds' ratios."""
        asyncio.run(self.bare(calls)), self.ours(calls)
        taken = [(asyncio.run(self.bare(calls)), self.ours(calls)) for _ in range(rounds)]
        bare, ours = (calls / statistics.median(times) for times in zip(*taken, strict=True))
        return bare, ours, statistics.median(bare / ours for bare, ours in taken)


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    with Simulator() as running:
        yield running


def test_calls_a_second_at_64_at_once(simulator: Simulator, tmp_path: Path) -> None:
    simulator.script("*", then={"delay_s": 0.1})
    race = Race(simulator, tmp_path, at_once=64)
    bare, ours, ratio = race.ratio(calls=640, rounds=5)
    race.house.close()
    print(f"\n64 at once, 100 ms provider: bare {bare:.0f} calls/s, through the gateway {ours:.0f} calls/s: {ratio:.2f} × bare")


def test_256_at_once(simulator: Simulator, tmp_path: Path) -> None:
    simulator.script("*", then={"delay_s": 1.0})
    race = Race(simulator, tmp_path, at_once=256)
    bare, ours, ratio = race.ratio(calls=256, rounds=4)
    race.house.close()
    print(f"\n256 calls of 1 s: bare {256 / bare:.2f} s, through the gateway {256 / ours:.2f} s: {1 / ratio:.2f} × bare")
