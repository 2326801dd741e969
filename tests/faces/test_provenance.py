"""A notebook's calls know their notebook, cell, commit and execution, also those of the runs that it starts."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest
from jupyter_client.manager import KernelManager

import hishamos
from hishamos.workspace import Workspace
from tests.faces.conftest import Terminal
from tests.rigs.simulator import Simulator

pytestmark = pytest.mark.long
TOML = '[providers.openai]\napi_key = "env:OPENAI_API_KEY"\napi_base = "{url}/v1"\n[routes.default]\nmodels = ["openai/gpt-4.1-mini"]\n'
ECHO = 'name: echo\ndescription: Say it again.\nparameters:\n  text: {type: text}\ntemplate: "{{ text }}"\n'
FLOW = """name: flow
description: Calls in a run.
steps:
  - {id: many, type: map, with: {over: [1, 2], step: {type: command, with: {command: echo, inputs: {text: "{{ item }}"}}}}}
  - {id: inner, type: python, with: {function: "steps.asking:ask"}}
  - {id: child, type: workflow, after: [many], with: {workflow: small}}
"""
SMALL = 'name: small\ndescription: One call.\nsteps:\n  - {id: only, type: command, with: {command: echo, inputs: {text: "below"}}}\n'
FUNCTION = "import hishamos\n\ndef ask(ws: hishamos.Workspace) -> str:\n    return ws.commands.run('echo', {'text': 'by a function'}).text\n"
COST = 56_000


class Kernel:
    """A real kernel, as a notebook's face starts one."""

    def __init__(self, folder: Any, environment: dict[str, str]) -> None:
        self._manager = KernelManager(kernel_name="python3")
        self._manager.start_kernel(cwd=str(folder), env={**os.environ, **environment})
        self.client = self._manager.client()
        self.client.start_channels()
        self.client.wait_for_ready(timeout=60)

    def run(self, code: str, cell: str | None = None) -> str:
        """Execute a cell, with its id where the face tells it, and return what it printed."""
        content = {"code": code, "silent": False, "store_history": True, "user_expressions": {}, "allow_stdin": False, "stop_on_error": True}
        message = self.client.session.msg("execute_request", content, metadata={"cellId": cell} if cell else {})
        self.client.shell_channel.send(message)
        printed = ""
        while True:
            told = self.client.get_iopub_msg(timeout=60)
            if told["parent_header"].get("msg_id") != message["header"]["msg_id"]:
                continue
            if told["msg_type"] == "stream":
                printed += told["content"]["text"]
            assert told["msg_type"] != "error", told["content"]
            if told["msg_type"] == "status" and told["content"]["execution_state"] == "idle":
                return printed

    def close(self) -> None:
        self.client.stop_channels()
        self._manager.shutdown_kernel(now=True)


@pytest.fixture(scope="module")
def simulator() -> Iterator[Simulator]:
    with Simulator() as running:
        running.script("gpt-4.1-mini", then={"usage": {"input": 100, "output": 10}})
        yield running


def committed(folder: Any) -> str:
    for line in (["init", "-q"], ["add", "-A"], ["-c", "user.name=n", "-c", "user.email=e", "commit", "-qm", "m"], ["pack-refs", "--all"]):
        subprocess.run(["git", *line], cwd=folder, check=True, capture_output=True)
    return subprocess.run(["git", "rev-parse", "HEAD"], cwd=folder, check=True, capture_output=True, text=True).stdout.strip()


def spent(ws: Workspace, by: str) -> dict[Any, int]:
    frame = ws.ledger.spend(by=by)
    names = list(frame.columns[: list(frame.columns).index("calls")])
    return {tuple(None if value != value else value for value in row[:-1]): int(row[-1]) for row in frame[[*names, "cost_nanos"]].itertuples(index=False)}


def test_calls_know_their_notebook(own_terminal: Terminal, simulator: Simulator) -> None:
    folder = own_terminal.folder
    own_terminal.environment["OPENAI_API_KEY"] = "sk-notebook-0123456789"
    for name, text in (("commands/echo.yaml", ECHO), ("workflows/flow.yaml", FLOW), ("workflows/small.yaml", SMALL), ("steps/asking.py", FUNCTION)):
        own_terminal.file(name, text)
    own_terminal.file("hishamos.toml", TOML.format(url=simulator.url))
    own_terminal.file(".gitignore", "data/local/\n")
    commit = committed(folder)
    assert own_terminal.type("command", "echo", "-i", "text=by the terminal").returncode == 0
    kernel = Kernel(folder, {"JPY_SESSION_NAME": str(folder / "notebooks" / "first.ipynb"), "OPENAI_API_KEY": "sk-notebook-0123456789"})
    try:
        kernel.run("import hishamos; ws = hishamos.open(); ws.commands.run('echo', {'text': 'one'})", "a1b2c3d4")
        run = kernel.run("run = ws.workflows.start('flow').wait(); print(run.state, run.id)").split()[-1]
        receipt = json.loads(kernel.run("print(ws.ledger.receipt().model_dump_json())"))
        vs = f"vscode-notebook-cell:{folder}/vs.ipynb#W0sZmlsZQ%3D%3D"
        kernel.run(f"__vsc_ipynb_file__ = {str(folder / 'vs.ipynb')!r}; ws.commands.run('echo', {{'text': 'two'}}); ws.close()", vs)
    finally:
        kernel.close()
    with hishamos.open(folder) as ws:
        first = "notebooks/first.ipynb"
        assert spent(ws, "cell") == {
            (None, None): COST,
            (first, "a1b2c3d4"): COST,
            (first, "In[2]"): 4 * COST,
            ("vs.ipynb", "W0sZmlsZQ%3D%3D"): COST,
        }, "the calls of a run, its functions and its child runs carry the cell that started it"
        assert spent(ws, "commit") == {(None,): COST, (commit,): 6 * COST}
        found = ws.runs.get(run)
        assert found.origin is not None
        assert (found.origin.notebook, found.origin.cell, found.origin.git_commit) == (first, "In[2]", commit)
        assert {call.tags["execution"] for call in ws.ledger.calls() if call.tags.get("notebook")} == {receipt["execution"]}
        assert ws.ledger.receipt(receipt["execution"]).cost_nanos == 6 * COST, "the kernel's life went on"
    assert (receipt["notebook"], receipt["git_commit"], receipt["dirty"], receipt["calls"]) == (first, commit, False, 5)
    assert sum(model["cost_nanos"] for model in receipt["models"]) == 5 * COST
    assert {(one["kind"], one["name"]) for one in receipt["definitions"]} == {("command", "echo"), ("workflow", "flow"), ("workflow", "small")}
    assert [one["name"] for one in receipt["runs"]] == ["flow", "small"]
    rows = own_terminal.json("spend", "--by", "notebook")
    assert [(row["notebook"], row["cost_nanos"]) for row in rows] == [(first, 5 * COST), ("vs.ipynb", COST), (None, COST)]
    assert "notebooks/first.ipynb" in own_terminal.type("show", run).stdout
