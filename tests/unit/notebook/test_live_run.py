"""A run in a cell: live while somebody looks, its buttons do what they say, and the static card takes its place."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

import hishamos
from hishamos.notebook.live_run import LiveRun
from hishamos.notebook.run_facts import read_facts
from hishamos.notebook.terminal_run import watch_in_terminal
from hishamos.records.runs import RunState
from hishamos.workspace import Workspace

FLOW = """
name: asks
description: Waits, then asks.
steps:
  - {id: begin, type: python, with: {function: "hishamos.library.functions.bugs:read_reports", file: "%s"}}
  - {id: approve, type: approval, after: [begin], with: {message: "Publish <b>it</b>?"}}
outputs: {rows: "{{ steps.begin.output.rows | length }}"}
"""


ASKING = """
name: asking
description: Asks a model, then waits.
steps:
  - {id: first, type: command, with: {command: classify_bug, inputs: {text: "The app crashes on save and the file is lost."}}}
  - {id: approve, type: approval, after: [first], with: {message: "Go on?"}}
"""


class Place:
    """What a cell shows, one after the other: HTML, and whether widgets are beside it."""

    def __init__(self) -> None:
        self.shown: list[tuple[str, bool]] = []

    def __call__(self, shown: str, text: str, box: Any) -> None:
        self.shown.append((shown, box is not None))

    @property
    def last(self) -> tuple[str, bool]:
        return self.shown[-1]


def waiting(ws: Workspace) -> str:
    run = ws.workflows.start(ws.workflows.check(FLOW % hishamos.sample("bugs.csv")))
    assert ws.runs.wait(run.id, timeout_s=30).state == "waiting"
    return run.id


def seen(view: LiveRun) -> dict[str, Any]:
    """Have a front end draw the widgets, and return its buttons by their words."""
    assert view._controls is not None
    view._controls.box._view_count = 1
    return {button.description: button for button in view._controls._buttons[1]}


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hishamos.notebook.live_run.REFRESH_S", 0.01)


def test_approve_is_clicked_after_the_cell_and_the_view_ends_as_a_static_card(ws: Workspace) -> None:
    place, identity = Place(), waiting(ws)
    view = LiveRun(ws, identity, place)
    view.show(ws.runs.get(identity), looked_at=True)
    assert place.last[1]
    assert "Publish &lt;b&gt;it&lt;/b&gt;?" in place.last[0]
    buttons = seen(view)
    assert list(buttons) == ["Approve", "Reject", "Cancel run"]
    view.follow()  # returns, for it waits for somebody; the view stays
    assert place.last[1]
    buttons["Approve"].click()
    until(lambda: not place.last[1])
    assert ws.runs.get(identity).state == "succeeded"
    assert "✓ succeeded" in place.last[0]
    assert "data:image/png" in place.last[0]
    assert "<button" not in place.last[0]


def test_reject_and_cancel(ws: Workspace) -> None:
    for word, state in (("Reject", "failed"), ("Cancel run", "cancelled")):
        place, identity = Place(), waiting(ws)
        view = LiveRun(ws, identity, place)
        view.show(ws.runs.get(identity), looked_at=True)
        buttons = seen(view)
        view.follow()
        buttons[word].click()
        until(lambda place=place: not place.last[1])
        assert ws.runs.get(identity).state == state


def test_a_click_that_fails_says_so_and_the_buttons_come_back(ws: Workspace) -> None:
    place, identity = Place(), waiting(ws)
    view = LiveRun(ws, identity, place)
    view.show(ws.runs.get(identity), looked_at=True)
    approve = seen(view)["Approve"]
    ws.runs.approve(identity, "approve")  # somebody else was quicker
    ws.runs.wait(identity, timeout_s=30)
    approve.click()
    assert view._controls is not None
    assert "approve" in view._controls._parts["notes"].value
    assert not view._controls._buttons[1], "a run that has ended offers nothing"
    view.freeze()


def test_nobody_looks_and_no_widget_is_made(ws: Workspace) -> None:
    place, identity = Place(), waiting(ws)
    view = LiveRun(ws, identity, place)
    view.show(ws.runs.get(identity), looked_at=False)
    view.follow()
    assert [live for _, live in place.shown] == [False]
    assert f"ws.runs.approve(&quot;{identity}&quot;, &quot;approve&quot;)" in place.last[0]


def test_nobody_looks_and_what_somebody_lets_go_on_at_once_is_followed_to_its_end(ws: Workspace) -> None:
    place, identity = Place(), waiting(ws)
    view = LiveRun(ws, identity, place)
    view.show(ws.runs.get(identity), looked_at=False)
    ws.runs.approve(identity, "approve")
    ws.runs.wait(identity, timeout_s=30)
    view.follow()
    assert "waiting" not in place.last[0]


def test_what_a_free_model_read_and_wrote_is_told_once_its_step_has_ended(ws: Workspace) -> None:
    run = ws.workflows.start(ws.workflows.check(ASKING), model="offline/extractive")
    assert ws.runs.wait(run.id, timeout_s=30).state == "waiting"
    now = read_facts(ws, run.id, live=True)
    assert now.run.attempts == 1
    sent = now.run.model_copy(update={"state": RunState.RUNNING, "steps_done": 0})  # its attempt is under way and has told nothing yet
    before = replace(now, run=sent, spend=now.spend.assign(input_tokens=0, output_tokens=0))
    assert read_facts(ws, run.id, live=True, before=before).spend.equals(now.spend)


def test_a_front_end_without_widgets_gets_plain_html(ws: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hishamos.notebook.live_run.WIDGETS_S", 0)
    place, identity = Place(), waiting(ws)
    view = LiveRun(ws, identity, place)
    view.show(ws.runs.get(identity), looked_at=True)
    assert not place.last[1]


def test_an_interrupted_cell_leaves_a_card_that_says_so(ws: Workspace) -> None:
    place, identity = Place(), waiting(ws)
    view = LiveRun(ws, identity, place)
    view.show(ws.runs.get(identity), looked_at=True)
    view.freeze("The cell was interrupted.")
    assert place.last[1] is False
    assert "The cell was interrupted." in place.last[0]
    shown = len(place.shown)
    view.draw()
    view.freeze()
    assert len(place.shown) == shown, "what is frozen stays"


def test_what_an_agent_says_is_shown_until_it_is_void_or_has_ended(ws: Workspace) -> None:
    view = LiveRun(ws, waiting(ws), Place())
    view.show(ws.runs.get(view._run), looked_at=True)
    seen(view)
    assert view._controls is not None
    said = view._controls._parts["said"]
    for told, shown in (({"kind": "text", "text": "I <b>look</b>"}, "I &lt;b&gt;look"), ({"kind": "usage"}, "I &lt;b&gt;look"), ({"kind": "restart"}, "")):
        view._hear(told)
        view.draw()
        assert shown in said.value
        assert "<b>" not in said.value
    assert said.layout.display == "none"
    view.freeze()


def test_a_terminal_gets_a_line_of_text(ws: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    run = watch_in_terminal(ws, waiting(ws), None)
    assert run.state == "waiting"
    assert capsys.readouterr().out.startswith("asks  ◷ waiting  0 USD")
