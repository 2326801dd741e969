"""What falling back costs after a refused connection: ``pytest -m benchmark -s tests/benchmarks/test_fallback.py``."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from hishamos.records.calls import Outcome
from tests.rigs.gateways import MODELS, build, provider, settings_for
from tests.rigs.simulator import Simulator

ROUNDS, WARM_UP = 60, 10


@pytest.mark.benchmark
def test_after_a_refused_connection(tmp_path: Path) -> None:
    """A direct call, one that falls back, and one whose first model's circuit is open, by turns."""
    with Simulator() as simulator:
        gone = provider("openai", simulator.url).model_copy(update={"api_base": "http://127.0.0.1:9/v1"})
        house = build(settings_for(gone, provider("anthropic", simulator.url)), str(tmp_path / "store.duckdb"))

        def direct() -> Outcome:
            return house.ask(target=MODELS["anthropic"])

        def fallen() -> Outcome:
            house.gateway.circuits._circuits.clear()
            return house.ask()

        def opened() -> Outcome:
            while not house.gateway.circuits.statuses() or house.gateway.circuits.statuses()[0].state == "closed":
                house.ask()
            return house.ask()

        taken: dict[Callable[[], Outcome], list[float]] = {direct: [], fallen: [], opened: []}
        for number in range(WARM_UP + ROUNDS):
            for work, times in taken.items():
                if work is opened:
                    opened()
                started = time.perf_counter()
                outcome = work()
                times.append((time.perf_counter() - started) * 1000)
                assert outcome.model == MODELS["anthropic"], number
        house.close()
    p50 = {work.__name__: statistics.median(times[WARM_UP:]) for work, times in taken.items()}
    print(
        f"\ndirect {p50['direct']:.1f} ms; after a refused connection {p50['fallen'] - p50['direct']:+.1f} ms; with an open circuit {p50['opened'] - p50['direct']:+.1f} ms"
    )
