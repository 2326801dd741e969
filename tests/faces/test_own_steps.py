"""Steps with code of the workspace as people meet them: in the terminal, with the real server, which is killed too."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path

import psutil
import pytest

SOURCE = """
import ctypes, subprocess, time

def half(number):
    return number / 2

def segfault():
    print("on my way")
    ctypes.string_at(0)

def hang(file):
    process = subprocess.Popen(["sleep", "600"], start_new_session=True)
    with open(file, "w") as stream:
        stream.write(f"{process.pid}")
    time.sleep(600)
"""


def flow(name, step):
    return f"name: {name}\ndescription: A test.\nsteps:\n  - {{id: s, type: python, {step}}}\noutputs: {{o: '{{{{ steps.s.output }}}}'}}\n"


@pytest.fixture
def terminal(own_terminal):
    own_terminal.file("steps/own.py", SOURCE)
    own_terminal.file("workflows/halved.yaml", flow("halved", "with: {function: 'steps.own:half', number: 5}"))
    own_terminal.file("workflows/crashing.yaml", flow("crashing", "retry: {attempts: 1}, with: {function: 'steps.own:segfault'}"))
    own_terminal.file("workflows/hanging.yaml", flow("hanging", "with: {function: 'steps.own:hang', file: started}"))
    return own_terminal


def until(check, seconds=60.0):
    end = time.monotonic() + seconds
    while not check():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.05)


def running(pid):
    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE


def test_a_step_of_the_workspace_runs_and_a_crash_is_told(terminal):
    assert terminal.json("run", "halved")["outputs"] == {"o": 2.5}
    failed = terminal.json("run", "crashing", code=1)
    assert "steps.own:segfault did not come to its end: it was ended by SIGSEGV" in failed["error"]["message"]
    assert "on my way" in failed["error"]["message"]
    assert terminal.json("run", "halved")["outputs"] == {"o": 2.5}


def test_a_name_that_leads_elsewhere_is_refused_with_its_line(terminal):
    for name, words in (
        ("os:system", "steps.MODULE:FUNCTION"),
        ("steps.own:hlaf", "did you mean 'half'?"),
        ("steps.own:half, nmuber: 1", "did you mean 'number'?"),
    ):
        quoted, _, rest = name.partition(",")
        terminal.file("workflows/wrong.yaml", flow("wrong", f"with: {{function: '{quoted}'{',' + rest if rest else ''}}}"))
        done = terminal.type("run", "wrong")
        assert done.returncode == 2
        assert words in " ".join(done.stderr.split())
        assert "wrong.yaml:4" in " ".join(done.stderr.split())


@pytest.mark.long
def test_nothing_outlives_a_killed_server(terminal):
    terminal.json("run", "halved")
    server = json.loads((terminal.folder / "data/local/server.json").read_text())["pid"]
    follower = terminal.start("run", "hanging")
    started = Path(terminal.folder) / "started"
    until(lambda: started.exists() and started.read_text())
    below = [process.pid for process in psutil.Process(server).children(recursive=True)]
    assert len(below) >= 3
    follower.kill()
    follower.wait()
    os.kill(server, signal.SIGKILL)
    until(lambda: not any(running(pid) for pid in [*below, int(started.read_text())]))
    [run] = [one for one in terminal.json("runs") if one["name"] == "hanging"]
    terminal.json("cancel", run["id"])
