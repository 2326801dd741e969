"""The engine by which papermill itself marks cells as they ran."""

from __future__ import annotations

import os
import tomllib
from pathlib import Path

import nbformat
import papermill
import pytest
from papermill.engines import papermill_engines
from papermill.exceptions import PapermillExecutionError

from hishamos.kernels.papermill_engine import HishamosEngine
from hishamos.records.origins import EXECUTION, NOTEBOOK


def test_papermill_finds_it_and_what_never_ran_looks_so(tmp_path: Path) -> None:
    project = tomllib.loads((Path(__file__).parents[3] / "pyproject.toml").read_text())["project"]
    assert project["entry-points"]["papermill.engine"] == {"hishamos": f"{HishamosEngine.__module__}:{HishamosEngine.__name__}"}
    papermill_engines.register("hishamos", HishamosEngine)
    cells = [nbformat.v4.new_code_cell(source) for source in ("n = 0", "print(n)", "import os; os._exit(4)", "print('never')")]
    cells[0].metadata["tags"] = ["parameters"]
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata=kernel), tmp_path / "in.ipynb")
    with pytest.raises(PapermillExecutionError, match="kernel died"):
        papermill.execute_notebook(str(tmp_path / "in.ipynb"), str(tmp_path / "out.ipynb"), {"n": 7}, engine_name="hishamos", progress_bar=False)
    found = nbformat.read(tmp_path / "out.ipynb", 4).cells
    assert [cell.metadata.papermill.status for cell in found if "papermill" in cell.metadata] == ["completed", "completed", "completed", "failed", "pending"]
    assert any(output.get("text") == "7\n" for cell in found for output in cell.get("outputs", ()))


def test_what_is_printed_in_pieces_is_one_text_and_keeps_its_place(tmp_path: Path) -> None:
    papermill_engines.register("hishamos", HishamosEngine)
    told = "import sys\nfor word in ('row', '29'):\n    print(word, end=' ', flush=True)\n"
    cell = nbformat.v4.new_code_cell(told + "print('oh', file=sys.stderr, flush=True)\nprint('on', flush=True)\ndisplay(1)\nprint('end')")
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    nbformat.write(nbformat.v4.new_notebook(cells=[cell], metadata=kernel), tmp_path / "in.ipynb")
    papermill.execute_notebook(str(tmp_path / "in.ipynb"), str(tmp_path / "out.ipynb"), engine_name="hishamos", progress_bar=False)
    outputs = [output for cell in nbformat.read(tmp_path / "out.ipynb", 4).cells for output in cell.get("outputs", ())]
    found = [(output.get("name"), output.get("text")) for output in outputs][:5]
    assert found == [("stdout", "row 29 "), ("stderr", "oh\n"), ("stdout", "on\n"), (None, None), ("stdout", "end\n")]
    assert not {EXECUTION, NOTEBOOK} & os.environ.keys(), "what this process asks next is not the notebook's"
