"""How long pages of the console take over a large ledger: ``pytest -m benchmark -s -n 0 tests/benchmarks/test_console.py`` prints it.

A page's time is that of its whole script (AppTest) in a process that has its libraries, with nothing kept of what the ledger said; the second time
is that of the same page again. 200,000 attempts are made on the spot; ``HISHAMOS_LARGE_STORE`` names a folder made before, for example of ten million:
``python -m tests.rigs.large_store FOLDER --attempts 10000000``.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import hishamos
from hishamos.remote.requests import Requests
from tests.rigs.large_store import make
from tests.rigs.pages import drawn

pytestmark = [pytest.mark.benchmark, pytest.mark.timeout(1800)]
ATTEMPTS = 200_000
PAGES: list[tuple[str, dict[str, str]]] = [
    ("home", {}),
    ("runs", {}),
    ("runs", {"state": "failed"}),
    ("runs", {"project": "DEMO", "user": "amira", "within": "30 days"}),
    ("run", {"run": "one"}),
    ("approvals", {}),
    ("costs", {}),
    *(("costs", {"by": by}) for by in ("user", "notebook", "command", "tag:customer")),
    ("costs", {"tag:customer": "acme"}),
    *(("costs", {"chart": chart}) for chart in ("Tokens", "Times", "Rates")),
    ("costs", {"span": "24 h"}),
    ("costs", {"span": "12 months"}),
    ("calls", {"model": "openai/gpt-4.1"}),
    ("calls", {"status": "failed", "project": "DEMO"}),
    ("batches", {}),
    ("budgets", {}),
    ("providers", {}),
    ("workflows", {}),
    ("commands", {}),
    ("agents", {}),
    ("chat", {}),
    ("results", {}),
    ("sql", {}),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    named = os.environ.get("HISHAMOS_LARGE_STORE")
    path = Path(named) if named else tmp_path_factory.mktemp("large")
    if not named:
        make(path, ATTEMPTS)
    with hishamos.open(path) as ws:
        ws.health.ping()
    yield path
    Requests(path).stop()


def test_pages_over_a_large_ledger(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STREAMLIT_LOGGER_LEVEL", "error")  # it misses a browser
    import streamlit as st

    with hishamos.open(folder) as ws:
        run = ws.runs.list(limit=1)[0].id
        attempts = int(ws.ledger.spend(by=[], sums_only=True)["attempts"].iloc[0])
    for view in dict.fromkeys(view for view, _ in PAGES):
        drawn(monkeypatch, folder, view)  # its libraries are loaded
    print(f"\n{attempts:,} attempts; seconds of the whole script, and of the same page again")
    slow = []
    for view, asked in PAGES:
        query = {name: run if value == "one" else value for name, value in asked.items()}
        st.cache_data.clear()
        times = []
        for _ in range(2):
            begun = time.perf_counter()
            drawn(monkeypatch, folder, view, **query)
            times.append(time.perf_counter() - begun)
        named = " ".join((view, *(f"{name}={value}" for name, value in query.items())))
        print(f"  {named:40} {times[0]:6.2f} {times[1]:6.2f}")
        if times[0] > (2 if attempts <= ATTEMPTS else 3):
            slow.append(named)
    print(f"  over the bound: {', '.join(slow) or 'none'}")
