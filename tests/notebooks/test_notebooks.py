"""The shipped notebooks, executed as a person and as papermill would, and read in a browser without a network."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import hishamos
from hishamos.errors import InputsChanged
from hishamos.opening import shipped
from hishamos.remote.requests import Requests
from tests.rigs import nursery


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    path = tmp_path_factory.mktemp("nb")
    (path / "hishamos.toml").write_text("")
    yield path
    Requests(path).stop()


def papermill(notebook: Path, output: Path, *parameters: str, folder: Path, forked: bool = False) -> subprocess.CompletedProcess[str]:
    line = [str(notebook), str(output), "--kernel", "python3", "--no-progress-bar", *parameters]
    environment = {**os.environ, "PYTHONWARNINGS": "ignore"}
    if forked and nursery.available():
        return nursery.run(line, folder=folder, environment=environment, timeout=200, program=nursery.PAPERMILL)
    command = [sys.executable, "-m", "papermill", *line]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, env=environment, check=False)


@pytest.fixture(scope="module")
def tour(folder: Path) -> Path:
    """The tour, executed by papermill's own command in a folder that is a workspace, which it finds without being told.

    The kernel is a real one; papermill and the workspace's server are forked, and started as people start them by the long tests of this file.
    """
    output = folder / "tour-executed.ipynb"
    with hishamos.open(folder) as ws:
        ws.health.ping()
    done = papermill(shipped("notebooks") / "tour.ipynb", output, folder=folder, forked=True)
    assert done.returncode == 0, done.stderr[-3000:]
    return output


def outputs(notebook: Path) -> list[dict[str, Any]]:
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    return [output for cell in cells if cell["cell_type"] == "code" for output in cell["outputs"]]


def test_the_tour_used_the_workspace_it_was_executed_in(tour: Path, folder: Path) -> None:
    names = [run.name for run in hishamos.open(folder).runs.list()]
    assert names.count("triage_bugs") == 1
    assert names.count("classify_bug") == 2


def test_the_live_view_was_replaced_by_the_static_card(tour: Path) -> None:
    cards = [output for output in outputs(tour) if output["output_type"] == "display_data" and "text/html" in output["data"]]
    run = "".join(cards[0]["data"]["text/html"])
    assert "succeeded" in run
    assert "data:image/png;base64," in run
    assert "offline model, not a real answer" in run
    assert "● running" not in run
    assert "triage_bugs" in "".join(cards[0]["data"]["text/plain"])


def test_everything_shown_is_plain(tour: Path) -> None:
    text = json.dumps(outputs(tour))
    for sign in ("<object at 0x", "IntProgress(value=0", "<script", "application/vnd.jupyter.widget-view", "http://", "https://"):
        assert sign not in text, sign


@pytest.mark.long
def test_papermill_takes_parameters_and_the_error_of_a_cell(folder: Path) -> None:
    notebook = shipped("notebooks") / "batch_report.ipynb"
    done = papermill(notebook, folder / "one.ipynb", "-p", "text", "Typo in the menu: 'Setings'", "--engine", "hishamos", folder=folder)
    assert done.returncode == 0, done.stderr[-2000:]
    with hishamos.open(folder) as ws:
        [call] = [one for one in ws.ledger.calls() if one.tags.get("notebook") == str(notebook)]
    receipt = "".join(outputs(folder / "one.ipynb")[-1]["data"]["text/plain"])
    assert call.tags["execution"] in receipt, "papermill by hand, with the engine of HishamOS: it ends in its receipt too"
    assert call.tags["cell"] == "cell-03"
    assert "trivial in ui" in json.dumps(outputs(folder / "one.ipynb"))
    failed = papermill(notebook, folder / "two.ipynb", "-p", "model", "nobody/nothing", folder=folder)
    assert failed.returncode != 0
    assert "There is no" in json.dumps(outputs(folder / "two.ipynb"))


@pytest.mark.long
def test_a_batch_is_repeated_as_long_as_its_notebook_is_the_same(folder: Path) -> None:
    notebook = folder / "weekly.ipynb"
    text = (shipped("notebooks") / "weekly_report.ipynb").read_text(encoding="utf-8")
    notebook.write_text(text, encoding="utf-8")
    with hishamos.open(folder) as ws:
        run = ws.batch.start(str(notebook), [{"limit": 2}], reuse=True).wait(150)
        report = ws.runs.repeat(run.id).wait(150)
        assert (report.same, report.before.kind, report.files) == (True, "batch", ()), report.outputs
        assert ws.batch.rows(report.id)[0].result == ws.batch.rows(run.id)[0].result
        assert ws.batch.rows(report.id)[0].result["reports"] == 2
        notebook.write_text(text.replace("Count them", "Count all"), encoding="utf-8")
        with pytest.raises(InputsChanged, match="weekly.ipynb"):
            ws.runs.repeat(run.id)


def test_no_kernel_loads_the_provider_library(folder: Path) -> None:
    code = (
        "import hishamos, sys; ws = hishamos.open(sys.argv[1]); "
        "ws.commands.run('classify_bug', {'text': 'x'}, model='offline/extractive'); print('litellm' in sys.modules, 'duckdb' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(folder)], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]


@pytest.mark.chaos
@pytest.mark.timeout(600)
def test_the_proof_as_a_notebook(folder: Path) -> None:
    """With processes as people start them, and with as many rows and calls; its cells alone are tried in ``faces/test_prove.py``."""
    executed = folder / "prove-executed.ipynb"
    done = papermill(shipped("notebooks") / "prove.ipynb", executed, folder=folder)
    assert done.returncode == 0, done.stderr[-3000:]
    card = next(output for output in outputs(executed) if "text/html" in output.get("data", {}))
    assert "7 of 7 promises kept" in "".join(card["data"]["text/html"])
    assert "".join(card["data"]["text/plain"]).count("✓") == 7
