"""A workflow written in Python is the workflow that YAML says: the same record, the same version."""

from __future__ import annotations

import inspect
from datetime import UTC, date, datetime
from importlib import resources

import pytest

import hishamos
from hishamos.composition import open_in_process
from hishamos.engine.steps import TABLE, step_type
from hishamos.engine.templates import condition, value
from hishamos.errors import InvalidDefinition, InvalidInput
from hishamos.flows.expressions import bare
from hishamos.flows.steps import Options, Steps
from hishamos.library.functions import bugs
from hishamos.records.definitions import Goto, Parameter, Retry, StepDefinition, WorkflowDefinition
from hishamos.services.reading import Source, written

FUNCTIONS = "hishamos.library.functions."


def triage():
    """The shipped workflow, said in Python."""
    flow = hishamos.workflow(
        "triage_bugs", "From a CSV of reports to a ranked release report and issues.", category="testing", tags=["bug", "triage", "release"]
    )
    file = flow.input("file", "file", description="a CSV with the columns id,title,body; more columns are allowed")
    project = flow.input("project", description="the project that gets the issues", default="DEMO")
    publish = flow.input(
        "publish", "choice", description="whether to save the report and the issues: ask first, yes, no", choices=["ask", "yes", "no"], default="ask"
    )
    read = flow.python("read", function=bugs.read_reports, arguments={"file": file, "project": project}, description="Read and check the file")
    classify = flow.map(
        "classify",
        over=read.output.rows,
        step=lambda row: flow.inner.command(command="classify_bug", inputs={"text": row.text}),
        concurrency=16,
        retry=3,
        description="Classify each report",
    )
    duplicates = flow.python(
        "duplicates",
        function=bugs.find_duplicates,
        arguments={"rows": read.output.rows, "classes": classify.output},
        description="Find reports of the same fault",
    )
    score = flow.python(
        "score",
        function=bugs.group_and_score,
        arguments={"rows": read.output.rows, "classes": classify.output, "duplicates": duplicates.output},
        description="Group and score the faults from facts",
    )
    rank = flow.agent(
        "rank",
        agent="bug-triage",
        task="Write a release report on these faults. Each was reported by users; the score was counted from facts. "
        "Choose the three faults to fix first, by their ids and with the reason, and say in a few sentences where the product stands.",
        data={"overview": score.output.overview, "groups": score.output.groups[:100]},
        output=shipped().steps[4].with_["output"],
        when=score.output.groups,
        description="Rank the faults and write the release report",
    )
    check = flow.python(
        "check",
        function=bugs.check_ranking,
        arguments={"ranking": rank.output, "groups": score.output.groups},
        when=rank.output,
        description="Hold the ranking against the facts",
    )
    approve = flow.approval(
        "approve",
        message=f"Publish? {score.output.overview} Issues go to {project}.",
        on_reject="continue",
        after=[check],
        when=(publish == "ask") & score.output.groups,
    )
    save = flow.python(
        "save",
        function=FUNCTIONS + "filing:save",
        arguments={"report": check.output, "facts": score.output, "project": project, "name": read.output.name, "run": flow.run.id},
        when=score.output.groups & ((publish == "yes") | (approve.output & (approve.output.decision == "approve"))),
        description="Save the report as a result and the faults as issues",
    )
    flow.outputs(
        overview=score.output.overview,
        report=check.output,
        top=flow.choose(check.output, check.output.top, []),
        result=flow.choose(save.output, save.output.result),
        issues=flow.choose(save.output, save.output.issues, []),
    )
    return flow.definition()


def shipped() -> WorkflowDefinition:
    file = resources.files("hishamos.library") / "workflows" / "triage_bugs.yaml"
    return Source(file.read_text(encoding="utf-8"), "triage_bugs.yaml").read(WorkflowDefinition)[0]


def test_the_shipped_workflow_has_the_same_version_in_python():
    made, yaml = triage(), shipped()
    for mine, its in zip(made.steps, yaml.steps, strict=True):
        assert mine.model_dump(exclude_defaults=True) == its.model_dump(exclude_defaults=True)
    assert made.model_dump(exclude_defaults=True) == yaml.model_dump(exclude_defaults=True)
    assert made.version == yaml.version


def every_type():
    flow = hishamos.workflow(
        "every", "Every type of step.", inputs={"n": "integer", "day": {"type": "date", "default": "2026-11-28"}, "t": Parameter(default="x")}
    )
    inner = flow.inner
    sql = flow.sql("rows", query="select count(*) as n from runs where name = $name", parameters={"name": flow.inputs.t}, limit=5)
    loop = flow.loop(
        "improve",
        step=lambda item, previous: inner.command(command="classify_bug", inputs={"text": flow.choose(previous, previous, "first")}),
        until=lambda previous: previous.confidence > 0.5,
        at_most=3,
        at_bound="continue",
    )
    each = flow.loop("each", for_=sql.output.rows, step=lambda row, row_index: inner.approval(message=f"{row_index}: {row.n}"), as_="row")
    flow.switch(
        "way", on=flow.inputs.n, cases={"1": inner.wait(seconds=1), "2": inner.wait(event="go")}, default=inner.wait(until=datetime(2027, 1, 1, tzinfo=UTC))
    )
    flow.http(
        "tell",
        url="https://api.example.com/x",
        method="POST",
        headers={"X-Key": "env:KEY"},
        json={"n": flow.inputs.n},
        timeout_s=5,
        ok=[404],
        retry=Retry(attempts=2),
    )
    flow.shell("list", program="ls", args=["-l", each.output.iterations], ok_codes=[0, 1], on_error="continue", timeout=9)
    flow.workflow("child", workflow="triage_bugs", inputs={"file": "x.csv"}, on_error=Goto(goto="rows", at_most=2), after=["rows"])
    flow.agent(
        "ask",
        agent="bug-triage",
        task="x",
        data=[loop.output],
        compensate=inner.python(function=FUNCTIONS + "bugs:find_duplicates", arguments={"rows": [], "classes": []}),
    )
    flow.step("more", type="approval", with_={"message": "m"}, when=~(flow.inputs.n >= 3))
    flow.outputs(n=sql.output.rows.piped("length"), first=sql.output.rows[0]["n"])
    return flow


YAML = """
name: every
description: Every type of step.
inputs: {n: {type: integer}, day: {type: date, default: "2026-11-28"}, t: {default: x}}
steps:
  - {id: rows, type: sql, with: {query: select count(*) as n from runs where name = $name, parameters: {name: "{{ inputs.t }}"}, limit: 5}}
  - id: improve
    type: loop
    with:
      until: previous.confidence > 0.5
      at_most: 3
      at_bound: continue
      step: {type: command, with: {command: classify_bug, inputs: {text: "{{ previous if previous else 'first' }}"}}}
  - id: each
    type: loop
    after: [rows]
    with: {for: "{{ steps.rows.output.rows }}", as: row, step: {type: approval, with: {message: "{{ row_index }}: {{ row.n }}"}}}
  - id: way
    type: switch
    with:
      on: "{{ inputs.n }}"
      cases: {"1": {type: wait, with: {seconds: 1}}, "2": {type: wait, with: {event: go}}}
      default: {type: wait, with: {until: "2027-01-01T00:00:00+00:00"}}
  - id: tell
    type: http
    with: {url: "https://api.example.com/x", method: POST, headers: {X-Key: "env:KEY"}, json: {n: "{{ inputs.n }}"}, timeout_s: 5, ok: [404]}
    retry: {attempts: 2}
  - {id: list, type: shell, after: [each], timeout: 9, on_error: continue, with: {program: ls, args: ["-l", "{{ steps.each.output.iterations }}"], ok_codes: [0, 1]}}
  - {id: child, type: workflow, after: [rows], on_error: {goto: rows, at_most: 2}, with: {workflow: triage_bugs, inputs: {file: x.csv}}}
  - id: ask
    type: agent
    after: [improve]
    with: {agent: bug-triage, task: x, data: ["{{ steps.improve.output }}"]}
    compensate: {type: python, with: {function: "hishamos.library.functions.bugs:find_duplicates", rows: [], classes: []}}
  - {id: more, type: approval, when: not inputs.n >= 3, with: {message: m}}
outputs: {n: "{{ steps.rows.output.rows | length }}", first: "{{ steps.rows.output.rows[0]['n'] }}"}
"""


def test_every_type_of_step_is_what_yaml_says(tmp_path):
    yaml = Source(YAML, "every.yaml").read(WorkflowDefinition)[0]
    made = every_type().definition()
    for mine, its in zip(made.steps, yaml.steps, strict=True):
        assert mine.model_dump(exclude_defaults=True) == its.model_dump(exclude_defaults=True)
    assert made.version == yaml.version
    with open_in_process(tmp_path) as ws, pytest.raises(InvalidDefinition, match="going back to 'rows' would run 'each' again"):
        ws.workflows.check(made)
    assert Source(written(made), "x").read(WorkflowDefinition)[0].version == made.version


@pytest.mark.parametrize("name", sorted(TABLE))
def test_each_type_has_a_method_with_all_that_it_takes(name):
    fields = {field.alias or key for key, field in step_type(name).inputs.model_fields.items()}
    taken = {parameter.rstrip("_") for parameter in inspect.signature(getattr(Steps, name)).parameters} - {"self", "id", *Options.__annotations__}
    assert taken == (fields | {"arguments"} if name == "python" else fields)


def test_options_are_those_of_a_step():
    fields = {field.alias or key for key, field in StepDefinition.model_fields.items()}
    assert set(Options.__annotations__) == fields - {"id", "type", "with"}
    shown = inspect.signature(hishamos.workflow("w", "d").map).parameters
    assert [name for name in shown if name in Options.__annotations__] == list(Options.__annotations__)


def test_expressions_read_as_they_were_meant():
    flow = hishamos.workflow("w", "d", inputs={"a": "integer", "b": "list"})
    a, b = flow.inputs.a, flow.inputs.b
    told = {
        "inputs.a == 'it\\'s' or inputs.a < 3": (a == "it's") | (a < 3),
        "not (inputs.a or inputs.b)": ~(a | b),
        "(inputs.a + 1) * 2 > 5": (a + 1) * 2 > 5,
        "10 - (inputs.a - 1)": 10 - (a - 1),
        "2 in inputs.b and inputs.a != none": b.contains(2) & (a != None),  # noqa: E711 - compared by the run
        "inputs.b | length >= 2": b.piped("length") >= 2,
        "(inputs.a if inputs.b else none).x": flow.choose(b, a).x,
        "inputs.b[1:]": b[1:],
        "(inputs.b | length).x | abs | round(1, method='floor')": b.piped("length").x.piped("abs").piped("round", 1, method="floor"),
        "inputs.a in [1, 'x', true]": flow.expression("inputs.a in [1, 'x', true]"),
    }
    for text, made in told.items():
        assert bare(made).replace('"it\'s"', "'it\\'s'") == text
        assert str(made) == "{{ " + bare(made) + " }}"
    scope = {"inputs": {"a": 4, "b": [1, 2]}}
    assert condition(bare((a + 1) * 2 > 5), scope, "x") is True
    assert condition(bare(b.piped("length") >= 2), scope, "x") is True
    assert value(str(10 - (a - 1)), scope, "x") == 7


def test_what_python_would_decide_at_once_is_refused():
    flow = hishamos.workflow("w", "d", inputs={"a": "integer"})
    for wrong in (
        lambda: flow.inputs.a and 1,
        lambda: 1 in flow.inputs.a,
        lambda: list(flow.inputs.a),
        lambda: f"{flow.inputs.a:>5}",
        lambda: {flow.inputs.a: 1},
    ):
        with pytest.raises(TypeError):
            wrong()
    with pytest.raises(AttributeError, match="did you mean 'a'"):
        _ = flow.inputs.aa
    assert dir(flow.inputs) == ["a"]


def test_mistakes_are_told_where_the_flow_is_written():
    flow = hishamos.workflow("w", "d")
    with pytest.raises(InvalidDefinition, match="has no id"):
        flow.command(command="x")
    flow.command("a", command="x")
    with pytest.raises(InvalidDefinition, match="used twice"):
        flow.command("a", command="y")
    with pytest.raises(InvalidInput, match=r"a object is no plain data \(step b, inputs\.x\)"):
        flow.command("b", command="x", inputs={"x": object()})
    with pytest.raises(InvalidDefinition, match="workflow w, input n, type"):
        flow.input("n", "integr")  # type: ignore[arg-type]
    flow.command("c", command="x", inputs={"day": date(2026, 11, 28)}, retry=0)
    with pytest.raises(InvalidDefinition, match="step c, retry.attempts"):
        flow.definition()


def test_steps_wait_for_what_they_read():
    flow = hishamos.workflow("w", "d")
    a = flow.approval("a", message="m")
    b = flow.approval("b-1", message=f"see steps.a.output and {a.output.by}")
    c = flow.approval("c", message="m", when=b.state == "succeeded")
    flow.approval("d", message=f"{a.output} {b.output} {c.output}")
    flow.approval("e", message=f"{a.output}", after=[c])
    flow.approval("f", message="{% if steps.a.output %}steps.c{% endif %} steps.b", after=["e", a])
    assert {step.id: step.after for step in flow.definition().steps} == {"a": (), "b-1": ("a",), "c": ("b-1",), "d": ("c",), "e": ("c",), "f": ("e", "a")}


def test_a_flow_is_started_saved_and_checked(tmp_path):
    flow = hishamos.workflow("hello", "Says hello.", inputs={"name": {"type": "text", "default": "Amal"}})
    said = flow.map(
        "each", over=["a", "b"], step=lambda item, item_index: flow.inner.command(command="greet", inputs={"name": f"{item_index} {item} {flow.inputs.name}"})
    )
    flow.outputs(said=said.output, many=said.output.piped("length"))
    with open_in_process(tmp_path) as ws:
        ws.commands.save(hishamos.Command(name="greet", description="Greets.", template="Say hello to {{ name }}.", parameters={"name": {"type": "text"}}))
        run = ws.workflows.start(flow.definition(), {"name": "Hind"}, model="offline/extractive").wait(30)
        assert (run.state, run.outputs["many"]) == ("succeeded", 2)
        assert ws.workflows.start(flow, model="offline/extractive").wait(30).state == "succeeded"
        saved = ws.workflows.save(flow)
        assert ws.workflows.get("hello").version == saved.version == flow.definition().version
