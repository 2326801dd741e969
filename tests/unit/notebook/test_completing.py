"""A tab completes the workspace's names: in magics, and in texts that calls take."""

from __future__ import annotations

import pytest
from IPython.core.interactiveshell import InteractiveShell

from hishamos.notebook.completing import Names, complete_names, completions
from hishamos.workspace import Workspace


@pytest.mark.parametrize(
    ("text", "typed", "offered"),
    [
        ("%%command cl", "cl", "classify_bug"),
        ("%%command classify_bug te", "te", "text="),
        ("%%command classify_bug text=x model=off", "model=off", "model=offline/extractive"),
        ("%%agent bug", "bug", "bug-triage"),
        ("%hishamos sp", "sp", "spend"),
        ("%hishamos use off", "off", "offline/extractive"),
        ("x = ws.commands.run('cla", "cla", "classify_bug"),
        ('ws.commands.run("classify_bug", {"te', "te", "text"),
        ('ws.commands.run("classify_bug", {"text": "x", \'com', "com", "components"),
        ('ws.workflows.start("triage_bugs", {"fi', "fi", "file"),
        ('ws.workflows.start("tri', "tri", "triage_bugs"),
        ('ws.agents.ask("bug-', "bug-", "bug-triage"),
        ('ws.map(frame, "cla', "cla", "classify_bug"),
        ('frame.hishamos.map("cla', "cla", "classify_bug"),
        ('hishamos.form("tri', "tri", "triage_bugs"),
        ('ws.commands.run("classify_bug", {"text": "x"}, model="off', "off", "offline/extractive"),
        ('if x:\n    ws.commands.get("cla', "cla", "classify_bug"),
    ],
)
def test_names_are_offered(ws: Workspace, text: str, typed: str, offered: str) -> None:
    found = completions(Names(ws), text)
    assert found is not None
    assert found[0] == typed
    assert offered in found[1]


@pytest.mark.parametrize(
    ("text", "typed", "offered"),
    [
        ("%hishamos tag cust", "cust", "customer="),
        ("%hishamos tag customer=acme exp", "exp", "experiment="),
        ("%hishamos spend by t", "t", "tag:customer"),
        ('ws.ledger.spend(by=["day", "tag:cu', "tag:cu", "tag:customer"),
    ],
)
def test_tags_that_were_used_are_offered(ws: Workspace, text: str, typed: str, offered: str) -> None:
    ws.tagged(customer="acme", experiment="b").commands.run("classify_bug", {"text": "It is slow"}, model="offline/extractive")
    found = completions(Names(ws), text)
    assert found is not None
    assert found[0] == typed
    assert offered in found[1]


@pytest.mark.parametrize("text", ["", "ws.comm", "print('cla", "open('cla", "%%time\n%%command cl", "%hishamos spend by m"])
def test_nothing_else_is(ws: Workspace, text: str) -> None:
    assert not (completions(Names(ws), text) or ("", []))[1]


def test_ipython_completes_them(ws: Workspace) -> None:
    shell = InteractiveShell()
    complete_names(shell, ws)
    complete_names(shell, ws)  # a workspace that is opened again takes its place
    for text in ('ws.commands.run("classify_b', "%%command classify_b"):
        assert "classify_bug" in shell.complete("", text, len(text))[1]
    assert sum(getattr(one, "matcher_identifier", "") == "hishamos" for one in shell.Completer.custom_matchers) == 1
