"""Processes that are forked for the tests behave as those that users start."""

from __future__ import annotations

import os
import pathlib
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable

import psutil
import pytest

import hishamos
from hishamos.contracts.wire import Places
from tests.rigs import nursery

TESTS = pathlib.Path(__file__).parents[1]
REAL_LINES = {
    "benchmarks/test_server_numbers.py",  # measures them
    "rigs/consoles.py",  # the console runs on
    "browser/test_lab.py",  # so does JupyterLab
    "faces/conftest.py",  # Terminal, which chooses
    "faces/test_schedules_in_the_terminal.py",  # as systemd starts it
    "faces/test_third_party_adapter.py",  # in an environment of its own
    "rigs/workers.py",  # workers that are killed
    "unit/cli/test_units.py",  # starts nothing
}
"""Files that start ``python -m hishamos`` themselves; each costs a quarter of a second of a processor, a server's start two thirds."""

needs_nursery = pytest.mark.skipif(not nursery.available(), reason="no process is forked here")
Typed = Callable[..., subprocess.CompletedProcess[str]]


def forked(folder: pathlib.Path, *line: str, **more: str) -> subprocess.CompletedProcess[str]:
    return nursery.run(line, folder=folder, environment={**os.environ, "NO_COLOR": "1", **more}, timeout=60)


def real(folder: pathlib.Path, *line: str, **more: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "NO_COLOR": "1", **more}
    return subprocess.run([sys.executable, "-m", "hishamos", *line], cwd=folder, env=environment, capture_output=True, text=True, timeout=60, check=False)


@needs_nursery
@pytest.mark.parametrize("line", [("rnu",), ("init", "--json"), ("--version",)], ids=["usage", "document", "version"])
def test_a_forked_terminal_ends_as_a_real_one_does(tmp_path: pathlib.Path, line: tuple[str, ...]) -> None:
    ends = []
    for number, typed in enumerate((forked, real)):
        folder = tmp_path / str(number)
        folder.mkdir()
        done = typed(folder, *line)
        ends.append((done.returncode, done.stdout.replace(str(folder), "HERE"), done.stderr.replace(str(folder), "HERE"), sorted(os.listdir(folder))))
    assert ends[0] == ends[1]


@needs_nursery
def test_a_forked_server_is_a_process_of_its_own(workspace_dir: pathlib.Path) -> None:
    with hishamos.open(workspace_dir) as ws:
        pid = ws.health.ping().pid
    server = psutil.Process(pid)
    assert pathlib.Path(server.cwd()) == workspace_dir
    assert (os.getsid(pid), os.getpgid(pid)) == (pid, pid)
    log = str(Places(workspace_dir).log)
    assert [os.readlink(f"/proc/{pid}/fd/{number}") for number in (0, 1, 2)] == ["/dev/null", log, log]
    os.kill(pid, signal.SIGKILL)
    end = time.monotonic() + 20
    while psutil.pid_exists(pid):
        assert time.monotonic() < end, "nobody takes note of its end"
        time.sleep(0.01)


@needs_nursery
def test_how_a_child_ended_is_told(tmp_path: pathlib.Path) -> None:
    with (tmp_path / "told").open("wb") as told, open(os.devnull, "rb") as nothing:
        files = [nothing.fileno(), told.fileno(), told.fileno()]
        child = nursery.start("simulator", ["--port", "0"], files, folder=tmp_path, environment={nursery.ADDRESS: os.environ[nursery.ADDRESS]})
    while not (tmp_path / "told").read_bytes():
        assert child.poll() is None
        time.sleep(0.01)
    child.terminate()
    assert child.wait(20) == -signal.SIGTERM


def test_lines_of_the_terminal_are_typed_where_they_can_be_forked() -> None:
    """``Terminal.type`` is quick: a test that starts ``python -m hishamos`` itself has a reason, named in this file."""
    itself = re.compile(r"""["']-m["'],\s*["']hishamos(\.server)?["']""")
    found = {
        str(file.relative_to(TESTS)) for file in TESTS.glob("**/*.py") if "node_modules" not in file.parts and itself.search(file.read_text(encoding="utf-8"))
    }
    assert found - {"house/test_nursery.py"} <= REAL_LINES
