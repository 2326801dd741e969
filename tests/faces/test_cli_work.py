"""Runs that wait, fail, are interrupted; maps and batches; the demo and init."""

from __future__ import annotations

import csv
import json
import re
import select
import socket
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

import hishamos
from hishamos.cli.demonstration import _parts

OFFLINE = ("--model", "offline/extractive")


def test_a_run_that_waits_says_how_to_go_on(terminal, triaged):
    waiting = terminal.json("run", "triage_bugs", "-i", "file=reports.csv", "-i", "project=ASK", *OFFLINE, code=3)
    assert waiting["state"] == "waiting"
    assert waiting["next"] == [f"hishamos approve {waiting['id']} approve"]
    assert terminal.json("show", waiting["id"])["state"] == "waiting"
    followed = terminal.type("follow", waiting["id"], "--json")
    assert followed.returncode == 3
    events = [json.loads(line) for line in followed.stdout.splitlines()]
    assert {event["run_id"] for event in events} == {waiting["id"]}
    assert [event["seq"] for event in events] == sorted(event["seq"] for event in events)
    approved = terminal.json("approve", waiting["id"], "approve", "--comment", "fine")
    assert approved["state"] == "succeeded"
    assert approved["outputs"]["issues"][0].startswith("ASK-")


def test_a_rejected_run_publishes_nothing(terminal, triaged):
    waiting = terminal.json("run", "triage_bugs", "-i", "file=reports.csv", "-i", "project=NOPE", *OFFLINE, code=3)
    terminal.json("approve", waiting["id"], "approve", "--reject", "--comment", "not yet")
    assert terminal.json("issues", "--project", "NOPE") == []
    assert terminal.json("results", "--run", waiting["id"]) == []


def test_no_wait_returns_at_once_and_follow_sees_the_end(terminal, triaged):
    started = terminal.json("run", "triage_bugs", "-i", "file=reports.csv", "-i", "publish=no", "--no-wait", *OFFLINE)
    assert started["state"] in {"queued", "running", "succeeded"}
    followed = terminal.type("follow", started["id"])
    assert followed.returncode == 0, followed.stderr
    assert "✓ succeeded" in followed.stdout


@pytest.mark.usefixtures("real_processes")
def test_a_failed_run_exits_1_and_names_the_remedy(terminal):
    terminal.file("no_body.csv", "id,title\nR-1,Login fails\n")
    failed = terminal.type("run", "triage_bugs", "-i", "file=no_body.csv", "-i", "publish=yes", *OFFLINE)
    assert failed.returncode == 1
    assert "body" in failed.stdout + failed.stderr
    assert "Traceback" not in failed.stdout + failed.stderr
    assert "hishamos resume" in failed.stderr


def test_a_map_writes_answers_beside_the_rows(terminal, triaged):
    terminal.file("cells.csv", 'id,body,note\n1,The app crashes on save and the file is lost,=1+1\n2,"Typo on the help page, nothing else",plain\n')
    document = terminal.json("map", "cells.csv", "classify_bug", "--columns", "text=body", "--out", "out.csv", *OFFLINE)
    assert document["states"] == {"succeeded": 2}
    assert document["run"]["kind"] == "map"
    with Path(document["out"]).open(newline="") if Path(document["out"]).is_absolute() else (terminal.folder / document["out"]).open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [row["id"] for row in rows] == ["1", "2"]
    assert rows[0]["note"] == "'=1+1"
    assert {row["hos_status"] for row in rows} == {"succeeded"}
    assert {row["hos_model"] for row in rows} == {"offline/extractive"}
    again = terminal.json("map", "cells.csv", "classify_bug", "--columns", "text=body", "--out", "out.csv", *OFFLINE)
    assert again["run"]["attempts"] == 0


def test_a_row_that_can_not_be_answered_fails_alone(terminal):
    terminal.file("long.csv", "id,body\n1,The app crashes on save\n2," + "very long " * 105_000 + "\n")
    done = terminal.type("map", "long.csv", "classify_bug", "--columns", "text=body", *OFFLINE, "--json")
    assert done.returncode == 1, done.stderr
    document = json.loads(done.stdout)
    assert document["states"] == {"succeeded": 1, "failed": 1}
    with (terminal.folder / "long.classify_bug.csv").open(newline="") as stream:
        csv.field_size_limit(2**24)
        rows = list(csv.DictReader(stream))
    assert "20,000" in rows[1]["hos_error"] or "20000" in rows[1]["hos_error"]
    assert "succeeded, 1 of 2 rows without an answer" in " ".join(terminal.type("runs", "--limit", "1").stdout.split())


CELL = {"cell_type": "code", "execution_count": None, "outputs": []}
NOTEBOOK = {
    "cells": [
        {**CELL, "id": "a", "metadata": {"tags": ["parameters"]}, "source": "name = 'x'\nnumber = 0"},
        {**CELL, "id": "b", "metadata": {}, "source": "assert isinstance(number, int)\nprint(name, 10 // number)"},
    ],
    "metadata": {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}},
    "nbformat": 4,
    "nbformat_minor": 5,
}


@pytest.mark.long
def test_a_batch_executes_a_notebook_per_row_and_tells_which_failed(terminal):
    terminal.file("small.ipynb", json.dumps(NOTEBOOK))
    terminal.file("rows.csv", "name,number\nfirst,2\nsecond,0\n")
    document = terminal.json("batch", "small.ipynb", "--rows", "rows.csv", "--jobs", "2", code=1)
    first, second = document["rows"]
    assert (first["status"], second["status"]) == ("succeeded", "failed")
    assert (second["cell"], second["reason"]) == (2, "ZeroDivisionError: integer division or modulo by zero")
    executed = json.loads(Path(first["output_path"]).read_text())
    assert "first 5" in json.dumps(executed["cells"])
    assert document["batch"]["rows"] == {"succeeded": 1, "failed": 1}
    again = terminal.type("batch", "small.ipynb", "--rows", "rows.csv", "--jobs", "2", "--reuse")
    assert again.returncode == 1
    assert f"Next: hishamos resume {document['run']['id']}, or the same line again" in again.stderr
    assert "cell 2: ZeroDivisionError" in " ".join(again.stdout.split())
    terminal.file("rows.csv", "name,number\nfirst,2\nsecond,4\n")
    mended = terminal.json("batch", "small.ipynb", "--rows", "rows.csv", "--reuse", "--output", "done")
    assert [(row["status"], row["reused"]) for row in mended["rows"]] == [("succeeded", True), ("succeeded", False)]
    assert sorted(file.name for file in (terminal.folder / "done").iterdir()) == ["0001.ipynb", "0002.ipynb", "summary.ipynb"]
    assert "✓ succeeded" in (terminal.folder / "done" / "summary.ipynb").read_text()


@pytest.mark.parametrize(
    ("file", "more", "said"),
    [
        ("nmae,number\nfirst,2\n", (), ["no parameter 'nmae'; did you mean 'name'", "row 1"]),
        ("name,number\nfirst,2\nsecond,two\n", (), ["'two' is not a number", "row 2", "'number'"]),
        ("name,number\n", (), ["has a header and no rows"]),
        ("name\n" + "x\n" * 1_000_000, (), ["more than 10,000 rows", "line 10002", "in parts"]),
        ("name\nfirst\n", ("--output", "rows-of-a-batch.csv"), ["can't be written there", "--output"]),
        ("name\nfirst\n", ("--kernel", "klingon"), ["the kernel 'klingon' is not installed", "--kernel"]),
        ("name\nsk-proj-0123456789abcdef\n", (), ["is or looks like a key", "row 1"]),
    ],
    ids=["unknown", "type", "none", "million", "folder", "kernel", "key"],
)
def test_a_batch_that_can_not_be_executed_is_refused_before_anything_starts(terminal, file, more, said):
    terminal.file("small.ipynb", json.dumps(NOTEBOOK))
    terminal.file("rows-of-a-batch.csv", file)
    before = len(terminal.json("runs", "--kind", "batch"))
    assert terminal.json("runs", "--user", "nobody") == terminal.json("runs", "--since", "2990-01-01") == []
    refused = terminal.type("batch", "small.ipynb", "--rows", "rows-of-a-batch.csv", *more)
    assert refused.returncode == 2
    assert all(words in refused.stderr for words in said), refused.stderr
    assert len(terminal.json("runs", "--kind", "batch")) == before


@contextmanager
def _silent_provider(terminal):
    """A provider that takes every request and never answers; says when one has come."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(64)
        came = threading.Event()
        kept = []

        def take():
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                kept.append(connection)
                came.set()

        threading.Thread(target=take, daemon=True).start()
        settings = f"""
[providers.silent]
kind = "openai"
api_base = "http://127.0.0.1:{listener.getsockname()[1]}/v1"
api_key = "env:SILENT_KEY"
timeout_s = 60
[prices."silent/m"]
price = "free"
"""
        (terminal.folder / "hishamos.toml").write_text(settings)
        terminal.environment["SILENT_KEY"] = "not-a-secret"
        yield came
        for connection in kept:
            connection.close()


@pytest.mark.parametrize("started", ["forked", pytest.param("real", marks=pytest.mark.long)])
def test_ctrl_c_cancels_what_was_asked_and_detaches_from_what_goes_on(own_terminal, started):
    terminal = own_terminal
    terminal.started = started
    terminal.file("reports.csv", "id,title,body\nR-1,Login fails,Nobody can sign in\n")
    with _silent_provider(terminal) as came:
        terminal.json("runs")  # the server is the nursery's; how these terminals begin is the parameter
        lines = [("ask", "bug-triage", "Which is worse?"), ("ask", "bug-triage", "Which?", "--json"), ("command", "classify_bug", "-i", "text=x", "--json")]
        for number, line in enumerate(lines, 1):
            came.clear()
            asked = terminal.start(*line, "--model", "silent/m")
            assert came.wait(60)
            code, out, err = terminal.interrupt(asked)
            assert code == 130
            assert "Traceback" not in err
            assert "Interrupted: cancelled." in err
            assert out == "" if "--json" not in line else json.loads(out)["status"] == "cancelled"
            terminal.until("sql", "select status from attempts", holds=lambda rows, many=number: [row["status"] for row in rows] == ["cancelled"] * many)

        came.clear()
        running = terminal.start("run", "triage_bugs", "-i", "file=reports.csv", "--model", "silent/m", "--json")
        assert came.wait(60)
        run = terminal.json("runs")[0]["id"]
        followed = terminal.start("follow", run)
        assert select.select([followed.stdout, followed.stderr], [], [], 60)[0], "it says at once what has happened so far"
        time.sleep(0.3)
        code, _, err = terminal.interrupt(followed)
        assert code == 130
        assert f"hishamos follow {run}" in err
        assert terminal.json("show", run)["state"] == "running"

        code, out, err = terminal.interrupt(running)
        assert code == 130
        assert json.loads(out)["id"] == run
        assert f"hishamos resume {run}" in err
        terminal.until("show", run, holds=lambda document: document["state"] == "cancelled")

        came.clear()
        mapped = terminal.start("map", "reports.csv", "classify_bug", "--columns", "text=body", "--model", "silent/m")
        assert came.wait(60)
        code, _, err = terminal.interrupt(mapped)
        assert code == 130
        found = terminal.json("runs")[0]
        assert found["kind"] == "map"
        assert found["state"] == "running"
        assert f"hishamos follow {found['id']}" in err
        terminal.json("cancel", found["id"])


def test_pause_and_resume(own_terminal):
    terminal = own_terminal
    terminal.file("reports.csv", "id,title,body\nR-1,Login fails,Nobody can sign in\n")
    waiting = terminal.json("run", "triage_bugs", "-i", "file=reports.csv", *OFFLINE, code=3)
    paused = terminal.json("pause", waiting["id"])
    assert paused["state"] == "paused"
    resumed = terminal.json("resume", waiting["id"], code=3)
    assert resumed["state"] == "waiting"
    cancelled = terminal.json("cancel", waiting["id"])
    assert cancelled["state"] == "cancelled"
    ended = terminal.type("approve", waiting["id"], "approve")
    assert ended.returncode in {1, 2}
    assert "cancelled" in ended.stderr


def test_fork_goes_on_from_a_step(own_terminal):
    terminal = own_terminal
    terminal.file("reports.csv", "id,title,body\nR-1,Login fails,Nobody can sign in\n")
    old = terminal.json("run", "triage_bugs", "-i", "file=reports.csv", "-i", "publish=no", *OFFLINE)
    made = terminal.json("fork", old["id"], "--from", "rank")
    assert (made["state"], made["id"] != old["id"]) == ("succeeded", True)
    shown = terminal.json("show", made["id"])
    assert {step["path"] for step in shown["steps"] if step["reused"]} == {"read", "classify", "duplicates", "score"}
    assert {attempt["step_id"] for attempt in shown["attempts"]} == {"rank"}
    other = terminal.json("fork", old["id"], "--from", "rank", "-i", "publish=ask", code=3)
    assert (other["state"], other["inputs"]["publish"]) == ("waiting", "ask")
    terminal.file("others.csv", "id,title,body\nR-2,Save fails,The file is lost\n")
    refused = terminal.type("fork", old["id"], "--from", "rank", "-i", "file=others.csv")
    assert refused.returncode == 2
    assert "read was made from the input 'file'" in refused.stderr
    wrong = terminal.type("fork", old["id"], "--from", "rnak")
    assert wrong.returncode == 2
    assert "did you mean 'rank'" in wrong.stderr


def test_init_makes_a_workspace_and_overwrites_nothing(tmp_path, own_terminal):
    own_terminal.folder.joinpath("hishamos.toml").unlink()
    (own_terminal.folder / ".gitignore").write_text("*.pyc")
    made = own_terminal.json("init")
    assert set(made["made"]) == {"agents/", "commands/", "workflows/", "steps/", "data/local/", "hishamos.toml", ".gitignore"}
    assert (own_terminal.folder / ".gitignore").read_text() == "*.pyc\ndata/local/\n"
    (own_terminal.folder / "hishamos.toml").write_text("# mine\n")
    again = own_terminal.json("init")
    assert again["made"] == []
    assert (own_terminal.folder / "hishamos.toml").read_text() == "# mine\n"


def test_every_line_that_init_comments_out_is_a_setting(tmp_path):
    from hishamos.cli.beginning import SETTINGS
    from hishamos.settings import load

    lines = [line.removeprefix("# ") for line in SETTINGS.splitlines() if re.match(r"(# )?(\[|[a-z_]+ += )", line)]
    (tmp_path / "hishamos.toml").write_text("\n".join(lines))
    settings = load(tmp_path, lambda _: "x")
    assert settings.budgets["month"].limit_usd == 50
    assert settings.routes["default"].attempts == 4


def test_the_demo_ends_with_what_it_found(own_terminal):
    began = time.monotonic()
    document = own_terminal.json("demo")
    taken = time.monotonic() - began
    assert document["publish"] == "yes"
    assert document["offline"] is True
    assert document["cost_nanos"] == 0
    assert len(document["top"]) == 3
    assert all(pick["reason"] for pick in document["top"])
    report = Path(document["report"]).read_text()
    assert "offline model" in report
    assert document["top"][0]["title"] in report
    executed = json.loads(Path(document["notebook"]).read_text())
    assert any(cell.get("outputs") for cell in executed["cells"])
    assert taken < 60, f"the demo took {taken:.0f} s"
    with hishamos.open(own_terminal.folder) as ws:
        [told] = _parts(document, ws.runs.get(document["run"]), ws.runs.get(document["notebook_run"]))
    for words in ("Fix first", document["top"][0]["title"], document["report"], "hishamos console", "hishamos lab", "OPENAI_API_KEY"):
        assert words in str(told)


@pytest.mark.long
def test_the_demo_shows_what_it_found(own_terminal):
    own_terminal.json("demo")  # it may be run again in its workspace
    shown = own_terminal.type("demo")
    assert shown.returncode == 0, shown.stderr
    for words in ("publish=yes", "Fix first", "not a real answer", "hishamos console", "hishamos lab", "OPENAI_API_KEY", str(own_terminal.folder)):
        assert words in shown.stdout + shown.stderr


@pytest.mark.long
@pytest.mark.parametrize("verb", ["console", "lab"])
def test_a_window_opens_on_loopback_and_ends_with_ctrl_c(terminal, verb):
    import urllib.request

    opened = terminal.start(verb, "--no-browser", "--json")
    assert opened.stdout is not None
    document = json.loads(opened.stdout.readline())
    assert document["url"].startswith("http://127.0.0.1:")
    assert urllib.request.urlopen(document["url"], timeout=20).status == 200
    code, _, err = terminal.interrupt(opened)
    assert code == 0, err


@pytest.mark.long
def test_a_window_that_is_ended_by_a_signal_leaves_no_server_behind(terminal):
    import psutil

    opened = terminal.start("console", "--no-browser", "--json")
    assert opened.stdout is not None
    window = psutil.Process(json.loads(opened.stdout.readline())["pid"])
    opened.terminate()
    assert opened.wait(20) == 0
    assert not window.is_running() or window.status() == psutil.STATUS_ZOMBIE


def test_graphs_are_drawn_into_files_and_on_the_terminal(terminal, triaged):
    made = terminal.json("show", triaged["id"], "--picture", "run.png")
    assert made["size_bytes"] > 10_000
    assert (terminal.folder / "run.png").read_bytes().startswith(b"\x89PNG")
    made = terminal.json("workflows", "triage_bugs", "--picture", "graph.svg")
    assert "steps.read.output.rows" in (terminal.folder / "graph.svg").read_text()
    shown = terminal.type("show", triaged["id"], "--picture", "-").stdout
    assert "classify    ✓ succeeded" in shown
    assert "5/5" in shown
    assert "each: command classify_bug" in terminal.type("workflows", "triage_bugs").stdout
    refused = terminal.type("show", triaged["id"], "--picture", "run.gif")
    assert refused.returncode == 2
    assert ".svg" in refused.stderr


def test_pick_says_who_fits_and_why(terminal):
    document = terminal.json("pick", "Check this contract for clauses on liability", "--weight", "speed=0")
    assert (document["agent"], document["matched"], document["weights"]["speed"]) == ("legal", True, 0)
    assert document["candidates"][0]["record"]["calls"] == 0
    shown = terminal.type("pick", "Check this contract", "--among", "coding")
    assert "coding" in shown.stdout
    assert "hishamos ask coding TEXT" in shown.stderr
    refused = terminal.type("pick", "Check", "--weight", "fast")
    assert (refused.returncode, "is no weight" in refused.stderr) == (2, True)


def test_a_chat_goes_on_where_it_was(terminal):
    done = terminal.type("chat", "research", "--json", *OFFLINE, stdin="The export closes the app.\n\nThe import works. What is broken?\n")
    assert done.returncode == 0, done.stderr
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert [(answer["agent"], answer["model"], answer["cost_nanos"]) for answer in answers] == [("research", "offline/extractive", 0)] * 2
    (talk,) = terminal.json("chats")
    assert (talk["agent"], talk["messages"]) == ("research", 2)
    asked = terminal.json("ask", "research", "And what works?", "--conversation", talk["id"][:6].lower())
    assert asked["model"] == "offline/extractive"
    said = terminal.json("chats", talk["id"])
    assert [(one["number"], one["state"]) for one in said] == [(1, "answered"), (2, "answered"), (3, "answered")]
    assert "you: And what works?" in terminal.type("chats", talk["id"]).stdout
    assert "is with research, not with legal" in terminal.type("ask", "legal", "Hm?", "--conversation", talk["id"]).stderr
    assert terminal.json("chats", talk["id"], "--delete") == {"deleted": talk["id"]}
    assert terminal.json("chats") == []


def test_a_forecast_is_shown_and_nothing_is_started(terminal, triaged):
    before = len(terminal.json("runs", "--limit", "100"))
    told = terminal.json("run", "triage_bugs", "-i", "file=reports.csv", "--forecast", *OFFLINE)
    assert [part["step"] for part in told["parts"]] == ["classify[]", "rank"]
    assert told["parts"][0]["times"] == 5
    assert "not a real answer" in terminal.type("run", "triage_bugs", "-i", "file=reports.csv", "--forecast", *OFFLINE).stdout
    told = terminal.json("map", "reports.csv", "classify_bug", "--columns", "text=body", "--forecast", *OFFLINE)
    assert told["parts"][0]["times"] == 5
    assert not (terminal.folder / "reports.classify_bug.csv").exists()
    assert len(terminal.json("runs", "--limit", "100")) == before
    assert terminal.json("show", triaged["id"])["forecast"]["offline"] is True
    assert "Forecast" in terminal.type("show", triaged["id"]).stdout
