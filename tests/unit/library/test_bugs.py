"""Duplicates, scores and the check of a ranking: facts only."""

import json
import pathlib
import time

import pytest
import yaml

from hishamos.errors import InvalidInput
from hishamos.gateway.offline import extract
from hishamos.library.functions.bugs import check_ranking, find_duplicates, group_and_score
from hishamos.library.functions.filing import markdown

ROOT = pathlib.Path(__file__).parents[3]


def row(name, title, body):
    return {"id": name, "title": title, "body": body, "text": f"{title}\n{body}", "line": 2, "more": {}}


def kind(severity="major", component="ui", is_report=True, reproducible=False):
    return {"severity": severity, "component": component, "is_report": is_report, "reproducible": reproducible}


ROWS = [
    row("A", "Export to PDF hangs", "The PDF export of long documents hangs for ever at 99 percent."),
    row("B", "Typo in menu", "The menu says Fiel."),
    row("C", "PDF export never ends", "Exporting a long document to PDF hangs at 99 percent."),
    row("D", "test", "test test"),
    row("E", "Notes lost", "All notes are lost after the update."),
]
KINDS = [kind("major", "storage"), kind("trivial"), kind("blocker", "storage", reproducible=True), kind(is_report=False), kind("blocker", "storage")]


@pytest.fixture
def facts():
    return group_and_score(ROWS, KINDS, find_duplicates(ROWS, KINDS))


def test_duplicates_are_found_and_nonsense_is_left_out():
    found = find_duplicates(ROWS, KINDS)
    assert found["groups"] == [["A", "C"]]
    assert [(pair["first"], pair["second"]) for pair in found["pairs"]] == [("A", "C")]
    assert 0.2 < found["pairs"][0]["similarity"] <= 1


def test_two_rows_of_nonsense_are_no_duplicates():
    rows = [row("A", "test", "test"), row("B", "test", "test"), row("C", "Lost", "All is lost")]
    assert find_duplicates(rows, [kind(is_report=False), kind(is_report=False), kind()]) == {"pairs": [], "groups": []}


def test_scores_come_from_facts(facts):
    assert [(group["id"], group["score"]) for group in facts["groups"]] == [("A", 120), ("E", 100), ("B", 5)]
    first = facts["groups"][0]
    assert (first["severity"], first["component"], first["reports"]) == ("blocker", "storage", ["A", "C"])
    assert first["reasons"] == ["blocker", "reported 2 times (A, C)", "happens again as described"]
    assert facts["rejected"] == [{"id": "D", "title": "test"}]
    assert facts["overview"] == "4 reports tell of 3 faults (2 blocker, 1 trivial); 1 of 5 rows is no report."
    assert json.loads(json.dumps(facts)) == facts


def test_only_nonsense():
    facts = group_and_score([ROWS[3]], [KINDS[3]], {"pairs": [], "groups": []})
    assert (facts["groups"], facts["counts"]["rejected"]) == ([], 1)


@pytest.mark.parametrize("classes", [KINDS[:2], [*KINDS[:4], None]])
def test_rows_without_a_class_are_told(classes):
    with pytest.raises(InvalidInput) as told:
        find_duplicates(ROWS, classes)
    assert "rows" in str(told.value)


def test_ranking_keeps_what_exists_and_says_what_does_not(facts):
    ranking = {
        "headline": " Not ready ",
        "body": "…",
        "top": [{"id": "C", "reason": "hurts most"}, {"id": "X-9", "reason": "made up"}, {"id": "A", "reason": "again"}],
    }
    checked = check_ranking(ranking, facts["groups"])
    assert [(pick["id"], pick["reason"], pick["picked_by"]) for pick in checked["top"]] == [
        ("A", "hurts most", "model"),
        ("E", "blocker", "score"),
        ("B", "trivial", "score"),
    ]
    assert checked["unknown"] == ["X-9"]
    assert checked["headline"] == "Not ready"
    assert "X-9" in markdown(checked, facts, {})


def test_offline_ranking_names_real_reports(facts):
    workflow = yaml.safe_load((ROOT / "hishamos/library/workflows/triage_bugs.yaml").read_text(encoding="utf-8"))
    step = next(step for step in workflow["steps"] if step["id"] == "rank")["with"]
    data = json.dumps({"overview": facts["overview"], "groups": facts["groups"]}, ensure_ascii=False)
    answer = extract("", f"{step['task']}\n\n{data}", step["output"], 2048)
    ranking = json.loads(answer.text)
    assert answer.not_judged == ()
    assert ranking["headline"] == facts["overview"]
    assert ranking["top"] == [
        {"id": "A", "reason": "blocker; reported 2 times (A, C); happens again as described"},
        {"id": "E", "reason": "blocker"},
        {"id": "B", "reason": "trivial"},
    ]
    assert "Notes lost" in ranking["body"]


def test_many_reports_take_seconds():
    rows = [row(str(n), f"Fault {n} in part {n % 97}", f"Part {n % 97} of screen {n} shows value {n * 7} and fails with code {n * 13}.") for n in range(2000)]
    started = time.perf_counter()
    find_duplicates(rows, [kind()] * len(rows))
    assert time.perf_counter() - started < 30
