"""Many calls over three providers of which three answers in ten are faulty, from four processes, two of which are killed: nothing lost, nothing doubled.

The providers' own books are the witness: what they billed and the ledger's rows are held against each other, call by call.
"""

from __future__ import annotations

import json
import random
import signal
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import hishamos
from tests.rigs.gateways import BASES, KEYS, MODELS
from tests.rigs.nursery import Client, python
from tests.rigs.simulator import Simulator, marker

CLIENTS, THREADS = 4, 16
SHARE = 0.3
DEADLINE_S = 30
FAULTS: list[tuple[dict[str, Any], int]] = [
    ({"status": 429, "retry_after": 0}, 12),
    ({"status": 429, "retry_after": -5}, 2),
    ({"status": 429, "retry_after": "soon"}, 2),
    ({"status": 500}, 12),
    ({"status": 503}, 12),
    ({"status": 529, "code": "overloaded_error"}, 8),
    ({"status": 408}, 3),
    ({"status": 400, "message": "simulated nonsense"}, 1),
    ({"status": 404, "code": "model_not_found"}, 2),
    ({"drop": True}, 10),
    ({"garbled": True}, 4),
    ({"html": True}, 4),
    ({"empty": True}, 4),
    ({"no_finish": True}, 6),
    ({"cut_after": 1}, 6),
    ({"malformed_after": 1}, 4),
    ({"no_usage": True}, 8),
    ({"finish": "length"}, 2),
    ({"finish": "content_filter"}, 1),
    ({"stall_after": 1}, 1),
    ({"hang": True}, 1),
]
NANOS = {"openai": (400, 1600), "anthropic": (1000, 5000), "gemini": (300, 2500)}
"""Nano-dollars an input and an output token of :data:`MODELS`."""
BUDGET = """
[budgets.all]
scope = "workspace"
period = "total"
limit_usd = "100"
"""
ROUTE = """
[routes.from-{first}]
models = {models}
attempts = 6
deadline_s = {deadline}
max_output_tokens = 60
"""
PROVIDER = """
[providers.{name}]
api_key = "{key}"
api_base = "{base}"
concurrency = 64
timeout_s = 4
idle_timeout_s = 1
"""
CLIENT = """
import sys, json, time, hishamos
from concurrent.futures import ThreadPoolExecutor
path, first, last, threads = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
ws = hishamos.open(path)
def one(number):
    begun = time.monotonic()
    model = "from-" + ("openai", "anthropic", "gemini")[number % 3]
    text, key = f"question number {number}, to be answered", f"q/{number}"
    try:
        if number % 2:
            events = list(ws.agents.stream("teller", text, key=key, model=model))
            said = "".join(event.text or "" for event in events if event.kind == "text")
            ended = str(events[-1].status)
        else:
            answer = ws.commands.run("say", {"text": text}, key=key, model=model)
            ended = str(answer.status)
    except hishamos.HishamosError as error:
        ended = type(error).__name__
    except Exception as error:
        ended = f"untyped {error!r}"
    return number, ended, time.monotonic() - begun
with ThreadPoolExecutor(threads) as pool:
    for found in pool.map(one, range(first, last)):
        print(json.dumps(found), flush=True)
"""


@pytest.fixture
def simulators() -> Iterator[dict[str, Simulator]]:
    running = {name: Simulator() for name in MODELS}
    yield running
    for simulator in running.values():
        simulator.close()


@pytest.fixture
def workspace(workspace_dir: Path, simulators: dict[str, Simulator], monkeypatch: pytest.MonkeyPatch) -> Path:
    references = {name: next(key for key in KEYS if name[:3].upper() in key) for name in MODELS}
    for reference in references.values():
        monkeypatch.setenv(reference.removeprefix("env:"), KEYS[reference])
    sections = [PROVIDER.format(name=name, key=references[name], base=simulator.url + BASES[name]) for name, simulator in simulators.items()]
    names = list(simulators)
    for place, first in enumerate(names):
        models = json.dumps([MODELS[name] for name in names[place:] + names[:place]])
        sections.append(ROUTE.format(first=first, models=models, deadline=DEADLINE_S))
    (workspace_dir / "hishamos.toml").write_text("".join(sections) + BUDGET)
    for kind, name, body in (
        ("agents", "teller", "instructions: Tell it.\n"),
        ("commands", "say", "template: '{{ text }}'\nparameters: {text: {type: text}}\n"),
    ):
        (workspace_dir / kind).mkdir()
        (workspace_dir / kind / f"{name}.yaml").write_text(f"name: {name}\ndescription: For this test.\n{body}")
    return workspace_dir


def acts(draw: random.Random, number: int) -> list[dict[str, Any]]:
    kinds, weights = zip(*FAULTS, strict=True)
    return [draw.choices(kinds, weights)[0] if draw.random() < SHARE else {} for _ in range(number)]


def start(folder: Path, mine: int, calls: int) -> Client:
    each = calls // CLIENTS
    return python(CLIENT, folder, mine * each, (mine + 1) * each, THREADS)


def ended(client: Client) -> dict[int, tuple[str, float]]:
    out, errors = client.communicate(timeout=1500)
    assert client.returncode == 0, errors[-3000:]
    return {number: (status, seconds) for number, status, seconds in map(json.loads, out.splitlines())}


@pytest.mark.parametrize(
    ("calls", "seed"), [(120, 3), pytest.param(10_000, 5, marks=[pytest.mark.chaos, pytest.mark.timeout(1800)])], ids=["short", "ten thousand"]
)
def test_every_call_ends_once_and_every_bill_stands_in_the_ledger(workspace: Path, simulators: dict[str, Simulator], calls: int, seed: int) -> None:
    draw = random.Random(seed)
    for simulator in simulators.values():
        simulator.script("*", *acts(draw, 2 * calls), then={})
    ws = hishamos.open(workspace)
    ws.commands.preview("say", {"text": "x"})
    started = time.perf_counter()
    clients = [start(workspace, mine, calls) for mine in range(CLIENTS)]
    for victim in (0, 1):
        for _ in range(calls // 40):
            assert clients[victim].stdout is not None
            clients[victim].stdout.readline()
        clients[victim].send_signal(signal.SIGKILL)
        clients[victim].communicate()
        clients[victim] = start(workspace, victim, calls)
    found = {number: result for client in clients for number, result in ended(client).items()}
    seconds = time.perf_counter() - started

    assert sorted(found) == list(range(calls))
    outcomes = Counter(status for status, _ in found.values())
    slowest = max(taken for _, taken in found.values())
    rows = ws.sql("select provider, idempotency_key, status, cause, usage_source, cost_nanos from attempts", limit=20 * calls).to_dict("records")
    open_calls = int(ws.sql("select count(*) as n from attempts where status = 'sent'")["n"][0])
    print(
        f"\n{calls:,} calls in {seconds:.0f} s, slowest {slowest:.1f} s: {dict(outcomes)}; {len(rows):,} attempts, {dict(Counter(row['status'] for row in rows))}"
    )

    assert set(outcomes) <= {"succeeded", "failed", "incomplete", "CallFailed", "OutputInvalid"}, outcomes
    assert outcomes["succeeded"] > 0.9 * calls
    assert slowest < DEADLINE_S + 5
    assert open_calls == 0
    assert all(check.equal for check in ws.ledger.balances())
    hold_against_the_books(rows, simulators, calls)


def hold_against_the_books(rows: list[dict[str, Any]], simulators: dict[str, Simulator], calls: int) -> None:
    """Every request has one row, every bill a row that is equal or estimated, and each key was seen by its own provider only."""
    text = {marker(f"question number {number}, to be answered"): number for number in range(calls)}
    ours: dict[tuple[str, int], list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        ours[row["provider"], int(row["idempotency_key"].rsplit("/", 1)[1])].append(row)
    books: dict[tuple[str, int], list[dict[str, Any]]] = defaultdict(list)
    for name, simulator in simulators.items():
        book = simulator.book()
        assert {entry["key"] for entry in book} == {KEYS[next(key for key in KEYS if name[:3].upper() in key)]}
        for entry in book:
            books[name, text[entry["marker"]]].append(entry)
    reported = estimated = 0
    for place in ours.keys() | books.keys():
        bills = Counter(_nanos(place[0], entry["billed"]) for entry in books[place] if entry["billed"])
        known = Counter(int(row["cost_nanos"]) for row in ours[place] if row["usage_source"] == "provider")
        guessed = [row for row in ours[place] if row["usage_source"] == "estimated"]
        assert known <= bills, (place, known, bills)
        assert (bills - known).total() <= len(guessed), (place, bills, ours[place])
        assert len(ours[place]) == len(books[place]), (place, ours[place], books[place])
        reported, estimated = reported + known.total(), estimated + len(guessed)
    assert reported > 0.8 * calls
    assert estimated > 0.01 * calls


def _nanos(provider: str, usage: dict[str, int]) -> int:
    per_input, per_output = NANOS[provider]
    return usage["input"] * per_input + usage["output"] * per_output
