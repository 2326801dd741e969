"""A workflow executes a notebook of the workspace: parameters in, the executed notebook out, its failure told with the cell."""

from __future__ import annotations

import json
from pathlib import Path

import nbformat
import pytest

from hishamos.composition import open_in_process

FLOW = """name: flow
description: d
inputs: {n: {type: integer}, where: {type: text}}
steps:
  - {id: make, type: notebook, with: {notebook: notebooks/make.ipynb, parameters: {n: "{{ inputs.n }}", title: "None", where: "{{ inputs.where }}"}}}
  - {id: after, type: approval, after: [make], when: "steps.make.output.seconds < 0", with: {message: "?"}}
outputs: {made: "{{ steps.make.output.output }}"}
"""
PARAMETERS = "n = 0\ntitle = where = ''"
WORK = "import json\nassert n < 5, 'n is too large'\nopen(where, 'w').write(json.dumps([n, title]))"


@pytest.fixture
def ws(tmp_path):
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(PARAMETERS), nbformat.v4.new_code_cell(WORK)])
    book.cells[0].metadata["tags"] = ["parameters"]
    book.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    (tmp_path / "notebooks").mkdir()
    nbformat.write(book, tmp_path / "notebooks" / "make.ipynb")
    with open_in_process(tmp_path) as workspace:
        workspace.workflows.save(FLOW)
        yield workspace


def test_a_notebook_is_executed_with_its_parameters(ws, tmp_path):
    run = ws.workflows.start("flow", {"n": 3, "where": str(tmp_path / "made.json")}).wait(100)
    assert run.state == "succeeded", run.error
    assert json.loads((tmp_path / "made.json").read_text()) == [3, "None"]
    made = Path(run.outputs["made"])
    assert made.relative_to(tmp_path.resolve()) == Path("data") / "local" / "notebooks" / run.id / "make.ipynb"
    assert "n = 3" in "".join(cell.source for cell in nbformat.read(made, 4).cells)
    failed = ws.workflows.start("flow", {"n": 9, "where": ""}).wait(100)
    assert failed.state == "failed"
    assert "make.ipynb, cell 2" in failed.error.message
    assert "n is too large" in failed.error.message
