"""``hishamos check``, ``new`` and ``schema`` as people type them."""

from __future__ import annotations

import json

BAD = "name: bad\ndescription: d\nsteps:\n  - {id: a, type: command, with: {command: classify_bg}}\n  - {id: b, type: wiat}\n"


def test_begin_check_and_describe(terminal):
    made = terminal.json("new", "workflow", "first_flow")
    assert made["file"].endswith("workflows/first_flow.yaml")
    checked = terminal.type("check", "workflows")
    assert (checked.returncode, checked.stdout.strip()) == (0, "✓ 1 definition can be used: first_flow")
    terminal.file("bad.yaml", BAD)
    wrong = terminal.type("check", "bad.yaml", "workflows/first_flow.yaml")
    assert wrong.returncode == 1
    lines = wrong.stdout.splitlines()
    assert [line for line in lines if line.startswith("✕")] == ["✕ bad.yaml:4, steps[0].with.command", "✕ bad.yaml:5, steps[1].type"]
    assert lines[-1] == "2 mistakes in 1 of 2 files"
    assert "did you mean 'classify_bug'" in wrong.stdout
    (piped,) = terminal.json("check", "--kind", "workflow", "bad.yaml", code=1)
    assert [one["line"] for one in piped["mistakes"]] == [4, 5]
    typed = terminal.type("check", "-", "--json", stdin=BAD)
    assert typed.returncode == 1
    assert [one["file"] for one in json.loads(typed.stdout)] == ["<stdin>"]
    assert terminal.json("schema", "workflow")["title"] == "HishamOS workflow"
    assert terminal.type("check", "none.yaml").returncode == 2
    assert "no name for a command" in terminal.type("new", "command", "../x").stderr
