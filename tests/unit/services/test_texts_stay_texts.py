"""A bug titled None, 123 or [1] stays that text on every way that it takes; conditions read as a Python user expects, in a real run."""

from __future__ import annotations

import csv
import io
import json

import pytest
import yaml

import hishamos
from hishamos.composition import open_in_process
from hishamos.errors import InvalidDefinition
from hishamos.records.results import ResultDraft

OFFLINE = "offline/extractive"
TITLES = ["None", "123", "[1]", "true", "1e3", "null", "NaN", "0x1f", "1_000", "yes", "2026-11-28", "{{ 7 * 7 }}", "{% raw %}", "=1+1", "{'a': 1}", "-0", "é ü ☃", "a\nb"]  # fmt: skip
ECHO = "name: say\ndescription: Says it.\ntemplate: 'Title: {{ title }}'\nparameters: {title: {type: string}}\n"
FLOW = """name: titles
description: Titles through every kind of place.
inputs: {file: {type: file}, title: {type: string}, list: {type: list}}
steps:
  - {id: read, type: python, with: {function: "hishamos.library.functions.bugs:read_reports", file: "{{ inputs.file }}"}}
  - {id: each, type: map, after: [read], with: {over: "{{ steps.read.output.rows }}", as: row, step: {type: command, with: {command: say, inputs: {title: "{{ row.title }}"}}}}}
  - {id: one, type: command, after: [each], with: {command: say, inputs: {title: "{{ inputs.title }}"}}}
outputs:
  from_file: "{{ steps.read.output.rows | map(attribute='title') | list }}"
  given: "{{ inputs.title }}"
  listed: "{{ inputs.list }}"
  nested: {deep: ["{{ inputs.list[0] }}", {x: "{{ inputs.list[1] }}"}]}
  text: "title {{ inputs.title }}"
"""


@pytest.fixture(scope="module")
def ws(tmp_path_factory):
    with open_in_process(tmp_path_factory.mktemp("texts")) as workspace:
        workspace.commands.save(ECHO)
        workspace.workflows.save(FLOW)
        yield workspace


@pytest.fixture(scope="module")
def run(ws, tmp_path_factory):
    file = tmp_path_factory.mktemp("csv") / "bugs.csv"
    with file.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(["id", "title", "body"])
        writer.writerows((f"B-{number}", title, "It fails.") for number, title in enumerate(TITLES))
    return ws.workflows.start("titles", {"file": str(file), "title": "None", "list": TITLES}, model=OFFLINE).wait(60)


def test_from_a_file_through_inputs_and_outputs(run):
    assert run.state == "succeeded"
    assert run.outputs["from_file"] == [title.strip() for title in TITLES]
    assert run.outputs["listed"] == run.inputs["list"] == TITLES
    assert (run.outputs["given"], run.outputs["text"]) == ("None", "title None")
    assert run.outputs["nested"] == {"deep": ["None", {"x": "123"}]}


def test_through_the_items_of_a_map(ws, run):
    items = [step for step in ws.runs.steps(run.id) if step.path.startswith("each[")]
    assert [step.inputs["inputs"]["title"] for step in items] == TITLES
    assert all(isinstance(step.output, str) for step in items)


@pytest.mark.parametrize("title", TITLES)
def test_in_what_a_command_sends(ws, title):
    assert ws.commands.preview("say", {"title": title}).rstrip() == f"Title: {title}".rstrip()


def test_in_results_and_exports(ws, run):
    for title in TITLES:
        saved = ws.results.save(ResultDraft(title=title, body=title, summary=title))
        again = ws.results.get(saved.id)
        assert (again.title, again.body, again.summary) == (title, title, title)
    frame = ws.sql("select title from results where title = $title", parameters={"title": "123"})
    assert frame["title"].tolist() == ["123"]
    assert json.loads(run.model_dump_json())["outputs"]["from_file"] == run.outputs["from_file"]


def test_in_a_frame_that_is_mapped(ws):
    import pandas as pd

    frame = ws.map(pd.DataFrame({"title": TITLES}), "say", model=OFFLINE)
    assert frame["title"].tolist() == TITLES
    assert set(frame["hos_status"]) == {"succeeded"}
    assert all(isinstance(text, str) for text in frame["output"])
    back = pd.read_csv(io.StringIO(frame.to_csv(index=False)), dtype=str, keep_default_na=False)
    assert back["title"].tolist() == TITLES


CONDITIONS = {
    "5 >= 3": True,
    "1 == 2 or 1 == 1": True,
    "not 1 == 2": True,
    "1 < 2 < 3 and not 3 < 2 < 1": True,
    "inputs.n > 2 and inputs.n != 4": True,
    "inputs.text == 'None'": True,
    "inputs.text is none": False,
    "inputs.none is none and not inputs.none": True,
    "inputs.none == None": True,
    "inputs.digits == 123": False,
    "inputs.digits == '123'": True,
    "inputs.digits | int == 123": True,
    "inputs.yes and inputs.yes == True and inputs.yes is true": True,
    "inputs.no": False,
    "inputs.rows": True,
    "inputs.empty or inputs.blank or inputs.nothing": False,
    "inputs.rows[0].title == '[1]' and inputs.rows[-1].n == 2": True,
    "inputs.rows[0]['title'] in ['[1]', 'x']": True,
    "2 in inputs.rows | map(attribute='n') | list and 'n' in inputs.rows[0] and 'z' not in inputs.rows[0]": True,
    "inputs.rows | length == 2 and inputs.rows | map(attribute='n') | sum == 3": True,
    "inputs.rows[0].missing is defined": False,
    "inputs.rows[0].missing | default('x') == 'x'": True,
    "inputs.deep.a.b.c == [1, {'d': None}]": True,
    "inputs.deep == {'a': {'b': {'c': [1, {'d': none}]}}}": True,
    "inputs.text != '{{ 7 }}' and inputs.text != '{% x'": True,
    "inputs.day >= '2026-11-28' and inputs.day < '2026-12-01'": True,
    "inputs.day == '2026-11-28'": True,
    "0.1 + 0.2 == 0.3": False,
    "7 // 2 == 3 and 7 % 2 == 1 and 2 - 5 == -3 and 5 / 2 == 2.5": True,
    "'a' < 'b' and 'abc'[0] == 'a' and 'b' in 'abc' and 'abc'.upper() == 'ABC'": True,
    "(inputs.none or 'x') == 'x' and (inputs.n and 'y') == 'y'": True,
    "'yes' if inputs.n == 3 else ''": True,
    "steps.first.output is none and steps.first.state == 'skipped'": True,
}


def test_conditions_in_a_run_are_what_python_says(ws):
    steps = [{"id": "first", "type": "approval", "when": "inputs.no", "with": {"message": "?"}}]
    steps += [{"id": f"c{place}", "type": "wait", "after": ["first"], "when": text, "with": {"seconds": 0}} for place, text in enumerate(CONDITIONS)]
    inputs = {"n": 3, "text": "None", "none": None, "digits": "123", "yes": True, "no": False, "empty": [], "blank": "", "nothing": {}, "day": "2026-11-28"}
    inputs |= {"rows": [{"title": "[1]", "n": 1}, {"title": "x", "n": 2}], "deep": {"a": {"b": {"c": [1, {"d": None}]}}}}
    types = {int: "integer", bool: "boolean", list: "list", dict: "object", str: "string"}
    declared = {name: {"type": types.get(type(value), "string"), **({"default": None} if value is None else {})} for name, value in inputs.items()}
    declared["day"] = {"type": "date"}
    constant = [place for place, (text, holds) in enumerate(CONDITIONS.items()) if not holds and "inputs" not in text and "steps" not in text]
    wanted = {f"c{place}": "succeeded" if holds else "skipped" for place, holds in enumerate(CONDITIONS.values()) if place not in constant}
    kept = [step for step in steps if step["id"] not in {f"c{place}" for place in constant}]
    flow = hishamos.Workflow.model_validate({"name": "conditions", "description": "d", "inputs": declared, "steps": kept})
    done = ws.workflows.start(flow, inputs).wait(60)
    assert done.state == "succeeded", done.error
    states = {step.path: step.state.value for step in ws.runs.steps(done.id)}
    texts = list(CONDITIONS)
    assert {texts[int(path[1:])]: state for path, state in states.items() if path in wanted and state != wanted[path]} == {}
    assert len(states) == len(kept)
    for place in constant:
        with pytest.raises(InvalidDefinition, match="never runs"):
            ws.workflows.check(yaml.safe_dump({"name": "c", "description": "d", "steps": [{**steps[place + 1], "after": []}]}))


def test_what_is_missing_fails_the_step_and_says_what(ws):
    flow = {"name": "missing", "description": "d", "inputs": {"o": {"type": "object"}}, "steps": [{"id": "a", "type": "wait", "when": "inputs.o.x.y == 1", "with": {"seconds": 0}}]}  # fmt: skip
    done = ws.workflows.start(hishamos.Workflow.model_validate(flow), {"o": {}}).wait(30)
    assert done.state == "failed"
    assert "'x'" in done.error.message
    assert "a, when" in done.error.message
