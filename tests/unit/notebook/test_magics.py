"""The magics: short forms that say what, where and what next when something is wrong."""

from __future__ import annotations

from typing import Any

import pytest
from IPython.core.interactiveshell import InteractiveShell

from hishamos.errors import InvalidInput, UnknownName
from hishamos.notebook.magics import register
from hishamos.workspace import Workspace


@pytest.fixture(scope="module")
def shell(ws: Workspace) -> Any:
    made = InteractiveShell()
    register(made, ws)
    return made


def test_a_command_reads_values_by_their_types(shell: Any) -> None:
    answer = shell.run_cell_magic("command", "classify_bug components=ui,storage model=offline/extractive", "The app crashes on save and the file is lost\n")
    assert answer.offline
    assert answer.output["component"] in {"ui", "storage"}


def test_the_chosen_model_is_asked(shell: Any, capsys: pytest.CaptureFixture[str]) -> None:
    shell.run_line_magic("hishamos", "use offline/extractive")
    assert "offline/extractive" in capsys.readouterr().out
    assert shell.run_cell_magic("command", "classify_bug", "It is slow").offline
    shell.run_line_magic("hishamos", "use")


@pytest.mark.parametrize("word", ["runs", "budget", "commands", "agents", "workflows", "approvals", "results", "models"])
def test_what_the_workspace_holds(shell: Any, word: str) -> None:
    assert isinstance(shell.run_line_magic("hishamos", word), list)


def test_spend_is_a_frame_by_what_is_asked_for(shell: Any) -> None:
    assert list(shell.run_line_magic("hishamos", "spend").columns[:2]) == ["day", "model"]
    assert list(shell.run_line_magic("hishamos", "spend by workflow, model").columns[:2]) == ["workflow", "model"]


def test_tags_are_given_shown_and_taken_away(shell: Any, ws: Workspace, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HISHAMOS_TAGS", "team=red")
    shell.run_line_magic("hishamos", 'tag customer="acme, the first" experiment=b')
    shell.run_line_magic("hishamos", "tag experiment=c")
    assert capsys.readouterr().out.splitlines()[-1].endswith("team=red, customer=acme, the first, experiment=c.")
    answer = shell.run_cell_magic("command", "classify_bug model=offline/extractive", "It is slow")
    assert answer.attempts[0].own_tags == {"team": "red", "customer": "acme, the first", "experiment": "c"}
    with pytest.raises(InvalidInput, match="my_notebook"):
        shell.run_line_magic("hishamos", "tag notebook=x")
    with pytest.raises(InvalidInput, match="no NAME=VALUE"):
        shell.run_line_magic("hishamos", "tag customer")
    shell.run_line_magic("hishamos", "tag --clear")
    monkeypatch.delenv("HISHAMOS_TAGS")
    shell.run_line_magic("hishamos", "tag")
    assert "has no tags" in capsys.readouterr().out
    assert ws.commands.run("classify_bug", {"text": "It is slow"}, model="offline/extractive").attempts[0].own_tags == {}


@pytest.mark.parametrize(
    ("magic", "line", "error", "words"),
    [
        ("command", "", InvalidInput, "no name was given"),
        ("command", "clasify_bug", UnknownName, "classify_bug"),
        ("command", "classify_bug txt=x", UnknownName, "did you mean 'text'"),
        ("command", "classify_bug text", InvalidInput, "text=VALUE"),
        ("agent", "bug-triage task=x", InvalidInput, "unknown words: task"),
    ],
)
def test_what_is_wrong_is_said(shell: Any, magic: str, line: str, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        shell.run_cell_magic(magic, line, "x")


def test_an_unknown_word_gets_the_nearest(shell: Any) -> None:
    with pytest.raises(UnknownName, match="spend"):
        shell.run_line_magic("hishamos", "spent")
