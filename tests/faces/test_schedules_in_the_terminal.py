"""Schedules and the server that keeps them, as people type them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest

FLOW = """
name: tick
description: Ends at once.
inputs:
  file: {type: file}
steps:
  - {id: one, type: switch, with: {on: "{{ inputs.file }}", cases: {never: {type: wait, with: {seconds: 1}}}}}
"""


def test_a_schedule_from_its_making_to_its_end(terminal):
    terminal.file("workflows/tick.yaml", FLOW)
    terminal.file("rows.csv", "a\n")
    made = terminal.json("schedule", "add", "nightly", "tick", "30 2 * * *", "-i", "file=rows.csv", "--timezone", "Europe/Berlin", "--missed", "skip")
    assert made["inputs"] == {"file": str(terminal.folder.resolve() / "rows.csv")}
    assert made["upcoming"][0] == made["next_at"]
    assert [one["name"] for one in terminal.json("schedule")] == ["nightly"]
    shown = terminal.type("schedule").stdout
    assert "Europe/Berlin, in " in shown
    run = terminal.json("schedule", "run", "nightly")
    terminal.until("show", run["id"], holds=lambda document: document["state"] == "succeeded")
    told = terminal.json("schedule", "show", "nightly")
    assert told["times"][0]["outcome"] == "by hand"
    assert told["last_run"] == run["id"]
    assert terminal.json("schedule", "pause", "nightly")["next_at"] is None
    assert terminal.json("schedule", "resume", "nightly")["next_at"] == made["next_at"]
    wrong = terminal.type("schedule", "add", "again", "tick", "0 7 * *", "-i", "file=rows.csv")
    assert wrong.returncode == 2
    assert "mon-fri" in wrong.stderr
    findings = {finding["subject"]: finding for finding in terminal.json("doctor", "--no-network")}
    assert "serve --install" in findings["schedules"]["advice"]
    assert terminal.json("schedule", "remove", "nightly") == {"removed": "nightly"}
    assert "No schedules" in terminal.type("schedule").stdout


def test_a_unit_is_written_and_removed(own_terminal):
    home = own_terminal.folder / "home"
    own_terminal.environment = {"HOME": str(home), "PATH": str(own_terminal.folder)}  # no systemctl there
    done = own_terminal.type("serve", "--install", "--json")
    assert done.returncode == 1
    written = next((home / ".config/systemd/user").iterdir()) if sys.platform == "linux" else next((home / "Library/LaunchAgents").iterdir())
    assert str(own_terminal.folder.resolve()) in written.read_text()
    assert "enable --now" in own_terminal.type("serve", "--install").stdout or sys.platform == "darwin"
    assert own_terminal.json("serve", "--uninstall")["removed"] is True
    assert not written.exists()
    assert own_terminal.json("serve", "--uninstall")["removed"] is False


@pytest.mark.long
def test_serve_holds_the_server_and_lets_go(own_terminal):
    holding = own_terminal.start("serve", "--json")
    assert holding.stdout is not None
    assert str(own_terminal.folder.resolve()) in holding.stdout.readline()
    assert own_terminal.json("server", "status")["running"]
    code, _, told = own_terminal.interrupt(holding)
    assert code == 0
    assert "Let go" in told


@pytest.mark.long
def test_a_server_that_stays_waits_for_its_turn_and_does_not_leave(own_terminal):
    first = own_terminal.json("server", "status")
    assert not first["running"]
    own_terminal.json("runs")  # starts one
    folder = str(own_terminal.folder)
    staying = subprocess.Popen(
        [sys.executable, "-m", "hishamos.server", "--workspace", folder, "--stay"], env={**own_terminal.surroundings, "HISHAMOS_IDLE_S": "0.5"}
    )
    try:
        time.sleep(0.5)
        assert staying.poll() is None
        own_terminal.type("server", "stop")
        status = own_terminal.until("server", "status", holds=lambda document: document["running"])
        assert status["health"]["server"]["pid"] == staying.pid
        time.sleep(2)  # four times as long as it would stay with nothing to do
        assert staying.poll() is None
    finally:
        os.kill(staying.pid, signal.SIGTERM)
        assert staying.wait(30) == 0
