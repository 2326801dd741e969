"""A model's words can't steer the terminal that they are printed on."""

from __future__ import annotations

import io

import pytest
from rich.table import Table
from rich.text import Text

from hishamos.cli.face import Face
from hishamos.cli.inert import InertConsole
from hishamos.text.inert import inert

EVIL = "a\x1b]0;title\x07b\x1b[2Jc\x9b31md\x1b]52;c;ZXZpbA==\x07"


def drawn(thing: object, *, terminal: bool) -> str:
    file = io.StringIO()
    InertConsole(file=file, force_terminal=terminal, color_system="truecolor" if terminal else None, markup=False, highlight=False, width=80).print(thing)
    return file.getvalue()


def in_a_table() -> Table:
    table = Table(box=None)
    table.add_column("name")
    table.add_row(Text(EVIL))
    return table


@pytest.mark.parametrize("thing", [EVIL, Text(EVIL), in_a_table()], ids=["string", "text", "table"])
@pytest.mark.parametrize("terminal", [True, False])
def test_nothing_that_a_terminal_obeys_is_printed(thing: object, terminal: bool) -> None:
    shown = drawn(thing, terminal=terminal)
    for sign in ("\x1b]", "\x1b[2J", "\x9b", "\x07"):
        assert sign not in shown
    assert "title" in shown


def test_colours_of_our_own_are_kept() -> None:
    assert "\x1b[" in drawn(Text("failed", style="red"), terminal=True)


def test_lines_tabs_and_scripts_stay() -> None:
    assert inert("one\ttwo\r\nthree\u202e \u0627\u0644\u0633\u0644\u0627\u0645") == "one\ttwo\nthree\u202e \u0627\u0644\u0633\u0644\u0627\u0645"


def test_sentences_are_inert_too(capsys: pytest.CaptureFixture[str]) -> None:
    Face().say(EVIL)
    Face().complain(EVIL)
    assert "\x1b" not in capsys.readouterr().err
