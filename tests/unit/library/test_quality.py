"""How good the offline model is on the sample, measured on the half of it that was never used for tuning."""

import csv
import itertools
import json
import pathlib

import jinja2
import pytest
import yaml

from hishamos.gateway.offline import extract
from hishamos.library.functions.bugs import find_duplicates, read_reports

ROOT = pathlib.Path(__file__).parents[3]
SAMPLES = ROOT / "data" / "samples"
SEVERITIES = ["blocker", "major", "minor", "trivial"]


@pytest.fixture(scope="module")
def rows():
    return read_reports(str(SAMPLES / "bugs.csv"))["rows"]


@pytest.fixture(scope="module")
def labels():
    with (SAMPLES / "bugs_labels.csv").open(encoding="utf-8", newline="") as file:
        return {row["id"]: row for row in csv.DictReader(file)}


@pytest.fixture(scope="module")
def question():
    command = yaml.safe_load((ROOT / "hishamos/library/commands/classify_bug.yaml").read_text(encoding="utf-8"))
    agent = yaml.safe_load((ROOT / "hishamos/library/agents/bug-triage.yaml").read_text(encoding="utf-8"))
    components = command["parameters"]["components"]["default"]
    schema = command["output"]
    schema["properties"]["component"]["enum"] = components
    template = jinja2.Template(command["template"], undefined=jinja2.StrictUndefined)
    return lambda text: extract(agent["instructions"], template.render(text=text, components=components), schema, command["max_output_tokens"])


@pytest.fixture(scope="module")
def answers(rows, question):
    return {row["id"]: json.loads(question(row["text"]).text) for row in rows}


@pytest.fixture(scope="module")
def pairs(rows, answers):
    groups = find_duplicates(rows, [answers[row["id"]] for row in rows])["groups"]
    return {frozenset(pair) for group in groups for pair in itertools.combinations(group, 2)}


def of_half(labels, half, *, real):
    return [name for name, label in labels.items() if label["half"] == half and (label["is_report"] == "true") == real]


def macro_f1(labels, guesses, names):
    scores = []
    for severity in SEVERITIES:
        hits = sum(guesses[name] == labels[name]["severity"] == severity for name in names)
        said = sum(guesses[name] == severity for name in names)
        true = sum(labels[name]["severity"] == severity for name in names)
        scores.append(2 * hits / (said + true) if said + true else 0.0)
    return sum(scores) / len(scores)


def severity_f1(labels, answers, half):
    names = of_half(labels, half, real=True)
    counted = [labels[name]["severity"] for name in names]
    majority = max(SEVERITIES, key=counted.count)
    return macro_f1(labels, {name: answers[name]["severity"] for name in names}, names), macro_f1(labels, dict.fromkeys(names, majority), names)


def component_accuracy(labels, answers, half):
    names = of_half(labels, half, real=True)
    return sum(answers[name]["component"] == labels[name]["component"] for name in names) / len(names)


def duplicates_f1(labels, pairs, half):
    """A predicted pair counts against the half when one of its reports stands in it."""
    fault = {name: label["duplicate_of"] or name for name, label in labels.items()}
    true = {frozenset(pair) for pair in itertools.combinations(of_half(labels, half, real=True), 2) if fault[pair[0]] == fault[pair[1]]}
    said = {pair for pair in pairs if any(labels[name]["half"] == half for name in pair)}
    return 2 * len(true & said) / (len(true) + len(said))


def flagged(labels, answers, half, *, real):
    names = of_half(labels, half, real=real)
    return sum(not answers[name]["is_report"] for name in names), len(names)


def test_the_sample_is_what_it_says(rows, labels):
    assert [row["id"] for row in rows] == list(labels)
    for label in labels.values():
        if label["duplicate_of"]:
            assert label["half"] == labels[label["duplicate_of"]]["half"]
    assert {label["half"] for label in labels.values()} == {"tune", "held"}
    for half in ("tune", "held"):
        assert len(of_half(labels, half, real=True)) >= 25
        assert len(of_half(labels, half, real=False)) >= 3


@pytest.mark.parametrize("half", ["tune", "held"])
def test_numbers_of_a_half(half, labels, answers, pairs, capsys):
    severity, majority = severity_f1(labels, answers, half)
    component = component_accuracy(labels, answers, half)
    duplicate = duplicates_f1(labels, pairs, half)
    nonsense, of_nonsense = flagged(labels, answers, half, real=False)
    real, of_real = flagged(labels, answers, half, real=True)
    with capsys.disabled():
        print(
            f"\n{half}: severity macro-F1 {severity:.3f} (majority guess {majority:.3f}), component accuracy {component:.3f}, "
            f"duplicate pairs F1 {duplicate:.3f}, nonsense flagged {nonsense} of {of_nonsense}, real reports flagged {real} of {of_real}"
        )
    assert severity >= 0.6
    assert severity >= majority + 0.2
    assert component >= 0.75
    assert duplicate >= 0.8
    assert nonsense == of_nonsense
    assert real <= 1


def test_arabic_reports_are_judged(rows, labels, answers):
    arabic = [row["id"] for row in rows if any("\u0600" <= c <= "\u06ff" for c in row["text"]) and labels[row["id"]]["is_report"] == "true"]
    assert len(arabic) >= 6
    assert all(answers[name]["is_report"] for name in arabic)
    assert sum(answers[name]["component"] == labels[name]["component"] for name in arabic) >= 0.75 * len(arabic)


def test_what_is_not_judged_is_named(rows, question):
    for row in rows[:5]:
        answer = question(row["text"])
        assert "confidence" in answer.not_judged
        assert "severity" not in answer.not_judged


def test_summaries_stand_in_the_report(rows, answers):
    for row in rows:
        assert answers[row["id"]]["summary"] in row["text"]


def test_examples_of_the_command_hold(question):
    command = yaml.safe_load((ROOT / "hishamos/library/commands/classify_bug.yaml").read_text(encoding="utf-8"))
    for example in command["examples"]:
        answer = json.loads(question(example["inputs"]["text"]).text)
        assert {key: answer[key] for key in example["expect"]} == example["expect"]
