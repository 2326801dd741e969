"""Batches: a notebook for each row, journalled, one failure does not stop the rest, the same command does what is missing."""

from __future__ import annotations

import csv
import json
import os
import shutil
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import hishamos
from hishamos.contracts.wire import Places
from hishamos.errors import InvalidInput, UnknownName
from hishamos.opening import shipped
from hishamos.remote.requests import Requests
from tests.conftest import stop_server
from tests.rigs.lengths import shared_out
from tests.rigs.nursery import python
from tests.rigs.simulator import Simulator

REPORT = str(shipped("notebooks") / "batch_report.ipynb")


def rows(number: int) -> list[dict[str, str]]:
    with Path(hishamos.sample("batch_rows.csv")).open(encoding="utf-8") as file:
        return list(csv.DictReader(file))[:number]


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A workspace with one server for the tests whose batches don't meet."""
    path = tmp_path_factory.mktemp("batches")
    (path / "hishamos.toml").write_text("")
    yield path
    Requests(path).stop()


def notebook(folder: Path, body: str, parameters: str = "number = 0", name: str = "made", kernel: str = "python3") -> str:
    def cell(source: str, *tags: str) -> dict[str, object]:
        return {"cell_type": "code", "metadata": {"tags": list(tags)}, "source": source, "outputs": [], "execution_count": None, "id": f"c{len(source)}"}

    path = folder / f"{name}.ipynb"
    facts = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": kernel}}
    path.write_text(json.dumps({"cells": [cell(parameters, "parameters"), cell(body)], "metadata": facts, "nbformat": 4, "nbformat_minor": 5}))
    return str(path)


def until(holds: Callable[[], Any], seconds: float = 90) -> Any:
    deadline = time.monotonic() + seconds
    while not (found := holds()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return found


def kill_server(folder: Path) -> None:
    os.kill(int(json.loads(Places(folder).info.read_text())["pid"]), signal.SIGKILL)


def test_each_row_is_executed_and_knows_its_cost(shared: Path) -> None:
    import pandas as pd

    ws = hishamos.open(shared)
    frame = pd.DataFrame(rows(2)).assign(model=[None, "offline/extractive"])
    run = ws.batch.run(REPORT, frame, jobs=2)
    assert (run.state, run.kind) == ("succeeded", "batch"), run.error
    found = ws.batch.rows(run.id)
    assert [row.status for row in found] == ["succeeded"] * 2
    assert found[0].parameters["row_id"] == 1, "as the notebook declares it"
    for row in found:
        assert row.output_path
        executed = json.loads(Path(row.output_path).read_text(encoding="utf-8"))
        assert "offline model" in json.dumps(executed)
        receipt = "".join(executed["cells"][-1]["outputs"][0]["data"]["text/plain"])
        assert "offline/extractive: 1 of 1 attempt succeeded" in receipt, "each row's own calls, not those of the batch"
        assert run.id in receipt
    assert run.attempts == 2, "the calls made in the notebooks belong to the batch"
    again = ws.batch.run(REPORT, frame, jobs=1)
    assert again.id == run.id
    assert ws.batch.get(run.id).rows == {"succeeded": 2}


def test_a_notebook_may_be_called_as_its_author_likes(shared: Path) -> None:
    ws = hishamos.open(shared)
    for name, called in (("2026 Bericht (neu).ipynb", "notebook_2026_Bericht_neu_"), ("تقرير.ipynb", "notebook__")):
        shutil.copy(REPORT, shared / name)
        run = ws.batch.run(shared / name, rows(1))
        assert (run.state, run.name) == ("succeeded", called), run.error
        assert ws.batch.run(shared / name, rows(1)).id == run.id, "it is found again"


def test_rows_that_fail_are_told_apart_and_only_they_are_tried_again(shared: Path) -> None:
    """D15: one raises, one dies, one hangs, one eats memory; the rest is executed, and the summary says what to do."""
    ws = hishamos.open(shared)
    flag, ran = shared / "mended", shared / "ran"
    ran.mkdir()
    body = (
        "import os, pathlib, time\n"
        f"if not pathlib.Path({str(flag)!r}).exists():\n"
        "    if number == 1: raise ValueError('row <b>one</b> is *bad*')\n"
        "    if number == 2: os._exit(3)\n"
        "    if number == 3: time.sleep(600)\n"
        "    if number == 4: kept = bytearray(3_000_000_000)\n"
        f"pathlib.Path({str(ran)!r}, f'{{number}}-{{os.getpid()}}').touch()\n"
    )
    path, given = notebook(shared, body, name="faulty"), [{"number": n} for n in range(6)]
    run = ws.batch.run(path, given, jobs=3, reuse=True, timeout_s=4)
    assert run.state == "failed"
    assert run.error is not None
    assert "4 of 6" in run.error.message
    found = ws.batch.rows(run.id)
    assert [row.status for row in found] == ["succeeded", "failed", "failed", "failed", "failed", "succeeded"]
    assert [row.cell for row in found] == [None, 2, 2, 2, 2, None]
    said = ["ValueError: row <b>one</b> is *bad*", "its kernel died", "took longer than its limit of 4 s", "MemoryError"]
    assert all(words in (row.reason or "") for words, row in zip(said, found[1:5], strict=True)), [row.reason for row in found]
    assert "notebooks[3]: faulty.ipynb, cell 2" in (found[3].error or "")
    batch = ws.batch.get(run.id)
    assert batch.summary
    summary = json.loads(Path(batch.summary).read_text(encoding="utf-8"))
    text = "\n".join(cell["source"] for cell in summary["cells"])
    assert f"hishamos resume {run.id}" in text
    assert "row \\&lt;" not in text
    assert "row &lt;b&gt;one&lt;/b&gt; is \\*bad\\*" in text, "what a notebook raised is nobody's markup"
    for row in found[1:5]:
        assert "0002.ipynb" in text
        assert row.output_path
        cells = json.loads(Path(row.output_path).read_text(encoding="utf-8"))["cells"]
        assert [cell["metadata"]["papermill"]["status"] for cell in cells if "papermill" in cell["metadata"]][-1] == "failed"
    flag.touch()
    ws.runs.resume(run.id)
    assert ws.runs.wait(run.id, timeout_s=120).state == "succeeded"
    assert sorted(file.name.split("-")[0] for file in ran.iterdir()) == [str(n) for n in range(6)], "only what was missing ran again"
    assert "6 ✓ succeeded" in Path(batch.summary).read_text(encoding="utf-8")
    _readable_without_network(Path(batch.summary))


def _readable_without_network(summary: Path) -> None:
    import nbformat
    from nbconvert import HTMLExporter

    page, _ = HTMLExporter(template_name="basic").from_notebook_node(nbformat.read(summary, 4))
    assert page.count("<tr>") == 7
    assert "data:image/png;base64," in page
    assert 'href="0001.ipynb"' in page
    assert "<script" not in page
    assert 'src="http' not in page


@pytest.mark.long
def test_of_other_rows_those_are_taken_over_that_were_executed_before(shared: Path) -> None:
    ws = hishamos.open(shared)
    log = shared / "log.txt"
    path = notebook(shared, f"open({str(log)!r}, 'a').write(f'{{number}} ')", name="logged")

    def executed(*numbers: int, **how: Any) -> tuple[str, list[bool]]:
        log.write_text("")
        run = ws.batch.run(path, [{"number": n} for n in numbers], reuse=True, jobs=1, **how)
        assert run.state == "succeeded", run.error
        found = ws.batch.rows(run.id)
        for row in found:
            assert f"number = {row.parameters['number']}" in Path(row.output_path or "").read_text()
        return log.read_text().strip(), [row.reused for row in found]

    assert executed(1, 2) == ("1 2", [False, False])
    assert executed(2, 3, 1) == ("3", [True, False, True])
    assert executed(1, 1) == ("1", [True, False]), "an equal row is executed once more, and once only"
    assert executed(1, 1, 2) == ("", [True, True, True])
    assert executed(1, 2, fresh=True) == ("1 2", [False, False])
    assert executed(2, 4, output=str(shared / "mine")) == ("4", [True, False])
    assert sorted(file.name for file in (shared / "mine").iterdir()) == ["0001.ipynb", "0002.ipynb", "summary.ipynb"]
    for file in (shared / "mine").iterdir():
        file.unlink()
    assert executed(4, 5) == ("4 5", [False, False]), "what was removed is executed again"
    assert executed(5, 4, 6) == ("6", [True, True, False])


CLIENT = """
import sys, hishamos
ws = hishamos.open(sys.argv[1])
def watch(workspace, run, timeout_s):
    print("waits", flush=True)
    return workspace.runs.wait(run, timeout_s=timeout_s)
ws.watch = watch
run = ws.batch.run(sys.argv[2], [{"number": n} for n in range(int(sys.argv[3]))], jobs=2)
print(run.id, run.state)
"""
ASKING = """
import hishamos, pathlib, time
here = pathlib.Path.cwd()
while number == LATE and not (here / "call").exists(): time.sleep(0.02)
hishamos.open().commands.run("classify_bug", {"text": f"It crashes {number}"})
while number >= LATE - 1 and not (here / "go").exists(): time.sleep(0.02)
"""


@pytest.fixture
def provider(workspace_dir: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Simulator]:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-batch-0123456789abcdef")
    with Simulator() as simulator:
        simulator.script("gpt-4.1-mini", then={"delay_s": 0.3})
        configured = (
            f'[providers.openai]\napi_key = "env:OPENAI_API_KEY"\napi_base = "{simulator.url}/v1"\n[routes.default]\nmodels = ["openai/gpt-4.1-mini"]\n'
        )
        (workspace_dir / "hishamos.toml").write_text(configured)
        yield simulator


@pytest.mark.long
def test_kills_of_client_and_server_cost_no_finished_row_and_the_same_command_finishes(workspace_dir: Path, provider: Simulator) -> None:
    finish_though_killed(workspace_dir, provider, 8)


@pytest.mark.chaos
@pytest.mark.timeout(900)
def test_a_hundred_rows_though_client_and_server_are_killed(workspace_dir: Path, provider: Simulator) -> None:
    finish_though_killed(workspace_dir, provider, 100)


def finish_though_killed(folder: Path, provider: Simulator, number: int) -> None:
    """Kill -9 a batch's client, press Ctrl-C in the next one, kill -9 the server half way, and give the same command once more.

    When the server dies one notebook has its answer and has not ended, and the call of another one is under way.
    """
    half = number // 2
    path = notebook(folder, ASKING.replace("LATE", str(half + 1)))
    line = (CLIENT, folder, path, number)

    def done() -> int:
        return sum(row.status == "succeeded" for row in ws.batch.rows(ws.runs.list()[0].id))

    ws = hishamos.open(folder)
    first = python(*line)
    until(lambda: ws.runs.list() and done() >= number // 4)
    first.kill()
    first.wait()
    second = python(*line)
    assert second.stdout is not None
    assert second.stdout.readline() == "waits\n"
    time.sleep(0.3)
    second.send_signal(signal.SIGINT)
    assert second.communicate(timeout=60)[0].split() == [ws.runs.list()[0].id, "running"], "an interrupt only detaches"
    until(lambda: done() == half and sum(entry["finished"] is not None for entry in provider.book()) == half + 1)
    (folder / "call").touch()
    until(lambda: any(entry["finished"] is None for entry in provider.book()))
    kill_server(folder)
    (folder / "go").touch()
    assert len(ws.runs.list()) == 1, "this starts the next one"
    last = python(*line)
    said = last.communicate(timeout=300)[0]
    assert last.returncode == 0
    [run] = ws.runs.list()
    assert said.split() == ["waits", run.id, "succeeded"], "one journal, one run"
    attempts = ws.runs.calls(run.id)
    assert [attempt.step_id for attempt in attempts if attempt.status == "orphaned"] == [f"notebooks[{half + 1}]"], "the one that was under way"
    assert len(provider.book()) == len(attempts) == number + 1
    answered = Counter(attempt.step_id for attempt in attempts if attempt.status == "succeeded")
    assert answered == {f"notebooks[{index}]": 1 for index in range(number)}


def test_a_notebook_that_was_changed_since_is_not_taken_for_the_one_that_was_started(shared: Path) -> None:
    ws = hishamos.open(shared)
    path = notebook(shared, "assert number", name="edited")
    run = ws.batch.run(path, [{"number": 0}, {"number": 1}], reuse=True)
    assert [row.status for row in ws.batch.rows(run.id)] == ["failed", "succeeded"]
    notebook(shared, "print('mended')", name="edited")
    ws.runs.resume(run.id)
    assert ws.runs.wait(run.id, timeout_s=60).state == "failed"
    assert "edited.ipynb was changed since its batch was started" in (ws.batch.rows(run.id)[0].error or "")
    assert ws.batch.run(path, [{"number": 0}, {"number": 1}], reuse=True).state == "succeeded"


@pytest.mark.long
def test_a_cancelled_batch_ends_its_notebooks_and_goes_on_when_it_is_resumed(shared: Path) -> None:
    ws = hishamos.open(shared)
    held = shared / "held"
    held.mkdir()
    body = f"import os, pathlib, time\npathlib.Path({str(held)!r}, str(os.getpid())).touch()\nwhile number and not pathlib.Path({str(shared)!r}, 'go').exists(): time.sleep(0.05)"
    run = ws.batch.start(notebook(shared, body, name="holding"), [{"number": n} for n in range(3)], jobs=2)
    until(lambda: len(list(held.iterdir())) == 3)
    ws.runs.cancel(run.id)
    assert ws.runs.wait(run.id, timeout_s=60).state == "cancelled"
    processes = [int(file.name) for file in held.iterdir()]
    until(lambda: not any(Path(f"/proc/{process}").exists() for process in processes))
    assert [row.status for row in ws.batch.rows(run.id)] == ["succeeded", "cancelled", "cancelled"]
    (shared / "go").touch()
    assert ws.batch.run(str(shared / "holding.ipynb"), [{"number": n} for n in range(3)], jobs=2).state == "succeeded"
    assert len(list(held.iterdir())) == 5


def test_bad_input_is_told_before_anything_starts(workspace_dir: Path) -> None:
    ws = hishamos.open(workspace_dir)
    cases: list[tuple[str, Any, dict[str, Any], str]] = [
        (REPORT, [{"txt": "x"}], {}, "no parameter 'txt'; did you mean 'text'"),
        (REPORT, [{"text": "x"}, {"row_id": "one"}], {}, r"'one' is not a number, which batch_report.ipynb declares for 'row_id' \(row 2\)"),
        (REPORT, [], {}, "no row"),
        (REPORT, [{"row_id": n} for n in range(10_001)], {}, "10,001 rows are too many: a batch has at most 10,000"),
        (REPORT, "rows.csv", {}, "a str has no rows"),
        (REPORT, [1], {}, "an? int is no row"),
        (REPORT, [{"text": object()}], {}, "the value of 'text' is a object, which has no plain form"),
        (REPORT, [{"text": "x"}], {"jobs": 0}, "jobs is 0"),
        (REPORT, [{"text": "x"}], {"timeout_s": 0}, "timeout_s is 0"),
        (REPORT, [{"text": "sk-proj-0123456789abcdef"}], {}, "'text' is or looks like a key.*row 1"),
        (REPORT, [{"text": "x"}], {"kernel": "klingon"}, "the kernel 'klingon' is not installed.*python3"),
        (notebook(workspace_dir, "", kernel="gone", name="gone"), [{"number": 1}], {}, "the kernel 'gone' is not installed"),
        ("nowhere.ipynb", [{"text": "x"}], {}, "no such notebook"),
    ]
    for path, given, how, said in cases:
        with pytest.raises(InvalidInput, match=said):
            ws.batch.start(path, given, **how)
    plain = workspace_dir / "plain.ipynb"
    plain.write_text(json.dumps({"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}))
    with pytest.raises(InvalidInput, match="'parameters'"):
        ws.batch.start(str(plain), [{"text": "x"}])
    plain.write_text("no notebook")
    with pytest.raises(InvalidInput, match="is no notebook"):
        ws.batch.start(str(plain), [{"text": "x"}])
    plain.write_text("")
    with pytest.raises(InvalidInput, match=r"can't be written there.*output="):
        ws.batch.start(REPORT, [{"text": "x"}], output=str(plain))
    assert ws.runs.list() == []
    with pytest.raises(UnknownName, match="no run"):
        ws.batch.rows("nothing")


@pytest.mark.parametrize("engine", shared_out(["duckdb", "postgres"], {"duckdb"}))
def test_a_notebook_s_calls_belong_to_its_row_and_no_other_process_can_say_so(workspace_dir: Path, engine: str, request: pytest.FixtureRequest) -> None:
    if engine == "postgres":
        (workspace_dir / "hishamos.toml").write_text(f'[workspace]\nstore = "{request.getfixturevalue("postgres_url")}"\n')
    body = (
        "import os, hishamos\n"
        "from hishamos.errors import InvalidInput\n"
        "hishamos.open().commands.run('classify_bug', {'text': 'It crashes'}, model='offline/extractive')\n"
        "os.environ['HISHAMOS_ACTING'] = 'made up'\n"
        "try: hishamos.open().runs.list()\n"
        "except InvalidInput as error: assert 'has ended' in str(error)\n"
        "else: raise AssertionError('a token that nobody gave is taken')\n"
        "hishamos.open(os.path.join(os.getcwd(), 'other')).runs.list()  # another workspace's server is not told\n"
    )
    (workspace_dir / "other").mkdir()
    (workspace_dir / "other" / "hishamos.toml").touch()
    ws = hishamos.open(workspace_dir)
    try:
        run = ws.batch.start(notebook(workspace_dir, body), [{"number": 1}]).wait(180)
    finally:
        stop_server(workspace_dir / "other")
    assert run.state == "succeeded", ws.batch.rows(run.id)[0].error
    [call] = ws.runs.calls(run.id)
    assert (call.step_id, call.workflow, call.user_name) == ("notebooks[0]", None, "owner")
