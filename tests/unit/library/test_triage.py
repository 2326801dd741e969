"""The shipped workflow runs to its end in one process with the offline model."""

import pathlib

import pytest

import hishamos
from hishamos.records.runs import RunState

SAMPLE = pathlib.Path(__file__).parents[3] / "data" / "samples" / "bugs.csv"
OFFLINE = "offline/extractive"


@pytest.fixture
def ws(tmp_path, monkeypatch):
    (tmp_path / "hishamos.toml").write_text("")
    monkeypatch.chdir(tmp_path)
    with hishamos.open(":memory:") as workspace:
        yield workspace


def triage(ws, file, **inputs):
    run = ws.workflows.start("triage_bugs", {"file": str(file), **inputs}, model=OFFLINE)
    return ws.runs.wait(run.id, timeout_s=60)


def written(tmp_path, *rows):
    path = tmp_path / "reports.csv"
    path.write_text("\n".join(["id,title,body", *rows]) + "\n", encoding="utf-8")
    return path


def test_from_file_to_report_and_issues(ws):
    run = triage(ws, SAMPLE, publish="yes")
    assert run.state is RunState.SUCCEEDED, run.error
    assert run.offline
    assert run.cost_nanos == 0
    result = ws.results.get(run.outputs["result"])
    assert result.offline
    assert result.run_id == run.id
    assert run.outputs["overview"] in result.body
    issues = ws.issues.list(project="DEMO", limit=500)
    assert sorted(issue.key for issue in issues) == sorted(run.outputs["issues"])
    top = run.outputs["top"]
    assert len(top) == 3
    assert all(pick["severity"] == "blocker" and pick["reason"] for pick in top)
    assert top[0]["reports"] == ["R-001", "R-002", "R-033"]
    assert issues[-1].priority == "highest"


def test_the_same_file_again_makes_no_second_issues(ws, tmp_path):
    path = written(tmp_path, "1,Crash,The app crashes on save", "2,Typo,Spelling of the title is wrong")
    first = triage(ws, path, publish="yes", project="SHOP")
    again = triage(ws, path, publish="yes", project="SHOP")
    assert first.outputs["issues"] == again.outputs["issues"]
    assert len(ws.issues.list(project="SHOP")) == 2


def test_the_report_on_one_fault_holds_what_was_reported_alone(ws, tmp_path):
    run = triage(ws, written(tmp_path, "1,Crash,The app crashes on save"), publish="yes")
    report = run.outputs["report"]
    assert (report["headline"], report["body"]) == ("1 report tells of 1 fault (1 blocker).", "- 1 · Crash · blocker")
    assert [(pick["id"], pick["picked_by"]) for pick in report["top"]] == [("1", "model")]
    result = ws.results.get(run.outputs["result"])
    assert "material" not in result.body
    assert "{" not in result.body
    assert "JSON" not in result.summary


@pytest.mark.parametrize("text", ["", "  ", "\n"])
def test_an_empty_text_is_no_report(ws, text):
    answer = ws.commands.run("classify_bug", {"text": text}, model=OFFLINE)
    assert (answer.output["is_report"], answer.output["summary"]) == (False, "not judged offline")
    assert "summary" in answer.not_judged


def test_it_asks_before_it_publishes(ws, tmp_path):
    path = written(tmp_path, "1,Crash,The app crashes on save")
    run = triage(ws, path)
    assert run.state is RunState.WAITING
    assert "1 report tells of 1 fault (1 blocker)." in ws.runs.approvals()[0].message
    assert ws.issues.list() == []
    ws.runs.approve(run.id, "approve")
    run = ws.runs.wait(run.id, timeout_s=60)
    assert run.outputs["issues"] == ["DEMO-1"]


@pytest.mark.parametrize("publish", ["no", "ask"])
def test_without_consent_nothing_is_written(ws, tmp_path, publish):
    run = triage(ws, written(tmp_path, "1,Crash,The app crashes on save"), publish=publish)
    if publish == "ask":
        ws.runs.approve(run.id, "approve", decision="reject")
        run = ws.runs.wait(run.id, timeout_s=60)
    assert run.state is RunState.SUCCEEDED
    assert (run.outputs["result"], run.outputs["issues"]) == (None, [])
    assert run.outputs["top"][0]["id"] == "1"
    assert (ws.results.list(), ws.issues.list()) == ([], [])


def test_a_file_of_nonsense_ends_with_nothing_to_do(ws, tmp_path):
    run = triage(ws, written(tmp_path, "1,test,test test", "2,asdf,asdf jkl"), publish="yes")
    assert run.state is RunState.SUCCEEDED
    assert run.outputs["issues"] == []
    assert "2 of 2 rows are no report" in run.outputs["overview"]


def test_bad_input_ends_the_run_before_anything_is_sent(ws, tmp_path):
    run = triage(ws, written(tmp_path, "1,Crash,The app crashes", "1,Again,The same id"), publish="yes")
    assert run.state is RunState.FAILED
    assert "row 2 (line 3) repeats the id '1' of line 2" in run.error.message
    assert run.calls == 0
    run = triage(ws, written(tmp_path, "1,Crash,The app crashes"), publish="yes", project="my project")
    assert "'my project' is no project key" in run.error.message
