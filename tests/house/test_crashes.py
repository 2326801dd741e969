"""A process of the test run that dies explains itself at the end of the report."""

from __future__ import annotations

import os
import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parents[2]
TESTS = """
import ctypes, os, signal

def test_before():
    pass

def test_killed():
    os.kill(os.getpid(), signal.SIGKILL)

def test_at_no_address():
    ctypes.string_at(0)

def test_left():
    os._exit(3)
"""


@pytest.mark.long
def test_how_a_process_died_is_told(tmp_path: pathlib.Path) -> None:
    (tmp_path / "test_dying.py").write_text(TESTS)
    plugins = ["-p", "xdist", "-p", "tests.rigs.crashes", "-p", "no:cacheprovider"]
    command = [sys.executable, "-m", "pytest", "-q", "-n", "1", *plugins, "--rootdir", str(tmp_path), str(tmp_path)]
    environment = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}  # the others cost each process half a second
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False, env=environment)
    _, _, told = done.stdout.partition("processes of this test run that died")
    ends = {line.partition(") ")[2].partition(";")[0] for line in told.splitlines() if line.startswith("gw")}
    assert ends == {"was ended by SIGKILL", "was ended by SIGSEGV", "ended with code 3"}, done.stdout
    assert told.index("Fatal Python error: Segmentation fault") < told.index("in test_at_no_address")
    assert told.index("ran ") < told.index("::test_before") < told.index("::test_killed")
    assert "for want of memory, anywhere on this machine: " in told
