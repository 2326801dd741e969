"""JupyterLab in a real browser, as ``hishamos lab`` opens it: a run is seen to move, steered by its buttons, interrupted and continued."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.conftest import free_port, stop_server

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

pytestmark = [pytest.mark.browser, pytest.mark.long]
FLOW = """
name: %s
description: Takes its time, and asks.
steps:
  - {id: first, type: shell, with: {program: sleep, args: ["%s"]}}
  - {id: second, type: shell, after: [first], with: {program: sleep, args: ["0.4"]}}
  - {id: approve, type: approval, after: [second], with: {message: "Publish?"}}
  - {id: last, type: wait, after: [approve], with: {seconds: 0.1}}
"""
CELLS = (
    "import sys, hishamos\nws = hishamos.open()\nsys.executable",
    "run = ws.workflows.start('quick').wait()",
    "print('the next cell ran while the run was', ws.runs.get(run.id).state)",
    "slow = ws.workflows.start('slow'); slow.wait()",
    "slow = slow.wait()",
    "hishamos.form('classify_bug', {'model': 'offline/extractive'})",
    'ws.commands.run("classify_b',
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A workspace with a notebook, on a machine where somebody else's kernel has the name python3."""
    path = tmp_path_factory.mktemp("lab")
    (path / "hishamos.toml").write_text('[allow]\nprograms = ["sleep"]\n')
    (path / "workflows").mkdir()
    for name, seconds in (("quick", "1.5"), ("slow", "60")):
        (path / "workflows" / f"{name}.yaml").write_text(FLOW % (name, seconds))
    cells = [
        {"cell_type": "code", "id": f"c{number}", "metadata": {}, "source": source, "outputs": [], "execution_count": None}
        for number, source in enumerate(CELLS)
    ]
    kernel = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}}
    (path / "live.ipynb").write_text(json.dumps({"cells": cells, "metadata": kernel, "nbformat": 4, "nbformat_minor": 5}))
    foreign = path / "jupyter" / "kernels" / "python3"
    foreign.mkdir(parents=True)
    (foreign / "kernel.json").write_text(json.dumps({"argv": ["/bin/false", "{connection_file}"], "display_name": "Foreign", "language": "python"}))
    yield path
    stop_server(path)


@pytest.fixture(scope="module")
def lab(folder: Path) -> Iterator[str]:
    """The address of a JupyterLab that ``hishamos lab`` opened."""
    environment = os.environ | {
        "JUPYTER_DATA_DIR": str(folder / "jupyter"),
        "JUPYTER_CONFIG_DIR": str(folder / "jupyter"),
        "JUPYTERLAB_SETTINGS_DIR": str(folder / "jupyter"),
        "JUPYTER_PREFER_ENV_PATH": "0",
    }
    command = [sys.executable, "-m", "hishamos", "--workspace", str(folder), "lab", "--port", str(free_port()), "--no-browser", "--json"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, cwd=folder, env=environment, text=True)
    assert process.stdout is not None
    url, _, token = json.loads(process.stdout.readline())["url"].partition("?")
    yield f"{url}/tree/live.ipynb?{token}"
    process.terminate()
    process.wait(30)


@pytest.fixture
def page(page: Page) -> Page:
    page.set_viewport_size({"width": 1300, "height": 1600})
    page.set_default_timeout(60_000)
    return page


def cell(page: Page, number: int) -> Locator:
    return page.locator(".jp-Notebook-cell").nth(number)


def chosen(page: Page, number: int) -> Locator:
    """Choose a cell, in command mode."""
    found = cell(page, number)
    found.locator(".jp-InputArea-prompt").click()
    return found


def run(page: Page, number: int) -> Locator:
    """Run a cell; a page that has not found its kernel yet, and a kernel that drops what was queued behind an error, take no notice of the first keys."""
    found = chosen(page, number)
    for _ in range(200):
        page.keyboard.press("Control+Enter")
        page.wait_for_timeout(150)
        if found.locator(".jp-InputPrompt").inner_text().strip() not in {"[ ]:", ""}:
            break
    return found


def test_a_run_is_steered_interrupted_and_continued(lab: str, page: Page, folder: Path) -> None:
    page.goto(lab)
    cell(page, 0).wait_for()
    shown = run(page, 0).locator(".jp-OutputArea-output")
    shown.wait_for()
    assert sys.executable in shown.inner_text(), "the kernel is the interpreter that opened JupyterLab"

    quick = run(page, 1)
    quick.get_by_text("0 of 4 steps").wait_for()
    pause = quick.get_by_role("button", name="Pause run")
    pause.click()
    quick.get_by_role("button", name="Resume run").click()  # the click was heard, though the cell had blocked the kernel
    quick.get_by_text("2 of 4 steps").wait_for()
    approve = quick.get_by_role("button", name="Approve")
    approve.wait_for()
    run(page, 2).get_by_text("while the run was waiting").wait_for()
    approve.click()
    quick.get_by_text("✓ succeeded").first.wait_for()
    quick.locator(".hishamos-live").wait_for(state="detached")
    assert quick.locator("img[src^='data:image/png']").count() == 1

    slow = run(page, 3)
    slow.get_by_role("button", name="Cancel run").wait_for()
    page.keyboard.press("i")
    page.keyboard.press("i")
    slow.get_by_text("only looked away").first.wait_for()
    slow.get_by_text("KeyboardInterrupt").first.wait_for()
    assert not slow.get_by_role("button").filter(has_text="run").count()
    slow = run(page, 4)
    slow.get_by_role("button", name="Cancel run").click()
    slow.get_by_text("○ cancelled").first.wait_for()

    form = run(page, 5)
    button = form.get_by_role("button", name="Run classify_bug")
    button.click()
    form.get_by_role("alert").get_by_text("Needs a value").wait_for()
    form.locator("textarea").first.fill("The app crashes on save and the file is lost")
    button.click()
    form.get_by_text("blocker").first.wait_for()

    chosen(page, 6)
    page.keyboard.press("Enter")
    page.keyboard.press("Control+End")
    page.keyboard.press("Tab")
    page.locator(".jp-Completer").get_by_text("classify_bug").wait_for()
    page.keyboard.press("Enter")
    assert cell(page, 6).locator(".cm-content").inner_text().startswith('ws.commands.run("classify_bug')

    page.keyboard.press("Escape")
    page.keyboard.press("Control+s")
    saved = folder / "live.ipynb"
    page.wait_for_function("() => !document.querySelector('.jp-mod-dirty')")
    outputs = [output for one in json.loads(saved.read_text())["cells"][1:5] for output in one["outputs"] if "data" in output]
    assert len(outputs) == 3
    assert all("application/vnd.jupyter.widget-view+json" not in output["data"] for output in outputs)
