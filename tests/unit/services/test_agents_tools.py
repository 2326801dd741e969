"""A tool acts as whoever gave the agent its task: it may do no more than that."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hishamos.composition import Composed, compose
from hishamos.errors import InvalidInput
from hishamos.records import actors
from hishamos.records.actors import OWNER, Actor
from tests.rigs.simulator import Simulator


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    with Simulator() as running:
        yield running


@pytest.fixture
def composed(tmp_path: Path, simulator: Simulator) -> Iterator[Composed]:
    (tmp_path / "key").write_text("sk-actor-0123456789abcdef")
    (tmp_path / "hishamos.toml").write_text(
        f'[providers.openai]\napi_key = "file:{tmp_path}/key"\napi_base = "{simulator.url}/v1"\n[routes.default]\nmodels = ["openai/gpt-4.1-mini"]\n'
    )
    made = compose(tmp_path, store=":memory:")
    yield made
    made.close()


def test_a_tool_may_do_what_the_asker_may(composed: Composed, simulator: Simulator, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(actors.ROLES, "asker", frozenset({"models.call", "agents.read"}))
    look_up = {"calls": [{"name": "find_similar_bugs", "arguments": {"text": "the app crashes"}}]}
    simulator.script("gpt-4.1-mini", look_up, {"text": "I may not look."}, look_up, {"text": "Nothing fits."})
    refused = composed.workspace_for(Actor(name="amal", role="asker")).agents.ask("bug-librarian", "Is it known?")
    assert refused.output == "I may not look."
    assert "needs the permission 'projects.read'" in json.loads(refused.tools[0].result)["error"]
    allowed = composed.workspace_for(OWNER).agents.ask("bug-librarian", "Is it known?")
    assert json.loads(allowed.tools[0].result) == {"result": []}


def test_functions_of_the_caller_are_tools_called_here(composed: Composed, simulator: Simulator):
    shelf = {"lamp": 3}

    def stock(article: str, count: int = 1) -> dict[str, int]:
        """Tell how many pieces of an article are in stock."""
        return {"pieces": shelf[article] * count}

    def note(text: str, ws: Any) -> str:
        """Write a note."""
        ws.projects.ensure("NOTES")
        return ws.issues.create("NOTES", [{"title": text}])[0].key

    calls = [{"name": "stock", "arguments": {"article": "lamp", "count": 2}}, {"name": "note", "arguments": {"text": "buy lamps"}}]
    simulator.script("gpt-4.1-mini", {"calls": calls}, {"calls": [{"name": "stock", "arguments": {"article": "sofa"}}]}, {"text": "Six lamps, no sofa."})
    ws = composed.workspace_for(OWNER)
    answer = ws.agents.ask("bug-triage", "What is in stock?", tools=[stock, note])
    assert answer.output == "Six lamps, no sofa."
    first, second, third = answer.tools
    assert json.loads(first.result) == {"result": {"pieces": 6}}
    assert json.loads(second.result) == {"result": "NOTES-1"}
    assert "raised KeyError" in json.loads(third.result)["error"]
    assert composed.machinery.desks._open == {}


def test_a_function_without_a_docstring_is_no_tool(composed: Composed, simulator: Simulator):
    def bare(text: str) -> str:
        return text

    with pytest.raises(InvalidInput, match="no docstring"):
        composed.workspace_for(OWNER).agents.ask("bug-triage", "Go.", tools=[bare])
