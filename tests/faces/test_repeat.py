"""``hishamos repeat``: the run again, and what differs."""

from __future__ import annotations

from typing import Any

from tests.faces.conftest import REPORTS, Terminal


def test_a_run_is_repeated_and_a_changed_file_is_named(terminal: Terminal, triaged: dict[str, Any]) -> None:
    run = triaged["id"]
    found = terminal.json("repeat", run[:6])
    assert (found["before"]["id"], found["repeats"], found["same"], found["differing"]) == (run, True, True, 0)
    assert found["after"]["outputs"]["overview"] == triaged["outputs"]["overview"]
    assert (found["before"]["cost_usd"], found["after"]["cost_usd"]) == ("0", "0")
    shown = terminal.type("repeat", found["id"])
    assert shown.returncode == 0
    for words in ("triage_bugs: the same outputs", "Before", "Now", "✓ succeeded", "offline"):
        assert words in shown.stdout, shown.stdout
    assert f"repeats {found['id']}" in shown.stderr
    assert found["id"] in terminal.type("show", terminal.json("runs")[0]["id"]).stdout, "a run says which one it repeats"
    terminal.file("reports.csv", REPORTS + 'R-6,New,"A new one."\n')
    try:
        refused = terminal.type("repeat", run)
        assert refused.returncode == 1
        assert "reports.csv) was sha256 " in refused.stderr
        accepted = terminal.json("repeat", run, "--accept-changes")
        assert [one["name"] for one in accepted["files"]] == ["file"]
    finally:
        terminal.file("reports.csv", REPORTS)
