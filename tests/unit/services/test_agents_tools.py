"""A tool acts as whoever gave the agent its task: it may do no more than that."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from hishamos.composition import OWNER, Composed, compose
from hishamos.records import actors
from hishamos.records.actors import Actor
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
