"""How far a run is and what is left: from its own pace and from earlier runs, and None where nobody can tell."""

from __future__ import annotations

import pytest

from hishamos.charts.formats import outlook as told
from hishamos.composition import open_in_process
from hishamos.records.pictures import Graph, GraphStep
from hishamos.services.outlook import outlook
from hishamos.store.usual import Usual, usual_steps
from tests.rigs.run_bench import Bench

OFFLINE = "offline/extractive"
FLOW = """name: flow
description: d
inputs: {texts: {type: list, default: [a, b, c]}}
steps:
  - {id: first, type: command, with: {command: classify_bug, inputs: {text: x}}}
  - {id: many, type: map, after: [first], with: {over: "{{ inputs.texts }}", step: {type: command, with: {command: classify_bug, inputs: {text: "{{ item }}"}}}}}
  - {id: ok, type: approval, after: [many], with: {message: "?"}}
  - {id: last, type: command, after: [ok], with: {command: classify_bug, inputs: {text: y}}}
"""


def graph(*steps):
    made = [GraphStep(id=one, type=kind, after=tuple(after), **more) for one, kind, after, more in steps]
    return Graph(name="flow", version="1", steps=tuple(made))


def step(name, state, after=(), kind="command", **more):
    return name, kind, after, {"state": state, **more}


USUAL = {"a": Usual(10, 1000), "b": Usual(20, 500), "c": Usual(5, 0), "d": Usual(100, 7)}


def test_what_is_left_is_the_longest_way_and_all_the_money():
    found = outlook(graph(step("a", "succeeded", seconds=10.0, cost_nanos=900), step("b", "pending", ["a"]), step("c", "pending", ["a"])), USUAL, 0.3)
    assert found == {"progress": round(10 / 35, 4), "left_s": 20.0, "left_nanos": 500}


def test_a_step_at_work_has_its_usual_time_less_what_it_took():
    found = outlook(graph(step("a", "running", seconds=4.0, cost_nanos=300), step("b", "pending", ["a"])), USUAL, 0.0)
    assert found == {"progress": round(4 / 30, 4), "left_s": 26.0, "left_nanos": 1200}
    late = outlook(graph(step("a", "running", seconds=40.0, cost_nanos=3000)), USUAL, 0.0)
    assert late == {"progress": 0.99, "left_s": 0.0, "left_nanos": 0}


def test_a_map_goes_by_its_own_pace_before_its_usual_time():
    running = step("d", "running", kind="map", seconds=8.0, cost_nanos=40, done=4, total=12, many=True)
    assert outlook(graph(running), USUAL, 0.3) == {"progress": round(8 / 24, 4), "left_s": 16.0, "left_nanos": 80}
    begun = step("d", "running", kind="map", seconds=8.0, done=0, total=12, many=True)
    assert outlook(graph(begun), USUAL, 0.3)["left_s"] == 92.0


def test_nobody_can_tell_of_what_was_never_seen():
    assert outlook(graph(step("a", "succeeded", seconds=1.0), step("z", "pending", ["a"])), USUAL, 0.5) == {"progress": 0.5, "left_s": None, "left_nanos": None}
    unpriced = {"a": Usual(10, None)}
    assert outlook(graph(step("a", "pending")), unpriced, 0.0) == {"progress": 0.0, "left_s": 10.0, "left_nanos": None}


def test_the_time_of_people_is_in_no_estimate():
    waiting = step("ok", "waiting", kind="approval", seconds=86_400.0)
    assert outlook(graph(step("a", "succeeded", seconds=10.0), waiting, step("b", "pending", ["ok"])), USUAL, 0.5) == {
        "progress": round(10 / 30, 4),
        "left_s": 20.0,
        "left_nanos": 500,
    }


@pytest.mark.parametrize("engine", ["duckdb", "postgres"])
def test_what_is_usual_comes_from_runs_that_succeeded(request, tmp_path, engine):
    bench = Bench(request.getfixturevalue("postgres_url") if engine == "postgres" else str(tmp_path / "usual.duckdb"))
    try:
        steps = [
            {"id": "a", "type": "command", "with": {"command": "echo", "inputs": {"text": "x"}}},
            {"id": "m", "type": "map", "with": {"over": [1, 2], "step": {"type": "command", "with": {"command": "echo", "inputs": {"text": "{{ item }}"}}}}},
        ]
        assert usual_steps(bench.store, "flow") == {}
        for _ in range(3):
            assert bench.run(steps).state == "succeeded"
        found = usual_steps(bench.store, "flow")
        assert set(found) == {"a", "m"}
        assert all(one.seconds >= 0 for one in found.values())
    finally:
        bench.close()


def test_a_run_tells_what_is_left_of_it(tmp_path):
    with open_in_process(tmp_path) as ws:
        ws.workflows.save(FLOW)
        first = ws.workflows.start("flow", model=OFFLINE).wait(30)
        assert (first.state, first.progress, first.left_s, first.left_nanos) == ("waiting", round(4 / 6, 4), None, None)
        ws.runs.approve(first.id, "ok")
        done = ws.runs.wait(first.id, timeout_s=30)
        assert (done.state, done.progress, done.left_s, done.left_usd) == ("succeeded", 1.0, None, None)
        second = ws.runs.get(ws.workflows.start("flow", model=OFFLINE).wait(30).id)
        assert second.left_nanos == 0
        assert 0 <= second.left_s < 60
        assert 0 < second.progress < 1


def test_it_is_told_in_words():
    assert told(0.62, 40, 20_000_000) == "62 %, about 40.0 s and 0.0200 USD left"
    assert told(0.5, None, None) == "50 %"
    assert told(None, None, None) == ""
    assert told(0.99, 3.0, 0) == "99 %, about 3.0 s left"
