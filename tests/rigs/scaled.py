"""A workspace on PostgreSQL and Redis with real workers, and a provider that keeps its book."""

from __future__ import annotations

import collections
import os
import shutil
import signal
import tempfile
from pathlib import Path

import hishamos
from tests.conftest import stop_server
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

    def __init__(self, postgres: str, redis: str, simulator: Simulator, *, settings: str = "", provider: str = "") -> None:
        self.folder, self.simulator = Path(tempfile.mkdtemp(prefix="hos-")), simulator
        self.schema, self.postgres = f"t_{os.urandom(6).hex()}", postgres
        self.workers: list[WorkerProcess] = []
        (self.folder / "workflows").mkdir()
        self.define(FLOW)
        (self.folder / "hishamos.toml").write_text(
            f'[workspace]\nstore = "{postgres}?schema={self.schema}"\nbroker = "{redis}"\n{settings}\n'
            f'[providers.openai]\napi_key = "env:OPENAI_API_KEY"\napi_base = "{simulator.url}/v1"\n{provider}\n[routes.default]\nmodels = ["openai/gpt-4.1-mini"]\n'
        )
        self.ws = hishamos.open(self.folder)

    def define(self, text: str) -> None:
        name = text.split("name: ")[1].split(maxsplit=1)[0]
        (self.folder / "workflows" / f"{name}.yaml").write_text(text)

    def worker(self, concurrency: int = 4) -> WorkerProcess:
        self.workers.append(WorkerProcess(self.folder, len(self.workers) + 1, concurrency=concurrency))
        return self.workers[-1].ready()

    def holder(self, run: str) -> WorkerProcess:
        """Return the living worker that works on a run."""
        found: list[WorkerProcess] = []

        def look() -> bool:
            owners = [task.owner or "" for task in self.ws.health.workers().tasks if task.run == run]
            alive = [one for one in self.workers if one.process.poll() is None]
            found[:] = [one for one in alive for owner in owners if owner.split(":")[1] == str(one.pid)]
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
