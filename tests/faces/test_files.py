"""Pictures and documents from the notebook and the terminal, over the workspace's server, to a provider that keeps a book."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest

import hishamos
from hishamos.errors import InvalidInput
from tests.faces.conftest import Terminal
from tests.rigs.pictures import image, pdf, put
from tests.rigs.simulator import Simulator

FLOW = """name: read
description: Reads a receipt.
inputs: {receipt: {type: file}}
steps:
  - {id: read, type: command, with: {command: read_receipt, inputs: {receipt: "{{ inputs.receipt }}"}}}
outputs: {seller: "{{ steps.read.output.seller }}"}
"""


@pytest.fixture(scope="module")
def simulator() -> Iterator[Simulator]:
    with Simulator() as running:
        yield running


@pytest.fixture
def workspace(workspace_dir: Path, simulator: Simulator, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-files-0123456789abcdef")
    simulator.clear()
    (workspace_dir / "hishamos.toml").write_text(
        f'[providers.openai]\napi_key = "env:OPENAI_API_KEY"\napi_base = "{simulator.url}/v1"\n[routes.default]\nmodels = ["openai/gpt-4.1-mini"]\n'
    )
    (workspace_dir / "workflows").mkdir()
    (workspace_dir / "workflows" / "read.yaml").write_text(FLOW)
    return workspace_dir


def test_the_same_picture_from_everywhere_is_paid_once_where_it_may(workspace: Path, simulator: Simulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """commands.run by path and by Path, a workflow's input, a column of a map, an agent's file, the terminal."""
    mine = tmp_path / "mine"
    mine.mkdir()
    monkeypatch.chdir(mine)  # relative paths are from the caller's own folder
    photo = put(mine, "photo.png", image())
    put(workspace, "scan.pdf", pdf(2))
    ws = hishamos.open(workspace)
    answer = ws.commands.run("read_receipt", {"receipt": Path("photo.png")})
    assert answer.output["seller"] == "simulated"
    assert answer.attempts[0].tags["files"][0]["path"] == str(photo)
    assert ws.commands.run("read_receipt", {"receipt": "photo.png"}).cached
    assert ws.commands.run("read_receipt", {"receipt": "scan.pdf"}).output["seller"] == "simulated", "from the workspace's folder"
    assert "Attached: photo.png (PNG" in ws.commands.preview("read_receipt", {"receipt": "photo.png"})

    run = ws.workflows.start("read", {"receipt": "photo.png"}).wait(60)
    assert run.outputs == {"seller": "simulated"}

    frame = pd.DataFrame({"file": ["photo.png", "scan.pdf", "missing.png"]})
    done = ws.map(frame, "read_receipt", columns={"receipt": "file"})
    assert list(done["hos_status"]) == ["succeeded", "succeeded", "failed"]
    assert "missing.png" in done["hos_error"][2]

    assert ws.agents.ask("bug-triage", "What is broken?", files=[photo]).text
    assert "".join(event.text for event in ws.agents.stream("bug-triage", "And here?", files=["photo.png"]) if event.kind == "text")
    book = simulator.book()
    assert [[file["media"] for file in entry["files"]] for entry in book] == [["image/png"], ["application/pdf"], ["image/png"], ["image/png"]]
    assert {entry["files"][0]["bytes"] for entry in book if entry["files"][0]["media"] == "image/png"} == {photo.stat().st_size}
    rows = ws.sql("select status, cost_nanos from attempts").to_dict("records")
    assert sum(row["cost_nanos"] for row in rows) > 0

    terminal = Terminal(mine, {"HISHAMOS_WORKSPACE": str(workspace), "OPENAI_API_KEY": os.environ["OPENAI_API_KEY"]})
    asked = terminal.json("ask", "bug-triage", "And there?", "--file", "photo.png")
    assert asked["attempts"][0]["tags"]["files"][0]["path"] == str(photo)


def test_an_image_of_50_mb_is_refused_before_any_money(workspace: Path, simulator: Simulator):
    with (workspace / "huge.png").open("wb") as stream:
        stream.write(image())
        stream.truncate(50 * 1024 * 1024)
    ws = hishamos.open(workspace)
    with pytest.raises(InvalidInput, match=r"huge\.png has 52\.4 MB"):
        ws.commands.run("read_receipt", {"receipt": "huge.png"})
    with pytest.raises(InvalidInput, match=r"huge\.png has 52\.4 MB"):
        ws.agents.ask("bug-triage", "Look", files=[workspace / "huge.png"])
    assert simulator.book() == []
    assert ws.sql("select count(*) as n from attempts")["n"][0] == 0
