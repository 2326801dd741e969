"""Answers in a shape that the caller names: a pydantic model or a JSON Schema, over the workspace's server."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from enum import StrEnum
from pathlib import Path

import pytest
from pydantic import AnyUrl, BaseModel, field_validator

import hishamos
from hishamos.errors import InvalidInput, OutputInvalid
from hishamos.notebook.cards import command_result_card
from tests.rigs.simulator import Simulator

OFFLINE = "offline/extractive"
LOCAL = "openai/some-local-model"
"""A model of which nothing is known: it is told the schema in words."""


class Severity(StrEnum):
    MINOR = "minor"
    MAJOR = "major"


class Part(BaseModel):
    name: str
    broken: bool


class Report(BaseModel):
    """What a tester found."""

    severity: Severity
    parts: list[Part]

    @field_validator("parts")
    @classmethod
    def few(cls, parts: list[Part]) -> list[Part]:
        assert len(parts) < 3, "too many parts"
        return parts


GOOD = '{"severity": "major", "parts": [{"name": "save", "broken": true}]}'
REPORT = Report(severity=Severity.MAJOR, parts=[Part(name="save", broken=True)])


@pytest.fixture(scope="module")
def simulator() -> Iterator[Simulator]:
    with Simulator() as running:
        yield running


@pytest.fixture
def ws(workspace_dir: Path, simulator: Simulator, monkeypatch: pytest.MonkeyPatch) -> Iterator[hishamos.Workspace]:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-typed-0123456789abcdef")
    simulator.clear()
    (workspace_dir / "hishamos.toml").write_text(
        f'[providers.openai]\napi_key = "env:OPENAI_API_KEY"\napi_base = "{simulator.url}/v1"\n[routes.default]\nmodels = ["openai/gpt-4.1-mini"]\n'
    )
    with hishamos.open(workspace_dir) as opened:
        yield opened


def test_a_model_of_ones_own_comes_back(ws: hishamos.Workspace, simulator: Simulator) -> None:
    simulator.script("*", then={"text": GOOD})
    asked = ws.agents.ask("bug-triage", "What broke?", output=Report)
    assert (asked.output, asked.text, len(asked.call_ids)) == (REPORT, GOOD, 1)
    run = ws.commands.run("classify_bug", {"text": "Saving crashes."}, output=Report)
    assert run.output == REPORT
    plain = ws.agents.ask("bug-triage", "What broke?", output=Report.model_json_schema())
    assert plain.output == REPORT.model_dump(mode="json")


def test_a_model_that_is_told_in_words_repairs_its_answer(ws: hishamos.Workspace, simulator: Simulator) -> None:
    simulator.script("*", {"text": "It was the save button."}, {"text": '{"severity": "awful", "parts": []}'}, then={"text": f"```json\n{GOOD}\n```"})
    answer = ws.agents.ask("bug-triage", "What broke?", model=LOCAL, output=Report)
    assert answer.output == REPORT
    rows = ws.ledger.calls(model=LOCAL)
    assert len({row.call_id for row in rows}) == len(answer.call_ids) == len(simulator.book()) == 3
    assert answer.cost_nanos is None, "nobody knows this model's price"
    assert all(row.input_tokens > 0 for row in rows)


def test_a_text_of_the_wrong_format_is_repaired_like_any_other_fault(ws: hishamos.Workspace, simulator: Simulator) -> None:
    class Planned(BaseModel):
        day: date
        where: AnyUrl

    simulator.script(
        "*", {"text": '{"day": "next Tuesday", "where": "https://example.org"}'}, then={"text": '{"day": "2026-12-01", "where": "https://example.org"}'}
    )
    answer = ws.agents.ask("bug-triage", "When?", output=Planned)
    assert (answer.output.day, len(answer.call_ids)) == (date(2026, 12, 1), 2)
    assert "'next Tuesday' is not a 'date'" in simulator.book()[1]["said"]


def test_repairs_are_bounded_and_paid_for(ws: hishamos.Workspace, simulator: Simulator) -> None:
    simulator.script("*", then={"text": '{"severity": "awful", "parts": []}'})
    with pytest.raises(OutputInvalid, match="severity") as caught:
        ws.agents.ask("bug-triage", "What broke?", output=Report)
    assert caught.value.facts["attempts"] == len(ws.ledger.calls()) == len(simulator.book()) == 3
    assert all(row.cost_nanos > 0 for row in ws.ledger.calls())


def test_the_models_own_validators_are_asked_last(ws: hishamos.Workspace, simulator: Simulator) -> None:
    part = '{"name": "x", "broken": false}'
    simulator.script("*", then={"text": f'{{"severity": "minor", "parts": [{part}, {part}, {part}]}}'})
    with pytest.raises(OutputInvalid, match=r"Report.*parts: Assertion failed, too many parts"):
        ws.agents.ask("bug-triage", "What broke?", output=Report)
    assert len(simulator.book()) == 1


def test_a_shape_that_is_none_is_told_before_anything_is_sent(ws: hishamos.Workspace, simulator: Simulator) -> None:
    with pytest.raises(InvalidInput, match="BaseModel"):
        ws.agents.ask("bug-triage", "What broke?", output=int)
    with pytest.raises(InvalidInput, match="no JSON Schema"):
        ws.commands.run("classify_bug", {"text": "x"}, output={"type": "nonsense"})
    assert simulator.book() == []


def test_the_offline_model_and_the_same_process_do_the_same(ws: hishamos.Workspace) -> None:
    class Short(BaseModel):
        severity: Severity

    with hishamos.open(":memory:") as here:
        for workspace in (ws, here):
            answer = workspace.agents.ask("bug-triage", "The app crashes on save and all data is lost.", model=OFFLINE, output=Short)
            assert isinstance(answer.output, Short)
            assert answer.offline
            assert "severity" in command_result_card(answer)
