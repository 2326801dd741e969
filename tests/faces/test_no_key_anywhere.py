"""One whole flow with providers that tell the key they were asked with, in all ways they can; then everything is searched for it (D24)."""

from __future__ import annotations

import base64
import html
import json
import traceback
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus

import duckdb
import nbformat
import pytest

import hishamos
from hishamos.errors import HishamosError
from hishamos.remote.requests import Requests
from tests.faces.conftest import Terminal
from tests.rigs.pages import APP, drawn
from tests.rigs.simulator import Simulator

KEYS = {
    "OPENAI_API_KEY": "sk-D24/q+Zr7Lm=Xy8TnVb2Kd5Wc0Hs",
    "ANTHROPIC_API_KEY": 'ant.D24"w<Pe&4Rt6Yu8Io0As2Df4Gh6%j',
    "GEMINI_API_KEY": "AIzaD24+Jk1/Lq3Wm5=Nx7Cv9Bz2Ty4Ru6Ei",
}
MODELS = {"OPENAI_API_KEY": "openai/gpt-4.1-mini", "ANTHROPIC_API_KEY": "anthropic/claude-haiku-4-5", "GEMINI_API_KEY": "gemini/gemini-2.5-flash"}
PART = 12
TOML = """
[providers.openai]
api_key = "env:OPENAI_API_KEY"
api_base = "{url}/v1"
[providers.anthropic]
api_key = "env:ANTHROPIC_API_KEY"
api_base = "{url}"
[providers.gemini]
api_key = "env:GEMINI_API_KEY"
api_base = "{url}/v1beta"
[routes.default]
models = ["openai/gpt-4.1-mini", "anthropic/claude-haiku-4-5", "gemini/gemini-2.5-flash"]
attempts = 3
"""
COMMAND = 'name: say\ndescription: Say it.\nparameters:\n  text: {type: text}\ntemplate: "{{ text }}"\ncache: forever\n'
AGENT = "name: talker\ndescription: Talks.\ninstructions: Talk.\n"
WORKFLOW = """
name: both
description: What comes back goes on.
inputs:
  model: {type: string}
steps:
  - {id: one, type: command, with: {command: say, inputs: {text: first}, model: "{{ inputs.model }}"}}
  - {id: two, type: command, after: [one], with: {command: say, inputs: {text: "{{ steps.one.output }}"}, model: "{{ inputs.model }}"}}
outputs:
  said: "{{ steps.two.output }}"
"""


def forms(key: str) -> list[str]:
    """How a key may stand somewhere: as it is, escaped, in base64 wherever it begins."""
    coded = [base64.b64encode(b"x" * ahead + key.encode()).decode()[-(-ahead * 8 // 6) + 1 :].rstrip("=")[:-1] for ahead in range(3)]
    return [
        key,
        quote(key, safe=""),
        quote_plus(key),
        json.dumps(key)[1:-1],
        html.escape(key),
        *coded,
        *(one.replace("+", "-").replace("/", "_") for one in coded),
    ]


def told(key: str) -> str:
    """What a provider may say that has just seen a key."""
    header = base64.b64encode(f"Bearer {key}".encode()).decode()
    return f"I was called with {key} or {quote(key, safe='')} or {json.dumps(key)} or {header} or {html.escape(key)} or only {key[5:19]} ."


BLOCK = 8
BLOCKS = {form[place : place + BLOCK].encode() for key in KEYS.values() for form in forms(key) for place in range(0, len(form) - BLOCK + 1, PART - BLOCK + 1)}
"""Whatever has a part of a form has one of these: a fifth of what would else be looked for in megabytes."""
GRAMS = {form[place : place + PART].encode() for key in KEYS.values() for form in forms(key) for place in range(len(form) - PART + 1)}


def traces(data: bytes) -> list[bytes]:
    return [gram for gram in GRAMS if gram in data] if any(block in data for block in BLOCKS) else []


@pytest.fixture(scope="module")
def simulator() -> Iterator[Simulator]:
    with Simulator() as running:
        yield running


@pytest.fixture
def heard(own_terminal: Terminal, simulator: Simulator, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, bytes]]:
    """All that any face said, and by what; the workspace is made."""
    own_terminal.environment |= KEYS
    for name, key in KEYS.items():
        monkeypatch.setenv(name, key)
    own_terminal.file("hishamos.toml", TOML.format(url=simulator.url))
    own_terminal.file("commands/say.yaml", COMMAND)
    own_terminal.file("agents/talker.yaml", AGENT)
    own_terminal.file("workflows/both.yaml", WORKFLOW)
    own_terminal.file("rows.csv", "body\none\ntwo\nthree\n")
    heard: list[tuple[str, bytes]] = []
    post = Requests._post

    def recorded(self: Requests, server: Any, path: str, body: bytes, headers: dict[str, str], **more: Any) -> Any:
        response, data = post(self, server, path, body, headers, **more)
        heard.append((path, data))
        return response, data

    monkeypatch.setattr(Requests, "_post", recorded)
    return heard


def notebook(path: Path, model: str) -> str:
    cells = [
        "import hishamos\nws = hishamos.open()\nws",
        f"answer = ws.commands.run('say', {{'text': 'from a notebook'}}, model={model!r})\nanswer",
        "run = ws.runs.list()[0]\nrun",
        f"ws.commands.run('say', {{'text': 'broken'}}, model={model!r})",
    ]
    made = [nbformat.v4.new_code_cell("n = 0", metadata={"tags": ["parameters"]}), *map(nbformat.v4.new_code_cell, cells)]
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    nbformat.write(nbformat.v4.new_notebook(cells=made, metadata=kernel), path)
    return path.name


def echoing(simulator: Simulator, name: str, *acts: dict[str, Any]) -> None:
    """Have a provider tell its key, in every answer that no act says otherwise of."""
    text = told(KEYS[name])
    given = [
        {key: text if value == "TOLD" else value for key, value in act.items()} | {"headers": {"x-your-key": KEYS[name].replace('"', "'")}} for act in acts
    ]
    simulator.script(MODELS[name].partition("/")[2], *given, then={"text": text})


REFUSED: dict[str, Any] = {"status": 400, "message": "TOLD", "code": "invalid_request_error"}
CUT: dict[str, Any] = {"text": "TOLD", "cut_after": 9}
BROKEN: dict[str, Any] = {"text": "TOLD", "error_after": 5, "told": 400, "message": "TOLD"}


def test_no_face_and_no_file_has_a_key(own_terminal: Terminal, simulator: Simulator, heard: list[tuple[str, bytes]]):
    terminal, root = own_terminal, own_terminal.folder

    def typed(*line: str, code: int = 0) -> None:
        done = terminal.type(*line)
        heard.append((" ".join(line), (done.stdout + done.stderr).encode()))
        assert done.returncode == code, (line, done.stdout, done.stderr)

    def tried(what: str, work: Callable[[], Any]) -> None:
        try:
            heard.append((what, repr(work()).encode()))
        except HishamosError as error:
            heard.append((what, "".join(traceback.format_exception(error)).encode()))

    typed("init")
    simulator.script("models", {"status": 401, "message": told(KEYS["OPENAI_API_KEY"]), "headers": {"x-your-key": KEYS["OPENAI_API_KEY"]}})
    typed("doctor", code=1)
    ws = hishamos.open(root)
    for name, model in MODELS.items():
        echoing(simulator, name, REFUSED, REFUSED)
        typed("command", "say", "-i", f"text=refused {name}", "--model", model, code=1)
        tried("refused", partial(ws.commands.run, "say", {"text": "refused again"}, model=model))
        tried("answered", partial(ws.commands.run, "say", {"text": f"answered {name}"}, model=model))
        echoing(simulator, name, CUT, CUT, BROKEN, BROKEN)
        for _ in range(2):
            tried("stream", partial(streamed, ws, model))
        echoing(simulator, name)
        tried("run", partial(ran, ws, model))
    echoing(simulator, "GEMINI_API_KEY", REFUSED)
    typed("map", "rows.csv", "say", "--columns", "text=body", "--model", MODELS["GEMINI_API_KEY"], "--out", "answers.csv", code=1)
    typed("ask", "talker", "talk", "--model", MODELS["ANTHROPIC_API_KEY"])
    echoing(simulator, "OPENAI_API_KEY", {"text": "fine"}, REFUSED)
    terminal.file("params.csv", "n\n1\n")
    typed("batch", notebook(root / "cells.ipynb", MODELS["OPENAI_API_KEY"]), "--rows", "params.csv", "--jobs", "1", code=1)
    assert list(root.rglob("*.ipynb"))[1:], ("the executed notebook is kept", heard[-1], ws.runs.list()[0])
    runs = ws.runs.list()
    typed("sql", "select * from events", "--json")
    typed("providers", "--test", "openai")
    typed("show", next(run.id for run in runs if run.kind == "map"), "--attempts")
    for look in (
        ws.providers.list,
        ws.ledger.spend,
        ws.audit.list,
        *(partial(ws.runs.get, run.id) for run in runs),
        *(partial(ws.runs.calls, run.id) for run in runs),
    ):
        tried("look", look)
    frame = ws.sql("select * from attempts")
    frame.to_csv(root / "attempts.csv")
    frame.to_json(root / "attempts.json")
    heard.append(("calls", "".join(call.model_dump_json() for call in ws.ledger.calls(limit=1000)).encode()))
    pages(heard, root, [run.id for run in runs])
    typed("backup", "copy.duckdb")
    everywhere(root, "while it runs")
    typed("server", "logs")
    typed("server", "stop")
    everywhere(root, "at the end")
    rows = stored(root / "copy.duckdb")
    assert rows.count("redacted") > 20, "it was told, and hidden"
    assert {entry["key"] for entry in simulator.book()} == set(KEYS.values()), "each provider was given its own"
    assert traces(rows.encode()) == []
    assert {face: found for face, data in heard if (found := traces(data))} == {}


def streamed(ws: hishamos.Workspace, model: str) -> list[Any]:
    return list(ws.agents.stream("talker", "talk", model=model))


def ran(ws: hishamos.Workspace, model: str) -> Any:
    return ws.workflows.start("both", {"model": model}).wait(60)


def everywhere(root: Path, when: str) -> None:
    found = {str(path.relative_to(root)): traces(path.read_bytes()) for path in root.rglob("*") if path.is_file()}
    assert {name: grams for name, grams in found.items() if grams} == {}, when
    assert any(name.endswith(".duckdb") for name in found)
    assert any("server" in name and name.endswith(".log") for name in found)


def stored(file: Path) -> str:
    """All texts of a store: in the file itself they are compressed."""
    with duckdb.connect(str(file), read_only=True) as copy:
        tables = copy.execute("select schema_name || '.' || table_name from duckdb_tables()").fetchall()
        return "\n".join(str(copy.execute(f"select * from {name}").fetchall()) for (name,) in tables)


def pages(heard: list[tuple[str, bytes]], root: Path, runs: list[str]) -> None:
    asked: dict[str, list[dict[str, str]]] = {view.stem: [{}] for view in (APP / "views").glob("[a-z]*.py")} | {"run": [{"run": run} for run in runs[:2]]}
    with pytest.MonkeyPatch.context() as patch:
        for view, queries in asked.items():
            for query in queries:
                page = drawn(patch, root, view, **query)
                heard.append((f"page {view}", repr(page.main).encode() + repr(page.sidebar).encode()))


@pytest.mark.parametrize("name", KEYS)
def test_the_search_would_find_each_way_of_telling(name: str):
    key = KEYS[name]
    words = [key, quote(key, safe=""), json.dumps(key), html.escape(key), key[5:19], base64.b64encode(f"Bearer {key}".encode()).decode()]
    assert all(traces(f"x {word} y".encode()) for word in words)
    assert all(word in told(key) for word in words)
    assert not traces(b"I was called with nothing")
