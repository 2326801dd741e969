"""Three providers that are each down one minute in ten, independently: whoever asks hardly notices.

A minute is scaled to a part of a second. Requests that lie wholly or partly in a minute in which all three are down do not count.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from hishamos.records.calls import CallStatus, Outcome, Tags
from tests.rigs.gateways import MODELS, House, build, provider, request, settings_for
from tests.rigs.simulator import Simulator

MINUTE_S = 0.27
DOWN = 0.1
AT_ONCE = 64
OUTAGES = ({"status": 503}, {"status": 500}, {"drop": True}, {"status": 529})


@dataclass
class Weather:
    """Takes providers down for whole minutes, by a seeded draw, and keeps when nobody was up."""

    simulators: dict[str, Simulator]
    draw: random.Random
    dark: list[tuple[float, float]] = field(default_factory=list)
    outages: int = 0
    ended: threading.Event = field(default_factory=threading.Event)

    def blow(self) -> None:
        while not self.ended.is_set():
            begun = time.monotonic()
            down = {name for name in self.simulators if self.draw.random() < DOWN}
            for name, simulator in self.simulators.items():
                simulator.script("*", then=self.draw.choice(OUTAGES) if name in down else {})
            self.outages += len(down)
            self.ended.wait(MINUTE_S)
            if len(down) == len(self.simulators):
                self.dark.append((begun, time.monotonic()))

    def was_dark(self, begun: float, ended: float) -> bool:
        return any(begun < until and ended > since for since, until in self.dark)


@pytest.fixture
def simulators() -> Iterator[dict[str, Simulator]]:
    running = {name: Simulator() for name in MODELS}
    yield running
    for simulator in running.values():
        simulator.close()


def send(house: House, number: int, places: threading.Semaphore, taken: dict[int, tuple[float, float, Outcome]]) -> Future[Outcome]:
    begun = time.monotonic()
    pending = house.gateway.submit(request(f"question {number}", max_output_tokens=50), key=f"q/{number}", tags=Tags())

    def ended(future: Future[Outcome]) -> None:
        taken[number] = (begun, time.monotonic(), future.result())
        places.release()

    pending.outcome.add_done_callback(ended)
    return pending.outcome


@pytest.mark.parametrize(
    ("calls", "seed"), [(500, 7), pytest.param(10_000, 11, marks=[pytest.mark.chaos, pytest.mark.timeout(900)])], ids=["short", "ten thousand"]
)
def test_nearly_every_request_is_answered(simulators: dict[str, Simulator], tmp_path: Path, calls: int, seed: int) -> None:
    providers = [provider(name, simulator.url, concurrency=AT_ONCE) for name, simulator in simulators.items()]
    house = build(settings_for(*providers, deadline_s=20, attempts=8), str(tmp_path / "store.duckdb"))
    weather = Weather(simulators, random.Random(seed))
    blowing = threading.Thread(target=weather.blow)
    places, taken = threading.Semaphore(AT_ONCE), dict[int, tuple[float, float, Outcome]]()
    first = house.ask()  # litellm is there
    started = time.perf_counter()
    blowing.start()
    try:
        pending = []
        for number in range(calls):
            places.acquire()
            pending.append(send(house, number, places, taken))
        for future in pending:
            future.result(60)
    finally:
        weather.ended.set()
        blowing.join()
    seconds = time.perf_counter() - started
    counted = [outcome for begun, ended, outcome in taken.values() if not weather.was_dark(begun, ended)]
    good = sum(outcome.status is CallStatus.SUCCEEDED for outcome in counted)
    rows = house.store.fetch("select count(*) as n, sum(case when status = 'succeeded' then 1 else 0 end) as good from attempts")
    house.close()
    print(
        f"\n{good / len(counted):.3%} of {len(counted):,} requests in {seconds:.0f} s; {weather.outages} outages, {len(weather.dark)} dark minutes, {rows[0]['n']:,} attempts"
    )
    assert len(taken) == calls
    assert len(counted) > 0.9 * calls
    assert weather.outages > 5
    assert good >= 0.999 * len(counted)
    assert rows[0]["good"] == sum(outcome.status is CallStatus.SUCCEEDED for outcome in (first, *(outcome for _, _, outcome in taken.values())))
