"""The tutorials teach what runs: all are executed offline by one server, and read in a browser without network and script."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from hishamos.cli.gallery import NOTEBOOKS
from hishamos.opening import shipped
from tests.faces.conftest import Terminal
from tests.notebooks.test_notebooks import outputs
from tests.rigs.consoles import SWITCHES

SHOWN = {
    "tour": ("did you mean 'classify_bug'?", "cost_nanos", "✓ succeeded"),
    "commands_and_versions": ("did you mean 'text'?", "thankful", "(True, True)", "classify_bug"),
    "agents_and_tools": ("bug-triage", "can't use tools", "since version 4.2", "picked"),
    "workflows": ("did you mean 'classify_bug'?", "Publish?", "skipped", "the same outputs, byte for byte", "The week's reports, counted"),
    "weekly_report": ("Login rejects everyone", "by_severity"),
    "dataframe_map": ("24 reused, 0 new", "the parameter 'text' is missing", "sign-in", "the most alike"),
    "batches": ("did you mean 'limit'?", "3 of 3 notebooks", "summary.ipynb", "Receipt"),
    "costs_and_budgets": ("0.400", "cell-03", "project:TUTORIAL", "budgets.remove", "requests"),
    "operating": ("workspace: ok", "the run queued", "Europe/Berlin", "not exactly one SELECT"),
}
"""Words that a reader of each has to find."""
FORBIDDEN = (
    "<object at 0x",
    " object at 0x",
    "IntProgress(value=0",
    "<script",
    "application/vnd.jupyter.widget-view",
    "http://",
    "https://",
    "NaT",
    "Traceback",
)


@pytest.fixture(scope="module")
def gallery(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The document of ``hishamos gallery``."""
    folder = tmp_path_factory.mktemp("gallery")
    (folder / "hishamos.toml").touch()
    done = Terminal(folder).type("gallery", "shown", "--json", timeout=200)
    assert done.returncode == 0, done.stdout + done.stderr
    assert not (folder / "data").exists(), "the workspace where it is typed is left alone"
    return json.loads(done.stdout)


@pytest.mark.parametrize("name", [*NOTEBOOKS, "batch_report", "prove"])
def test_stored_without_outputs(name: str) -> None:
    cells = json.loads((shipped("notebooks") / f"{name}.ipynb").read_text(encoding="utf-8"))["cells"]
    assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in cells if cell["cell_type"] == "code")
    assert sum(cell["cell_type"] == "markdown" for cell in cells) >= 1


def test_every_shipped_notebook_is_in_the_gallery() -> None:
    assert {file.stem for file in shipped("notebooks").glob("*.ipynb")} - {"batch_report", "prove"} == set(NOTEBOOKS)
    assert set(SHOWN) == set(NOTEBOOKS)


@pytest.mark.long
def test_all_are_executed_and_show_only_what_is_plain(gallery: dict[str, Any]) -> None:
    assert [(row["name"], row["status"], row["error"]) for row in gallery["notebooks"]] == [(name, "succeeded", None) for name in NOTEBOOKS]
    for row in gallery["notebooks"]:
        executed = Path(row["notebook"])
        shown = outputs(executed)
        assert not [output for output in shown if output["output_type"] == "error"], row["name"]
        text = json.dumps(shown, ensure_ascii=False)
        assert [sign for sign in FORBIDDEN if sign in text] == [], row["name"]
        receipt = "".join(shown[-1]["data"]["text/plain"])
        assert receipt.startswith("Receipt")
        assert "0 USD" in receipt
        asked = row["name"] != "batches"  # it asks nobody itself: its rows have receipts of their own
        assert ("offline model, not a real answer" in receipt) == asked


@pytest.mark.long
def test_a_notebook_gives_back_what_it_declares(gallery: dict[str, Any]) -> None:
    [executed] = [row["notebook"] for row in gallery["notebooks"] if row["name"] == "weekly_report"]
    [told] = [output["data"] for output in outputs(Path(executed)) if "application/vnd.hishamos.result+json" in output.get("data", {})]
    assert told["application/vnd.hishamos.result+json"]["reports"] == 8


@pytest.mark.long
def test_the_gallery_is_read_without_network_and_script(gallery: dict[str, Any], chromium_path: str) -> None:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=chromium_path, args=SWITCHES)
        page = browser.new_context(offline=True, java_script_enabled=False).new_page()
        page.goto(Path(gallery["index"]).as_uri(), wait_until="domcontentloaded")
        assert page.get_by_role("link").count() == len(NOTEBOOKS)
        for name in NOTEBOOKS:
            page.goto(Path(gallery["folder"], f"{name}.html").as_uri(), wait_until="domcontentloaded")
            for words in (*SHOWN[name], "Receipt"):
                assert page.get_by_text(words).first.is_visible(), (name, words)
            for place in range(page.locator("img").count()):
                picture = page.locator("img").nth(place)
                assert (picture.get_attribute("src") or "").startswith("data:image/")
                box = picture.bounding_box()
                assert box is None or (box["width"] > 100 and box["height"] > 20), (name, place)
        browser.close()
