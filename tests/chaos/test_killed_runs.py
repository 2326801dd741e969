"""Runs whose process is killed with SIGKILL, between steps and inside one: they go on, and nothing that finished is repeated (D13)."""

from __future__ import annotations

import random
import time
from pathlib import Path

import pytest

from hishamos.composition import open_in_process
from tests.rigs.nursery import python

ROOT = Path(__file__).parents[2]
CHILD = """
import sys, time
from pathlib import Path
from hishamos.engine import functions
functions.OWN = (functions.ROOM, "tests.rigs.")
functions._plugged = lambda: {name: f"tests.rigs.witnessed:{name}" for name in ("note", "slow", "fail")}
from hishamos.composition import open_in_process
workspace = open_in_process(Path(sys.argv[1]), store="data/local/hishamos.duckdb")
if sys.argv[2]:
    started = workspace.workflows.start(sys.argv[2], {}, model=sys.argv[3] or None)
print("ready", flush=True)
while not all(run.ended for run in workspace.runs.list()):
    time.sleep(0.02)
workspace.close()
print("done", flush=True)
"""
MAPPED = """
name: mapped
description: Two steps, a map of calls between them.
steps:
  - {id: before, type: python, with: {function: note, folder: "FOLDER", word: before}}
  - id: classify
    type: map
    after: [before]
    with: {over: "{{ range(60) }}", as: n, concurrency: 8, step: {type: command, with: {command: classify_bug, inputs: {text: "Report {{ n }}: the app crashes"}}}}
  - {id: after, type: python, after: [classify], with: {function: note, folder: "FOLDER", word: "{{ steps.classify.output | length }}"}}
outputs: {n: "{{ steps.classify.output | length }}"}
"""
STEPPED = """
name: stepped
description: Five steps, the third one is slow.
steps:
  - {id: s1, type: python, with: {function: note, folder: "FOLDER", word: s1}}
  - {id: s2, type: python, after: [s1], with: {function: note, folder: "FOLDER", word: s2}}
  - {id: s3, type: python, after: [s2], with: {function: slow, folder: "FOLDER", word: s3}}
  - {id: s4, type: python, after: [s3], with: {function: note, folder: "FOLDER", word: s4}}
  - {id: s5, type: python, after: [s4], with: {function: note, folder: "FOLDER", word: s5}}
"""

NESTED = """
name: nested
description: The mapped workflow as a run of its own, then a loop.
steps:
  - {id: child, type: workflow, with: {workflow: mapped}}
  - {id: again, type: loop, after: [child], with: {for: [1, 2, 3], step: {type: python, with: {function: note, folder: "FOLDER", word: "again{{ item }}"}}}}
outputs: {n: "{{ steps.child.output.outputs.n }}"}
"""

UNDONE = """
name: undone
description: Three steps that can be taken back, and one that fails twice.
steps:
  - {id: s1, type: python, with: {function: note, folder: "FOLDER", word: s1},
     compensate: {type: python, with: {function: note, folder: "FOLDER", word: undo1}}}
  - {id: s2, type: python, after: [s1], with: {function: note, folder: "FOLDER", word: s2},
     compensate: {type: python, with: {function: slow, folder: "FOLDER", word: undo2}}}
  - {id: s3, type: python, after: [s2], with: {function: note, folder: "FOLDER", word: s3},
     compensate: {type: python, with: {function: note, folder: "FOLDER", word: undo3}}}
  - {id: s4, type: python, after: [s3], with: {function: fail, folder: "FOLDER", word: try}, retry: {attempts: 2, backoff_s: 4, on: [OSError]}}
"""


@pytest.fixture
def workspace(tmp_path):
    (tmp_path / "workflows").mkdir()
    (tmp_path / "data" / "local").mkdir(parents=True)
    # A run is given up when processes go on dying at it before a step has ended; here they are killed sooner than that.
    (tmp_path / "hishamos.toml").write_text("[workspace]\nmax_retries = 50\n")
    for name, text in (("mapped", MAPPED), ("stepped", STEPPED), ("nested", NESTED), ("undone", UNDONE)):
        (tmp_path / "workflows" / f"{name}.yaml").write_text(text.replace("FOLDER", str(tmp_path)))
    return tmp_path


def child(workspace, workflow="", model="offline/extractive"):
    asks = "[providers." in (workspace / "hishamos.toml").read_text()
    return python(CHILD, workspace, workflow, model or "", folder=ROOT, asks=asks)


def kill(process):
    process.kill()
    process.wait()
    process.stdout.close()


def finish(workspace):
    process = child(workspace)
    said = process.communicate(timeout=100)[0]
    assert said.split() == ["ready", "done"]


def witnessed(workspace):
    return (workspace / "witness.txt").read_text().split()


def test_killed_inside_step_3_only_3_4_5_run(workspace):
    process = child(workspace, "stepped")
    end = time.monotonic() + 30
    while not (workspace / "witness.txt").exists() or "s3" not in witnessed(workspace):
        assert time.monotonic() < end
        time.sleep(0.02)
    kill(process)
    (workspace / "go").touch()
    finish(workspace)
    assert witnessed(workspace) == ["s1", "s2", "s3", "s3", "s4", "s5"]


def test_killed_in_the_middle_of_a_map_no_finished_call_is_sent_again(workspace):
    chance = random.Random(7)
    process = child(workspace, "mapped")
    assert process.stdout.readline() == "ready\n"
    for _ in range(4):
        time.sleep(chance.uniform(0.02, 0.5))
        kill(process)
        process = child(workspace)
        assert process.stdout.readline() == "ready\n"
    kill(process)
    finish(workspace)
    with open_in_process(workspace, store="data/local/hishamos.duckdb") as ws:
        (run,) = ws.runs.list()
        assert (run.state, run.outputs) == ("succeeded", {"n": 60}), run.error
        assert (run.steps_done, run.steps_total) == (62, 62)
        twice = ws.sql("select idempotency_key from attempts where status = 'succeeded' group by idempotency_key having count(*) > 1")
        assert len(twice) == 0
        sent = ws.sql("select idempotency_key, count(*) as n, sum(case when status = 'orphaned' then 1 else 0 end) as orphans from attempts group by 1")
        assert len(sent) == 60
        assert (sent["n"] - sent["orphans"]).tolist() == [1] * 60
        ended = ws.sql("select path, count(*) as n from events where kind = 'step' and state = 'succeeded' group by path")
        assert len(ended) == 63
        assert set(ended["n"]) == {1}
        assert [item["is_report"] for item in ws.runs.steps(run.id, under="")[1].output] == [True] * 60
    assert witnessed(workspace)[-1] == "60"
    assert witnessed(workspace).count("60") >= 1


@pytest.mark.long
def test_killed_with_a_child_run_the_same_child_is_found_again(workspace):
    chance = random.Random(11)
    process = child(workspace, "nested")
    assert process.stdout.readline() == "ready\n"
    for _ in range(4):
        time.sleep(chance.uniform(0.02, 0.5))
        kill(process)
        process = child(workspace)
        assert process.stdout.readline() == "ready\n"
    kill(process)
    finish(workspace)
    with open_in_process(workspace, store="data/local/hishamos.duckdb") as ws:
        assert [(run.name, run.state, run.outputs) for run in sorted(ws.runs.list(), key=lambda run: run.name)] == [
            ("mapped", "succeeded", {"n": 60}),
            ("nested", "succeeded", {"n": 60}),
        ]
        twice = ws.sql("select idempotency_key from attempts where status = 'succeeded' group by idempotency_key having count(*) > 1")
        assert len(twice) == 0
    words = witnessed(workspace)
    assert [word for word in words if word.startswith("again")][-1] == "again3"
    assert words.count("again1") <= 2


@pytest.mark.long
def test_killed_while_it_waits_and_while_it_compensates_nothing_finished_is_repeated(workspace):
    """A wait for the next try, then a compensation: SIGKILL in each, the next process goes on there."""
    process = child(workspace, "undone")
    end = time.monotonic() + 30
    while not (workspace / "witness.txt").exists() or "try" not in witnessed(workspace):
        assert time.monotonic() < end
        time.sleep(0.02)
    time.sleep(0.5)  # the failure and the time of the next try are in the journal now
    kill(process)
    begun = time.monotonic()
    process = child(workspace)
    while "undo2" not in witnessed(workspace):
        assert time.monotonic() < begun + 60
        time.sleep(0.02)
    assert witnessed(workspace) == ["s1", "s2", "s3", "try", "try", "undo3", "undo2"]
    kill(process)
    (workspace / "go").touch()
    finish(workspace)
    assert witnessed(workspace) == ["s1", "s2", "s3", "try", "try", "undo3", "undo2", "undo2", "undo1"]
    with open_in_process(workspace, store="data/local/hishamos.duckdb") as ws:
        (run,) = ws.runs.list()
        assert (run.state, run.error.facts["compensated"]) == ("failed", ["s3", "s2", "s1"])
        (tried,) = ws.sql("select attempt from steps where path = 's4'")["attempt"]
        assert tried == 2
