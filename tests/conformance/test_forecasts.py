"""Forecasts hold against what is paid, alike on both store engines: a provider on loopback keeps the book."""

from __future__ import annotations

import time

import pytest

from hishamos.composition import open_in_process
from hishamos.errors import NoProvider, UnknownName
from tests.rigs.simulator import Simulator

TOML = """
[providers.openai]
api_key = "env:OPENAI_API_KEY"
api_base = "{url}/v1"

[routes.default]
models = ["openai/gpt-4.1-mini"]

[routes.two]
models = ["openai/gpt-4.1-mini", "openai/gpt-4.1"]
choose = "cheapest"
"""
ECHO = 'name: echo\ndescription: Says it again.\nparameters:\n  text: {type: text}\ntemplate: "{{ text }}"\nmax_output_tokens: 200\n'
AGENT = "name: clerk\ndescription: d\ninstructions: Be brief.\nlimits: {usd: '0.25'}\ntools: [echo]\n"
FLOW = """
name: flow
description: One of each.
inputs:
  words: {type: list}
  file: {type: file, optional: true}
  kind: {type: string, default: a}
steps:
  - {id: each, type: map, with: {over: "{{ inputs.words }}", as: word, step: {type: command, with: {command: echo, inputs: {text: "Say {{ word }}"}}}}}
  - {id: never, type: command, when: "inputs.kind == 'b'", with: {command: echo, inputs: {text: "never"}}}
  - id: again
    type: loop
    with: {until: "previous", at_most: 5, step: {type: command, with: {command: echo, inputs: {text: "again"}}}}
  - id: route
    type: switch
    with:
      on: "{{ inputs.kind }}"
      cases:
        a: {type: command, with: {command: echo, inputs: {text: "a"}}}
        b: {type: command, with: {command: echo, inputs: {text: "b"}}}
  - {id: later, type: command, after: [each], with: {command: echo, inputs: {text: "{{ steps.each.output[0] }}"}}}
"""
PLAIN = """
name: plain
description: One question, one that hangs on it.
inputs:
  text: {type: text}
steps:
  - {id: first, type: command, with: {command: echo, inputs: {text: "{{ inputs.text }}"}}}
"""
TABLE = """
name: table
description: As many questions as the file has rows.
inputs:
  file: {type: file}
steps:
  - {id: read, type: python, with: {function: "hishamos.library.functions.bugs:read_reports", file: "{{ inputs.file }}"}}
  - id: each
    type: map
    after: [read]
    with: {over: "{{ steps.read.output.rows }}", as: row, step: {type: command, with: {command: echo, inputs: {text: "{{ row.text }}"}}}}
"""
ASKS = "name: asks\ndescription: d\nsteps:\n  - {id: ask, type: agent, with: {agent: clerk, task: Do it}}\n"


@pytest.fixture(scope="module")
def simulator():
    with Simulator() as running:
        yield running


@pytest.fixture(params=["duckdb", "postgres"])
def ws(request, tmp_path, simulator, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-openai-0123456789")
    (tmp_path / "hishamos.toml").write_text(TOML.format(url=simulator.url))
    for folder, texts in {
        "commands": {"echo": ECHO},
        "agents": {"clerk": AGENT},
        "workflows": {"flow": FLOW, "plain": PLAIN, "table": TABLE, "asks": ASKS},
    }.items():
        (tmp_path / folder).mkdir()
        for name, text in texts.items():
            (tmp_path / folder / f"{name}.yaml").write_text(text)
    simulator.clear()
    store = request.getfixturevalue("postgres_url") if request.param == "postgres" else ":memory:"
    with open_in_process(tmp_path, store=store) as opened:
        yield opened


def kept(ws, run):
    deadline = time.monotonic() + 20
    while (found := ws.runs.forecast(run)) is None:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return found


def test_without_history_a_prompt_is_counted_and_the_bill_lies_in_the_range(ws, simulator):
    forecast = ws.commands.forecast("echo", {"text": "The app crashes on save and the file is lost. " * 10})
    (part,) = forecast.parts
    assert (part.ground, part.times, part.models) == ("counted", 1, ("openai/gpt-4.1-mini",))
    assert "at most 200" in part.how
    assert 0 < forecast.low_nanos < forecast.likely_nanos < forecast.high_nanos
    assert simulator.book() == []
    assert ws.ledger.calls() == []
    paid = ws.commands.run("echo", {"text": "The app crashes on save and the file is lost. " * 10}).cost_nanos
    assert forecast.low_nanos <= paid <= forecast.high_nanos


def test_history_of_the_same_command_on_the_same_model_is_taken_at_the_price_of_today(ws):
    paid = [ws.commands.run("echo", {"text": f"number {number} " * (number + 1)}).cost_nanos or 0 for number in range(5)]
    forecast = ws.commands.forecast("echo", {"text": "anything"})
    (part,) = forecast.parts
    assert part.ground == "history"
    assert "5 earlier answers" in part.how
    assert forecast.likely_nanos == round(sum(paid) / 5)
    assert min(paid) <= forecast.low_nanos <= forecast.likely_nanos <= forecast.high_nanos <= max(paid)
    other = ws.commands.forecast("echo", {"text": "anything"}, model="openai/gpt-4.1")
    assert other.parts[0].ground == "other models"
    assert other.likely_nanos == pytest.approx(5 * forecast.likely_nanos, rel=0.001)  # it costs five times as much a token
    both = ws.commands.forecast("echo", {"text": "anything"}, model="two")
    assert set(both.parts[0].models) == {"openai/gpt-4.1-mini", "openai/gpt-4.1"}
    assert both.low_nanos == forecast.low_nanos
    assert both.high_nanos == other.high_nanos


def test_rows_are_counted_and_equal_ones_once(ws, simulator):
    one = ws.commands.forecast("echo", {"text": "word"})
    many = ws.commands.forecast("echo", [{"text": "word"}, {"text": "word"}, {"text": "work"}])
    assert many.parts[0].times == 2
    assert many.likely_nanos == pytest.approx(2 * one.likely_nanos, rel=0.1)
    assert simulator.book() == []


def test_what_has_no_price_says_so(ws):
    forecast = ws.commands.forecast("echo", {"text": "x"}, model="openai/my-own")
    assert forecast.parts[0].ground == "unpriced"
    assert (forecast.whole, forecast.likely_nanos, forecast.left_out) == (False, 0, forecast.parts)


def test_a_workflow_is_gone_through_step_by_step(ws, simulator):
    forecast = ws.workflows.forecast("flow", {"words": ["one", "two", "three"]})
    times = {part.step: part.times for part in forecast.parts}
    assert times == {"each[]": 3, "again[]": 3, "route/a": 1, "later": 1}
    grounds = {part.step: part.ground for part in forecast.parts}
    assert grounds == {"each[]": "counted", "again[]": "unknown", "route/a": "counted", "later": "unknown"}
    assert [part.step for part in forecast.left_out] == ["again[]", "later"]
    assert not forecast.whole
    assert simulator.book() == []
    assert {part.step for part in ws.workflows.forecast("flow", {"words": [], "kind": "b"}).parts} >= {"never", "route/b"}


def test_a_map_over_what_a_step_makes_of_a_file_is_taken_for_its_rows(ws, tmp_path):
    (tmp_path / "rows.csv").write_text("id,title,body\n" + "".join(f"{number},t,b\n" for number in range(7)))
    (part,) = ws.workflows.forecast("table", {"file": str(tmp_path / "rows.csv")}).parts
    assert part.times == 7
    assert "as often as the file has rows" in part.how
    assert part.likely_nanos is None
    for number in range(3):
        ws.commands.run("echo", {"text": f"number {number}"})
    forecast = ws.workflows.forecast("table", {"file": str(tmp_path / "rows.csv")})
    assert forecast.parts[0].ground == "history"
    assert forecast.likely_nanos > 0


def test_an_agent_with_tools_has_only_its_limit(ws):
    (part,) = ws.workflows.forecast("asks").parts
    assert (part.ground, part.likely_nanos) == ("limit", None)
    assert "0.25 USD" in part.how


def test_a_run_keeps_what_was_forecast_before_it(ws):
    run = ws.workflows.start("plain", {"text": "The app crashes. " * 20})
    ended = ws.runs.wait(run.id, timeout_s=60)
    forecast = kept(ws, run.id)
    assert forecast.parts[0].ground == "counted"
    assert forecast.low_nanos <= ended.cost_nanos <= forecast.high_nanos
    run = ws.commands.start_map("echo", [{"text": f"row {number}"} for number in range(4)])
    ws.runs.wait(run.id, timeout_s=60)
    assert kept(ws, run.id).parts[0].times == 4


def test_it_is_refused_as_a_start_would_be(ws, monkeypatch):
    with pytest.raises(UnknownName):
        ws.workflows.forecast("plan", {"text": "x"})
    with pytest.raises(UnknownName):
        ws.workflows.forecast("plain", {"text": "x"}, model="nobody")
    with pytest.raises(NoProvider):
        ws.workflows.forecast("plain", {"text": "x"}, model="anthropic/claude-haiku-4-5")


def test_the_offline_model_is_said_to_be_one(ws):
    forecast = ws.workflows.forecast("plain", {"text": "x"}, model="offline/extractive")
    assert (forecast.offline, forecast.high_nanos, forecast.whole) == (True, 0, True)


def test_a_command_that_reads_a_file_is_not_counted_without_it(ws, tmp_path):
    (tmp_path / "commands" / "look.yaml").write_text('name: look\ndescription: d\nparameters:\n  page: {type: file}\ntemplate: "What is in {{ page }}?"\n')
    (tmp_path / "page.txt").write_text("words")
    assert ws.commands.forecast("look", {"page": str(tmp_path / "page.txt")}).parts[0].ground == "unknown"
