"""What a person or a program gets from each verb of the terminal, on the real server with the offline model."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from hishamos.cli.entry import run_terminal
from hishamos.cli.verbs import VERBS

OFFLINE = ("--model", "offline/extractive")
HEAVY = {"duckdb", "psycopg", "pandas", "numpy", "altair", "plotly", "streamlit", "litellm", "papermill", "pydantic", "pyarrow", "rich"}
TEXT = "text=The app crashes on save and the file is lost"


def test_help_lists_every_verb_and_loads_nothing_heavy():
    code = "import sys; from hishamos.cli.entry import run_terminal; run_terminal(['--help']); print(*{m.split('.')[0] for m in sys.modules}, file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    for name, line in VERBS.items():
        assert f"{name} " in done.stdout
        assert line.help in done.stdout
    assert not set(done.stderr.split()) & HEAVY


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_explains_itself(capsys, verb):
    assert run_terminal([verb, "--help"]) == 0
    assert "--json" in capsys.readouterr().out


def test_a_run_ends_with_its_document(triaged):
    assert triaged["state"] == "succeeded"
    assert triaged["name"] == "triage_bugs"
    assert triaged["offline"] is True
    assert triaged["cost_nanos"] == 0
    assert triaged["cost_usd"] == "0"
    assert triaged["created_at"].endswith("Z")
    assert triaged["error"] is None
    assert len(triaged["outputs"]["issues"]) >= 2
    assert triaged["next"] == [f"hishamos show {triaged['id']}"]


READS = [
    (("runs",), list),
    (("show", "RUN"), dict),
    (("commands",), list),
    (("commands", "classify_bug"), dict),
    (("agents",), list),
    (("agents", "bug-triage"), dict),
    (("workflows",), list),
    (("workflows", "triage_bugs"), dict),
    (("results",), list),
    (("projects",), list),
    (("issues",), list),
    (("issues", "DEMO-1"), dict),
    (("spend", "--by", "model,day"), list),
    (("budget",), list),
    (("reconcile", "--balances"), list),
    (("providers",), list),
    (("doctor",), list),
    (("server", "status"), dict),
    (("sql", "select id, state, cost_nanos, finished_at from runs"), list),
]


@pytest.mark.parametrize(("line", "shape"), READS, ids=lambda value: " ".join(value) if isinstance(value, tuple) else "")
def test_json_before_and_after_the_arguments_is_the_same_document(terminal, triaged, capsys, line, shape):
    typed = [triaged["id"] if word == "RUN" else word for word in line]
    after = terminal.json(*typed)
    assert isinstance(after, shape)
    assert run_terminal(["--json", "--workspace", str(terminal.folder), *typed]) == 0
    before = capsys.readouterr().out
    assert before.count("\n") == 1
    if line[0] not in {"server", "providers", "doctor"}:  # these tell of moments
        assert json.loads(before) == after


def test_people_see_words_and_signs(terminal, triaged):
    shown = terminal.type("show", triaged["id"][:6])
    assert "✓ succeeded" in shown.stdout
    assert "offline" in shown.stdout
    assert "classify" in shown.stdout
    listed = terminal.type("runs")
    assert triaged["id"] in listed.stdout
    assert "\x1b[" not in shown.stdout + shown.stderr + listed.stdout


def test_show_holds_steps_attempts_and_results(terminal, triaged):
    shown = terminal.json("show", triaged["id"])
    paths = {step["path"] for step in shown["steps"]}
    assert {"read", "classify", "rank", "save"} <= paths
    assert len(shown["attempts"]) == shown["calls"] == 6
    assert {attempt["model"] for attempt in shown["attempts"]} == {"offline/extractive"}
    (result,) = shown["results"]
    assert result["run_id"] == triaged["id"]
    assert terminal.json("results", result["id"])["body"] == result["body"]


def test_a_command_is_made_a_favourite_and_rated(terminal):
    shown = terminal.json("commands", "classify_bug", "--favour", "--rate", "4", "--comment", "short")
    assert (shown["favourite"], [(one["rating"], one["comment"]) for one in shown["ratings"]]) == (True, [(4, "short")])
    told = terminal.type("commands", "classify_bug").stdout
    assert all(said in told for said in ("4.0 of 5 (1 rating)", "★ yours"))
    assert terminal.json("commands", "classify_bug", "--no-favour")["favourite"] is False
    for line, said in ((("commands", "--rate", "3"), "Which command?"), (("commands", "classify_bug", "--comment", "x"), "goes with --rate")):
        refused = terminal.type(*line)
        assert (refused.returncode, said in refused.stderr) == (2, True)


def test_a_result_is_commented_on_and_shown_with_what_was_said(terminal, triaged):
    (result,) = terminal.json("show", triaged["id"])["results"]
    assert terminal.json("results", result["id"])["comments"] == []
    (said,) = terminal.json("results", result["id"], "--comment", "Is it the\nexport?")["comments"]
    assert (said["text"], said["result_id"]) == ("Is it the\nexport?", result["id"])
    assert "export?" in terminal.type("results", result["id"]).stdout
    alone = terminal.type("results", "--comment", "x")
    assert (alone.returncode, "Which result?" in alone.stderr) == (2, True)


def test_issues_belong_to_the_run(terminal, triaged):
    found = terminal.json("issues", "--project", "DEMO")
    assert {issue["key"] for issue in found} == set(triaged["outputs"]["issues"])
    assert {issue["run_id"] for issue in found} == {triaged["id"]}
    assert terminal.json("issues", "--state", "done") == []


def test_integers_stay_integers_and_missing_is_null(terminal, triaged):
    line = "select id, cost_nanos, error, started_at, case when step_id like 'rank%' then 1 end as gap from attempts"
    rows = terminal.json("sql", line)
    assert len(rows) == 6
    assert {row["error"] for row in rows} == {None}
    assert {type(row["cost_nanos"]) for row in rows} == {int}
    assert {row["gap"] for row in rows} == {1, None}
    assert all(type(row["gap"]) in {int, type(None)} for row in rows)
    assert all(row["started_at"].endswith("Z") for row in rows)


def test_spend_is_the_ledgers_sum(terminal, triaged):
    rows = terminal.json("spend", "--by", "model,run_id", "--run", triaged["id"][:8])
    assert [(row["model"], row["run_id"], row["cost_nanos"], row["offline"]) for row in rows] == [("offline/extractive", triaged["id"], 0, 6)]


@pytest.mark.usefixtures("real_processes")
def test_sql_reads_its_statement_from_stdin(terminal, triaged):
    done = terminal.type("sql", "-", "--json", stdin="select 1 as one")
    assert json.loads(done.stdout) == [{"one": 1}]


def test_sql_says_when_there_are_more_rows_than_its_limit(terminal, triaged):
    done = terminal.type("sql", "select seq from events", "--limit", "2", "--json")
    assert len(json.loads(done.stdout)) == 2
    assert "These are the first 2 rows, there are more" in done.stderr
    assert "Warning" not in done.stderr
    assert "there are more" not in terminal.type("sql", "select 1 as one", "--json").stderr


def test_a_command_prints_its_answer_and_labels_it(terminal):
    shown = terminal.type("command", "classify_bug", "-i", TEXT, *OFFLINE)
    assert shown.returncode == 0, shown.stderr
    assert json.loads(shown.stdout)["is_report"] is True
    assert "⌁ offline model, not a real answer" in shown.stderr
    document = terminal.json("command", "classify_bug", "-i", TEXT, "-i", 'components=["core", "ui"]', *OFFLINE)
    assert document["output"]["component"] in {"core", "ui"}
    assert document["offline"] is True
    assert document["cost_usd"] == "0"


def test_a_preview_sends_nothing(terminal, triaged):
    before = terminal.json("sql", "select count(*) as n from attempts")
    document = terminal.json("command", "classify_bug", "-i", TEXT, "--preview")
    assert "crashes on save" in document["text"]
    assert terminal.json("sql", "select count(*) as n from attempts") == before


def test_an_agent_answers_from_stdin_too(terminal):
    done = terminal.type("ask", "bug-triage", "-", *OFFLINE, "--json", stdin="The export crashes. The menu is slow. Which is worse?")
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert document["agent"]
    assert document["offline"] is True
    assert document["text"]


def test_budgets_are_set_listed_and_removed(terminal):
    made = terminal.json("budget", "set", "tests", "--limit", "12.50", "--period", "day", "--soft")
    assert (made["limit_usd"], made["limit_nanos"], made["hard"], made["period"]) == ("12.5", 12_500_000_000, False, "day")
    assert "tests" in [one["name"] for one in terminal.json("budget")]
    assert "12.50 USD" in terminal.type("budget").stdout
    assert terminal.json("budget", "remove", "tests") == {"removed": "tests"}
    assert "tests" not in [one["name"] for one in terminal.json("budget")]


def test_a_backup_is_a_file_of_its_own(terminal, triaged, tmp_path):
    import duckdb

    document = terminal.json("backup", str(tmp_path / "copy.duckdb"))
    assert document["size_bytes"] > 0
    with duckdb.connect(document["file"], read_only=True) as copy:
        assert copy.execute("select count(*) from runs where id = ?", [triaged["id"]]).fetchone() == (1,)


def test_server_status_logs_and_stop(own_terminal):
    assert own_terminal.json("server", "status")["running"] is False
    own_terminal.json("runs")
    status = own_terminal.json("server", "status")
    assert status["running"] is True
    assert status["health"]["server"]["pid"] > 0
    assert own_terminal.json("server", "logs")["log"].endswith("server.log")
    assert own_terminal.json("server", "stop")["stopped"] is True
    assert own_terminal.json("server", "status")["running"] is False
    assert own_terminal.json("server", "stop")["stopped"] is False
