"""Workers that are killed, stopped and asked to leave, and a broker that forgets: runs go on elsewhere, and nothing that finished is repeated."""

from __future__ import annotations

import collections
import json
import os
import shutil
import signal
import tempfile
import time
from pathlib import Path

import pytest

import hishamos
from tests.conftest import stop_server
from tests.rigs.redis_server import OwnRedis
from tests.rigs.simulator import Simulator
from tests.rigs.workers import WorkerProcess, settle

FLOW = """
name: flow
description: Three steps, the second one is a map of calls.
steps:
  - {id: first, type: command, with: {command: classify_bug, inputs: {text: "first {{ run.id }}"}}}
  - id: rows
    type: map
    after: [first]
    with: {over: "{{ range(12) }}", as: n, concurrency: 3, step: {type: command, with: {command: classify_bug, inputs: {text: "row {{ n }} {{ run.id }}"}}}}
  - {id: last, type: command, after: [rows], with: {command: classify_bug, inputs: {text: "last {{ run.id }}"}}}
outputs: {n: "{{ steps.rows.output | length }}"}
"""
CALLS = 14


class Place:
    """A workspace on a PostgreSQL schema of its own, with workers and a provider that keeps its book."""

    def __init__(self, postgres: str, redis: str, simulator: Simulator, *, settings: str = "") -> None:
        self.folder, self.simulator = Path(tempfile.mkdtemp(prefix="hos-")), simulator
        self.schema, self.postgres = f"t_{os.urandom(6).hex()}", postgres
        self.workers: list[WorkerProcess] = []
        (self.folder / "workflows").mkdir()
        self.define(FLOW)
        (self.folder / "hishamos.toml").write_text(
            f'[workspace]\nstore = "{postgres}?schema={self.schema}"\nbroker = "{redis}"\n{settings}\n'
            f'[providers.openai]\napi_key = "env:OPENAI_API_KEY"\napi_base = "{simulator.url}/v1"\n[routes.default]\nmodels = ["openai/gpt-4.1-mini"]\n'
        )
        self.ws = hishamos.open(self.folder)

    def define(self, text: str) -> None:
        name = text.split("name: ")[1].split(maxsplit=1)[0]
        (self.folder / "workflows" / f"{name}.yaml").write_text(text)

    def worker(self, concurrency: int = 4) -> WorkerProcess:
        self.workers.append(WorkerProcess(self.folder, len(self.workers) + 1, concurrency=concurrency))
        return self.workers[-1].ready()

    def holder(self, run: str) -> WorkerProcess:
        """Return the worker that works on a run."""
        found: list[WorkerProcess] = []

        def look() -> bool:
            owners = [task.owner or "" for task in self.ws.health.workers().tasks if task.run == run]
            found[:] = [one for one in self.workers for owner in owners if owner.split(":")[1] == str(one.pid)]
            return bool(found)

        settle(look, 60, "nobody took the run")
        return found[0]

    def billed(self, number: int) -> None:
        settle(lambda: sum(entry["finished"] is not None for entry in self.simulator.book()) >= number, 90, "the run did not get going")

    def check(self, *runs: str) -> None:
        """Hold the journal and the ledger against the provider's book."""
        for run in runs:
            ended = collections.Counter((event.path, event.state) for event in self.ws.runs.events(run, limit=10_000) if event.kind in {"step", "run"})
            assert {path: n for (path, state), n in ended.items() if state == "succeeded" and n > 1} == {}
            assert ended[None, "succeeded"] == 1
        attempts = self.ws.ledger.calls(limit=100_000)
        succeeded = collections.Counter(attempt.idempotency_key for attempt in attempts if attempt.status == "succeeded")
        assert set(succeeded.values()) == {1}
        orphans = [attempt for attempt in attempts if attempt.status == "orphaned"]
        requests = collections.Counter(entry["marker"] for entry in self.simulator.book())
        assert sum(count - 1 for count in requests.values()) <= len(orphans), "every request beyond the first for one key pairs with an orphan"
        assert not [attempt for attempt in attempts if attempt.status == "sent"]
        assert all(check.equal for check in self.ws.ledger.balances())

    def close(self) -> None:
        import psycopg

        for worker in self.workers:
            worker.signal(signal.SIGCONT) if worker.process.poll() is None else None
            worker.stop()
        stop_server(self.folder)
        shutil.rmtree(self.folder, ignore_errors=True)
        with psycopg.connect(self.postgres, autocommit=True) as connection:
            connection.execute(f'drop schema if exists "{self.schema}" cascade')


@pytest.fixture
def simulator(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-chaos-0123456789abcdef")
    with Simulator() as running:
        running.script("gpt-4.1-mini", then={"delay_s": 0.3})
        yield running


@pytest.fixture
def place(postgres_server, redis_url, simulator):
    made = Place(postgres_server, redis_url, simulator)
    yield made
    made.close()


def test_the_runs_of_a_killed_worker_go_on_in_another(place):
    place.worker(), place.worker()
    run = place.ws.workflows.start("flow")
    place.billed(5)
    place.holder(run.id).kill()
    found = place.ws.runs.wait(run.id, timeout_s=90)
    assert (found.state, found.outputs) == ("succeeded", {"n": 12}), found.error
    assert len({entry["said"] for entry in place.simulator.book()}) == CALLS
    place.check(run.id)


def test_a_worker_that_is_asked_to_leave_hands_its_runs_back(place):
    first, second = place.worker(), place.worker()
    runs = [place.ws.workflows.start("flow").id for _ in range(3)]
    place.billed(6)
    assert first.stop() == 0, first.log.read_text()
    for run in runs:
        assert place.ws.runs.wait(run, timeout_s=90).state == "succeeded"
    assert second.process.poll() is None
    assert len(place.simulator.book()) == 3 * CALLS, "nothing was sent twice"
    assert {task.deaths for task in place.ws.health.workers().tasks} <= {0}
    place.check(*runs)


def test_a_broker_that_forgets_and_is_started_again_loses_no_run(postgres_server, simulator):
    redis = OwnRedis()
    place = Place(postgres_server, redis.url, simulator)
    try:
        queued = [place.ws.workflows.start("flow", priority=n).id for n in (3, 5)]
        settle(lambda: place.ws.health.workers().messages == 2)
        redis.flush()
        place.worker()
        for run in queued:
            assert place.ws.runs.wait(run, timeout_s=90).state == "succeeded"
        redis.flush()
        assert [place.ws.runs.get(run).outputs for run in queued] == [{"n": 12}] * 2
        redis.stop()
        away = place.ws.workflows.start("flow").id
        assert place.ws.health.workers().problem
        assert place.ws.runs.get(away).state == "queued"
        redis.start()
        assert place.ws.runs.wait(away, timeout_s=90).state == "succeeded"
        place.check(*queued, away)
    finally:
        place.close()
        redis.stop()


@pytest.mark.chaos
def test_a_worker_that_wakes_after_its_lease_expired_writes_nothing(place):
    first = place.worker()
    run = place.ws.workflows.start("flow")
    place.billed(5)
    first.signal(signal.SIGSTOP)
    place.worker()
    found = place.ws.runs.wait(run.id, timeout_s=90)
    assert found.state == "succeeded", found.error
    events, attempts = place.ws.runs.events(run.id, limit=10_000), place.ws.runs.calls(run.id)
    first.signal(signal.SIGCONT)
    settle(lambda: "is left to whoever takes it next" in first.log.read_text(), 60, first.log.read_text)
    time.sleep(2)
    assert place.ws.runs.events(run.id, limit=10_000) == events
    assert [(one.id, one.status) for one in place.ws.runs.calls(run.id)] == [(one.id, one.status) for one in attempts]
    place.check(run.id)


@pytest.mark.chaos
def test_a_step_that_kills_its_workers_is_given_up(postgres_server, redis_url, simulator):
    place = Place(postgres_server, redis_url, simulator, settings="max_retries = 1")
    try:
        simulator.script("gpt-4.1-mini", then={"delay_s": 60})
        run = place.ws.workflows.start("flow")
        for _ in range(2):
            place.worker()
            place.holder(run.id).kill()
        place.worker()
        found = place.ws.runs.wait(run.id, timeout_s=90)
        assert (found.state, found.error.type) == ("failed", "WorkerDied")
        (dead,) = place.ws.health.workers().dead
        assert (dead.run, dead.deaths) == (run.id, 2)
    finally:
        place.close()


@pytest.mark.chaos
def test_a_killed_server_hands_out_again_what_it_had_taken(place):
    place.worker()
    runs = [place.ws.workflows.start("flow").id for _ in range(4)]
    os.kill(int(json.loads((place.folder / "data" / "local" / "server.json").read_text())["pid"]), signal.SIGKILL)
    for run in runs:
        assert place.ws.runs.wait(run, timeout_s=90).state == "succeeded"
    place.check(*runs)
