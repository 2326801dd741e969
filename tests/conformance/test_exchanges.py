"""What an attempt was asked and what came back is told from what its run kept, on both stores."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from hishamos.composition import Composed, compose
from hishamos.errors import UnknownName
from hishamos.records.actors import OWNER
from hishamos.records.exchanges import Exchange
from hishamos.workspace import Workspace

OFFLINE = "offline/extractive"
WORKFLOW = """name: asked
description: Two questions.
inputs: {text: {type: text}}
steps:
  - {id: sorted, type: command, with: {command: classify_bug, inputs: {text: "{{ inputs.text }}"}}}
  - {id: told, type: agent, after: [sorted], with: {agent: research, task: "What is said? {{ inputs.text }}"}}
"""


@pytest.fixture(params=["duckdb", "postgres"])
def house(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Composed]:
    address = str(request.getfixturevalue("postgres_url") if request.param == "postgres" else tmp_path / "store.duckdb")
    (tmp_path / "hishamos.toml").write_text("")
    (tmp_path / "workflows").mkdir()
    (tmp_path / "workflows" / "asked.yaml").write_text(WORKFLOW)
    made = compose(tmp_path, store=address)
    made.start()
    yield made
    made.close()


@pytest.fixture
def ws(house: Composed) -> Workspace:
    return house.workspace_for(OWNER)


def exchanges(ws: Workspace, run: str) -> dict[str, Exchange]:
    return {str(call.step_id): ws.ledger.exchange(call.id) for call in ws.runs.calls(run)}


def test_the_questions_of_commands_and_agents_are_worded_again(ws: Workspace):
    run = ws.workflows.start("asked", {"text": "The app crashes on save."}, model=OFFLINE).wait(60)
    assert run.state == "succeeded"
    found = exchanges(ws, run.id)
    instructions, question = found["sorted"].messages
    assert (instructions.role, instructions.content) == ("system", ws.agents.get("bug-triage").instructions)
    assert "<report>\nThe app crashes on save.\n</report>" in question.content
    assert json.loads(found["sorted"].answer or "")["is_report"] is True
    assert (found["sorted"].call, found["sorted"].step.path) == (1, "sorted")  # type: ignore[union-attr]
    assert found["told"].messages[1].content == "What is said? The app crashes on save."


def test_the_question_of_a_row_is_worded_again(ws: Workspace):
    run = ws.commands.start_map("classify_bug", [{"text": "It crashes."}, {"text": "A typo."}], model=OFFLINE)
    assert ws.runs.wait(run.id, timeout_s=60).state == "succeeded"
    found = exchanges(ws, run.id)["rows[1]"]
    assert "A typo." in found.messages[-1].content
    assert found.step is not None
    assert json.loads(found.answer or "") == found.step.output


def test_the_versions_of_a_command_are_told_with_their_texts(house: Composed, ws: Workspace):
    (house.machinery.root / "commands").mkdir()
    file = house.machinery.root / "commands" / "sum_up.yaml"
    found = []
    for words in ("Sum this up.", "Sum this up in one sentence.", "Sum this up in two sentences."):
        file.write_text(f"name: sum_up\ndescription: Sums up.\nparameters: {{text: {{type: text}}}}\ntemplate: '{words} {{{{ text }}}}'\n")
        found.append(ws.commands.get("sum_up").version)
        if words.endswith("two sentences."):
            break
        run = ws.commands.start_map("sum_up", [{"text": "Caches are fast. Caches may be stale."}], model=OFFLINE)
        assert ws.runs.wait(run.id, timeout_s=60).state == "succeeded"
    now, second, first = ws.commands.versions("sum_up")
    assert [one.version for one in (first, second, now)] == found
    assert [one.current for one in (now, second, first)] == [True, False, False]
    assert [(one.attempts, one.offline, one.cost_nanos, one.p50_ms is None) for one in (now, first)] == [(0, 0, 0, True), (1, 1, 0, False)]
    assert "Sum this up. {{ text }}" in (first.text or "")
    assert "two sentences" in (now.text or "")
    assert ws.commands.versions("classify_bug")[0].attempts == 0
    with pytest.raises(UnknownName):
        ws.commands.versions("nobody")


def test_a_call_of_no_run_has_its_answer_and_what_is_no_attempt_is_refused(ws: Workspace):
    answer = ws.commands.run("classify_bug", {"text": "It crashes."}, model=OFFLINE)
    found = ws.ledger.exchange(answer.attempts[0].id)
    assert (found.step, found.messages) == (None, ())
    assert json.loads(found.answer or "") == answer.output
    with pytest.raises(UnknownName):
        ws.ledger.exchange("nobody")
