"""Workers that are killed, stopped and asked to leave, and a broker that forgets: runs go on elsewhere, and nothing that finished is repeated."""

from __future__ import annotations

import json
import os
import signal
import time

import pytest

from tests.rigs.redis_server import OwnRedis
from tests.rigs.scaled import CALLS, Place
from tests.rigs.simulator import Simulator
from tests.rigs.workers import settle


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


@pytest.mark.long
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


@pytest.mark.long
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


@pytest.mark.long
def test_two_workers_together_keep_a_providers_limits(postgres_server, redis_url, simulator):
    place = Place(postgres_server, redis_url, simulator, provider="concurrency = 2")
    try:
        place.worker(), place.worker()
        runs = [place.ws.workflows.start("flow").id for _ in range(4)]
        for run in runs:
            assert place.ws.runs.wait(run, timeout_s=90).state == "succeeded"
        assert simulator.peak() == 2
        place.check(*runs)
    finally:
        place.close()


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
