"""Runs of twelve steps while clients, servers and workers are killed at random: each ends once, in the right state, and nothing finished is repeated.

``pytest -m chaos tests/chaos/test_storm.py``: 200 runs and 200 kills; ``HISHAMOS_STORM=20,20`` for fewer. Redis is restarted once. PostgreSQL belongs to
the machine: instead of a restart every connection of the workspace is ended at once, by ``pg_terminate_backend``.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import pytest

import hishamos
from tests.conftest import stop_server
from tests.rigs.redis_server import OwnRedis
from tests.rigs.simulator import Simulator
from tests.rigs.workers import WorkerProcess, settle

RUNS, KILLS = (int(number) for number in os.environ.get("HISHAMOS_STORM", "200,200").split(","))
WORKERS = 3
REQUESTS = 15
"""At least so many does a run make."""
UNDO = "compensate: {type: command, with: {command: classify_bug, inputs: {text: 'undo ID {{ run.id }}'}}}"
ASK = "type: command, with: {command: classify_bug, inputs: {text: 'ID {{ run.id }}'}}"


def ask(name: str, *after: str, rest: str = "") -> str:
    return f"  - {{id: {name}, after: [{', '.join(after)}], {ASK.replace('ID', name)}{rest}}}\n"


STORM = (
    "name: storm\ndescription: Twelve steps with a map, a loop, an approval and compensations.\ninputs: {bad: {type: integer, default: 0}}\nsteps:\n"
    + ask("s1", rest=", " + UNDO.replace("ID", "s1"))
    + "  - {id: s2, type: map, after: [s1], with: {over: '{{ range(6) }}', as: n, concurrency: 3, step: "
    + "{type: command, with: {command: classify_bug, inputs: {text: 's2 {{ n }} {{ run.id }}'}}}}}\n"
    + "  - {id: s3, type: loop, after: [s2], with: {for: [1, 2, 3], step: {type: command, with: {command: classify_bug, inputs: {text: 's3 {{ item }} {{ run.id }}'}}}}}\n"
    + "  - {id: s4, type: wait, after: [s3], with: {seconds: 0.2}}\n"
    + ask("s5", "s4")
    + ask("s6", "s5", rest=", when: inputs.bad == 0")
    + "  - {id: s7, type: approval, after: [s6], with: {message: Go on}}\n"
    + ask("s8", "s7", rest=", " + UNDO.replace("ID", "s8"))
    + ask("s9", "s7")
    + ask("s10", "s8", "s9")
    + ask("s11", "s10")
    + "  - {id: s12, type: command, after: [s11], with: {command: classify_bug, inputs: {text: 's12 {{ 1 / (1 - inputs.bad) }} {{ run.id }}'}}}\n"
)
CLIENT = """
import sys, time, hishamos
wanted = int(sys.argv[2])
while True:
    try:
        ws = hishamos.open(sys.argv[1])
        runs = ws.runs.list(limit=100_000)
        for number in range(len(runs), min(wanted, len(runs) + 20)):
            ws.workflows.start("storm", {"bad": int(number % 5 == 4)})
        for waiting in ws.runs.approvals():
            ws.runs.approve(waiting.run_id, waiting.path)
        if len(runs) >= wanted and all(run.ended for run in runs):
            break
    except hishamos.HishamosError:
        pass
    time.sleep(0.2)
"""


class Fleet:
    """Everybody who can be killed; ``scaled``: on PostgreSQL and Redis, with workers."""

    def __init__(self, simulator: Simulator, scaled: str | None) -> None:
        self.folder, self.name, self.postgres = Path(tempfile.mkdtemp(prefix="hos-")), f"t_{os.urandom(6).hex()}", scaled
        self.redis = OwnRedis() if scaled else None
        self.kinds = ["client", "server", "worker"] if scaled else ["client", "server"]
        lines = ["max_retries = 50  # nobody is given up here because others are killed"]
        if self.redis is not None:
            lines += [f'store = "{scaled}?schema={self.name}&application_name={self.name}"', f'broker = "{self.redis.url}"']
        (self.folder / "workflows").mkdir()
        (self.folder / "workflows" / "storm.yaml").write_text(STORM)
        (self.folder / "hishamos.toml").write_text(
            "[workspace]\n" + "\n".join(lines) + f'\n[providers.openai]\napi_key = "env:OPENAI_API_KEY"\napi_base = "{simulator.url}/v1"\n'
            '[routes.default]\nmodels = ["openai/gpt-4.1-mini"]\ndeadline_s = 600\n'
        )
        self.workers = [self.worker(number) for number in range(WORKERS)] if scaled else []
        self.client = self.start_client()

    def start_client(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen([sys.executable, "-c", CLIENT, str(self.folder), str(RUNS)], cwd=Path(__file__).parents[2])

    def worker(self, number: int) -> WorkerProcess:
        return WorkerProcess(self.folder, number, concurrency=8)

    def kill(self, kind: str, chance: random.Random) -> bool:
        """Kill one of a kind; return whether there was one."""
        if kind == "client":
            self.client.kill()
            self.client.wait()
            self.client = self.start_client()
        elif kind == "worker":
            number = chance.randrange(WORKERS)
            self.workers[number].kill()
            self.workers[number] = self.worker(number)
        else:
            try:
                os.kill(int(json.loads((self.folder / "data" / "local" / "server.json").read_text())["pid"]), signal.SIGKILL)
            except (OSError, ValueError):
                return False  # it is just being started
        return True

    def cut_postgres(self) -> int:
        import psycopg

        with psycopg.connect(self.postgres, autocommit=True) as connection:
            return connection.execute("select pg_terminate_backend(pid) from pg_stat_activity where application_name = %s", (self.name,)).rowcount

    def restart_redis(self) -> None:
        assert self.redis is not None
        self.redis.stop()
        time.sleep(1)
        self.redis.start()

    def close(self) -> None:
        self.client.kill()
        self.client.wait()
        for worker in self.workers:
            worker.stop()
        stop_server(self.folder)
        shutil.rmtree(self.folder, ignore_errors=True)
        if self.redis is not None:
            import psycopg

            self.redis.stop()
            with psycopg.connect(self.postgres, autocommit=True) as connection:
                connection.execute(f'drop schema if exists "{self.name}" cascade')


@pytest.mark.chaos
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("where", ["local", "scaled"])
def test_every_run_ends_once_in_the_right_state(where, request, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-chaos-0123456789abcdef")
    with Simulator() as simulator:
        simulator.script("gpt-4.1-mini", then={"delay_s": 0.1})
        fleet = Fleet(simulator, request.getfixturevalue("postgres_server") if where == "scaled" else None)
        try:
            storm(fleet, simulator)
            settle(lambda: fleet.client.poll() is not None, 1800, lambda: Counter(run.state for run in hishamos.open(fleet.folder).runs.list(limit=100_000)))
            check(hishamos.open(fleet.folder), simulator)
        finally:
            fleet.close()


def storm(fleet: Fleet, simulator: Simulator) -> None:
    """Kill at random instants that are spread over all the work, so that the last kill comes shortly before the last answer."""
    chance = random.Random(4)
    killed: Counter[str] = Counter()
    for number in range(KILLS):
        due = 5 + number * RUNS * REQUESTS * 0.8 / KILLS
        settle(lambda due=due: len(simulator.book()) >= due, 600, "the work stood still")
        time.sleep(chance.uniform(0, 0.4))
        kind = chance.choice(fleet.kinds)
        killed[kind] += fleet.kill(kind, chance)
        if fleet.redis is not None and number == KILLS // 3:
            fleet.restart_redis()
            killed["Redis, restarted"] += 1
        if fleet.redis is not None and number == KILLS * 2 // 3:
            killed["connections to PostgreSQL"] += fleet.cut_postgres()
    print(f"\nkilled: {', '.join(f'{kind} {times}' for kind, times in sorted(killed.items()))}")
    assert fleet.redis is None or (killed["Redis, restarted"] and killed["connections to PostgreSQL"])


def check(ws: hishamos.Workspace, simulator: Simulator) -> None:
    runs = ws.runs.list(limit=100_000)
    assert len(runs) >= RUNS
    for run in runs:
        ended = Counter((event.path, event.state) for event in ws.runs.events(run.id, limit=100_000) if event.kind in {"step", "run"})
        assert {key: times for key, times in ended.items() if key[1] == "succeeded" and times > 1} == {}, run.id
        assert run.state == ("failed" if run.inputs["bad"] else "succeeded"), (run.id, run.error)
        assert ended[None, run.state] == 1
        if run.inputs["bad"]:
            assert run.error is not None
            assert run.error.facts["compensated"] == ["s8", "s1"], run.error
    mixed = ws.sql("select r.id, s.path, s.state from steps s join runs r on r.id = s.run_id where s.state in ('pending', 'running', 'waiting')")
    assert len(mixed) == 0, mixed
    attempts = ws.ledger.calls(limit=1_000_000)
    succeeded = Counter(attempt.idempotency_key for attempt in attempts if attempt.status == "succeeded")
    assert set(succeeded.values()) == {1}
    assert not [attempt for attempt in attempts if attempt.status == "sent"]
    orphans = [attempt for attempt in attempts if attempt.status == "orphaned"]
    # What was sent again for one question, and its orphans, by the run that each belongs to: the question says which.
    sent = Counter((entry["marker"], next(run.id for run in runs if run.id in entry["said"])) for entry in simulator.book())
    again: Counter[str] = Counter()
    for (_, run), times in sent.items():
        again[run] += times - 1
    orphaned = Counter(attempt.run_id for attempt in orphans)
    print(f"\n{len(runs)} runs, {len(simulator.book())} requests, {sum(again.values())} beyond the first for a key, {len(orphans)} orphaned")
    assert {run: times for run, times in again.items() if times > orphaned[run]} == {}
    assert all(found.equal for found in ws.ledger.balances())
