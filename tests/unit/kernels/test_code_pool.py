"""Child processes for functions that are not the library's: kept, replaced, ended with all that they started, and no danger to anybody."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest

from hishamos.contracts.code import CodeCall
from hishamos.engine.foreign import foreign
from hishamos.errors import FunctionCrashed, FunctionFailed, InvalidInput
from hishamos.kernels import code_pool
from hishamos.kernels.code_pool import CodePool

ROOT = Path(__file__).parents[3]
SOURCE = """
import ctypes, os, subprocess, sys, threading, time
from hishamos.errors import InvalidInput
from steps.words import lower

kept = []

def tidy(text):
    return lower(text.strip())

def pid(**rest):
    return os.getpid()

def segfault():
    ctypes.string_at(0)

def leave(code):
    os._exit(code)

def quit():
    sys.exit("enough")

def eat():
    while True:
        kept.append(bytearray(8_000_000))

def keep(megabytes):
    kept.append(b"x" * (megabytes * 2**20))
    return os.getpid()

def loop(started):
    open(started, "w").close()
    while True:
        pass

def flood(lines):
    for number in range(lines):
        print(number, "x" * 200)
    print("and its last word", file=sys.stderr)
    raise ValueError("flooded")

def start_outside_of_the_group(file):
    process = subprocess.Popen(["sleep", "600"], start_new_session=True)
    with open(file, "w") as stream:
        stream.write(str(process.pid))
    return os.getpid()

def start_and_wait(file):
    start_outside_of_the_group(file)
    time.sleep(600)

def bomb():
    while True:
        subprocess.Popen(["sleep", "600"])

def fork():
    return "child" if os.fork() == 0 else "parent"

def thread():
    threading.Thread(target=time.sleep, args=(600,)).start()
    return os.getpid()

def change():
    os.chdir("/")
    os.environ["CHANGED"] = "yes"
    return os.getpid()

def surroundings():
    return [os.getcwd(), sorted(os.environ)]

def typed():
    raise InvalidInput(what="the file is empty", where="bugs.csv", next="Add rows.")

def odd():
    return object()

def huge():
    return "x" * (65 * 2**20)

def read():
    return sys.stdin.read()
"""


@pytest.fixture
def pool(tmp_path):
    (tmp_path / "steps").mkdir()
    (tmp_path / "steps" / "own.py").write_text(SOURCE)
    (tmp_path / "steps" / "words.py").write_text("def lower(text):\n    return text.lower()\n")
    made = CodePool(tmp_path, lambda: 400, "hishamos.remote.piped:workspace")
    made.root = tmp_path
    yield made
    made.close()
    assert made.processes == []


def prepared(pool, function, **arguments):
    found = foreign(f"steps.own:{function}", pool.root)
    call = CodeCall(step="s", function=found.name, module=found.module, attribute=found.attribute, arguments=arguments, stamp=found.stamp)
    return pool.prepare(call, lambda: None)


def made(pool, function, **arguments):
    return prepared(pool, function, **arguments).run()


def given(pool, function, **arguments):
    end = made(pool, function, **arguments)
    assert end.error is None, end.error
    return end.value


def until(check, seconds=30.0):
    end = time.monotonic() + seconds
    while not check():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.02)


def running(pid):
    with contextlib.suppress(psutil.NoSuchProcess):  # it may leave between two looks
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    return False


def test_a_child_is_kept_for_the_next_call(pool):
    assert given(pool, "tidy", text=" Hello ") == "hello"
    first = given(pool, "pid")
    assert [given(pool, "pid", number=number) for number in range(5)] == [first] * 5
    assert len(pool.processes) == 1


@pytest.mark.parametrize(
    ("function", "arguments", "told"),
    [
        ("segfault", {}, "ended by SIGSEGV"),
        ("leave", {"code": 3}, "ended with code 3"),
    ],
)
def test_a_call_that_ends_its_process_fails_alone(pool, function, arguments, told):
    error = made(pool, function, **arguments).error
    assert isinstance(error, FunctionCrashed)
    assert told in str(error)
    assert error.step == "s"
    assert given(pool, "tidy", text="A") == "a"


def test_what_a_function_raises_is_told_with_its_line(pool):
    error = made(pool, "quit").error
    assert isinstance(error, FunctionFailed)
    assert "steps.own:quit raised SystemExit: exit('enough') (steps/own.py, line " in str(error)
    assert isinstance(made(pool, "typed").error, InvalidInput)
    assert "object, which is no plain data" in str(made(pool, "odd").error)
    assert "more than 64 MB" in str(made(pool, "huge").error)
    assert given(pool, "read") == ""


def test_too_much_memory_fails_the_call_and_says_which_line_to_add(pool):
    before = given(pool, "pid")
    error = made(pool, "eat").error
    assert error.kind == "MemoryError"
    assert "step_memory_mb under [workspace]" in str(error)
    assert given(pool, "pid") != before


def test_a_child_that_has_grown_is_replaced(pool):
    assert given(pool, "keep", megabytes=1) == given(pool, "pid")
    assert given(pool, "keep", megabytes=260) != given(pool, "pid")


def test_a_child_is_replaced_after_many_calls(pool, monkeypatch):
    monkeypatch.setattr(code_pool, "USES", 3)
    assert len({given(pool, "pid") for _ in range(7)}) == 3


def test_an_idle_child_leaves(pool, monkeypatch):
    monkeypatch.setattr(code_pool, "IDLE_S", 0.0)
    child = given(pool, "pid")
    until(lambda: not running(child) and pool.processes == [])


def test_a_flood_is_kept_to_its_end(pool):
    error = made(pool, "flood", lines=50_000).error
    assert "ValueError: flooded" in str(error)
    assert "and its last word" in str(error)
    assert len(error.printed) <= code_pool.SHOWN
    assert len(str(error)) < 1_000


def test_a_call_is_stopped_with_all_that_it_started(pool, tmp_path):
    call = prepared(pool, "start_and_wait", file=str(tmp_path / "grandchild"))
    ends = []
    thread = threading.Thread(target=lambda: ends.append(call.run()))
    thread.start()
    until(lambda: (tmp_path / "grandchild").exists() and (tmp_path / "grandchild").read_text())
    call.stop()
    thread.join(30)
    assert ends[0].stopped
    until(lambda: not running(int((tmp_path / "grandchild").read_text())))
    assert prepared(pool, "tidy", text="A").run().value == "a"


def test_an_endless_loop_is_stopped(pool, tmp_path):
    call = prepared(pool, "loop", started=str(tmp_path / "started"))
    thread = threading.Thread(target=call.run)
    thread.start()
    until((tmp_path / "started").exists)
    call.stop()
    thread.join(30)
    assert not thread.is_alive()
    late = prepared(pool, "pid")
    late.stop()
    assert late.run().stopped


def test_what_a_call_leaves_behind_ends_with_its_child(pool, tmp_path):
    child = given(pool, "start_outside_of_the_group", file=str(tmp_path / "left"))
    until(lambda: not running(child) and not running(int((tmp_path / "left").read_text())))
    child = given(pool, "thread")
    until(lambda: not running(child))
    assert given(pool, "fork") == "parent"
    assert given(pool, "tidy", text="A") == "a"


def test_a_bomb_is_ended(pool, monkeypatch):
    monkeypatch.setattr(code_pool, "PROCESSES", 8)
    error = made(pool, "bomb").error
    assert "it started more than 8 processes" in str(error)
    assert given(pool, "tidy", text="A") == "a"


def test_surroundings_are_few_and_put_back(pool, monkeypatch, tmp_path):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-hush-hush-hush")
    folder, names = given(pool, "surroundings")
    assert folder == str(tmp_path)
    assert set(names) <= {*code_pool_variables(), "HISHAMOS_WORKSPACE", "PATH"}
    assert given(pool, "change") == given(pool, "pid")
    assert given(pool, "surroundings") == [folder, names]


def code_pool_variables():
    from hishamos.kernels.programs import KEPT

    return KEPT


def test_an_edited_source_is_loaded_anew(pool, tmp_path):
    assert given(pool, "tidy", text="Ab") == "ab"
    old = given(pool, "pid")
    # The same length, and most likely the same second: a compiled file would hide it.
    (tmp_path / "steps" / "words.py").write_text("def lower(text):\n    return text.upper()\n")
    assert given(pool, "tidy", text="Ab") == "AB"
    until(lambda: not running(old))
    assert not (tmp_path / "steps" / "__pycache__").exists()


def test_a_child_killed_while_idle_is_replaced(pool):
    child = given(pool, "pid")
    psutil.Process(child).kill()
    until(lambda: not running(child))
    assert given(pool, "pid") != child


def test_a_child_killed_at_work_fails_its_call_only(pool, tmp_path):
    call = prepared(pool, "start_and_wait", file=str(tmp_path / "file"))
    ends = []
    thread = threading.Thread(target=lambda: ends.append(call.run()))
    thread.start()
    until((tmp_path / "file").exists)
    [group] = pool.processes
    psutil.Process(group).children()[0].kill()
    thread.join(30)
    assert "SIGKILL from outside" in str(ends[0].error)


def test_nothing_outlives_the_process_that_has_the_pool(tmp_path, pool):
    script = f"""
import sys, time, threading
sys.path.insert(0, {str(ROOT)!r})
from pathlib import Path
from tests.unit.kernels.test_code_pool import CodePool, prepared
pool = CodePool(Path({str(tmp_path)!r}), lambda: 400, "hishamos.remote.piped:workspace")
pool.root = Path({str(tmp_path)!r})
threading.Thread(target=prepared(pool, "start_and_wait", file={str(tmp_path / "grandchild")!r}).run, daemon=True).start()
print(prepared(pool, "pid").run().value, flush=True)
time.sleep(600)
"""
    process = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    idle = int(process.stdout.readline())
    until(lambda: (tmp_path / "grandchild").exists() and (tmp_path / "grandchild").read_text())
    grandchild = int((tmp_path / "grandchild").read_text())
    process.kill()
    process.wait()
    until(lambda: not running(idle) and not running(grandchild))


def test_after_close_nothing_begins(pool):
    child = given(pool, "pid")
    pool.close()
    assert not running(child)
    assert made(pool, "pid").stopped
