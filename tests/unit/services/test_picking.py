"""Which agent is picked: capability first, then how it did, by weights that anybody can read; deterministic, and without a model."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from hishamos.composition import Composed, compose
from hishamos.errors import CallFailed, InvalidInput, UnknownName
from hishamos.notebook.cards import pick_card, plain
from hishamos.records.actors import OWNER
from hishamos.records.definitions import AgentDefinition
from hishamos.records.picking import PickWeights, TrackRecord
from hishamos.records.record import now
from hishamos.records.results import Result
from hishamos.services.picking import pick, weights_of
from hishamos.store.track_records import track_records
from tests.rigs.simulator import Simulator


def agent(name: str, *capabilities: str) -> AgentDefinition:
    return AgentDefinition(name=name, description="Works.", instructions="Work.", capabilities=capabilities)


BAKER, SMITH, TWIN = agent("baker", "baking_bread"), agent("smith", "forging_iron"), agent("a-baker", "baking_bread")


def test_capability_comes_first_and_every_candidate_is_explained():
    done = pick("Bake some bread", [SMITH, BAKER], {"baker": TrackRecord(agent="baker", calls=10, answered=2)}, PickWeights())
    assert (done.agent, done.matched) == ("baker", True)
    assert [one.agent for one in done.candidates] == ["baker", "smith"]
    assert "matches baking bread (1.00 of the best); answered 2 of 10 calls" in done.why
    assert "no call yet, so held to be average" in done.candidates[1].why
    assert done.candidates[0].capability == 1


def test_without_a_history_all_are_average_and_the_name_decides():
    done = pick("Bake some bread", [BAKER, TWIN], {}, PickWeights())
    first, second = done.candidates
    assert (first.agent, second.agent) == ("a-baker", "baker")
    assert (second.success, second.rating, second.load, second.cost, second.speed) == (0.8, 0.5, 1, 0.5, 0.5)
    assert [pick("Bake some bread", agents, {}, PickWeights()).agent for agents in ([BAKER, TWIN], [TWIN, BAKER])] == ["a-baker", "a-baker"]


@pytest.mark.parametrize(
    ("better", "worse"),
    [
        ({"calls": 20, "answered": 20}, {"calls": 20, "answered": 10}),
        ({"ratings": 4, "rating": 5}, {"ratings": 4, "rating": 2}),
        ({"under_way": 0}, {"under_way": 3}),
        ({"cost_nanos": 1_000}, {"cost_nanos": 9_000}),
        ({"latency_ms": 100}, {"latency_ms": 900}),
    ],
)
def test_each_criterion_tells_equals_apart(better: dict, worse: dict):
    records = {"baker": TrackRecord(agent="baker", **better), "a-baker": TrackRecord(agent="a-baker", **worse)}
    assert pick("Bake some bread", [TWIN, BAKER], records, PickWeights()).agent == "baker"


def test_what_costs_and_takes_nothing_divides_nothing():
    records = {"baker": TrackRecord(agent="baker", calls=1, answered=1, cost_nanos=0, latency_ms=0)}
    done = pick("Bake some bread", [BAKER], records, PickWeights())
    assert (done.candidates[0].cost, done.candidates[0].speed) == (0.5, 0.5)


def test_a_task_that_matches_nobody_says_so():
    done = pick("zzz qqq", [SMITH, BAKER], {}, PickWeights())
    assert (done.matched, done.agent) == (False, "baker")
    assert "Nothing in the task matches" in done.why


def test_weights_can_be_overruled_and_are_checked():
    records = {"baker": TrackRecord(agent="baker", calls=100, answered=0), "smith": TrackRecord(agent="smith", calls=100, answered=100)}
    assert pick("Bake some bread", [BAKER, SMITH], records, weights_of({"capability": 0})).agent == "smith"
    assert weights_of(None) == PickWeights()
    for wrong, words in (
        ({"sped": 1}, "did you mean 'speed'"),
        ({"speed": -1}, "greater than or equal to 0"),
        (dict.fromkeys(PickWeights.model_fields, 0), "all weights are 0"),
    ):
        with pytest.raises(InvalidInput, match=words):
            weights_of(wrong)


@pytest.fixture(params=["duckdb", "postgres"])
def composed(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Composed, Simulator]]:
    store = ":memory:" if request.param == "duckdb" else request.getfixturevalue("postgres_url")
    with Simulator() as simulator:
        (tmp_path / "key").write_text("sk-picked-0123456789abcdef")
        (tmp_path / "hishamos.toml").write_text(
            f'[providers.openai]\napi_key = "file:{tmp_path}/key"\napi_base = "{simulator.url}/v1"\n'
            '[routes.default]\nmodels = ["openai/gpt-4.1-mini"]\nattempts = 1\n'
        )
        (tmp_path / "workflows").mkdir()
        (tmp_path / "workflows/w.yaml").write_text("name: w\ndescription: d\nsteps:\n  - {id: a, type: agent, with: {agent: research, task: Look it up}}\n")
        made = compose(tmp_path, store=store)
        yield made, simulator
        made.close()


def test_the_track_record_comes_from_the_ledger_and_from_ratings(composed: tuple[Composed, Simulator]):
    made, simulator = composed
    ws = made.workspace_for(OWNER)
    assert ws.agents.record("research") == TrackRecord(agent="research")
    simulator.script("gpt-4.1-mini", {"text": "one"}, {"status": 400, "message": "broken"}, {"text": "two"})
    ws.agents.ask("research", "Look it up")
    with pytest.raises(CallFailed):
        ws.agents.ask("research", "Look it up again")
    ws.agents.ask("research", "offline", model="offline/extractive")
    run = ws.workflows.start("w").wait(20)
    assert run.state == "succeeded", run.error
    result = Result(title="Found", id="R1", run_id=run.id, created_at=now())
    made.machinery.store.transaction(lambda transaction: made.machinery.work.insert_result(transaction, result))
    ws.results.rate("R1", 4)
    record = ws.agents.record("research")
    assert (record.calls, record.answered, record.under_way, record.success) == (3, 2, 0, pytest.approx(2 / 3))
    costs = sorted(row.cost_nanos for row in ws.ledger.calls() if row.status == "succeeded" and not row.offline)
    assert record.cost_nanos == costs[0] > 0
    assert record.latency_ms > 0
    assert (record.ratings, record.rating) == (1, 4.0)
    pick = ws.agents.pick("Compare tools by evidence", among=["research", "coding"])
    assert (pick.agent, pick.candidates[0].record) == ("research", record)
    assert "answered 2 of 3 calls, rated 4.0 of 5 by 1" in pick.why
    assert "research" in pick_card(pick)
    assert plain(pick) == pick.why
    assert track_records(made.machinery.store, now() + timedelta(days=1)) == {}


def test_picking_among_names_is_checked(tmp_path: Path):
    made = compose(tmp_path, store=":memory:")
    ws = made.workspace_for(OWNER)
    assert [one.agent for one in ws.agents.pick("Write a contract", among=["coding"]).candidates] == ["coding"]
    with pytest.raises(UnknownName, match="did you mean 'coding'"):
        ws.agents.pick("Write", among=["codign"])
    with pytest.raises(InvalidInput, match="there is no task"):
        ws.agents.pick("  ")
    with pytest.raises(InvalidInput, match="there is no agent"):
        ws.agents.pick("Write", among=[])
    made.close()
