"""Runs that ended long ago are let go whole, on both stores; what is theirs alone goes with them, and money, results and answers stay."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from hishamos.composition import Composed, compose
from hishamos.errors import InvalidInput, RunPruned
from hishamos.records.actors import OWNER
from hishamos.records.record import now
from hishamos.records.results import ResultDraft
from hishamos.store import pruning
from hishamos.workspace import Workspace

OFFLINE = "offline/extractive"
NESTED = "name: nested\ndescription: A run within a run.\nsteps:\n  - {id: child, type: workflow, with: {workflow: small}}\n  - {id: ok, type: approval, after: [child], with: {message: Next}}\n"
SMALL = "name: small\ndescription: One question.\nsteps:\n  - {id: ask, type: command, with: {command: classify_bug, inputs: {text: It crashes.}}}\n"
ASKING = "name: asking\ndescription: Waits.\nsteps:\n  - {id: ok, type: approval, with: {message: Next}}\n"
TABLES = ("journal_steps", "journal_events", "map_inputs", "run_forecasts")


@pytest.fixture(params=["duckdb", "postgres"])
def house(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Composed]:
    address = str(request.getfixturevalue("postgres_url") if request.param == "postgres" else tmp_path / "store.duckdb")
    (tmp_path / "hishamos.toml").write_text("")
    made = compose(tmp_path, store=address)
    made.start()
    yield made
    made.close()


@pytest.fixture
def ws(house: Composed) -> Workspace:
    return house.workspace_for(OWNER)


def aged(house: Composed, *runs: str, days: int = 100) -> None:
    for run in runs:
        values = {"id": run, "moment": now() - timedelta(days=days)}
        house.machinery.store.transaction(lambda t, values=values: t.execute("update journal_runs set finished_at = $moment where id = $id", values))


def mapped(ws: Workspace, *texts: str) -> str:
    run = ws.commands.start_map("classify_bug", [{"text": text} for text in texts], model=OFFLINE)
    assert ws.runs.wait(run.id, timeout_s=60).state == "succeeded"
    return run.id


def left(house: Composed) -> set[str]:
    """Every run that any table of runs still has anything of."""
    store = house.machinery.store
    return {row["id"] for table in TABLES for row in store.fetch(f"select distinct run_id as id from {table}")} | {
        row["id"] for row in store.fetch("select id from journal_runs")
    }


def test_old_runs_go_whole_and_money_results_and_answers_stay(house: Composed, ws: Workspace, tmp_path: Path) -> None:
    old, young = mapped(ws, "It crashes.", "It is slow."), mapped(ws, "The button is misplaced.")
    result = ws.results.save(ResultDraft(title="Kept"))
    ws.results.comment(result.id, "Read")
    house.machinery.store.transaction(lambda t: t.execute("update work_results set run_id = $run", {"run": old}))
    for kept in ("batches", "notebooks"):
        for run in (old, young):
            (tmp_path / "data" / "local" / kept / run).mkdir(parents=True)
            (tmp_path / "data" / "local" / kept / run / "0.ipynb").write_text("{}" * 50)
    aged(house, old)
    spend = ws.ledger.calls(run=old)
    meant = ws.health.prune(older_than_days=90, dry_run=True)
    assert (meant.runs, meant.steps, meant.files, meant.file_bytes, meant.pruned_at) == (1, 3, 2, 200, None)
    assert meant.size_bytes > 500
    assert left(house) == {old, young}
    done = ws.health.prune(older_than_days=90)
    assert done.model_dump(exclude={"before", "pruned_at", "free_bytes"}) == meant.model_dump(exclude={"before", "pruned_at", "free_bytes"})
    assert left(house) == {young}
    assert [path.parent.name for path in sorted((tmp_path / "data" / "local").glob("*/*/0.ipynb"))] == [young, young]
    assert ws.ledger.calls(run=old) == spend
    assert ws.results.get(result.id).run_words == f"{old}, pruned"
    assert ws.results.list()[0].run_pruned_at is not None
    assert [said.text for said in ws.results.comments(result.id)] == ["Read"]
    for name in (old, old[:6]):
        with pytest.raises(RunPruned, match=rf"Run {old} \(classify_bug\) was pruned on .*stay in the ledger"):
            ws.runs.get(name)
    (entry,) = ws.audit.list(action="health.prune")
    assert entry.actor == "owner"
    assert '"runs":1' in (entry.value_before or "")
    again = ws.commands.start_map("classify_bug", [{"text": "It crashes."}], model=OFFLINE)
    assert ws.runs.wait(again.id, timeout_s=60).reused == 1, "a paid answer is not paid again"
    assert ws.health.prune(older_than_days=90).runs == 0
    assert len(ws.audit.list(action="health.prune")) == 1, "nothing went, so there is nothing to answer for"


def test_a_run_that_lives_or_whose_family_lives_stays(house: Composed, ws: Workspace) -> None:
    ws.workflows.save(SMALL)
    ws.workflows.save(NESTED)
    parent = ws.workflows.start("nested", {}, model=OFFLINE)
    assert ws.runs.wait(parent.id, timeout_s=60).state == "waiting"
    (child,) = [run.id for run in ws.runs.list() if run.id != parent.id]
    aged(house, child, parent.id)
    meant = ws.health.prune(older_than_days=90, dry_run=True)
    assert (meant.runs, meant.held) == (0, 1)
    assert ws.health.prune(older_than_days=90).runs == 0
    assert left(house) == {parent.id, child}
    ws.runs.approve(parent.id, "ok")
    assert ws.runs.wait(parent.id, timeout_s=60).state == "succeeded"
    assert ws.health.prune(older_than_days=90, dry_run=True).held == 1, "the parent has ended just now"
    aged(house, parent.id)
    assert ws.health.prune(older_than_days=90).runs == 2
    assert left(house) == set()


def test_one_that_is_resumed_in_between_stays_whole(house: Composed, ws: Workspace) -> None:
    ws.workflows.save(ASKING)
    run = ws.workflows.start("asking", {}).wait(60)
    ws.runs.cancel(run.id)
    assert ws.runs.get(run.id).state == "cancelled"
    aged(house, run.id)
    before = now() - timedelta(days=90)
    (portion,) = pruning.old_runs(house.machinery.store, before).portions()
    ws.runs.resume(run.id)
    assert pruning.prune_runs(house.machinery.store, portion, before, "me", now()) == []
    assert ws.runs.steps(run.id)


def test_originals_of_forks_and_repeats_are_told(house: Composed, ws: Workspace) -> None:
    ws.workflows.save(SMALL)
    first, second = (ws.workflows.start("small", {}, model=OFFLINE).wait(60) for _ in range(2))
    repeated, forked = ws.runs.repeat(first.id), ws.runs.fork(second.id, "ask")
    for run in (repeated, forked):
        assert ws.runs.wait(run.id, timeout_s=60).state == "succeeded"
    aged(house, first.id, second.id)
    assert ws.health.prune(older_than_days=90).originals == 2
    assert ws.runs.get(repeated.id).repeats == first.id
    with pytest.raises(RunPruned):
        ws.runs.compare(repeated.id, first.id)


def test_conversations_go_only_where_that_is_asked(house: Composed, ws: Workspace, tmp_path: Path) -> None:
    old, young = ws.conversations.start("research", model=OFFLINE), ws.conversations.start("research", model=OFFLINE)
    for talk in (old, young):
        talk.say("What is known? Caches are fast.")
    folder = tmp_path / "data" / "local" / "attached" / old.id
    folder.mkdir(parents=True)
    (folder / "photo").write_text("x")
    values = {"id": old.id, "moment": now() - timedelta(days=100)}
    house.machinery.store.transaction(lambda t: t.execute("update conversation_messages set asked_at = $moment where conversation = $id", values))
    assert ws.health.prune(older_than_days=90).conversations == 0
    done = ws.health.prune(older_than_days=90, conversations=True)
    assert (done.conversations, done.files) == (1, 1)
    assert [talk.id for talk in ws.conversations.list()] == [young.id]
    assert not folder.exists()
    assert len(ws.ledger.calls()) == 2


def test_portions_are_bounded_and_a_large_run_is_one_of_its_own() -> None:
    runs = {f"R{number}": 10 for number in range(60)} | {"LARGE": pruning.STEPS * 3, "LAST": 1}
    portions = list(pruning.OldRuns(runs, 0, 0).portions())
    assert [len(portion) for portion in portions] == [25, 25, 10, 1, 1]
    assert [run for portion in portions for run in portion] == list(runs)


def test_the_settings_have_it_done_when_the_workspace_starts(house: Composed, ws: Workspace, tmp_path: Path) -> None:
    old = mapped(ws, "It crashes.")
    aged(house, old)
    house._prune()
    assert left(house) == {old}, "left out, runs stay for good"
    (tmp_path / "hishamos.toml").write_text("[workspace]\nkeep_runs_days = 30\n")
    house.settings.reread()
    house._prune()
    assert left(house) == set()
    assert ws.audit.list(action="health.prune")[0].actor == "keep_runs_days"
    late = mapped(ws, "It is slow.")
    aged(house, late)
    house._prune()
    assert left(house) == {late}, "once a day"


def test_what_is_free_in_the_file_is_told(house: Composed, ws: Workspace) -> None:
    aged(house, mapped(ws, *(f"It crashes {number}: {'x' * 4000}" for number in range(100))))
    free = ws.health.prune(older_than_days=90).free_bytes
    assert (free is None) == (house.machinery.store.dialect == "postgres")
    assert free is None or free >= 0


@pytest.mark.parametrize("days", [0, 0.5, -1, 1e9, float("nan")])
def test_less_than_a_day_is_refused(ws: Workspace, days: float) -> None:
    with pytest.raises(InvalidInput, match=re.escape("is no age to prune by")):
        ws.health.prune(older_than_days=days)
