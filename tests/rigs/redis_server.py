"""A Redis of the test's own, to be flushed, killed and started again."""

from __future__ import annotations

import shutil
import subprocess
import time
from typing import Any

import pytest

from tests.conftest import free_port


class OwnRedis:
    """Runs on a free port, keeps nothing on the disk."""

    def __init__(self) -> None:
        if shutil.which("redis-server") is None:
            pytest.skip("needs redis-server on the PATH")
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self.start()

    def start(self) -> None:
        order = ["redis-server", "--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
        self.process = subprocess.Popen(order, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        end = time.monotonic() + 20
        while True:
            try:
                self.client().ping()
            except Exception:
                assert time.monotonic() < end
                time.sleep(0.05)
            else:
                return

    def client(self) -> Any:
        import redis

        return redis.Redis.from_url(self.url, socket_timeout=3)

    def flush(self) -> None:
        self.client().flushall()

    def stop(self) -> None:
        self.process.kill()
        self.process.wait()
