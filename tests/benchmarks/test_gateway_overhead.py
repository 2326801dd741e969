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


@pytest.mark.benchmark
def test_added_to_one_row_of_a_map(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Gateway, ledger and journal: rows of a map, one after another, with the run's beginning and end in it."""
    import pandas

    from hishamos.composition import open_in_process

    rows, blocks = 40, 10
    with Simulator() as simulator:
        (tmp_path / "hishamos.toml").write_text(f'[providers.openai]\nkind = "openai"\napi_key = "env:OPENAI_API_KEY"\napi_base = "{simulator.url}/v1"\n')
        (tmp_path / "commands").mkdir()
        (tmp_path / "commands" / "say.yaml").write_text(
            "name: say\ndescription: Say it.\nparameters: {text: {type: text}}\ntemplate: '{{ text }}'\nmax_output_tokens: 100\n"
        )
        monkeypatch.setenv("OPENAI_API_KEY", KEYS["env:OPENAI_API_KEY"])
        ws = open_in_process(tmp_path, store=str(tmp_path / "store.duckdb"))
        litellm = LitellmAdapter()._litellm()
        machinery = ws.commands.machinery  # type: ignore[attr-defined]
        machinery.store.transaction(lambda transaction: transaction.execute("create table rows_of_one (id text)"))

        def bare() -> None:
            ask = {"model": "openai/gpt-4.1-mini", "messages": [{"role": "user", "content": "hello"}], "max_tokens": 100, "num_retries": 0, "max_retries": 0}
            call = litellm.acompletion(**ask, api_key=KEYS["env:OPENAI_API_KEY"], api_base=f"{simulator.url}/v1")
            asyncio.run_coroutine_threadsafe(call, machinery.gateway._loop).result(30)

        def commit() -> None:
            values = {"id": uuid.uuid4().hex}
            machinery.store.transaction(lambda transaction: transaction.execute("insert into rows_of_one values ($id)", values))

        taken: dict[str, list[float]] = {"bare": [], "row": [], "commit": []}
        for block in range(-1, blocks):
            started = time.perf_counter()
            frame = pandas.DataFrame({"text": [f"row {block} {number}" for number in range(rows)]})
            answers = ws.map(frame, "say", model="openai/gpt-4.1-mini", concurrency=1)
            row = (time.perf_counter() - started) / rows * 1000
            assert (answers["hos_status"] == "succeeded").all()
            for _ in range(rows):
                for work in (bare, commit):  # by turns: what is done over and over is twice as fast
                    started = time.perf_counter()
                    work()
                    if block >= 0:
                        taken[work.__name__].append((time.perf_counter() - started) * 1000)
            if block >= 0:
                taken["row"].append(row)
        ws.close()
    without, with_all, one = (statistics.median(taken[name]) for name in ("bare", "row", "commit"))
    ratio = (with_all - without) / (2 * one)
    print(f"\nbare {without:.2f} ms, a row of a map {with_all:.2f} ms, one commit {one:.2f} ms: added = {ratio:.2f} × two commits")
    assert ratio <= LIMIT
