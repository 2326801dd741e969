"""A process of the test run that dies says how: which signal or exit code, in which test, where its threads stood, what memory was left.

pytest-xdist tells only that a worker crashed and in which test. A plugin of its own, so that it can be tested: ``-p tests.rigs.crashes``.
"""

from __future__ import annotations

import faulthandler
import os
import signal
import subprocess
import tempfile
from pathlib import Path
from typing import IO, Any

import pytest

FOLDER = "HISHAMOS_TEST_TRACES"
LAST_TESTS = 5
"""So many of the tests that a process ran before it died are named: one of them may have left something behind."""


def pytest_configure(config: pytest.Config) -> None:
    """See the module; in a single process pytest's own traceback on stderr is enough."""
    if hasattr(config, "workerinput"):
        config.pluginmanager.register(Worker(Path(os.environ[FOLDER]), config.workerinput["workerid"]))
    elif config.getoption("numprocesses", None):
        config.pluginmanager.register(Controller(config))


class Worker:
    """Keeps where the threads stand at a crash, and what ran."""

    def __init__(self, folder: Path, name: str) -> None:
        self._tests = (folder / f"{name}.tests").open("a")
        self._trace: IO[str] = (folder / f"{name}.trace").open("a")

    @pytest.hookimpl(trylast=True)
    def pytest_sessionstart(self) -> None:
        """Take over from pytest, whose trace goes to a stderr that is lost in the middle of the dots."""
        faulthandler.enable(self._trace)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logstart(self, nodeid: str) -> None:
        """Note each test as it begins."""
        self._tests.write(f"{nodeid}\n")
        self._tests.flush()


class Controller:
    """Collects what the processes left, and tells of those that died."""

    def __init__(self, config: pytest.Config) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="hos-traces-")
        os.environ[FOLDER] = self._folder.name
        self._found: list[str] = []
        self._out_of_memory = _killed_for_memory()
        config.add_cleanup(self._folder.cleanup)

    def pytest_testnodedown(self, node: Any, error: object) -> None:
        """Look at what is known of a process that died."""
        if not error:
            return
        name = node.gateway.id
        memory = next((line for line in _lines("/proc/meminfo") if line.startswith("MemAvailable")), "")
        killed = _killed_for_memory() - self._out_of_memory
        self._found += [
            f"{name} {_end(node)}; {memory.replace(' ', '')}; killed by the kernel for want of memory, anywhere on this machine: {killed}",
            *(f"  ran {test}" for test in self._kept(name, "tests")[-LAST_TESTS:]),
            *self._kept(name, "trace"),
        ]

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Say it where it is read: at the end."""
        if self._found:
            terminalreporter.section("processes of this test run that died")
            for line in self._found:
                terminalreporter.write_line(line)

    def _kept(self, name: str, kind: str) -> list[str]:
        return _lines(str(Path(self._folder.name) / f"{name}.{kind}"))


def _end(node: Any) -> str:
    process = getattr(getattr(node.gateway, "_io", None), "popen", None)
    if not isinstance(process, subprocess.Popen):
        return "ended, nobody knows how"
    try:
        code = process.wait(10)
    except subprocess.TimeoutExpired:
        return f"(pid {process.pid}) closed its connection and runs on"
    how = f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with code {code}"
    return f"(pid {process.pid}) {how}"


def _killed_for_memory() -> int:
    return sum(int(line.split()[1]) for line in _lines("/proc/vmstat") if line.startswith("oom_kill "))


def _lines(file: str) -> list[str]:
    try:
        return Path(file).read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []
