"""Real worker processes on a workspace of a PostgreSQL schema and a Redis, for tests of scale-out."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from tests.rigs import nursery

ROOT = Path(__file__).parents[2]


class WorkerProcess:
    """One ``hishamos worker``, forked where the test does not ask for ``real_processes``; its log is ``worker-N.log`` in the workspace."""

    def __init__(self, folder: Path, number: int = 1, *, concurrency: int = 2, environment: dict[str, str] | None = None) -> None:
        self.log = folder / f"worker-{number}.log"
        options = ["--workspace", str(folder), "--concurrency", str(concurrency)]
        surroundings = {**os.environ, **(environment or {})}
        self.process: subprocess.Popen[bytes] | nursery.Child
        with self.log.open("a") as stream, open(os.devnull, "rb") as nothing:
            if nursery.available():
                files = [nothing.fileno(), stream.fileno(), stream.fileno()]
                self.process = nursery.start("hishamos.server.worker", options, files, folder=ROOT, environment=surroundings)
            else:
                order = [sys.executable, "-m", "hishamos", "worker", *options]
                self.process = subprocess.Popen(order, cwd=ROOT, env=surroundings, stdout=stream, stderr=stream)

    @property
    def pid(self) -> int:
        return self.process.pid

    def ready(self, seconds: float = 60) -> WorkerProcess:
        """Wait until it takes work."""
        end = time.monotonic() + seconds
        while f"pid {self.pid}" not in self.log.read_text():
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < end, self.log.read_text()
            time.sleep(0.05)
        return self

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def stop(self, seconds: float = 30) -> int:
        """Ask it to leave; returns its exit code."""
        if self.process.poll() is None:
            self.process.terminate()
            try:
                return self.process.wait(seconds)
            except subprocess.TimeoutExpired:
                self.kill()
        return int(self.process.returncode)


def settle(condition, seconds: float = 60, what: object = "") -> None:
    """Wait until a condition holds."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, what() if callable(what) else what
        time.sleep(0.05)
