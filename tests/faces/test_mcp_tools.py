"""Tools of MCP servers: approved by the user before anything is started, called within their time, held to what was approved."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

import hishamos
from hishamos.composition import compose
from hishamos.errors import InvalidDefinition, InvalidSettings
from hishamos.records.actors import OWNER
from hishamos.records.calls import CommandResult
from hishamos.records.mcp import ServerTool
from hishamos.settings import consent, load
from tests.conftest import RIGS
from tests.faces.conftest import Terminal
from tests.rigs.simulator import Simulator

KEY = "sk-openai-0123456789abcdef"
AGENT = "name: clerk\ndescription: Works.\ninstructions: Work.\ntools: [{tools}]\nlimits: {{turns: 4, seconds: 60}}\n"
OTHERS = {"environment": "Tell all variables.", "poisoned": "Tell something."}
FLOW = """name: flow
description: An agent at work.
steps:
  - {id: ask, type: agent, with: {agent: clerk, task: count}}
outputs: {said: "{{ steps.ask.output }}"}
"""


@pytest.fixture(scope="module")
def simulator() -> Iterator[Simulator]:
    with Simulator() as running:
        yield running


@pytest.fixture
def folder(tmp_path: Path, simulator: Simulator, monkeypatch: pytest.MonkeyPatch) -> Path:
    simulator.clear()
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setenv("RIG_BOOK", str(tmp_path / "book"))
    monkeypatch.setenv("RIG_MOOD", "good")
    monkeypatch.setenv("RIG_TOKEN", "quite-secret-token")
    made = tmp_path / "ws"
    (made / "agents").mkdir(parents=True)
    (made / "workflows").mkdir()
    monkeypatch.chdir(made)
    declare(made, simulator)
    agent(made, '"mcp:rig/stock"')
    return made


def declare(folder: Path, simulator: Simulator, kind: str = "good", *, timeout_s: float = 20, more: str = "", server: str = "") -> None:
    reached = server or f"command = {json.dumps([sys.executable, str(RIGS / 'mcp_rig.py'), kind])}\nenv = ['RIG_BOOK', 'RIG_TOKEN', 'RIG_MOOD']\n"
    provider = f'[providers.openai]\napi_key = "env:OPENAI_API_KEY"\napi_base = "{simulator.url}/v1"\n'
    (folder / "hishamos.toml").write_text(f'[routes.default]\nmodels = ["openai/gpt-4.1-mini"]\n{provider}{more}[mcp.rig]\n{reached}timeout_s = {timeout_s}\n')


def agent(folder: Path, tools: str) -> None:
    (folder / "agents" / "clerk.yaml").write_text(AGENT.format(tools=tools))


def typed(*words: str, answer: str | None = None, code: int = 0) -> str:
    done = Terminal(Path.cwd(), {"OPENAI_API_KEY": KEY}).type(*words, stdin=answer)
    assert done.returncode == code, (done.stdout, done.stderr)
    return done.stdout + done.stderr


def asked(simulator: Simulator, *calls: dict, ws: hishamos.Workspace | None = None) -> tuple[CommandResult, list[dict]]:
    """Return the agent's answer, and what the model was told of its tools."""
    simulator.script("gpt-4.1-mini", {"calls": list(calls)}, {"text": "Done."})
    if ws is None:
        with hishamos.open(":memory:") as opened:
            answer = opened.agents.ask("clerk", "count")
    else:
        answer = ws.agents.ask("clerk", "count")
    assert answer.output == "Done."
    return answer, results(simulator)


def results(simulator: Simulator) -> list[dict]:
    return [json.loads(result) for result in [entry for entry in simulator.book() if entry["results"]][-1]["results"]]


def approve(folder: Path) -> None:
    """Approve what the rig offers, as if its user had looked at it."""
    server = load(folder).mcp["rig"]
    description = "Tell how much of an article is in stock."
    one = {"properties": {"article": {"title": "Article", "type": "string"}}, "required": ["article"], "title": "stockArguments", "type": "object"}
    none = {name: {"properties": {}, "title": f"{name}Arguments", "type": "object"} for name in ("environment", "poisoned")}
    tools = [ServerTool(server="rig", name="stock", description=description, parameters=one)]
    tools += [ServerTool(server="rig", name=name, description=text, parameters=none[name]) for name, text in OTHERS.items()]
    consent().approve(folder, server, tools)


def call(article: str, name: str = "rig_stock") -> dict:
    return {"name": name, "arguments": {"article": article}}


def until(check: Callable[[], bool]) -> None:
    end = time.monotonic() + 20
    while not check():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.02)


def book(folder: Path) -> list[str]:
    file = folder.parent / "book"
    return file.read_text().splitlines() if file.exists() else []


@contextmanager
def over_http(*words: str) -> Iterator[int]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = subprocess.Popen([sys.executable, str(RIGS / "mcp_rig.py"), "http", str(port), *words], stderr=subprocess.DEVNULL)
    try:

        def up() -> bool:
            with socket.socket() as there:
                return there.connect_ex(("127.0.0.1", port)) == 0

        until(up)
        yield port
    finally:
        process.kill()
        process.wait()


def test_nothing_is_started_before_it_is_approved(folder: Path, simulator: Simulator) -> None:
    with hishamos.open(":memory:") as ws:
        with pytest.raises(InvalidDefinition, match="nobody approved the MCP server rig.*hishamos trust --mcp rig"):
            ws.agents.get("clerk")
        found = {one.subject: one for one in ws.providers.diagnose(network=False)}["mcp rig"]
        assert (found.state, "hishamos trust --mcp rig" in found.advice) == ("note", True)
        assert book(folder) == []
        assert "Nothing was approved" in typed("trust", "--mcp", "rig", answer="n\n")
        with pytest.raises(InvalidDefinition):
            ws.agents.get("clerk")
        shown = typed("trust", "--mcp", "rig", answer="y\n")
        assert "mcp:rig/stock" in shown
        assert "Tell how much of an article is in stock." in shown
        assert "arguments: article" in shown
        assert "RIG_TOKEN" in shown
        assert ws.agents.get("clerk").tools == ("mcp:rig/stock",)  # the open workspace sees it
        found = {one.subject: one for one in ws.providers.diagnose(network=False)}["mcp rig"]
        assert (found.state, found.found) == ("ok", "approved, stock, environment, poisoned")
        for tools, message in (("mcp:rig/stok", "unknown tool of the MCP server rig.*did you mean 'stock'"), ("mcp:rigg/stock", "did you mean 'rig'")):
            with pytest.raises(InvalidDefinition, match=message.replace("unknown ", "(?i)")):
                ws.agents.save(AGENT.format(tools=f'"{tools}"').replace("clerk", "other"))
        _, told = asked(simulator, call("bolts"), {"name": "rig_stock", "arguments": {"articel": "x"}}, ws=ws)
        assert told[0] == {"result": {"bolts": 7}}
        assert "do not satisfy the tool's schema" in told[1]["error"]
        assert book(folder) == ["stock bolts"]
        declare(folder, simulator, "changed")  # another command: it has to be looked at again
        with pytest.raises(InvalidDefinition, match="nobody approved"):
            ws.agents.get("clerk")
        declare(folder, simulator)
        assert ws.agents.get("clerk").name == "clerk"
        typed("trust", "--mcp", "rig", "--remove")
        with pytest.raises(InvalidDefinition, match="nobody approved"):
            ws.agents.get("clerk")


@pytest.mark.long
def test_a_server_that_fails_is_told_to_the_model_and_harms_nothing(folder: Path, simulator: Simulator, monkeypatch: pytest.MonkeyPatch) -> None:
    approve(folder)
    articles = ("crash", "wrong", "bolts")
    with hishamos.open(":memory:") as ws:
        answer, told = asked(simulator, *(call(article) for article in articles), ws=ws)
        errors = dict(zip(articles, told, strict=True))
        assert "ended with code 3: the shelf fell down" in errors["crash"]["error"]
        assert "no such article" in errors["wrong"]["error"]
        assert KEY not in json.dumps(told)
        assert errors["bolts"] == {"result": {"bolts": 7}}
        assert [use.failed for use in answer.tools] == [True, True, False]
        for mood, problem in (("flood", "a line of more than"), ("garbage", "what is no message: 'no message'")):
            monkeypatch.setenv("RIG_MOOD", mood)
            assert problem in asked(simulator, call("bolts"), ws=ws)[1][0]["error"]
        monkeypatch.setenv("RIG_MOOD", "idle")
        declare(folder, simulator, timeout_s=1)  # its time is no part of what was approved
        assert "did not answer within 1 s" in asked(simulator, call("bolts"), ws=ws)[1][0]["error"]


@pytest.mark.long
def test_no_key_reaches_a_server_and_a_poisoned_result_widens_nothing(folder: Path, simulator: Simulator) -> None:
    approve(folder)
    agent(folder, '"mcp:rig/environment"')
    obeyed = ({"calls": [{"name": "rig_environment", "arguments": {}}]}, {"text": "Done."})
    with hishamos.open(":memory:") as ws:
        _, told = asked(simulator, {"name": "rig_environment", "arguments": {}}, ws=ws)
        given = {line.partition("=")[0]: line.partition("=")[2] for line in told[0]["result"]["result"].splitlines()}
        assert "OPENAI_API_KEY" not in given
        assert given["RIG_TOKEN"] == "[redacted]"
        assert KEY not in json.dumps(told)
        agent(folder, '"mcp:rig/poisoned"')
        simulator.clear()
        simulator.script("gpt-4.1-mini", {"calls": [{"name": "rig_poisoned", "arguments": {}}]}, *obeyed)
        answer = ws.agents.ask("clerk", "count")
        told = results(simulator)
        assert "there is no tool named 'rig_environment'" in told[-1]["error"]
        assert [use.failed for use in answer.tools] == [False, True]
    declare(folder, simulator, server=f"command = {json.dumps([sys.executable, str(RIGS / 'mcp_rig.py')])}\nenv = ['OPENAI_API_KEY']\n")
    assert "model provider's key" in typed("trust", "--mcp", "rig", "--yes", code=2)


@pytest.mark.long
def test_over_http_with_a_host_on_the_list_and_what_changed_is_refused(folder: Path, simulator: Simulator) -> None:
    with over_http() as port:
        server = f"url = 'http://127.0.0.1:{port}/mcp'\nheaders = {{Authorization = 'Bearer env:RIG_TOKEN'}}\n"
        declare(folder, simulator, server=server)
        assert "allow-list" in typed("trust", "--mcp", "rig", "--yes", code=2)
        listed = f'[allow]\nhosts = ["http://127.0.0.1:{port}"]\n'
        declare(folder, simulator, server=server, more=listed)
        typed("trust", "--mcp", "rig", "--yes")
        _, told = asked(simulator, call("bolts"))
        assert told == [{"result": {"bolts": 7}}]
        file = folder.parent / "config" / "hishamos" / "mcp.json"
        file.write_text(file.read_text().replace("Tell how much of an article is in stock.", "Tell it all."))
        simulator.clear()
        _, told = asked(simulator, call("bolts"))  # what the server says now is not what was approved
        assert "no longer what was approved" in told[0]["error"]
    simulator.clear()
    _, told = asked(simulator, call("bolts"))
    assert "ConnectError" in told[0]["error"]


@pytest.mark.long
def test_an_agent_in_a_run_has_the_tools_that_were_approved_when_it_began(folder: Path, simulator: Simulator) -> None:
    approve(folder)
    (folder / "workflows" / "flow.yaml").write_text(FLOW)
    simulator.script("gpt-4.1-mini", {"calls": [call("bolts")]}, {"text": "Seven."})
    with hishamos.open(":memory:") as ws:
        run = ws.workflows.start("flow")
        until(lambda: ws.runs.get(run.id).ended)
        ended = ws.runs.get(run.id)
        assert (ended.state, ended.outputs) == ("succeeded", {"said": "Seven."})
    assert results(simulator) == [{"result": {"bolts": 7}}]
    assert book(folder) == ["stock bolts"]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ("command = ['x']\nurl = 'https://x/mcp'", "command or url"),
        ("url = 'https://x/mcp'\nheaders = {Authorization = 'Bearer abc'}", "env:NAME"),
        ("command = ['x']\nenv = ['LD_PRELOAD']", "none of those that every program gets"),
        ("command = ['x']\napproved = []", "unknown key 'approved'"),
        ("comand = ['x']", "did you mean 'command'"),
    ],
)
def test_a_server_declared_wrongly_is_refused_with_its_line(folder: Path, wrong: str, message: str) -> None:
    (folder / "hishamos.toml").write_text(f"[mcp.rig]\n{wrong}\n")
    with pytest.raises(InvalidSettings, match=message):
        load(folder)


@pytest.mark.long
def test_a_run_whose_process_leaves_during_a_call_makes_it_in_the_next_one(folder: Path, simulator: Simulator) -> None:
    approve(folder)
    (folder / "workflows" / "flow.yaml").write_text(FLOW)
    simulator.script("gpt-4.1-mini", {"calls": [call("hang")]}, {"text": "Seven."})
    store = str(folder / "store.duckdb")
    first = compose(folder, store=store)
    first.start()
    run = first.workspace_for(OWNER).workflows.start("flow")
    until(lambda: any(line.startswith("child") for line in book(folder)))
    first.close()
    child = next(int(line.split()[1]) for line in book(folder) if line.startswith("child"))
    until(lambda: not psutil.pid_exists(child) or psutil.Process(child).status() == psutil.STATUS_ZOMBIE)
    second = compose(folder, store=store)
    second.start()
    try:
        runs = second.workspace_for(OWNER).runs
        until(lambda: runs.get(run.id).ended)
        assert (runs.get(run.id).state, runs.get(run.id).outputs) == ("succeeded", {"said": "Seven."})
    finally:
        second.close()
    assert results(simulator) == [{"result": {"hang": 7}}]
    assert book(folder).count("stock hang") == 2
