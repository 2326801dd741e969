"""Texts from outside reach the terminal as they are, whatever rich would take them for."""

from __future__ import annotations

import os
import pty
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime

import pytest
from rich.console import RenderableType

from hishamos.cli.face import Face
from hishamos.cli.tables import facts, rows_table, table
from hishamos.cli.watching import _progress, waiting
from hishamos.records.runs import Run, RunState

ODD = "[/bold] [red]gpt[/red] :warning: [link=x]"
"""Closes what was never opened: read as markup, it raises."""


@pytest.mark.parametrize("drawn", [ODD, table(ODD, [ODD], [[ODD]]), facts([(ODD, ODD)]), rows_table([{ODD: ODD}], ODD)])
def test_what_is_shown_is_no_markup(drawn: RenderableType, capsys: pytest.CaptureFixture[str]):
    Face().show(None, lambda: (drawn,), then=ODD)
    shown = capsys.readouterr()
    assert ODD in shown.out
    assert ODD in shown.err


@contextmanager
def terminal(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Make stderr a terminal; afterwards the list holds what was drawn there."""
    ours, theirs = pty.openpty()
    pieces: list[bytes] = []
    drawn: list[str] = []

    def read() -> None:
        with suppress(OSError):  # the other side is closed
            while piece := os.read(ours, 4096):
                pieces.append(piece)

    reader = threading.Thread(target=read)
    reader.start()
    monkeypatch.setenv("COLUMNS", "300")
    monkeypatch.setenv("TERM", "xterm")
    with os.fdopen(theirs, "w") as stream, monkeypatch.context() as patched:
        patched.setattr(sys, "stderr", stream)
        yield drawn
    reader.join()
    os.close(ours)
    drawn.append(b"".join(pieces).decode())


def test_an_error_on_a_terminal_is_no_markup(monkeypatch: pytest.MonkeyPatch):
    with terminal(monkeypatch) as drawn:
        Face().complain(ODD)
    assert ODD in drawn[0]


def test_progress_and_waiting_on_a_terminal_are_no_markup(monkeypatch: pytest.MonkeyPatch):
    run = Run(id="r1", name=ODD, version="1", state=RunState.RUNNING, created_at=datetime(2026, 1, 1, tzinfo=UTC))
    with terminal(monkeypatch) as drawn:
        with _progress(Face()) as bar:
            bar.look(run)
        with waiting(Face(), ODD):
            pass
    assert drawn[0].count(ODD) >= 2
