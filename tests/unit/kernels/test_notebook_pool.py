"""Processes that execute notebooks: forked, kept and reset, replaced, ended with all that they started; and marks that are true."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil
import pytest

from hishamos.contracts.notebooks import NotebookCall, NotebookEnd
from hishamos.errors import InvalidInput, NotebookFailed, NotebookTimedOut
from hishamos.kernels import notebook_pool
from hishamos.kernels.execution import NotebookExecutor
from hishamos.kernels.true_marks import mend
from hishamos.records.runs import Run, RunState

RUN = Run(id="RUN", name="made", version="1", state=RunState.RUNNING, created_at=datetime.now(UTC))
SECRET = "a-key-that-nobody-may-see-0123456789"


def no_receipt(*facts: Any) -> Any:
    raise InvalidInput(what="no receipt", where="here", next="")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("notebooks")


@pytest.fixture(scope="module")
def executor(folder: Path) -> Iterator[NotebookExecutor]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MY_OWN", SECRET)
        patch.setenv("SEEN", "yes")
        made = NotebookExecutor(folder, no_receipt, memory_mb=lambda: 300, secrets=lambda: [SECRET])
        yield made
        made.close()


@pytest.fixture
def execute(executor: NotebookExecutor, folder: Path) -> Callable[..., tuple[NotebookEnd, list[dict[str, Any]]]]:
    def run(*sources: str, name: str = "made", timeout_s: float = 60, reuse: bool = False, **parameters: Any) -> tuple[NotebookEnd, list[dict[str, Any]]]:
        end = executor.prepare(call(folder, sources, name, timeout_s, reuse, parameters)).run()
        output = folder / "out" / f"{name}.ipynb"
        return end, json.loads(output.read_text())["cells"] if output.exists() else []

    return run


def call(folder: Path, sources: tuple[str, ...], name: str, timeout_s: float, reuse: bool, parameters: dict[str, Any]) -> NotebookCall:
    path = folder / f"{name}.ipynb"
    cells = [{"cell_type": "code", "metadata": {}, "source": source, "outputs": [], "execution_count": None, "id": f"c{n}"} for n, source in enumerate(sources)]
    cells[0]["metadata"] = {"tags": ["parameters"]}
    path.write_text(json.dumps({"cells": cells, "metadata": {"kernelspec": {"name": "python3"}}, "nbformat": 4, "nbformat_minor": 5}))
    return NotebookCall(RUN, "step", 1, path, parameters, folder / "out" / f"{name}.ipynb", timeout_s, reuse=reuse)


def printed(cells: list[dict[str, Any]]) -> list[str]:
    return ["".join(output.get("text", "")).strip() for cell in cells for output in cell.get("outputs", []) if output["output_type"] == "stream"]


def statuses(cells: list[dict[str, Any]]) -> list[str]:
    return [cell["metadata"]["papermill"]["status"] for cell in cells if "papermill" in cell["metadata"]]


def gone(process: int) -> bool:
    return not psutil.pid_exists(process) or psutil.Process(process).status() == psutil.STATUS_ZOMBIE


def until(holds: Callable[[], Any], seconds: float = 15) -> Any:
    deadline = time.monotonic() + seconds
    while not (found := holds()):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return found


WHO = "import os, sys; print(os.getpid(), os.getcwd(), os.environ.get('SEEN'), os.environ.get('MY_OWN'), n)"


def test_each_notebook_has_a_fresh_process_that_ends_with_it(execute: Any, folder: Path) -> None:
    seen = []
    for n in (1, 2):
        end, cells = execute("n = 0", WHO, n=n)
        assert end.error is None
        process, where, *rest = printed(cells)[0].split()
        assert (where, rest) == (str(folder), ["yes", "None", str(n)]), "its own folder, the environment without a key, its parameters"
        seen.append(int(process))
        assert statuses(cells) == ["completed"] * 3
    assert len(set(seen)) == 2
    assert all(gone(process) for process in seen)


def test_what_a_program_does_at_its_end_is_done(execute: Any, folder: Path) -> None:
    source = f"import atexit\nkept = open({str(folder / 'kept.txt')!r}, 'w'); kept.write('written')\natexit.register(lambda: open({str(folder / 'left.txt')!r}, 'w').close())"
    assert execute("n = 0", source)[0].error is None
    assert (folder / "kept.txt").read_text() == "written"
    assert (folder / "left.txt").exists()


def test_a_kept_kernel_finds_itself_as_new(execute: Any, folder: Path) -> None:
    (folder / "mine.py").write_text("counted = []")
    first = (
        "import os, sys, builtins, mine, json.decoder, random\n"
        "from IPython.core.magic import register_line_magic\n"
        "@register_line_magic\ndef shout(line): return line\n"
        "class Shape: pass\n"
        "get_ipython().display_formatter.formatters['text/plain'].for_type(Shape, lambda *a: None)\n"
        "get_ipython().events.register('pre_run_cell', lambda *a: None)\n"
        "mine.counted.append(1); builtins.mine = 1; os.environ['SEEN'] = 'no'; os.environ['NEW'] = 'x'; os.chdir('/'); sys.path.insert(0, '/nowhere'); sys.argv.append('x')\n"
        "left = 'a name'; print(os.getpid())"
    )
    second = (
        "import os, sys, builtins\n"
        "shell = get_ipython()\n"
        f"found = [os.environ.get('SEEN'), os.environ.get('NEW'), os.getcwd() == {str(folder)!r}, '/nowhere' in sys.path, 'x' in sys.argv, hasattr(builtins, 'mine'),\n"
        "         'left' in globals(), 'shout' in shell.magics_manager.magics['line'], 'mine' in sys.modules]\n"
        "import mine; mine.counted.append(1); print(os.getpid(), found, len(mine.counted), len(In))"
    )
    end, cells = execute("n = 0", first, reuse=True)
    assert end.error is None
    again, others = execute("n = 0", second, reuse=True)
    assert again.error is None
    process, found = printed(others)[0].split(" ", 1)
    assert printed(cells) == [process], "the same kernel"
    assert found == "['yes', None, True, False, False, False, False, False, False] 1 3"
    assert [cell["execution_count"] for cell in others] == [1, 2]


@pytest.mark.parametrize(
    "source",
    [
        "import threading, time; threading.Thread(target=time.sleep, args=(60,), daemon=True).start()",
        pytest.param("import subprocess; kept = subprocess.Popen(['sleep', '60'])", marks=pytest.mark.long),
        "import os; held = bytearray(os.urandom(1_000)) * 120_000; import decimal; decimal.held = held",
        "import os; os._exit(7)",
        pytest.param("quit()", marks=pytest.mark.long),
        pytest.param("import asyncio\nasync def forever(): await asyncio.sleep(60)\ntask = asyncio.ensure_future(forever())", marks=pytest.mark.long),
    ],
    ids=["thread", "process", "memory", "death", "quit", "task"],
)
def test_a_kernel_that_is_not_as_it_was_is_replaced(execute: Any, source: str) -> None:
    kept = int(printed(execute("n = 0", "import os; print(os.getpid())", reuse=True)[1])[0])
    end, cells = execute("n = 0", f"import os; print(os.getpid())\n{source}", reuse=True)
    assert (end.error is None) == ("_exit" not in source)
    assert end.error or printed(cells) == [str(kept)]
    after, others = execute("n = 0", "import os; print(os.getpid())", reuse=True)
    assert after.error is None
    assert printed(others) != [str(kept)]
    until(lambda: gone(kept))


def test_a_cell_that_fails_is_told_and_what_never_ran_looks_so(execute: Any) -> None:
    end, cells = execute("n = 0", "1/0", "print('never')")
    assert isinstance(end.error, NotebookFailed)
    assert (end.error.cell, end.error.reason) == (1, "ZeroDivisionError: division by zero")
    assert "made.ipynb, cell 1 (In [2]): ZeroDivisionError" in str(end.error)
    assert statuses(cells) == ["completed", "failed", "pending"]


@pytest.mark.parametrize(
    ("source", "said"),
    [
        pytest.param("import os; os._exit(3)", "its kernel died: it ended with code 3", marks=pytest.mark.long),
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", "it was ended by SIGSEGV"),
        ("import sys; sys.exit('enough')", "SystemExit: enough"),
        ("held = []\nwhile True: held.append(bytearray(50_000_000))", "MemoryError"),
        (
            "import subprocess, sys\nfor _ in range(2): subprocess.Popen([sys.executable, '-c', 'import time; held = b\"x\" * 160_000_000; time.sleep(60)'])\nimport time; time.sleep(60)",
            "more than 300 MB",
        ),
        ("import time; print('begun', flush=True); time.sleep(60)", "it took longer than its limit of 3 s"),
    ],
    ids=["exit", "signal", "sys.exit", "memory", "memory of a child", "time"],
)
def test_a_kernel_that_dies_or_hangs_is_told_with_the_cell(execute: Any, source: str, said: str) -> None:
    limit = 3 if "begun" in source else 60
    end, cells = execute("n = 0", source, "print('never')", timeout_s=limit)
    assert isinstance(end.error, NotebookTimedOut if limit == 3 else NotebookFailed)
    assert end.error.cell == 1
    assert said in str(end.error)
    assert statuses(cells) == ["completed", "failed", "pending"]
    shown = [output for cell in cells for output in cell.get("outputs", []) if output["output_type"] == "error"]
    assert len(shown) == 1, "the reason stands at the cell"


@pytest.mark.parametrize("source", ["import sys; sys.exit()", "quit()", "exit()"])
def test_a_notebook_that_leaves_early_on_purpose_has_not_failed(execute: Any, source: str) -> None:
    end, cells = execute("n = 0", source, "print('never')")
    assert end.error is None
    assert statuses(cells)[-1] == "pending"
    assert "never" not in printed(cells)


def test_stopping_ends_everything_that_was_started_and_keeps_what_had_run(executor: NotebookExecutor, folder: Path) -> None:
    source = "import subprocess, os\ngone = subprocess.Popen(['sleep', '60'], start_new_session=True)\nopen('pids', 'w').write(f'{os.getpid()} {gone.pid}')\ngone.wait()"
    prepared = executor.prepare(call(folder, ("n = 0", "print('ran')", source), "long", 60, False, {}))
    ends: list[NotebookEnd] = []
    thread = threading.Thread(target=lambda: ends.append(prepared.run()))
    thread.start()
    processes = [int(text) for text in until(lambda: (folder / "pids").exists() and (folder / "pids").read_text().split())]
    prepared.stop()
    thread.join(20)
    assert [end.stopped for end in ends] == [True]
    assert all(until(lambda process=process: gone(process)) for process in processes)
    assert printed(json.loads((folder / "out" / "long.ipynb").read_text())["cells"]) == ["ran"]
    early = executor.prepare(call(folder, ("n = 0",), "early", 60, False, {}))
    early.stop()
    assert early.run().stopped


def test_the_warm_process_is_replaced_when_it_dies_and_takes_nothing_with_it(executor: NotebookExecutor, execute: Any) -> None:
    assert execute("n = 0")[0].error is None
    before = executor.pool.parent
    assert before is not None
    os.kill(before, signal.SIGKILL)
    assert execute("n = 0", "print(n)", n=5)[0].error is None
    assert executor.pool.parent not in {None, before}


def test_a_token_is_good_as_long_as_its_notebook_is_at_work(executor: NotebookExecutor, folder: Path) -> None:
    with executor.acted(call(folder, ("n = 0",), "made", 60, False, {})) as token:
        assert executor.acting(token).step == "step"
    with pytest.raises(InvalidInput, match="has ended"):
        executor.acting(token)


def test_nothing_is_left_when_the_pool_closes_or_its_owner_dies(folder: Path) -> None:
    if not notebook_pool.FORKS:
        pytest.skip("processes are forked on Linux only")
    owner = NotebookExecutor(folder, no_receipt, memory_mb=lambda: 300)
    source = "import os, time; open('own', 'w').write(str(os.getpid())); time.sleep(60)"
    ends: list[NotebookEnd] = []
    work = owner.prepare(call(folder, ("n = 0", source), "own", 60, False, {}))
    thread = threading.Thread(target=lambda: ends.append(work.run()))
    thread.start()
    process = int(until(lambda: (folder / "own").exists() and (folder / "own").read_text()))
    parent = owner.pool.parent
    owner.close()
    thread.join(20)
    assert [end.stopped for end in ends] == [True]
    assert until(lambda: gone(process) and gone(parent or 0))
    assert owner.prepare(call(folder, ("n = 0",), "late", 60, False, {})).run().stopped


def test_marks_of_a_notebook_that_was_cut_off_are_mended(tmp_path: Path) -> None:
    path = tmp_path / "cut.ipynb"
    cells = [{"cell_type": "code", "metadata": {"papermill": {"status": status}}, "outputs": []} for status in ("completed", "running", "pending")]
    path.write_text(json.dumps({"cells": cells, "metadata": {}}))
    mend(path, "its process died")
    found = json.loads(path.read_text())["cells"]
    assert statuses(found) == ["completed", "failed", "pending"]
    assert found[1]["outputs"][0]["evalue"] == "its process died"
    path.write_text("half a notebo")
    mend(path, "x")
    assert path.read_text() == "half a notebo"
