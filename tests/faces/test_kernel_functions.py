"""Scripts whose functions a workflow calls back, with the real server: the script is killed, the server is killed, another script goes on."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import pytest

pytestmark = pytest.mark.long
SCRIPT = """
import sys, time
from pathlib import Path
import hishamos

@hishamos.step
def note(word: str) -> str:
    with open("notes", "a") as stream:
        stream.write(word + "\\n")
    while word == "second" and not Path("go").exists():
        time.sleep(0.05)
    return word

ws = hishamos.open()
if sys.argv[1] == "start":
    steps = [{"id": name, "type": "python", "after": after, "with": {"function": "kernel:note", "word": name}}
             for name, after in (("first", []), ("second", ["first"]), ("third", ["second"]))]
    run = ws.workflows.start(hishamos.Workflow(name="noted", description="A test.", steps=steps, outputs={"o": "{{ steps.third.output }}"}))
else:
    run = ws.runs.resume(sys.argv[1])
print(run.id, run.where, flush=True)
done = run.wait()
print(done.state.value, done.outputs, flush=True)
"""


def script(terminal, *arguments):
    terminal.file("noting.py", SCRIPT)
    environment = {**terminal.surroundings, "HISHAMOS_WORKSPACE": str(terminal.folder)}
    return subprocess.Popen(
        [sys.executable, "noting.py", *arguments], cwd=terminal.folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def until(check, seconds=60.0):
    end = time.monotonic() + seconds
    while not check():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.05)


def notes(terminal):
    file = terminal.folder / "notes"
    return file.read_text().split() if file.exists() else []


def test_a_killed_script_pauses_its_run_and_another_goes_on(own_terminal):
    process = script(own_terminal, "start")
    run, where = process.stdout.readline().split()
    assert where == "kernel"
    until(lambda: notes(own_terminal) == ["first", "second"])
    process.kill()
    process.wait()
    own_terminal.until("show", run, holds=lambda shown: shown["state"] == "paused")
    told = own_terminal.type("show", run).stdout
    assert "the notebook or script that was running note is gone" in " ".join(told.split())
    assert "kernel" in told
    refused = own_terminal.type("resume", run)
    assert refused.returncode != 0
    assert "note is not registered here" in " ".join(refused.stderr.split())
    (own_terminal.folder / "go").write_text("")
    out, err = script(own_terminal, run).communicate(timeout=100)
    assert "succeeded {'o': 'third'}" in out, err
    assert notes(own_terminal) == ["first", "second", "second", "third"]


def test_a_killed_server_is_followed_by_the_next_one(own_terminal):
    process = script(own_terminal, "start")
    assert process.stdout.readline()
    until(lambda: notes(own_terminal) == ["first", "second"])
    os.kill(json.loads((own_terminal.folder / "data/local/server.json").read_text())["pid"], signal.SIGKILL)
    (own_terminal.folder / "go").write_text("")
    out, err = process.communicate(timeout=150)
    assert "succeeded {'o': 'third'}" in out, err
    assert notes(own_terminal)[0] == "first"
    assert notes(own_terminal).count("first") == 1
