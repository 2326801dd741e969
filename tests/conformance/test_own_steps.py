"""Python steps with code of the workspace, on both stores: in child processes, as the run that they belong to, and no danger to others."""

from __future__ import annotations

import time
from pathlib import Path

import psutil
import pytest

from hishamos.composition import compose
from hishamos.contracts.code import AT_ONCE
from hishamos.records.actors import OWNER
from hishamos.records.runs import RunState
from tests.rigs.lengths import shared_out

SOURCE = """
import ctypes, os, time
from pathlib import Path

def add(first, second=1):
    return first + second

def who(number):
    time.sleep(0.02)
    return os.getpid()

def note(file, word, fail=False):
    with open(file, "a") as stream:
        stream.write(f"{word} {os.getpid()}\\n")
    if fail:
        raise ValueError("not yet")
    return word

def segfault(file):
    note(file, "tried")
    ctypes.string_at(0)

def hang(file):
    note(file, "hanging")
    time.sleep(600)

def file_issues(ws, titles, die_at=None):
    ws.projects.ensure("DEMO")
    made = []
    for number, title in enumerate(titles):
        if number == die_at and not Path("died").exists():
            Path("died").write_text("")
            os._exit(1)
        made += [issue.key for issue in ws.issues.create("DEMO", [{"title": title}])]
    return made

def ask(ws, text):
    answer = ws.commands.run("echo", {"text": text}, model="offline/extractive")
    frame = ws.sql("select cast(count(*) as bigint) as n from attempts")
    events = ws.runs.follow(ws.runs.list()[0].id, after=0)
    first = next(events)
    events.close()
    return {"said": answer.output, "rows": int(frame["n"][0]), "event": first.state}

def refused(ws):
    ws.commands.get("none-such")
"""
ECHO = "name: echo\ndescription: Says it again.\ntemplate: '{{ text }}'\nparameters: {text: {type: text}}\n"


@pytest.fixture(params=shared_out(["duckdb", "postgres"], usual=["duckdb"]))
def house(request, tmp_path):
    (tmp_path / "hishamos.toml").write_text("[workspace]\nstep_memory_mb = 600\n")
    for folder, name, text in (("steps", "own.py", SOURCE), ("commands", "echo.yaml", ECHO), ("workflows", "none", "")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / name).write_text(text)
    made = compose(tmp_path, store=request.getfixturevalue("postgres_url") if request.param == "postgres" else ":memory:")
    made.start()
    made.root = tmp_path
    yield made
    made.close()
    assert made.code.processes == []


def start(house, *steps, name="flow", outputs="{o: '{{ steps.s.output }}'}"):
    lines = "\n".join(f"  - {step}" for step in steps)
    (house.root / "workflows" / f"{name}.yaml").write_text(f"name: {name}\ndescription: A test.\nsteps:\n{lines}\noutputs: {outputs}\n")
    return house.workspace_for(OWNER).workflows.start(name, {})


def ran(house, *steps, **more):
    return house.workspace_for(OWNER).runs.wait(start(house, *steps, **more).id, timeout_s=120)


def until(check, seconds=60.0):
    end = time.monotonic() + seconds
    while not check():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.02)


def words(file: Path) -> list[str]:
    return [line.split()[0] for line in file.read_text().splitlines()] if file.exists() else []


def running(file: Path) -> bool:
    pid = int(file.read_text().split()[-1])
    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE


def test_arguments_and_output_are_plain_data(house):
    run = ran(house, "{id: s, type: python, with: {function: 'steps.own:add', first: 2}}")
    assert run.state is RunState.SUCCEEDED, run.error
    assert run.outputs == {"o": 3}


def test_many_steps_at_once_make_few_processes(house):
    run = ran(
        house,
        "{id: s, type: map, with: {over: '{{ range(64) | list }}', as: n, concurrency: 64, "
        "step: {type: python, with: {function: 'steps.own:who', number: '{{ n }}'}}}}",
    )
    assert run.state is RunState.SUCCEEDED, run.error
    assert len(run.outputs["o"]) == 64
    assert len(set(run.outputs["o"])) <= AT_ONCE
    assert len(house.code.processes) <= AT_ONCE


def test_a_segfault_fails_the_step_and_nothing_else(house):
    other = start(house, "{id: s, type: python, with: {function: 'steps.own:who', number: 1}}", name="other")
    file = house.root / "trace"
    run = ran(house, f"{{id: s, type: python, retry: {{attempts: 2}}, with: {{function: 'steps.own:segfault', file: '{file}'}}}}")
    assert run.state is RunState.FAILED
    assert "SIGSEGV" in run.error.message
    assert words(file) == ["tried", "tried"]
    assert house.workspace_for(OWNER).runs.wait(other.id, timeout_s=60).state is RunState.SUCCEEDED


def test_a_failure_is_tried_again_where_it_names_what_was_raised(house):
    file = house.root / "trace"
    for kind, times in (("ValueError", 3), ("KeyError", 1)):
        file.unlink(missing_ok=True)
        step = f"{{id: s, type: python, retry: {{attempts: 3, on: [{kind}]}}, with: {{function: 'steps.own:note', file: '{file}', word: x, fail: true}}}}"
        run = ran(house, step)
        assert "steps.own:note raised ValueError: not yet (steps/own.py, line 1" in run.error.message
        assert words(file) == ["x"] * times


def test_the_time_limit_ends_the_process(house):
    file = house.root / "trace"
    run = ran(house, f"{{id: s, type: python, timeout: 1, retry: {{attempts: 1}}, with: {{function: 'steps.own:hang', file: '{file}'}}}}")
    assert run.error.type == "RunFailed"
    assert "took longer than its limit of 1" in run.error.message
    until(lambda: not running(file))


def test_cancel_ends_the_process(house):
    file = house.root / "trace"
    run = start(house, f"{{id: s, type: python, with: {{function: 'steps.own:hang', file: '{file}'}}}}")
    until(lambda: words(file) == ["hanging"])
    house.workspace_for(OWNER).runs.cancel(run.id)
    assert house.workspace_for(OWNER).runs.wait(run.id, timeout_s=60).state is RunState.CANCELLED
    until(lambda: not running(file))


def test_leaving_interrupts_a_step_which_is_entered_anew(house):
    file = house.root / "trace"
    run = start(house, f"{{id: s, type: python, with: {{function: 'steps.own:hang', file: '{file}'}}}}")
    until(lambda: words(file) == ["hanging"])
    house.code.close()
    house.machinery.runner.drain(30)
    assert not running(file)
    assert house.workspace_for(OWNER).runs.get(run.id).state is RunState.QUEUED


@pytest.mark.parametrize("house", ["duckdb", "postgres"], indirect=True)
def test_ws_is_the_runs_own_and_a_repeated_step_writes_once(house):
    titles = "['one', 'two', 'three']"
    run = ran(house, f"{{id: s, type: python, with: {{function: 'steps.own:file_issues', titles: {titles}, die_at: 2}}}}")
    assert run.state is RunState.SUCCEEDED, run.error
    ws = house.workspace_for(OWNER)
    assert sorted(issue.title for issue in ws.issues.list()) == ["one", "three", "two"]
    assert len(set(run.outputs["o"])) == 3


def test_what_ws_asks_counts_for_the_run(house):
    run = ran(house, "{id: s, type: python, with: {function: 'steps.own:ask', text: 'hello there'}}")
    assert run.state is RunState.SUCCEEDED, run.error
    assert run.outputs["o"]["rows"] == 1
    assert run.outputs["o"]["event"] == "queued"
    [call] = house.workspace_for(OWNER).ledger.calls(run=run.id)
    assert (call.command.partition("@")[0], call.workflow) == ("echo", "flow")


def test_a_typed_error_of_the_workspace_stays_typed(house):
    run = ran(house, "{id: s, type: python, with: {function: 'steps.own:refused'}}")
    assert "no command named 'none-such'" in run.error.message


def test_an_edit_between_runs_counts(house):
    step = "{id: s, type: python, with: {function: 'steps.own:add', first: 2}}"
    assert ran(house, step).outputs == {"o": 3}
    file = house.root / "steps" / "own.py"
    file.write_text(file.read_text().replace("first + second", "first * 10"))
    assert ran(house, step, name="again").outputs == {"o": 20}
