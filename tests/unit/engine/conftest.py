"""A bench for each test, and test functions that python steps may name."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from hishamos.engine import functions
from tests.rigs import step_functions
from tests.rigs.run_bench import Bench


@pytest.fixture
def bench() -> Iterator[Bench]:
    made = Bench()
    yield made
    made.close()


@pytest.fixture(autouse=True)
def test_functions(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    names = ["note", "boom", "flaky", "refuse", "hang", "odd", "with_workspace", "add", "untyped", "undescribed", "shout", "broken", "where", "poisoned"]
    monkeypatch.setattr(functions, "OWN", (functions.ROOM, "tests.rigs."))
    monkeypatch.setattr(functions, "_plugged", lambda: {name: f"tests.rigs.step_functions:{name}" for name in names})
    functions.function.cache_clear()
    step_functions.calls.clear()
    step_functions.gate.clear()
    yield
    step_functions.gate.set()
    functions.function.cache_clear()
