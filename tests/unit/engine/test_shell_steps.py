"""The step type ``shell``: real programs, no shell, and nothing that outlives its step."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from hishamos.engine.outside import Outside
from hishamos.kernels.programs import Programs
from hishamos.records.configuration import AllowSettings, Settings
from hishamos.records.runs import RunState
from tests.rigs import step_functions
from tests.rigs.run_bench import Bench
from tests.unit.engine.test_runner import python, until

ROOT = Path(__file__).parents[3]
FAMILY = "(sleep 60 & echo $! > grandchild); sleep 61 & echo $! > child; touch ready; wait"


@pytest.fixture(params=["duckdb", "postgres"])
def bench(request, tmp_path):
    made = Bench(":memory:" if request.param == "duckdb" else request.getfixturevalue("postgres_url"))
    made.programs = Programs()
    allow = AllowSettings(programs=("sh", "cat", "env", "pwd", "none-such", sys.executable))
    made.outside = Outside(lambda: Settings(root=str(tmp_path), allow=allow), lambda _: None, made.programs.prepare)
    yield made
    made.programs.close()
    made.close()


def step(program, *args, timeout=None, **more):
    return {
        "id": "s",
        "type": "shell",
        "with": {"program": program, "args": list(args), **more},
        **({"timeout": timeout, "retry": {"attempts": 1}} if timeout else {}),
    }


def ran(bench, program, *args, inputs=None, **more):
    return bench.run([step(program, *args, **more)], inputs, outputs={"o": "{{ steps.s.output }}"})


def alive(file):
    pid = int(file.read_text())
    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE


def gone(folder):
    until(lambda: not alive(folder / "child") and not alive(folder / "grandchild"))


def test_arguments_are_given_as_they_are(bench, tmp_path):
    odd = ["$HOME", "a b", "; touch hacked", "`id`", "*", "ü", "{{ inputs.x }}", 7]
    run = ran(bench, sys.executable, "-c", "import sys, json; print(json.dumps(sys.argv[1:]))", *odd, inputs={"x": "$(id)\nnew"})
    assert run.state is RunState.SUCCEEDED, run.error
    import json

    assert json.loads(run.outputs["o"]["stdout"]) == ["$HOME", "a b", "; touch hacked", "`id`", "*", "ü", "$(id)\nnew", "7"]
    assert list(tmp_path.iterdir()) == []


def test_code_output_errors_and_input(bench):
    assert ran(bench, "sh", "-c", "cat; echo bad >&2; exit 3", input="in\n", ok_codes=[3]).outputs["o"] == {"code": 3, "stdout": "in\n", "stderr": "bad\n"}
    assert ran(bench, "cat").outputs["o"]["stdout"] == ""
    run = ran(bench, "sh", "-c", "echo bad >&2; exit 3")
    assert run.state is RunState.FAILED
    assert "ended with code 3: bad" in run.error.message
    assert "code -9" in ran(bench, "sh", "-c", "kill -9 $$").error.message


def test_only_what_is_on_the_list(bench):
    run = ran(bench, "git")
    assert '"git"]' in run.error.message
    assert "programs = [" in run.error.message
    assert "/bin/sh is not on" in ran(bench, "/bin/sh").error.message
    assert "there is no program none-such" in ran(bench, "none-such").error.message


def test_no_key_reaches_the_program(bench, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-hush-hush-hush")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hush-hush")
    told = ran(bench, "env").outputs["o"]["stdout"]
    assert "hush" not in told
    assert {line.partition("=")[0] for line in told.splitlines()} <= {"PATH", "HOME", "USER", "LOGNAME", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "TMPDIR"}


def test_it_works_inside_the_workspace_only(bench, tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "out").symlink_to("/")
    assert ran(bench, "pwd", folder="in").outputs["o"]["stdout"].strip() == str((tmp_path / "in").resolve())
    for folder in ("..", "/", "out", "none", "in/../.."):
        assert ran(bench, "pwd", folder=folder).state is RunState.FAILED


@pytest.mark.parametrize("script", ["yes", "yes >&2"])
def test_output_is_bounded(bench, script):
    begun = time.monotonic()
    assert "printed more than 100000 bytes" in ran(bench, "sh", "-c", script, limit=100_000).error.message
    assert time.monotonic() - begun < 10


def test_memory_is_bounded(bench):
    run = ran(bench, sys.executable, "-c", "x = bytearray(400 * 2**20)", memory_mb=200)
    assert "MemoryError" in run.error.message


def test_what_it_leaves_behind_ends_with_it(bench, tmp_path):
    begun = time.monotonic()
    assert ran(bench, "sh", "-c", "sleep 60 & echo $! > child; sleep 60 & echo $! > grandchild").state is RunState.SUCCEEDED
    assert time.monotonic() - begun < 10
    gone(tmp_path)


def test_who_leaves_the_group_holds_nothing_up(bench, tmp_path):
    script = "import os, time\nif os.fork() == 0:\n    os.setsid()\n    open('pid', 'w').write(str(os.getpid()))\n    time.sleep(60)\nelse:\n    time.sleep(0.5)\n    print('done')"
    begun = time.monotonic()
    try:
        assert ran(bench, sys.executable, "-c", script).outputs["o"]["stdout"] == "done\n"
        assert time.monotonic() - begun < 15
    finally:
        os.kill(int((tmp_path / "pid").read_text()), signal.SIGKILL)


def test_a_time_limit_ends_the_whole_family(bench, tmp_path):
    run = ran(bench, "sh", "-c", FAMILY, timeout=1)
    assert "longer than its limit of 1.0 s" in run.error.message
    gone(tmp_path)


def test_cancel_ends_the_whole_family(bench, tmp_path):
    runner = bench.process()
    identity = bench.insert([step("sh", "-c", FAMILY)])
    work = runner.begin(identity)
    until((tmp_path / "ready").exists)
    bench.wish(identity, "cancel")
    runner.nudge(identity)
    assert work.result(10) is RunState.CANCELLED
    gone(tmp_path)


def test_a_server_that_leaves_ends_it_and_the_next_one_runs_it_again(bench, tmp_path):
    identity = bench.insert([python("a", value=1), {**step("sh", "-c", "test -e go || { " + FAMILY + "; }"), "after": ["a"]}])
    runner = bench.process()
    work = runner.begin(identity)
    until((tmp_path / "ready").exists)
    first, bench.programs = bench.programs, Programs()
    first.close()
    runner.drain(5)
    assert work.result(10) is RunState.QUEUED
    gone(tmp_path)
    (tmp_path / "go").touch()
    bench.outside = Outside(bench.outside.settings, lambda _: None, bench.programs.prepare)
    assert bench.work(identity).state is RunState.SUCCEEDED
    assert step_functions.calls == [1]
    assert bench.steps(identity)["s"].attempt == 1


KILLED = """
import sys
from pathlib import Path
from hishamos.composition import open_in_process
ws = open_in_process(Path(sys.argv[1]), store="data/local/hishamos.duckdb")
ws.workflows.start("family").wait()
"""


@pytest.mark.long
def test_a_killed_server_leaves_no_program(tmp_path):
    (tmp_path / "workflows").mkdir()
    (tmp_path / "data" / "local").mkdir(parents=True)
    (tmp_path / "hishamos.toml").write_text('[allow]\nprograms = ["sh"]\n')
    (tmp_path / "workflows" / "family.yaml").write_text(
        f"name: family\ndescription: d\nsteps:\n  - {{id: s, type: shell, with: {{program: sh, args: ['-c', '{FAMILY}']}}}}\n"
    )
    process = subprocess.Popen([sys.executable, "-c", KILLED, str(tmp_path)], env={**os.environ, "PYTHONPATH": str(ROOT)})
    until((tmp_path / "ready").exists, 30)
    process.kill()
    process.wait()
    gone(tmp_path)
