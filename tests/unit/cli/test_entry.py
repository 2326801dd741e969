"""The border of the terminal: whatever ends a verb is told once, in the form that was asked for."""

from __future__ import annotations

import json
import os
import sys

import pytest

from hishamos.cli.entry import run_terminal
from hishamos.cli.face import Face


@pytest.mark.parametrize("line", [("server", "status", "--json"), ("server", "status"), ("rnu", "--json")])
def test_an_output_that_takes_nothing_is_told_in_a_sentence(monkeypatch, capsys, line):
    with open("/dev/full", "w") as full, monkeypatch.context() as patched:
        patched.setattr(sys, "stdout", full)
        assert run_terminal(line) == 1
    told = capsys.readouterr().err.splitlines()
    assert told[-1] == "✕ The output can't be written: No space left on device (stdout). Make room there, or send it elsewhere."
    assert told[:-1] == (["✕ There is no verb 'rnu'; did you mean 'run'? Try: hishamos --help"] if line[0] == "rnu" else [])


def test_a_reader_that_has_left_is_told_nothing(monkeypatch, capsys):
    ours, theirs = os.pipe()
    os.close(ours)
    with os.fdopen(theirs, "w") as left, monkeypatch.context() as patched:
        patched.setattr(sys, "stdout", left)
        assert run_terminal(["rnu", "--json"]) == 1
    assert capsys.readouterr().err == "✕ There is no verb 'rnu'; did you mean 'run'? Try: hishamos --help\n"


def test_an_interrupt_with_json_is_one_document(monkeypatch, capsys):
    def interrupted(_):
        raise KeyboardInterrupt

    monkeypatch.setattr(Face, "open", interrupted)
    assert run_terminal(["runs", "--json"]) == 130
    shown = capsys.readouterr()
    assert json.loads(shown.out)["error"] == {"type": "Interrupted", "facts": {}, "message": "Interrupted."}
    assert shown.err.strip() == "✕ Interrupted."
    assert run_terminal(["runs"]) == 130
    assert capsys.readouterr().out == ""
