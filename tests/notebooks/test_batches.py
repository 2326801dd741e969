"""Batches: a notebook for each row, journalled, one failure does not stop the rest, the same command does what is missing."""

from __future__ import annotations

import csv
import json
import os
import signal
import time
from pathlib import Path

import pytest

import hishamos
from hishamos.contracts.wire import Places
from hishamos.errors import InvalidInput
from hishamos.opening import shipped
from tests.conftest import stop_server

REPORT = str(shipped("notebooks") / "batch_report.ipynb")


def rows(number: int) -> list[dict[str, str]]:
    with Path(hishamos.sample("batch_rows.csv")).open(encoding="utf-8") as file:
        return list(csv.DictReader(file))[:number]


def notebook(folder: Path, body: str, parameters: str = "number = 0") -> str:
    def cell(source: str, *tags: str) -> dict[str, object]:
        return {"cell_type": "code", "metadata": {"tags": list(tags)}, "source": source, "outputs": [], "execution_count": None, "id": f"c{len(source)}"}

    path = folder / "made.ipynb"
    kernel = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}}
    path.write_text(json.dumps({"cells": [cell(parameters, "parameters"), cell(body)], "metadata": kernel, "nbformat": 4, "nbformat_minor": 5}))
    return str(path)


def test_each_row_is_executed_and_knows_its_cost(workspace_dir: Path) -> None:
    ws = hishamos.open(workspace_dir)
    run = ws.batch.start(REPORT, rows(2), jobs=2).wait(180)
    assert (run.state, run.kind) == ("succeeded", "batch"), run.error
    found = ws.batch.rows(run.id)
    assert [row.status for row in found] == ["succeeded"] * 2
    for row in found:
        assert row.output_path
        executed = json.loads(Path(row.output_path).read_text(encoding="utf-8"))
        assert "offline model" in json.dumps(executed)
        receipt = "".join(executed["cells"][-1]["outputs"][0]["data"]["text/plain"])
        assert "offline/extractive: 1 of 1 attempt succeeded" in receipt, "each row's own calls, not those of the batch"
        assert run.id in receipt
    assert run.attempts == 2, "the calls made in the notebooks belong to the batch"
    again = ws.batch.start(REPORT, rows(2), jobs=2)
    assert again.id == run.id
    assert ws.batch.start(REPORT, rows(2), jobs=2, fresh=True).id != run.id


def test_a_row_that_fails_is_told_apart_and_tried_again(workspace_dir: Path) -> None:
    ws = hishamos.open(workspace_dir)
    flag = workspace_dir / "mended"
    body = (
        "import os, pathlib, sys\n"
        f"if not pathlib.Path({str(flag)!r}).exists():\n"
        "    if number == 1: raise ValueError('row one is bad')\n"
        "    if number == 2: os._exit(3)\n"
        f"pathlib.Path({str(workspace_dir)!r}, f'ran-{{number}}-{{os.getpid()}}').touch()\n"
    )
    path = notebook(workspace_dir, body)
    run = ws.batch.start(path, [{"number": n} for n in range(3)], jobs=2).wait(180)
    assert run.state == "failed"
    found = ws.batch.rows(run.id)
    assert [row.status for row in found] == ["succeeded", "failed", "failed"]
    assert "ValueError: row one is bad" in (found[1].error or "")
    assert "died" in (found[2].error or "")
    flag.touch()
    again = ws.batch.start(path, [{"number": n} for n in range(3)], jobs=2)
    assert again.id == run.id
    assert again.wait(180).state == "succeeded"
    ran = sorted(file.name.split("-")[1] for file in workspace_dir.glob("ran-*"))
    assert ran == ["0", "1", "2"], "only what was missing ran again"


def test_a_batch_goes_on_after_its_server_was_killed(workspace_dir: Path) -> None:
    ws = hishamos.open(workspace_dir)
    body = f"import os, pathlib, time; time.sleep(0.5); pathlib.Path({str(workspace_dir)!r}, f'ran-{{number}}-{{os.getpid()}}').touch()"
    run = ws.batch.start(notebook(workspace_dir, body), [{"number": n} for n in range(4)], jobs=2)
    deadline = time.monotonic() + 120
    while sum(row.status == "succeeded" for row in ws.batch.rows(run.id)) < 2 and time.monotonic() < deadline:
        time.sleep(0.1)
    done = {row.index for row in ws.batch.rows(run.id) if row.status == "succeeded"}
    os.kill(int(json.loads(Places(workspace_dir).info.read_text())["pid"]), signal.SIGKILL)
    assert ws.runs.wait(run.id, timeout_s=180).state == "succeeded"
    ran = [int(file.name.split("-")[1]) for file in workspace_dir.glob("ran-*")]
    assert set(ran) == set(range(4))
    assert all(ran.count(number) == 1 for number in done), "finished rows are not executed again"


def test_bad_input_is_told_before_anything_starts(workspace_dir: Path) -> None:
    ws = hishamos.open(workspace_dir)
    with pytest.raises(InvalidInput, match="no parameter 'txt'; did you mean 'text'"):
        ws.batch.start(REPORT, [{"txt": "x"}])
    with pytest.raises(InvalidInput, match="no row"):
        ws.batch.start(REPORT, [])
    with pytest.raises(InvalidInput, match="no such notebook"):
        ws.batch.start("nowhere.ipynb", [{"text": "x"}])
    plain = workspace_dir / "plain.ipynb"
    plain.write_text(json.dumps({"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}))
    with pytest.raises(InvalidInput, match="'parameters'"):
        ws.batch.start(str(plain), [{"text": "x"}])
    plain.write_text("no notebook")
    with pytest.raises(InvalidInput, match="is no notebook"):
        ws.batch.start(str(plain), [{"text": "x"}])
    assert ws.runs.list() == []


@pytest.mark.parametrize("engine", ["duckdb", "postgres"])
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
