"""Runs that call functions of the notebook or script that started them, on both stores: where it runs is said, and it pauses without them."""

from __future__ import annotations

import threading
import time

import pytest

import hishamos
from hishamos import callbacks
from hishamos.composition import compose
from hishamos.errors import InvalidInput, NeedsKernel
from hishamos.kernels import desks
from hishamos.records import callbacks as registry
from hishamos.records.actors import OWNER
from hishamos.records.runs import RunState

seen = []
gate = threading.Event()


@pytest.fixture(autouse=True)
def functions(monkeypatch):
    monkeypatch.setattr(registry, "registered", {})
    monkeypatch.setattr(callbacks, "registered", registry.registered)
    monkeypatch.setattr(desks, "GRACE_S", 1.0)
    seen.clear()
    gate.clear()
    yield registry.registered
    gate.set()


@pytest.fixture(params=["duckdb", "postgres"])
def ws(request, tmp_path):
    made = compose(tmp_path, store=request.getfixturevalue("postgres_url") if request.param == "postgres" else ":memory:")
    made.start()
    yield made.workspace_for(OWNER)
    gate.set()
    made.close()


def flow(*steps, outputs="{{ steps.s.output }}", **more):
    return hishamos.Workflow(name="flow", description="A test.", steps=list(steps), outputs={"o": outputs}, **more)


def python(function, step="s", **more):
    extra = {name: more.pop(name) for name in ("after", "retry", "timeout", "compensate") if name in more}
    return {"id": step, "type": "python", "with": {"function": f"kernel:{function}", **more}, **extra}


def until(check, seconds=60.0):
    end = time.monotonic() + seconds
    while not check():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.02)


def test_a_function_of_this_process_is_called_here_and_the_run_says_so(ws):
    @hishamos.step
    def double(number: int) -> int:
        seen.append(threading.current_thread())
        return number * 2

    run = ws.workflows.start(flow(python("double", number=21)))
    assert run.where == "kernel"
    done = run.wait(60)
    assert (done.state, done.outputs, done.where) == (RunState.SUCCEEDED, {"o": 42}, "kernel")
    assert seen
    assert double(1) == 2


def test_the_builder_takes_the_function_itself(ws):
    @hishamos.step
    def double(number):
        return number * 2

    flow = hishamos.workflow("doubled", "Doubles.")
    number = flow.input("number", "integer")
    flow.python("twice", function=double, arguments={"number": number})
    made = flow.definition()
    assert made.steps[0].with_["function"] == "kernel:double"
    assert ws.workflows.start(made, {"number": 4}).wait(60).state is RunState.SUCCEEDED


def test_many_calls_and_what_they_raise(ws):
    @hishamos.step
    def square(n):
        return n * n

    @hishamos.step
    def broken(n):
        raise KeyError(n)

    step = {"type": "python", "with": {"function": "kernel:square", "n": "{{ n }}"}}
    mapped = {"id": "s", "type": "map", "with": {"over": "{{ range(30) | list }}", "as": "n", "concurrency": 8, "step": step}}
    assert ws.workflows.start(flow(mapped)).wait(60).outputs == {"o": [n * n for n in range(30)]}
    failed = ws.workflows.start(flow(python("broken", n=1, retry={"attempts": 2}))).wait(60)
    assert failed.state is RunState.FAILED
    assert "kernel:broken raised KeyError: 1 (line " in failed.error.message


def test_what_is_not_registered_is_refused_before_anything_is_stored(ws):
    @hishamos.step
    def double(number, times=2):
        return number * times

    with pytest.raises(NeedsKernel, match="duoble is not registered here; did you mean 'double'"):
        ws.workflows.start(flow(python("duoble", number=1)))
    with pytest.raises(InvalidInput, match="takes no argument 'nmuber'"):
        ws.workflows.start(flow(python("double", nmuber=1)))
    with pytest.raises(InvalidInput, match="needs the argument 'number'"):
        ws.workflows.start(flow(python("double")))
    registry.registered.clear()
    with pytest.raises(NeedsKernel, match=r"@hishamos.step"):
        ws.workflows.start(flow(python("double", number=1)))
    assert ws.runs.list() == []


def test_ws_belongs_to_the_run_and_a_repeated_step_writes_once(ws):
    @hishamos.step
    def file_issues(titles, ws):
        ws.projects.ensure("DEMO")
        seen.append(1)
        for number, title in enumerate(titles):
            if number == 1 and len(seen) == 1:
                raise OSError("not yet")
            ws.issues.create("DEMO", [{"title": title}])
        frame = ws.sql("select title from issues order by title")
        return list(frame["title"])

    step = python("file_issues", titles=["one", "two"], retry={"attempts": 2})
    done = ws.workflows.start(flow(step)).wait(60)
    assert done.state is RunState.SUCCEEDED, done.error
    assert done.outputs == {"o": ["one", "two"]}


def test_a_run_pauses_when_its_notebook_is_gone_and_goes_on_where_the_same_functions_are(ws, functions):
    @hishamos.step
    def first():
        return "first"

    def made(source):
        names = {"hishamos": hishamos, "seen": seen, "gate": gate}
        exec(source, names)

    made("@hishamos.step\ndef second():\n    seen.append('second')\n    gate.wait(60)\n    return 'second'\n")
    steps = (python("first", "a"), python("second", after=["a"]))
    run = ws.workflows.start(flow(*steps))
    until(lambda: seen == ["second"])
    _leave(ws, run)
    until(lambda: ws.runs.get(run.id).state is RunState.PAUSED)
    assert ws.runs.get(run.id).waiting_for == "the notebook or script that was running second is gone"
    gate.set()

    kept = dict(functions)
    functions.pop("second")
    with pytest.raises(NeedsKernel, match="second is not registered here"):
        ws.runs.resume(run.id)
    made("@hishamos.step\ndef second():\n    return 'changed, and longer'\n")
    with pytest.raises(NeedsKernel, match="accept_changes=True"):
        ws.runs.resume(run.id)
    assert ws.runs.get(run.id).state is RunState.PAUSED
    functions.update(kept)
    assert ws.runs.resume(run.id).wait(60).outputs == {"o": "second"}
    assert seen == ["second", "second"]


def test_changes_may_be_accepted(ws, functions):
    exec("@hishamos.step\ndef it():\n    seen.append(1)\n    gate.wait(60)\n", {"hishamos": hishamos, "seen": seen, "gate": gate})
    run = ws.workflows.start(flow(python("it")))
    until(lambda: seen)
    _leave(ws, run)
    until(lambda: ws.runs.get(run.id).state is RunState.PAUSED)
    exec("@hishamos.step\ndef it():\n    return 'anew'\n", {"hishamos": hishamos})
    assert ws.runs.resume(run.id, accept_changes=True).wait(60).outputs == {"o": "anew"}


def test_cancel_and_time_limits_do_not_wait_for_the_function(ws):
    @hishamos.step
    def hang():
        seen.append(1)
        gate.wait(60)
        return "late"

    late = ws.workflows.start(flow(python("hang", timeout=1, retry={"attempts": 1}))).wait(60)
    assert "took longer than its limit of 1" in late.error.message
    run = ws.workflows.start(flow(python("hang")))
    until(lambda: len(seen) == 2)
    ws.runs.cancel(run.id)
    assert run.wait(60).state is RunState.CANCELLED


def test_a_fork_needs_the_functions_too(ws, functions):
    @hishamos.step
    def number():
        return len(seen)

    run = ws.workflows.start(flow(python("number"))).wait(60)
    seen.append(1)
    assert ws.runs.fork(run.id, "s").wait(60).outputs == {"o": 1}
    functions.clear()
    with pytest.raises(NeedsKernel):
        ws.runs.fork(run.id, "s")


def _leave(ws, run):
    """What happens in the server when the process at the run's desk is killed: its connection breaks."""
    machinery = ws.runs._service.machinery
    for desk, feed in list(machinery.desks._open.items()):
        feed.close(cancel=False)
        assert desk
