"""``hishamos prove``, held against a provider whose book is wrong: the exit code is 1, and only what is broken is called so."""

from __future__ import annotations

import functools
import json

import pytest

from hishamos.cli.entry import run_terminal
from hishamos.proof import proving
from hishamos.proof.provider import Provider
from tests.rigs.nursery import Client, python


def forked(proving_: proving._Proving, *arguments: object) -> Client:
    return python("import sys; from hishamos.proof.client import main; main(*sys.argv[1:])", proving_._folder, *arguments, folder=proving_._folder)


def test_a_bill_that_is_one_nano_dollar_off_breaks_one_promise(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(proving, "Provider", functools.partial(Provider, error_nanos=1))
    monkeypatch.setattr(proving._Proving, "_client", forked)  # real ones in the proof as a notebook
    code = run_terminal(["prove", "--rows", "20", "--calls", "32", "--processes", "4", "--json"])
    found = json.loads(capsys.readouterr().out)
    assert [promise["kept"] for promise in found["promises"]] == [True, True, False, True, True, True, True], found
    assert (code, found["kept"]) == (1, False)
