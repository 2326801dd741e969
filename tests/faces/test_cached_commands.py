"""A command that says how long its answers may be given again: through the server, in the terminal, in the costs."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

import hishamos
from hishamos.notebook.cards import command_result_card
from tests.faces.conftest import Terminal
from tests.rigs.simulator import Simulator

SAY = "name: say\ndescription: Say it.\nparameters: {text: {type: text}}\ntemplate: 'Say {{ text }}.'\nmax_output_tokens: 50\ncache: 1h\n"


@pytest.fixture
def simulator():
    with Simulator() as running:
        yield running


@pytest.fixture
def workspace(simulator: Simulator, workspace_dir: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-simulated-0123456789")
    (workspace_dir / "hishamos.toml").write_text(
        f'[providers.openai]\nkind = "openai"\napi_key = "env:OPENAI_API_KEY"\napi_base = "{simulator.url}/v1"\n[workspace]\nroute = "openai/gpt-4.1-mini"\n'
    )
    (workspace_dir / "commands").mkdir()
    (workspace_dir / "commands" / "say.yaml").write_text(SAY)
    return workspace_dir


def terminal(workspace: Path, *arguments: str) -> dict:
    return Terminal(workspace, {"OPENAI_API_KEY": os.environ["OPENAI_API_KEY"]}).json("command", "say", "-i", "text=hello", *arguments)


def test_notebook_and_terminal_share_one_paid_answer(workspace: Path, simulator: Simulator):
    ws = hishamos.open(workspace)
    first = ws.commands.run("say", {"text": "hello"})
    again = ws.commands.run("say", {"text": "hello"})
    assert (first.cached, again.cached, again.output, again.cost_nanos) == (False, True, first.output, 0)
    assert "from the cache" in command_result_card(again)
    shown = terminal(workspace)
    assert (shown["cached"], shown["cost_nanos"]) == (True, 0)
    assert len(simulator.book()) == 1
    assert terminal(workspace, "--fresh")["cached"] is False
    assert len(simulator.book()) == 2
    assert [terminal(workspace, "--sample", "2")["cached"] for _ in range(2)] == [False, True]
    assert ws.commands.run("say", {"text": "hello"}, sample=2).cached
    with pytest.raises(hishamos.errors.InvalidInput, match="numbered from 1"):
        ws.commands.run("say", {"text": "hello"}, sample=0)
    assert len(simulator.book()) == 3

    (workspace / "commands" / "say.yaml").write_text(SAY.replace("Say it.", "Say it well."))
    assert ws.commands.run("say", {"text": "hello"}).cached is False, "another version of the command"
    [row] = ws.ledger.spend(by="provider").to_dict("records")
    assert (row["attempts"], row["succeeded"], row["cached"]) == (8, 4, 4)
    [provider] = [one for one in ws.providers.list() if one.name == "openai"]
    assert provider.attempts == 4, "what the cache answers says nothing of a provider"
