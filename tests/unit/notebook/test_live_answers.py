"""An answer in a cell while it comes."""

from __future__ import annotations

from typing import Any

import pytest
from IPython import display as ipython

from hishamos.charts.formats import money
from hishamos.errors import CallFailed
from hishamos.notebook.live_answers import watch_answer
from hishamos.records.calls import AttemptBegan, CommandResult, Finished, Restarted, TextPiece, ToolCalled
from hishamos.records.tools import ToolCall
from hishamos.records.turns import Answered, ToolEnded, TurnEnded

EVIL = '<img src="http://127.0.0.1/beacon">'


class Screen:
    """What a cell shows."""

    def __init__(self) -> None:
        self.shown: list[str] = []

    def update(self, shown: Any, *, raw: bool = False) -> None:
        self.shown.append(shown["text/html"] + shown["text/plain"] if raw else shown.data)


@pytest.fixture
def screen(monkeypatch: pytest.MonkeyPatch) -> Screen:
    made = Screen()
    monkeypatch.setattr(ipython, "display", lambda shown, display_id: made.update(shown) or made)
    monkeypatch.setattr("hishamos.notebook.live_answers.REDRAW_S", 0)
    monkeypatch.setattr("hishamos.notebook.live_answers.kernel", object)  # as in a notebook
    return made


def test_text_and_tools_are_shown_as_they_come_and_the_card_gives_way_to_the_answers_own(screen: Screen):
    answer = CommandResult(output="done", text="done", model="m", agent="clerk")
    seen: list[str] = []

    def events() -> Any:
        yield AttemptBegan(model="openai/m")
        yield TextPiece(text="lost", model="openai/m")
        yield Restarted(model="openai/m")
        yield TextPiece(text=f"I look {EVIL}", model="openai/m")
        yield TurnEnded(agent="clerk", number=1, tools=1, cost_nanos=2_000_000)
        yield ToolCalled(agent="clerk", model="openai/m", call=ToolCall(id="1", name="upper", arguments='{"text": "x"}', input={"text": "x"}))
        seen.append(screen.shown[-1])
        yield ToolEnded(agent="clerk", id="1", name="upper", result='{"result":"X"}', failed=False)
        yield TextPiece(text="done", model="openai/m")
        yield Answered(result=answer)
        seen.append(screen.shown[-1])
        yield Finished(status="succeeded", model="m", cost_nanos=2_000_000)

    assert watch_answer("clerk", events()) == answer
    assert "upper" in seen[0]
    assert "I look &lt;img" in seen[0]
    assert "lost" not in seen[0]
    assert "{&quot;result&quot;:&quot;X&quot;}" in seen[1]
    assert money(2_000_000) in seen[1]
    assert screen.shown[-1] == ""


def test_what_has_come_stays_when_it_fails(screen: Screen):
    def events() -> Any:
        yield TextPiece(text="half an answer", model="m")
        raise CallFailed(model="m", reason="it broke", cause="server_error", attempts=1, next="")

    with pytest.raises(CallFailed):
        watch_answer("clerk", events())
    assert "half an answer" in screen.shown[-1]
    assert "failed" in screen.shown[-1]


def test_a_terminal_prints_the_text_as_it_comes(capsys: pytest.CaptureFixture[str]):
    answer = CommandResult(output="done", text="done", model="m", agent="clerk")
    events: list[Any] = [TextPiece(text="I ", model="m"), TextPiece(text="look", model="m"), Answered(result=answer)]
    assert watch_answer("clerk", events) == answer
    assert capsys.readouterr().out == "I look\n"
