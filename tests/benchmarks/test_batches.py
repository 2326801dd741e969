"""Forty small notebooks, two at once, against papermill's own API in a loop: at least twice as fast, eight times with kept kernels."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

import hishamos

NOTEBOOKS = 40
CELLS = (
    "number = 0\nname = ''",
    "import json, math\ntable = [{'n': n, 'root': math.sqrt(n)} for n in range(200)]",
    "total = sum(row['root'] for row in table)\nprint(name, number, total)",
    "json.dumps(table)[:80]",
)

pytestmark = pytest.mark.benchmark


def made(folder: Path) -> str:
    cells = [{"cell_type": "code", "id": f"c{n}", "metadata": {}, "source": source, "outputs": [], "execution_count": None} for n, source in enumerate(CELLS)]
    cells[0]["metadata"] = {"tags": ["parameters"]}
    kernel = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}}
    path = folder / "small.ipynb"
    path.write_text(json.dumps({"cells": cells, "metadata": kernel, "nbformat": 4, "nbformat_minor": 5}))
    return str(path)


def by_papermill(path: str, folder: Path, rows: list[dict[str, Any]]) -> float:
    import papermill

    begun = time.monotonic()
    for row in rows:
        papermill.execute_notebook(path, str(folder / f"papermill-{row['number']}.ipynb"), row, kernel_name="python3", progress_bar=False)
    return time.monotonic() - begun


def by_batch(path: str, folder: Path, rows: list[dict[str, Any]], *, reuse: bool) -> float:
    ws = hishamos.open(folder)
    ws.runs.list()
    begun = time.monotonic()
    run = ws.batch.run(path, rows, jobs=2, reuse=reuse, fresh=True)
    taken = time.monotonic() - begun
    assert run.state == "succeeded", run.error
    found = ws.batch.rows(run.id)
    assert all(f"row {row.index} {row.index}" in Path(row.output_path or "").read_text() for row in found)
    return taken


def test_forty_notebooks_against_papermill(workspace_dir: Path) -> None:
    (workspace_dir / "hishamos.toml").touch()
    path = made(workspace_dir)
    rows = [{"number": n, "name": f"row {n}"} for n in range(NOTEBOOKS)]
    papermill = by_papermill(path, workspace_dir, rows[: NOTEBOOKS // 2])
    fresh = by_batch(path, workspace_dir, rows, reuse=False)  # with the start of the warm process
    papermill += by_papermill(path, workspace_dir, rows[NOTEBOOKS // 2 :])
    kept = by_batch(path, workspace_dir, rows, reuse=True)
    print(
        f"\n{NOTEBOOKS} notebooks: papermill {papermill:.1f} s, fresh {fresh:.1f} s ({papermill / fresh:.1f} x), kept {kept:.1f} s ({papermill / kept:.1f} x)"
    )
    assert papermill / fresh >= 2
    assert papermill / kept >= 8
