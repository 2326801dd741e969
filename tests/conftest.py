"""What all tests share: a clean environment, quick processes, and the services that some of them need.

The usual run has a time budget: the README's second line is to end in ten minutes on two processors. A new test does not add to it:

- In process where a process is not what is tested: ``hishamos.open(":memory:")``, ``compose``, ``tests.rigs.run_bench``, ``tests.rigs.gateways``.
- Terminals (``Terminal.type``), workspace servers and :class:`~tests.rigs.simulator.Simulator` are forked from a warm process by themselves
  (:mod:`tests.rigs.nursery`): a server costs a tenth of a second. What is about the process itself asks for ``real_processes``.
- Servers and simulators of a file are shared where one test's rows don't hurt the next one's (``terminal``, ``triaged``, module fixtures).
- What costs seconds of a processor all the same (a kernel, JupyterLab, the tenth page in a browser, another kill) is marked ``long``, and has a
  short form that isn't: ``.ci/run`` runs both, and nothing lands by the usual ones alone.
- Wait for a condition, and shorten the product's own pauses (``monkeypatch.setattr``) where not the pause is what is tested.
"""

from __future__ import annotations

import contextlib
import functools
import gc
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from hishamos.schemas import json_schema
from tests.rigs import compiling, crashes, nursery

if TYPE_CHECKING:
    from tests.rigs.schemas import Schemas

os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
CLEARED = ("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "GEMINI_API_KEY", "GOOGLE_API_KEY", "OLLAMA_HOST", "HISHAMOS_WORKSPACE")
for _name in CLEARED:
    os.environ.pop(_name, None)
# Hundreds of processes import the same modules: where nobody keeps what was compiled, each of them compiles them again.
sys.dont_write_bytecode = False
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
json_schema.load()  # before nbformat loads it with its grammar, which is two seconds in each process
RIGS = Path(__file__).parent / "rigs"


WHOLE_SETS = ("not long and not chaos and not benchmark", "long")
"""Which tests are usual, and those that cost most: together they are what has to pass before a change lands."""
MOST_PROCESSES = 4
"""The tests start servers, kernels and browsers of their own: more at once than this are slower, not faster."""


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """The whole suite runs in several processes, for it waits more than it computes; single files, benchmarks, ``-s`` and a debugger in this one."""
    whole = config.args_source is pytest.Config.ArgsSource.TESTPATHS and config.option.markexpr in WHOLE_SETS
    if not whole or config.option.keyword or config.option.capture == "no" or config.option.usepdb or config.option.collectonly:
        return 0
    return min((os.cpu_count() or 1) + 2, MOST_PROCESSES)


def pytest_configure(config: pytest.Config) -> None:
    """Compile, and start the nursery, once for all processes of the test run; ``HISHAMOS_TEST_REAL_PROCESSES`` does without it.

    On Linux only: elsewhere a process that has loaded so much can't be forked safely. Long chaos runs and benchmarks have real processes.
    """
    crashes.pytest_configure(config)
    if sys.platform == "linux" and config.getoption("numprocesses", None) and not hasattr(config, "workerinput"):
        compiling.ahead(config)
    real = sys.platform != "linux" or os.environ.get("HISHAMOS_TEST_REAL_PROCESSES") or config.option.markexpr not in WHOLE_SETS
    if real or nursery.available():
        return
    folder = tempfile.mkdtemp(prefix="hos-nursery-")
    at_once = {"": ["hishamos.server", "litellm"]} if config.option.tx else {}  # while the workers' own nursery loads, on another processor
    processes = [
        subprocess.Popen(
            [sys.executable, "-P", nursery.__file__, f"{folder}/socket{end}", *at_once.get(end, ())],
            cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, start_new_session=True,
        )
        for end in ("", *sorted({*nursery.OWN.values()}))
    ]  # fmt: skip
    os.environ[nursery.ADDRESS] = f"{folder}/socket"
    if {*config.option.tx} == {"popen"}:
        config.option.tx = [nursery.worker_of_tests()] * len(config.option.tx)

    def leave() -> None:
        del os.environ[nursery.ADDRESS]
        for process in processes:
            process.communicate()  # it ends with its input
        shutil.rmtree(folder, ignore_errors=True)

    config.add_cleanup(leave)


@pytest.hookimpl(trylast=True)
def pytest_collection_finish() -> None:
    """Let the collector of garbage leave alone what was loaded, and look less often at the rest: engine and store take a fifth less."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish() -> None:
    """Spare pytest's last collections of garbage, five of them, what is going to end with the process anyhow."""
    gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def quick_servers() -> Iterator[None]:
    """Have workspace servers that this process starts forked from the nursery."""
    if not nursery.available():
        yield
        return
    from hishamos.kernels import notebook_pool
    from hishamos.remote import discovery

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(discovery, "_spawn", nursery.spawning(discovery._spawn))
        patch.setattr(notebook_pool, "spawn", nursery.beginning(notebook_pool.spawn))
        yield


@pytest.fixture(scope="session", autouse=True)
def quick_stores() -> Iterator[None]:
    """Have workspaces that this process opens begin with a store that is migrated."""
    from hishamos import composition
    from tests.rigs import stores

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(composition, "open_connector", stores.opening(composition.open_connector, stores.template))
        yield


@pytest.fixture(scope="session", autouse=True)
def installed_once() -> Iterator[None]:
    """Have each process of the tests read once which packages offer adapters: thousands of files, for each gateway anew."""
    from hishamos.gateway.adapters import registry

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(registry, "entry_points", functools.cache(registry.entry_points))
        yield


@pytest.fixture
def real_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have servers and terminals of this test started as users start them, by ``python -m``."""
    monkeypatch.delenv(nursery.ADDRESS, raising=False)


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


@pytest.fixture(scope="session")
def schemas(postgres_server: str) -> Iterator[Schemas]:
    """Migrated schemas, to be used again and again."""
    from tests.rigs.schemas import Schemas

    kept = Schemas(postgres_server)
    yield kept
    kept.close()


@pytest.fixture
def postgres_url(schemas: Schemas) -> Iterator[str]:
    """A PostgreSQL address with a migrated, empty schema of the test's own."""
    with schemas.lent() as url:
        yield url


@pytest.fixture
def new_postgres_url(postgres_server: str) -> Iterator[str]:
    """A PostgreSQL address with a schema that holds nothing yet."""
    with own_schema(postgres_server) as url:
        yield url


@contextlib.contextmanager
def own_schema(postgres_server: str) -> Iterator[str]:
    """An address with a schema that nobody else uses, gone afterwards."""
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
    found = next((path for name in ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), None)
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
    import psutil

    file = folder / "data" / "local" / "server.json"
    with contextlib.suppress(OSError, ValueError, KeyError, psutil.NoSuchProcess):
        # A server that was killed has left its number behind, and that may be another's by now.
        facts = file.stat()
        process = psutil.Process(int(json.loads(file.read_text())["pid"]))
        if process.create_time() > facts.st_mtime + 1:
            return
        process.terminate()
        for _ in range(1000):
            if not process.is_running():
                return
            time.sleep(0.01)
        process.kill()


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
