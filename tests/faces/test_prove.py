"""``hishamos prove``, and as a notebook; held against a provider whose book is wrong the exit code is 1, and only what is broken is called so."""

from __future__ import annotations

import functools
import json
from typing import Any

import nbformat
import pytest

from hishamos.cli.entry import run_terminal
from hishamos.notebook.cards import CARDS, plain
from hishamos.opening import shipped
from hishamos.proof import proving
from hishamos.proof.provider import Provider
from hishamos.records.proofs import Proof
from tests.rigs.nursery import Client, python

pytestmark = pytest.mark.long


def forked(proving_: proving._Proving, *arguments: object) -> Client:
    """Start a client as the nursery's child; real ones are for the long form of the proof as a notebook."""
    return python("import sys; from hishamos.proof.client import main; main(*sys.argv[1:])", proving_._folder, *arguments, folder=proving_._folder)


def test_a_bill_that_is_one_nano_dollar_off_breaks_one_promise(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(proving, "Provider", functools.partial(Provider, error_nanos=1))
    monkeypatch.setattr(proving._Proving, "_client", forked)
    code = run_terminal(["prove", "--rows", "20", "--calls", "32", "--processes", "4", "--json"])
    found = json.loads(capsys.readouterr().out)
    assert [promise["kept"] for promise in found["promises"]] == [True, True, False, True, True, True, True], found
    assert (code, found["kept"]) == (1, False)


def test_the_cells_of_its_notebook_end_in_a_card(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proving._Proving, "_client", forked)
    cells = [cell.source for cell in nbformat.read(shipped("notebooks") / "prove.ipynb", 4).cells if cell.cell_type == "code"]
    names: dict[str, Any] = {}
    for source in (cells[0], "rows, calls, processes = 20, 16, 2", *cells[1:]):
        exec(source, names)
    assert "7 of 7 promises kept" in CARDS[Proof](names["proof"])
    assert plain(names["proof"]).count("✓") == 7
