"""Letting go of old runs as people do it: in the terminal, with others at work, with the server killed in the middle."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import signal
import threading
import time
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb
import pytest

import hishamos
from hishamos.contracts.wire import Places
from hishamos.errors import RunPruned
from hishamos.records.record import now
from hishamos.remote import proxies

if TYPE_CHECKING:
    from tests.faces.conftest import Terminal

OFFLINE = "offline/extractive"
TABLES = {"journal_runs": "id", "journal_steps": "run_id", "journal_events": "run_id", "map_inputs": "run_id"}


def aged(folder: Path) -> None:
    """Have every run of a workspace without a server have ended a hundred days ago."""
    proxies.stop(folder)
    with duckdb.connect(str(folder / "data" / "local" / "hishamos.duckdb")) as store:
        store.execute("update journal_runs set finished_at = $moment where finished_at is not null", {"moment": now() - timedelta(days=100)})


def test_the_terminal_says_what_would_go_asks_and_lets_go(own_terminal: Terminal) -> None:
    document = own_terminal.json("run", "triage_bugs", "-i", f"file={hishamos.sample('bugs.csv')}", "-i", "publish=yes", "--model", OFFLINE)
    aged(own_terminal.folder)
    attempts = own_terminal.json("spend", "--by", "model")[0]["attempts"]
    dry = own_terminal.type("prune", "--older-than", "90d", "--dry-run")
    assert "Would go: 1 run that ended before" in dry.stdout
    assert own_terminal.type("prune", "--older-than", "90d").returncode == 2
    wrong = own_terminal.type("prune", "--older-than", "soon")
    assert wrong.returncode == 2
    assert "90d, 12w" in wrong.stderr
    assert own_terminal.json("prune", "--older-than", "15w", "--yes")["runs"] == 0
    done = own_terminal.json("prune", "--older-than", "12w", "--yes")
    assert (done["runs"], done["held"]) == (1, 0)
    assert done["steps"] > 50
    assert own_terminal.json("runs") == []
    assert own_terminal.json("spend", "--by", "model")[0]["attempts"] == attempts
    run = document["run"]["id"] if "run" in document else document["id"]
    shown = own_terminal.type("show", run)
    assert shown.returncode == 2
    assert "was pruned on" in shown.stderr
    (result,) = own_terminal.json("results")
    assert result["run_pruned_at"]
    assert f"{run}, pruned" in own_terminal.type("results", result["id"]).stdout
    assert own_terminal.json("issues"), "they stay"


def many(folder: Path, runs: int) -> None:
    """Make a workspace whose store has many old runs of ten steps each, written as the journal writes them."""
    with hishamos.open(folder) as ws:
        run = ws.commands.start_map("classify_bug", [{"text": f"It crashes {number}."} for number in range(10)], model=OFFLINE)
        ws.runs.wait(run.id, timeout_s=60)
    aged(folder)
    with duckdb.connect(str(folder / "data" / "local" / "hishamos.duckdb")) as store:
        for table, key in TABLES.items():
            text = ", repeat(md5(n || ' ' || r.item), 100) as inputs" if table == "map_inputs" else ""
            store.execute(f"insert into {table} select r.* replace (printf('OLD%09d', n) as {key}{text}) from {table} r, range({runs}) numbers(n)")


def left_of_runs(folder: Path) -> list[set[str]]:
    """Return the runs that each table has something of, in a workspace without a server."""
    with duckdb.connect(str(folder / "data" / "local" / "hishamos.duckdb"), read_only=True) as store:
        return [{row[0] for row in store.execute(f"select distinct {key} from {table}").fetchall()} for table, key in TABLES.items()]


@pytest.mark.long
def test_killed_in_the_middle_whole_runs_are_left_and_the_next_time_does_the_rest(workspace_dir: Path) -> None:
    many(workspace_dir, 1200)
    ws = hishamos.open(workspace_dir)
    others = hishamos.open(workspace_dir)
    others.sql("select 1 as n")  # what it loads for that takes longer than the pruning
    pid = int(json.loads(Places(workspace_dir).info.read_text())["pid"])
    folder = workspace_dir / "data" / "local" / "batches" / "OLD000000000"
    folder.mkdir(parents=True)
    halves: list[set[str]] = []

    def kill() -> None:
        while others.sql("select count(*) as n from runs")["n"][0] == 1201:
            pass
        with Places(workspace_dir).starting.open("w") as hold:
            fcntl.flock(hold, fcntl.LOCK_EX)  # no other server starts before the dead one's store was looked at
            os.kill(pid, signal.SIGKILL)
            while not halves:
                with contextlib.suppress(duckdb.IOException):  # the dead one's threads have not all let go of it
                    halves.extend(left_of_runs(workspace_dir))

    killer = threading.Thread(target=kill)
    killer.start()
    ws.health.prune(older_than_days=90)  # its connection breaks, and it is sent again to the next server
    killer.join(60)
    runs, *parts = halves
    assert 0 < len(runs) < 1201
    assert [part == runs for part in parts] == [True, True, True], "each is there with all that is its own"
    proxies.stop(workspace_dir)
    assert left_of_runs(workspace_dir) == [set()] * 4
    assert not folder.exists()


@pytest.mark.long
def test_others_go_on_meanwhile_and_a_restored_backup_knows_what_was_pruned(workspace_dir: Path) -> None:
    many(workspace_dir, 1200)
    ws, other = hishamos.open(workspace_dir), hishamos.open(workspace_dir)
    waits: list[float] = []
    stop = threading.Event()

    def write() -> None:
        number = 0
        while not stop.is_set():
            begun = time.monotonic()
            other.projects.ensure(f"P{number}")
            waits.append(time.monotonic() - begun)
            number += 1

    writer = threading.Thread(target=write)
    writer.start()
    done = ws.health.prune(older_than_days=90)
    stop.set()
    writer.join(30)
    assert done.runs == 1201
    assert max(waits) < 3, "as long as one portion takes at most, here beside other tests"
    assert done.free_bytes is not None
    ws.health.restore(ws.health.backup("copy.duckdb"))
    with pytest.raises(RunPruned):
        ws.runs.get("OLD000000001")
