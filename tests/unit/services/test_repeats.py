"""A run is done again as it was: what it was given is held against what it is now, before anything is paid, and the two are laid side by side."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

import hishamos
from hishamos.charts.comparison_lines import comparison_text
from hishamos.composition import open_in_process
from hishamos.errors import InputsChanged, InvalidInput, NeedsKernel, NoProvider, WrongState
from hishamos.records.callbacks import registered
from hishamos.records.runs import RunState
from hishamos.workspace import Workspace
from tests.rigs.simulator import Simulator

OFFLINE = "offline/extractive"
TOML = '[providers.openai]\napi_key = "env:OPENAI_API_KEY"\napi_base = "{url}/v1"\n[routes.default]\nmodels = ["openai/gpt-4.1-mini"]\n'
DEARER = '[prices."openai/gpt-4.1-mini"]\ninput = "0.8"\noutput = "1.6"\n'
ECHO = 'name: echo\ndescription: Say it again.\nparameters:\n  text: {type: text}\ntemplate: "{{ text }}"\n'
FLOW = """name: flow
description: Reads a file.
inputs: {file: {type: file}}
steps:
  - {id: read, type: python, with: {function: "hishamos.library.functions.bugs:read_reports", file: "{{ inputs.file }}"}}
  - {id: say, type: command, after: [read], with: {command: echo, inputs: {text: "{{ steps.read.output.rows | length }}"}}}
outputs: {rows: "{{ steps.read.output.rows }}", said: "{{ steps.say.output }}", run: "{{ run.id }}"}
"""
REPORTS = 'id,title,body\nR-1,Login fails,"Nobody can sign in since the update."\nR-2,Typo,"A typo on the help page."\n'


@pytest.fixture(scope="module")
def simulator() -> Iterator[Simulator]:
    with Simulator() as running:
        yield running


@pytest.fixture
def ws(tmp_path: Path, simulator: Simulator, monkeypatch: pytest.MonkeyPatch) -> Iterator[Workspace]:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-repeat-0123456789")
    for name, text in (("commands/echo.yaml", ECHO), ("workflows/flow.yaml", FLOW)):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_text(text)
    (tmp_path / "hishamos.toml").write_text(TOML.format(url=simulator.url))
    (tmp_path / "reports.csv").write_text(REPORTS)
    simulator.clear()
    with open_in_process(tmp_path) as workspace:
        yield workspace


def sha(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def done(ws: Workspace, **options: Any) -> Any:
    run = ws.workflows.start("flow", {"file": str(Path(ws.root) / "reports.csv")}, **options).wait(60)
    assert run.state is RunState.SUCCEEDED, run.error
    return run


def test_an_offline_run_repeats_byte_for_byte(ws: Workspace) -> None:
    run = ws.workflows.start("triage_bugs", {"file": hishamos.sample("bugs.csv"), "publish": "yes"}, model=OFFLINE).wait(60)
    begun = ws.runs.repeat(run.id[:6])
    assert (begun.repeats, begun.before.id, begun.after.id != run.id) == (True, run.id, True)
    found = begun.wait(60)
    assert (found.ended, found.same, found.differing, found.outputs) == (True, True, 0, ())
    assert all(step.same for step in found.steps), [step.path for step in found.steps if not step.same]
    assert (found.inputs, found.files, found.definitions, found.prices) == ((), (), (), ())
    assert ws.runs.get(found.id).repeats == run.id
    one = ws.results.list(run=run.id)[0], ws.results.list(run=found.id)[0]
    assert (one[0].body, one[0].id != one[1].id) == (one[1].body, True)
    assert dict(found.renamed)[one[0].id] == one[1].id, "the result is another one, and that is no difference"
    assert "the same outputs but for" in comparison_text(found)
    plain = hishamos.workflow("plain", "d", inputs={"text": "text"})
    plain.outputs(said=plain.command("say", command="classify_bug", inputs={"text": plain.inputs.text}).output)
    first = ws.workflows.start(plain.definition(), {"text": "It crashes on save"}, model=OFFLINE).wait(60)
    second = ws.runs.repeat(first.id).wait(60)
    assert (second.identical, second.renamed) == (True, ())
    assert "the same outputs, byte for byte" in comparison_text(second)


def test_a_changed_file_is_named_with_both_hashes_before_anything_is_paid(ws: Workspace, simulator: Simulator) -> None:
    run = done(ws)
    changed = REPORTS + 'R-3,New,"Another one."\n'
    (Path(ws.root) / "reports.csv").write_text(changed)
    paid = len(simulator.book())
    with pytest.raises(InputsChanged) as caught:
        ws.runs.repeat(run.id)
    for words in ("file (", "reports.csv", sha(REPORTS)[:12], sha(changed)[:12], "--accept-changes"):
        assert words in str(caught.value), words
    assert (len(ws.runs.list()), len(simulator.book())) == (1, paid)
    found = ws.runs.repeat(run.id, accept_changes=True).wait(60)
    assert [(one.name, one.before, one.after) for one in found.files] == [("file", sha(REPORTS), sha(changed))]
    assert found.outputs[0].place == "rows[2]"
    assert found.outputs[0].change == "added"
    assert "rows[2]: " in comparison_text(found)
    (Path(ws.root) / "reports.csv").unlink()
    with pytest.raises(InputsChanged, match="is gone"):
        ws.runs.repeat(run.id, accept_changes=True)


def test_definitions_are_those_that_the_run_kept_and_all_is_paid_anew(ws: Workspace, simulator: Simulator) -> None:
    simulator.script("gpt-4.1-mini", then={"text": "one\ntwo", "usage": {"input": 100, "output": 10}})
    run = done(ws, budget_usd="1")
    (Path(ws.root) / "workflows" / "flow.yaml").write_text(FLOW.replace("rows | length", "rows"))
    (Path(ws.root) / "commands" / "echo.yaml").write_text(ECHO.replace("{{ text }}", "Say: {{ text }}"))
    simulator.script("gpt-4.1-mini", then={"text": "one\nthree", "usage": {"input": 100, "output": 20}})
    found = ws.runs.repeat(run.id).wait(60)
    assert (found.before.cost_nanos, found.after.cost_nanos, found.definitions) == (56_000, 72_000, ())
    assert ws.runs.get(found.id).budget_nanos == run.budget_nanos
    assert [step.path for step in found.steps if not step.same] == ["say"]
    assert [(one.place, one.before, one.after) for one in found.outputs] == [("said", "one\ntwo", "one\nthree")]
    assert dict(found.renamed) == {run.id: found.id}
    text = comparison_text(found)
    for words in ("the outputs differ in 1 place", "0.000056 USD", "0.000072 USD", "say: ✓ succeeded, another output", "-two", "+three"):
        assert words in text, words


def test_a_changed_price_is_told_and_a_model_that_is_gone_is_refused(ws: Workspace, simulator: Simulator, monkeypatch: pytest.MonkeyPatch) -> None:
    run = done(ws)
    toml = Path(ws.root) / "hishamos.toml"
    toml.write_text(TOML.format(url=simulator.url) + DEARER)
    begun = ws.runs.repeat(run.id)
    assert [(one.model, one.kind, one.before, one.after) for one in begun.prices if one.kind in {"input", "output"}] == [
        ("openai/gpt-4.1-mini", "input", Decimal("0.4"), Decimal("0.8"))
    ], "what is known before anything is asked is told at once"
    found = begun.wait(60)
    assert found.prices[0].after == Decimal("0.8")
    assert "price of openai/gpt-4.1-mini, input: 0.4, now 0.8 USD per million tokens" in comparison_text(found)
    monkeypatch.delenv("OPENAI_API_KEY")
    toml.write_text("")
    with pytest.raises(NoProvider):
        ws.runs.repeat(run.id)
    assert len(ws.runs.list()) == 2


def test_the_rows_of_a_map_are_asked_anew_and_compared(ws: Workspace, simulator: Simulator) -> None:
    started = ws.commands.start_map("echo", [{"text": "a"}, {"text": "b"}, {"text": "c"}]).wait(60)
    simulator.script("gpt-4.1-mini", then={"text": "always this"})
    paid = len(simulator.book())
    found = ws.runs.repeat(started.id).wait(60)
    assert len(simulator.book()) == paid + 3
    assert (found.differing, [one.place for one in found.outputs]) == (3, ["rows[0].output", "rows[1].output", "rows[2].output"])
    assert [row.reused for row in ws.commands.map_rows(found.id)] == [False] * 3


def test_what_can_not_be_repeated_or_compared_says_why(ws: Workspace) -> None:
    flow = hishamos.workflow("asks", "d")
    flow.approval("ok", message="Go on?")
    waiting = ws.workflows.start(flow.definition()).wait(20)
    with pytest.raises(WrongState, match="is waiting; repeat needs a run that is succeeded, failed or cancelled"):
        ws.runs.repeat(waiting.id)
    with pytest.raises(InvalidInput, match="repeats no other run"):
        ws.runs.compare(waiting.id)
    run = done(ws)
    assert [one.name for one in ws.runs.compare(run.id, waiting.id).definitions] == ["asks", "echo"]


def test_functions_of_a_notebook_have_to_be_there_and_the_same(ws: Workspace) -> None:
    @hishamos.step
    def twice(n: int) -> int:
        return 2 * n

    flow = hishamos.workflow("calls", "d")
    flow.outputs(n=flow.python("double", function=twice, arguments={"n": 4}).output)
    try:
        run = ws.workflows.start(flow.definition()).wait(20)
        found = ws.runs.repeat(run.id).wait(20)
        assert (found.identical, found.after.outputs) == (True, {"n": 8})
        registered["twice"] = lambda n: 3 * n
        with pytest.raises(NeedsKernel, match="the source of twice"):
            ws.runs.repeat(run.id)
        assert ws.runs.repeat(run.id, accept_changes=True).wait(20).after.outputs == {"n": 12}
        del registered["twice"]
        with pytest.raises(NeedsKernel, match="twice is not registered here"):
            ws.runs.repeat(run.id)
    finally:
        registered.pop("twice", None)
