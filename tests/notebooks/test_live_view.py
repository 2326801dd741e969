"""A real kernel whose cell waits for a run: clicks are heard meanwhile, an interrupt leaves the static card, and who can't click gets no widget."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jupyter_client.manager import start_new_kernel

from tests.conftest import stop_server

FLOW = """
name: slow
description: Takes its time.
steps:
  - {id: first, type: shell, with: {program: sleep, args: ["%s"]}}
  - {id: then, type: wait, after: [first], with: {seconds: 0.01}}
"""
WIDGET = "application/vnd.jupyter.widget-view+json"
WAIT_S = 60.0


class Cell:
    """What a cell shows while it runs, as a front end hears it."""

    def __init__(self, client: Any, code: str, *, person: bool) -> None:
        self._client = client
        self.identity = client.execute(code, allow_stdin=person)
        self.displays: list[dict[str, Any]] = []
        self.buttons: dict[str, str] = {}
        self.errors: list[str] = []
        self.traceback: list[str] = []
        self.ended = False

    def until(self, condition: Any) -> None:
        """Listen until a condition holds."""
        deadline = time.monotonic() + WAIT_S
        while not condition():
            assert time.monotonic() < deadline, self.displays[-1:]
            self._hear(self._client.get_iopub_msg(timeout=WAIT_S))

    def _hear(self, message: dict[str, Any]) -> None:
        content, own = message["content"], message["parent_header"].get("msg_id") == self.identity
        match message["msg_type"]:
            case "display_data" | "update_display_data":
                self.displays.append(content["data"])
            case "comm_open" if content["data"]["state"].get("_model_name") == "ButtonModel":
                self.buttons[content["data"]["state"]["description"]] = content["comm_id"]
            case "error":
                self.errors.append(content["ename"])
                self.traceback = content["traceback"]
            case "status" if own and content["execution_state"] == "idle":
                self.ended = True

    def click(self, word: str) -> None:
        """Click a button as a front end does that knows no subshells: on the shell channel, behind the cell that runs."""
        self.until(lambda: word in self.buttons)
        data = {"method": "custom", "content": {"event": "click"}}
        message = self._client.session.msg("comm_msg", {"comm_id": self.buttons[word], "data": data})
        self._client.shell_channel.send(message)


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    folder = tmp_path_factory.mktemp("live")
    (folder / "hishamos.toml").write_text('[allow]\nprograms = ["sleep"]\n')
    (folder / "workflows").mkdir()
    (folder / "workflows" / "slow.yaml").write_text(FLOW % "60")
    (folder / "workflows" / "quick.yaml").write_text(FLOW.replace("slow", "quick") % "0.5")
    manager, made = start_new_kernel(kernel_name="python3", cwd=str(folder))
    made.execute_interactive("import hishamos; ws = hishamos.open(); ws.health.ping()", timeout=WAIT_S)
    made.manager = manager
    yield made
    made.stop_channels()
    manager.shutdown_kernel(now=True)
    stop_server(Path(folder))


def test_a_click_is_heard_while_the_cell_waits(client: Any) -> None:
    cell = Cell(client, "run = ws.workflows.start('slow').wait()", person=True)
    cell.until(lambda: any(WIDGET in shown for shown in cell.displays))
    assert "● running" in cell.displays[0]["text/html"], "viewers without widgets see it too"
    cell.click("Cancel run")
    cell.until(lambda: cell.ended)
    assert not cell.errors
    assert WIDGET not in cell.displays[-1]
    assert "○ cancelled" in cell.displays[-1]["text/html"]
    assert "cancelled" in cell.displays[-1]["text/plain"]


def test_an_interrupt_leaves_the_static_card_and_the_run_goes_on(client: Any) -> None:
    cell = Cell(client, "run = ws.workflows.start('slow'); run.wait()", person=True)
    cell.until(lambda: "Pause run" in cell.buttons)
    client.manager.interrupt_kernel()
    cell.until(lambda: cell.ended)
    assert cell.errors == ["KeyboardInterrupt"]
    assert len(cell.traceback) == 1, "it says what became of the run, and spares the frames of the package"
    assert WIDGET not in cell.displays[-1]
    assert "only looked away" in cell.displays[-1]["text/html"]
    goes_on = Cell(client, "assert ws.runs.get(run.id).state == 'running'; ws.runs.cancel(run.id)", person=True)
    goes_on.until(lambda: goes_on.ended)
    assert not goes_on.errors


def test_who_executes_a_notebook_on_his_own_gets_plain_html(client: Any) -> None:
    cell = Cell(client, "import hishamos\nrun = ws.workflows.start('quick').wait(); hishamos.form('classify_bug')", person=False)
    cell.until(lambda: cell.ended)
    assert not cell.errors
    assert not cell.buttons
    assert not any(WIDGET in shown for shown in cell.displays)
    assert any("● running" in shown["text/html"] for shown in cell.displays)
    assert any("form of a command" in shown["text/html"] for shown in cell.displays)
    assert "✓ succeeded" in [shown for shown in cell.displays if "quick" in shown["text/html"]][-1]["text/html"]
