"""A notebook whose cells are tagged becomes a durable workflow: values go from step to step by name, and mistakes name the cell."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest

import hishamos
from hishamos import opening
from hishamos.composition import open_in_process
from hishamos.contracts.wire import Places
from hishamos.errors import InvalidDefinition, InvalidInput
from hishamos.kernels.cell_code import run_cell
from hishamos.records.runs import RunState

OFFLINE = "offline/extractive"


def notebook(folder: Path, *cells: tuple[str, str] | str, name: str = "report.ipynb") -> str:
    """Write a notebook: (tags, source) is a code cell, a text a Markdown cell."""

    def cell(number: int, one: tuple[str, str] | str) -> dict[str, Any]:
        if isinstance(one, str):
            return {"cell_type": "markdown", "metadata": {}, "source": one, "id": f"c{number}"}
        metadata = {"tags": one[0].split()}
        return {
            "cell_type": "code",
            "metadata": metadata,
            "source": one[1].splitlines(keepends=True),
            "outputs": [],
            "execution_count": None,
            "id": f"c{number}",
        }

    path = folder / name
    path.write_text(json.dumps({"cells": [cell(*one) for one in enumerate(cells)], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}))
    return str(path)


@pytest.fixture
def ws(tmp_path):
    with open_in_process(tmp_path) as workspace:
        yield workspace


REPORT = (
    "# How bad it is\n\nMore words.",
    ("parameters", 'limit = 2  # how many are read\nnames: "list" = ["ui", "api", "storage"]\nfile: "file" = None\n'),
    ("setup", "import math\n\nimport hishamos\n\nws = hishamos.open()\n\n\ndef half(n):\n    return math.ceil(n / 2)\n"),
    ("step:read", "# Read the rows\nrows = [{'n': n, 'name': name} for n, name in enumerate(names)][:limit]\ntemporary = object()\n"),
    ("", "print(rows)  # only for looking"),
    ("step:count output:total", "total = sum(half(row['n']) for row in rows)\n"),
    ("step:extend", "rows.append({'n': 9, 'name': 'more'})\n"),
    (
        "step:ask after:count output:answer output:number",
        "answer = ws.commands.run('classify_bug', {'text': f'{len(rows)} rows crash'}, model='offline/extractive').output\nnumber = len(rows)\n",
    ),
)


def test_a_notebook_becomes_a_workflow_and_runs(ws, tmp_path):
    flow = ws.workflows.from_notebook(notebook(tmp_path, *REPORT))
    assert (flow.name, flow.description) == ("report", "How bad it is")
    assert {name: (one.type, one.default, one.description) for name, one in flow.inputs.items()} == {
        "limit": ("integer", 2, "how many are read"),
        "names": ("list", ["ui", "api", "storage"], ""),
        "file": ("file", None, ""),
    }
    steps = {step.id: step for step in flow.steps}
    assert {name: step.after for name, step in steps.items()} == {"read": (), "count": ("read",), "extend": ("read",), "ask": ("count", "extend")}
    assert steps["read"].with_["gives"] == ["rows"], "what nobody reads is not handed on, and need not be plain data"
    assert steps["read"].description == "Read the rows"
    assert steps["ask"].with_["values"] == {"rows": "{{ steps.extend.output.rows }}"}
    run = ws.workflows.start(flow, {"limit": 3}).wait(60)
    assert run.state is RunState.SUCCEEDED, run.error
    assert (run.outputs["total"], run.outputs["number"]) == (2, 4)
    assert set(run.outputs["answer"]) >= {"severity", "component"}
    [call] = ws.runs.calls(run.id)
    assert (call.command.partition("@")[0], call.step_id) == ("classify_bug", None), "hishamos.open() in a cell is the run's workspace"
    saved = ws.workflows.save(flow)
    assert saved.version == flow.version == ws.workflows.get("report").version
    assert ws.workflows.from_notebook(str(tmp_path / "report.ipynb")).version == flow.version


@pytest.mark.parametrize(
    ("cells", "words"),
    [
        ([("", "x = 1")], "no cell is a step"),
        ([("stepp:a", "x = 1")], "cell 1 … unknown tag 'stepp:a' … did you mean 'step'"),
        ([("setpu", "x = 1"), ("step:a", "y = 1")], "cell 1 … unknown tag 'setpu' … did you mean 'setup'"),
        ([("step:", "x = 1")], "the tag 'step:' names nothing"),
        ([("step:a b:c", "x = 1"), ("step:a", "y = 1")], "cell 2 (step:a) … cell 1 has the name 'a' already"),
        ([("step:a", "x = 1"), ("step:b after:aa", "y = 1")], "cell 2 (step:b) … there is no other step 'aa' … did you mean 'a'"),
        ([("after:a", "x = 1"), ("step:a", "y = 1")], "after:a stands at a cell that is no step"),
        ([("step:a output:rowz", "rows = 1")], "it sets no 'rowz' … did you mean 'rows'"),
        ([("step:a", "rows = 1"), ("step:b", "n = len(rwos)")], "cell 2 (step:b) … reads 'rwos', which no cell sets … did you mean 'rows'"),
        ([("", "def helper(): pass"), ("step:a", "x = helper()")], "reads 'helper', which only report.ipynb, cell 1 sets, and that is no step … setup"),
        ([("step:a", "y = x"), ("step:b", "x = 1")], "reads 'x', which only report.ipynb, cell 2 sets, further down"),
        ([("step:a", "%matplotlib inline\nx = 1")], "'%matplotlib inline' is IPython's"),
        ([("step:a", "x = (1")], "cell 1 (step:a) … it is no Python:  … line 1"),
        ([("parameters", "n = len([])"), ("step:a", "x = n")], "the default of 'n' is no plain value (line 1)"),
        ([("parameters", "n: int = 1\nprint(n)"), ("step:a", "x = n")], "line 2 is no plain assignment"),
        ([("parameters", 'n: "fiel" = "a"'), ("step:a", "x = n")], "no input has: fiel … did you mean 'file'"),
        ([("step:a", "x = 1"), ("setup", "y = x"), ("step:b", "z = y")], "setup runs before every step and can't read 'x', which step a sets"),
    ],
)
def test_a_mistake_names_the_cell_and_what_is_meant(ws, tmp_path, cells, words):
    with pytest.raises(InvalidDefinition) as caught:
        ws.workflows.from_notebook(notebook(tmp_path, *cells))
    for part in words.split(" … "):
        assert part in str(caught.value)


def test_what_is_no_notebook_is_told(ws, tmp_path):
    (tmp_path / "none.ipynb").write_text("[1]")
    with pytest.raises(InvalidInput, match="no notebook"):
        ws.workflows.from_notebook(str(tmp_path / "none.ipynb"))
    with pytest.raises(InvalidInput, match="can't be read"):
        ws.workflows.from_notebook("nowhere.ipynb")


@pytest.mark.long
def test_a_cell_that_fails_names_cell_and_line(ws, tmp_path):
    def failed(*cells):
        run = ws.workflows.start(ws.workflows.from_notebook(notebook(tmp_path, *cells))).wait(60)
        assert run.state is RunState.FAILED
        return run.error.message

    assert "ValueError: too bad (report.ipynb, cell 2, line 2)" in failed("words", ("step:a", "x = 1\nraise ValueError('too bad')"))
    told = failed(("step:a", "import pandas\nframe = pandas.DataFrame({'a': [1]})"), ("step:b", "n = len(frame)"))
    assert "frame is a DataFrame" in told
    assert "frame.to_dict('records')" in told
    assert "the cell did not set 'x'" in failed(("step:a", "if False:\n    x = 1"), ("step:b", "y = x"))


def test_a_cell_s_workspace_is_not_the_next_call_s(tmp_path):
    values = {"code": "import hishamos\nsame = hishamos.open() is hishamos.open() is not None", "place": "a cell", "setup": [], "values": {}, "gives": ["same"]}
    given = object()
    assert run_cell(**values, root=str(tmp_path), ws=given) == {"same": True}
    assert opening.run_workspace is None
    with pytest.raises(ZeroDivisionError):
        run_cell(**{**values, "code": "1 / 0"}, root=str(tmp_path), ws=given)
    assert opening.run_workspace is None


def test_what_cells_read_and_set_is_found_without_running_them(ws, tmp_path):
    flow = ws.workflows.from_notebook(
        notebook(
            tmp_path,
            ("step:a", "n = 1\nitems = [1, 2]\nconfig = {'x': 1}"),
            ("step:b", "n = 5\nn += 1\ntotal = sum(item for item in items)\n\ndef local(items):\n    return items\n"),
            ("step:c", "config['y'] = 2"),
            ("step:d output:said", "for item in items:\n    pass\nsaid = f'{total} {n} {config}'"),
        )
    )
    steps = {step.id: step for step in flow.steps}
    assert sorted(steps["b"].with_["values"]) == ["items"], "a name that is set first is not read"
    assert steps["d"].after == ("a", "b", "c")
    run = ws.workflows.start(flow).wait(60)
    assert run.outputs == {"said": "3 6 {'x': 1, 'y': 2}"}, run.error


@pytest.mark.long
def test_finished_steps_are_not_run_again_after_a_kill(workspace_dir):
    path = notebook(
        workspace_dir,
        ("parameters", f"folder = {str(workspace_dir)!r}"),
        ("setup", "import pathlib, time, uuid"),
        ("step:first", "pathlib.Path(folder, f'first-{uuid.uuid4()}').touch()\nvalue = 41"),
        ("step:second output:value", "while not pathlib.Path(folder, 'go').exists():\n    time.sleep(0.05)\nvalue += 1"),
    )
    ws = hishamos.open(workspace_dir)
    run = ws.workflows.start(ws.workflows.from_notebook(path))
    deadline = time.monotonic() + 60
    while {step.path: step.state for step in ws.runs.steps(run.id)}.get("second") != "running":
        assert time.monotonic() < deadline
        time.sleep(0.05)
    os.kill(int(json.loads(Places(workspace_dir).info.read_text())["pid"]), signal.SIGKILL)
    (workspace_dir / "go").touch()
    Path(path).write_text("the run keeps what it was started with")
    ended = ws.runs.wait(run.id, timeout_s=60)
    assert ended.outputs == {"value": 42}, ended.error
    assert len(list(workspace_dir.glob("first-*"))) == 1
