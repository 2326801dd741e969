"""Runs are found and counted by what they are, whose they are and when they began, on both stores."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from hishamos.composition import Composed, compose
from hishamos.records.actors import OWNER
from hishamos.records.record import now
from hishamos.records.runs import RunState

ASKING = "name: {name}\ndescription: Waits.\nsteps:\n  - {{id: ok, type: approval, with: {{message: Next}}}}\n"


@pytest.fixture(params=["duckdb", "postgres"])
def house(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Composed]:
    address = str(request.getfixturevalue("postgres_url") if request.param == "postgres" else tmp_path / "store.duckdb")
    (tmp_path / "hishamos.toml").write_text("")
    (tmp_path / "workflows").mkdir()
    for name in ("first", "second"):
        (tmp_path / "workflows" / f"{name}.yaml").write_text(ASKING.format(name=name))
    made = compose(tmp_path, store=address)
    made.start()
    yield made
    made.close()


def test_runs_are_found_and_counted_by_each_filter(house: Composed):
    ws = house.workspace_for(OWNER)
    old = ws.workflows.start("first", {}).wait(60)
    assert (ws.health.status().to_approve, [one.project for one in ws.runs.approvals()]) == (1, [None])
    mine = ws.workflows.start("first", {}, project="DEMO").wait(60)
    theirs = ws.workflows.start("second", {}, project="DEMO").wait(60)
    ws.runs.cancel(theirs.id)
    assert ws.runs.wait(theirs.id, timeout_s=60).state == "cancelled"
    change = "update journal_runs set user_name = $user, created_at = $moment where id = $id"
    for run, user, days in ((old, None, 40), (mine, OWNER.name, 0), (theirs, "li", 0)):
        values = {"id": run.id, "user": user, "moment": now() - timedelta(days=days)}
        house.machinery.store.transaction(lambda transaction, values=values: transaction.execute(change, values))
    waiting = {one.run_id: (one.user_name, one.project, one.cost_nanos, one.offline) for one in ws.runs.approvals()}
    assert waiting == {old.id: (None, None, 0, False), mine.id: (OWNER.name, "DEMO", 0, False)}
    lately = now() - timedelta(days=7)
    assert ws.runs.counts("state") == {"waiting": 2, "cancelled": 1}
    assert list(ws.runs.counts("name").items()) == [("first", 2), ("second", 1)]
    assert ws.runs.counts("project") == {"DEMO": 2, "": 1}
    assert ws.runs.counts("user", project="DEMO") == {OWNER.name: 1, "li": 1}
    assert ws.runs.counts("kind", since=lately) == {"workflow": 2}
    assert ws.runs.counts("state", state=RunState.FAILED) == {}
    assert [run.id for run in ws.runs.list(user="li")] == [theirs.id]
    assert [run.id for run in ws.runs.list(project="")] == [run.id for run in ws.runs.list(user="")] == [old.id]
    assert {run.id for run in ws.runs.list(since=lately)} == {mine.id, theirs.id}
    assert [run.id for run in ws.runs.list(since=lately, name="first", state=RunState.WAITING)] == [mine.id]
