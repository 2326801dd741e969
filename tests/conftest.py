"""What all tests share: a clean environment, and the services that some of them need."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
CLEARED = ("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "GEMINI_API_KEY", "GOOGLE_API_KEY", "OLLAMA_HOST", "HISHAMOS_WORKSPACE")
for _name in CLEARED:
    os.environ.pop(_name, None)
RIGS = Path(__file__).parent / "rigs"


MOST_PROCESSES = 4
"""The tests start servers, kernels and browsers of their own: more at once than this are slower, not faster."""


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """The whole suite runs in several processes, for it waits more than it computes; single files, benchmarks, ``-s`` and a debugger in this one."""
    whole = config.args_source is pytest.Config.ArgsSource.TESTPATHS and config.option.markexpr == "not chaos and not benchmark"
    if not whole or config.option.keyword or config.option.capture == "no" or config.option.usepdb or config.option.collectonly:
        return 0
    return min((os.cpu_count() or 1) + 1, MOST_PROCESSES)


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No key of the developer's own, and no workspace by name, reaches a test."""
    for name in CLEARED:
        monkeypatch.delenv(name, raising=False)


def missing(need: str, reason: str) -> None:
    """Skip on a newcomer's machine; fail where ``HISHAMOS_TEST_REQUIRE`` says that the need must be met."""
    if need in os.environ.get("HISHAMOS_TEST_REQUIRE", "").split(","):
        pytest.fail(f"{need} is required here: {reason}")
    pytest.skip(f"needs {need}: {reason}")


@pytest.fixture(scope="session")
def postgres_server() -> str:
    """The address of a PostgreSQL database that tests may make schemas in."""
    url = os.environ.get("HISHAMOS_TEST_POSTGRES") or "postgresql://postgres@127.0.0.1:5432/test"
    try:
        import psycopg

        psycopg.connect(url, connect_timeout=3).close()
    except Exception as error:
        missing("postgres", f"{url} does not answer ({str(error).strip().splitlines()[0]})")
    return url


@pytest.fixture
def postgres_url(postgres_server: str) -> Iterator[str]:
    """A PostgreSQL address with a schema of the test's own."""
    import psycopg

    schema = f"t_{os.urandom(6).hex()}"
    yield f"{postgres_server}{'&' if '?' in postgres_server else '?'}schema={schema}"
    with psycopg.connect(postgres_server, autocommit=True) as connection:
        connection.execute(f'drop schema if exists "{schema}" cascade')


@pytest.fixture(scope="session")
def redis_url() -> str:
    """The address of a Redis server."""
    url = os.environ.get("HISHAMOS_TEST_REDIS") or "redis://127.0.0.1:6379/0"
    try:
        import redis

        redis.Redis.from_url(url, socket_timeout=3).ping()
    except Exception as error:
        missing("redis", f"{url} does not answer ({error})")
    return url


@pytest.fixture(scope="session")
def chromium_path() -> str:
    """The path of a Chromium or Chrome."""
    found = next((path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), None)
    if found is None:
        missing("chromium", "no chromium on the PATH")
    return str(found)


@pytest.fixture(scope="session")
def aimock() -> Iterator[dict[str, str]]:
    """A third-party fake provider; its base URL for each wire format, and ``root``."""
    folder = Path(os.environ.get("AIMOCK_DIR") or RIGS / "aimock")
    entry = folder / "node_modules" / "@copilotkit" / "aimock" / "dist" / "cli.js"
    if shutil.which("node") is None or not entry.exists():
        missing("node", f"node and {entry} (run: npm ci --prefix tests/rigs/aimock)")
    port = free_port()
    command = ["node", str(entry), "-p", str(port), "-h", "127.0.0.1", "-f", str(RIGS / "aimock" / "fixtures.json"), "--journal-max", "5000"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    root = f"http://127.0.0.1:{port}"
    wait_for(f"{root}/health")
    yield {"root": root, "openai": f"{root}/v1", "anthropic": root, "gemini": f"{root}/v1beta"}
    process.terminate()
    process.wait(10)


@pytest.fixture
def workspace_dir() -> Iterator[Path]:
    """An empty folder for a workspace; whatever server the test started in it is stopped."""
    folder = Path(tempfile.mkdtemp(prefix="hos-"))
    yield folder
    stop_server(folder)
    shutil.rmtree(folder, ignore_errors=True)


def stop_server(folder: Path) -> None:
    """End the folder's workspace server, if one runs, and wait until it has gone."""
    file = folder / "data" / "local" / "server.json"
    with contextlib.suppress(OSError, ValueError, KeyError):
        pid = int(json.loads(file.read_text())["pid"])
        os.kill(pid, signal.SIGTERM)
        for _ in range(200):
            os.kill(pid, 0)
            time.sleep(0.05)
        os.kill(pid, signal.SIGKILL)


def free_port() -> int:
    """A port of the loopback interface that nobody uses now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(url: str, seconds: float = 20) -> None:
    """Wait until the URL answers."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            urllib.request.urlopen(url, timeout=2).read()
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
        else:
            return
