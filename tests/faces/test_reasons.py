"""Why a model was asked and another was not: in the terminal, on cards, in the ledger."""

from __future__ import annotations

import json

from hishamos.notebook.cards import attempts_card, command_result_card
from hishamos.opening import open as open_workspace

ROUTE = '[providers.work]\nkind = "openai"\napi_key = "env:NOBODY_HAS_THIS"\n[routes.thrifty]\nmodels = ["work/gpt-4.1", "offline/extractive"]\n'
REASON = "passed over: work/gpt-4.1 has no key"
THRIFTY = ("--model", "thrifty")


def test_the_terminal_and_the_cards_say_who_was_passed_over(own_terminal):
    own_terminal.file("hishamos.toml", ROUTE)
    done = own_terminal.type("command", "classify_bug", "-i", "text=The app crashes on save", *THRIFTY)
    assert REASON in done.stdout + done.stderr
    own_terminal.file("rows.csv", "text\nThe app crashes on save\n")
    mapped = own_terminal.json("map", "rows.csv", "classify_bug", *THRIFTY)
    run = mapped["run"]["id"]
    shown = own_terminal.type("show", run, "--attempts").stdout
    assert "Why" in shown
    assert "has no key" in " ".join(shown.split())
    assert [attempt["tags"]["passed_over"] for attempt in own_terminal.json("show", run)["attempts"]] == ["work/gpt-4.1 has no key"]
    [row] = own_terminal.json("sql", "select tags from attempts limit 1")
    assert json.loads(row["tags"])["passed_over"] == "work/gpt-4.1 has no key"
    ws = open_workspace(own_terminal.folder)
    assert REASON in attempts_card(ws.runs.calls(run))
    assert REASON in command_result_card(ws.commands.run("classify_bug", {"text": "The app crashes on save"}, model="thrifty"))


def test_where_nothing_was_chosen_no_reason_takes_up_room(own_terminal):
    own_terminal.file("hishamos.toml", ROUTE)
    own_terminal.file("rows.csv", "text\nThe app crashes on save\n")
    run = own_terminal.json("map", "rows.csv", "classify_bug", "--model", "offline/extractive")["run"]["id"]
    assert "Why" not in own_terminal.type("show", run, "--attempts").stdout
    assert "why" not in attempts_card(open_workspace(own_terminal.folder).runs.calls(run))
