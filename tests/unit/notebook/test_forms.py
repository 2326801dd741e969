"""Forms: a field for each kind of parameter, problems said at the field, a button that does it, a table for those who can't click."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

import hishamos
from hishamos.errors import InvalidInput, UnknownName
from hishamos.notebook.form_fields import Field
from hishamos.notebook.forms import Form, form
from hishamos.records.definitions import Parameter
from hishamos.records.runs import Run
from hishamos.workspace import Workspace

OFFLINE = {"model": "offline/extractive"}


def field(kind: Any, **declared: Any) -> Field:
    return Field("it", Parameter(type=kind, **declared), files=[Path(hishamos.sample("bugs.csv")).parent])


@pytest.mark.parametrize(
    ("kind", "declared", "typed", "given"),
    [
        ("string", {}, "x", "x"),
        ("text", {}, "a\nb", "a\nb"),
        ("integer", {"min": 1, "max": 5}, "3", "3"),
        ("number", {}, "0.5", "0.5"),
        ("boolean", {}, True, True),
        ("choice", {"choices": ("a", "b")}, "b", "b"),
        ("date", {}, __import__("datetime").date(2026, 11, 23), "2026-11-23"),
        ("list", {}, "ui\napi", ["ui", "api"]),
        ("list", {}, '["a, b"]', ["a, b"]),
        ("object", {}, '{"a": 1}', {"a": 1}),
        ("file", {}, "bugs.csv", "bugs.csv"),
    ],
)
def test_every_kind_has_a_control_whose_value_is_right(kind: str, declared: dict[str, Any], typed: Any, given: Any) -> None:
    made = field(kind, **declared)
    made.control.value = typed
    assert made.problem(complete=True) == ""
    assert made.given == given


@pytest.mark.parametrize(
    ("kind", "declared", "typed", "words"),
    [
        ("integer", {"min": 1}, "0", "at least 1 is needed"),
        ("integer", {}, "three", "no whole number"),
        ("number", {"max": 1}, "1.5", "at most 1 is allowed"),
        ("string", {"max_length": 3}, "four", "at most 3 are allowed"),
        ("object", {}, "{broken", "Has to be an object"),
        ("file", {}, "nowhere.csv", "no such file"),
        ("string", {}, "  ", "Needs a value"),
        ("choice", {"choices": ("a", "b")}, "", "Needs a value"),
    ],
)
def test_what_is_wrong_is_said_at_the_field(kind: str, declared: dict[str, Any], typed: Any, words: str) -> None:
    made = field(kind, **declared)
    made.control.value = typed
    assert words in made.problem(complete=True)
    assert words in made._told.value
    assert made._told.layout.display is None


def test_a_default_stands_in_its_field_and_an_optional_one_may_be_empty() -> None:
    assert field("list", default=["ui", "api"]).given == ["ui", "api"]
    assert field("boolean", default=True).control.value is True
    assert field("integer", optional=True).problem(complete=True) == ""


def click(made: Form) -> None:
    made._made()
    made._button.click()
    deadline = time.monotonic() + 30
    while made._busy.locked() and time.monotonic() < deadline:
        time.sleep(0.01)


def test_a_command_is_run_by_its_button(ws: Workspace) -> None:
    made = form("classify_bug", OFFLINE, workspace=ws)
    click(made)
    assert made.result is None
    assert "Needs a value" in made._fields[0]._told.value
    assert made._button.description == "Run classify_bug"
    made._fields[0].control.value = "The app crashes on save and the file is lost"
    made._button.click()
    while made._busy.locked():
        time.sleep(0.01)
    assert made.result is not None
    assert "✓ succeeded" in made._out.children[0].value
    assert "blocker" in made._repr_html_()


def test_a_workflow_is_started_and_shown_live(ws: Workspace) -> None:
    made = form(ws.workflows.get("triage_bugs"), {"file": "bugs.csv", "publish": "no", "budget_usd": 1, **OFFLINE}, workspace=ws)
    made._start["file"] = hishamos.sample("bugs.csv")
    click(made)
    assert isinstance(made.result, Run)
    assert made.result.state == "succeeded", made.result.error
    assert made._button.description == "Start triage_bugs"
    assert "✓ succeeded" in made._out.children[0].value


def test_an_agent_is_asked(ws: Workspace) -> None:
    made = form("bug-triage", {"task": "The app crashes. What is broken?", **OFFLINE}, workspace=ws)
    click(made)
    assert made._button.description == "Ask bug-triage"
    assert made.result is not None
    assert made.result.agent == "bug-triage"  # type: ignore[union-attr]


def test_what_the_service_refuses_is_said(ws: Workspace) -> None:
    made = form("classify_bug", {"text": "x", "model": "nobody/nothing"}, workspace=ws)
    click(made)
    assert "nobody" in made._out.children[0].value
    assert "✕ failed" in made._out.children[0].value


def test_without_a_person_it_is_a_table_and_runs_by_a_call(ws: Workspace) -> None:
    made = form("classify_bug", {"text": "<b>x</b>", **OFFLINE}, workspace=ws)
    shown = made._repr_html_()
    assert "&lt;b&gt;x&lt;/b&gt;" in shown
    assert "<input" not in shown
    assert made.run().offline  # type: ignore[union-attr]
    with pytest.raises(InvalidInput, match="text"):
        form("classify_bug", OFFLINE, workspace=ws).run()


def test_unknown_names_get_the_nearest(ws: Workspace) -> None:
    with pytest.raises(UnknownName, match="did you mean 'classify_bug'"):
        form("clasify_bug", workspace=ws)
    with pytest.raises(UnknownName, match="did you mean 'text'"):
        form("classify_bug", {"txt": 1}, workspace=ws)
