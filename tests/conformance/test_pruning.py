"""Answers kept for repeats are let go when no repeat can come, on both stores, and not before."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from hishamos.composition import Composed, compose
from hishamos.records.actors import OWNER
from hishamos.records.record import now
from hishamos.store.pruning import KEPT, forget_requests

NOTE = "insert into requests (id, verb, answer, made_at) values ($id, 'v', '1', $made_at)"


@pytest.fixture(params=["duckdb", "postgres"])
def house(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Composed]:
    address = str(request.getfixturevalue("postgres_url") if request.param == "postgres" else tmp_path / "store.duckdb")
    (tmp_path / "hishamos.toml").write_text("")
    made = compose(tmp_path, store=address)
    yield made
    made.close()


def left(house: Composed) -> set[str]:
    return {row["id"] for row in house.machinery.store.fetch("select id from requests")}


def note(house: Composed, *ids: str, age: timedelta) -> None:
    for name in ids:
        values = {"id": name, "made_at": now() - age}
        house.machinery.store.transaction(lambda transaction, values=values: transaction.execute(NOTE, values))


def test_what_no_repeat_can_need_is_let_go(house: Composed):
    ws = house.workspace_for(OWNER)
    house.start()
    over = ws.commands.start_map("classify_bug", [{"text": "It crashes."}], model="offline/extractive")
    assert ws.runs.wait(over.id, timeout_s=60).state == "succeeded"
    old, young = KEPT + timedelta(minutes=1), KEPT - timedelta(minutes=1)
    note(house, "CLIENT-OLD", "call/OLD/0.1", "key/mine/0.1", f"{over.id}/step/0", "NEVERENDED/step/0", age=old)
    note(house, "CLIENT-YOUNG", "call/YOUNG/0.1", age=young)
    before = left(house)
    assert forget_requests(house.machinery.store, now()) == 2
    assert before - left(house) == {"CLIENT-OLD", "call/OLD/0.1"}, "the run ended a moment ago, and one has not ended at all"
    forget_requests(house.machinery.store, now() + KEPT + timedelta(minutes=1))
    assert left(house) == {"key/mine/0.1", "NEVERENDED/step/0"}


def test_the_name_by_which_processes_find_one_another_stays(house: Composed):
    name = house.machinery.journal.identity()
    forget_requests(house.machinery.store, now() + KEPT * 2)
    assert house.machinery.journal.identity() == name


def test_it_is_done_when_a_workspace_starts(house: Composed):
    note(house, "CLIENT-OLD", age=KEPT * 2)
    house.start()
    house.machinery.runner.soon(lambda: None)
    deadline = now() + timedelta(seconds=30)
    while left(house):
        assert now() < deadline
