"""A store that does not answer for a moment: what was paid is kept, and nothing is sent twice for it."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

import pytest

from hishamos.errors import CommitUnknown, StoreError
from hishamos.gateway import gateway
from hishamos.gateway.adapters.plug import Fault
from tests.rigs.gateways import House, Scripted, scripted

Broken = Callable[..., Future[Any]]


def broken(real: Broken, *, committed: bool, times: int = 1) -> Broken:
    """Return a verb of the ledger whose first answers are lost, ``committed`` or not."""
    left = [times]

    def verb(*values: Any, **named: Any) -> Future[Any]:
        if not left[0]:
            return real(*values, **named)
        left[0] -= 1
        if committed:
            real(*values, **named).result()
        lost: Future[Any] = Future()
        lost.set_exception(CommitUnknown(where="here") if committed else StoreError(problem="no connection", where="here", next=""))
        return lost

    return verb


@pytest.fixture(params=["duckdb", "postgres"])
def house(request: pytest.FixtureRequest) -> Any:
    store = request.getfixturevalue("postgres_url") if request.param == "postgres" else ":memory:"
    made, adapter = scripted(store=store, shared=True)
    yield made, adapter
    made.close()


@pytest.mark.parametrize("committed", [True, False], ids=["committed", "not committed"])
@pytest.mark.parametrize("verb", ["settle", "intend"])
def test_an_answer_is_kept_and_told_though_the_store_was_away(
    house: tuple[House, Scripted], verb: str, committed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, adapter = house
    monkeypatch.setattr(made.ledger, verb, broken(getattr(made.ledger, verb), committed=committed, times=2 if verb != "intend" else 1))
    outcome = made.ask("hello", key="once")
    assert (outcome.status, outcome.text) == ("succeeded", "fine")
    assert len(adapter.asked) == 1, "paid once"
    again = made.ask("hello", key="once")
    assert (again.reused, again.text) == (True, "fine")
    rows = made.rows("status, cost_nanos, usage_source")
    assert [row["status"] for row in rows if row["usage_source"] == "provider"] == ["succeeded"]
    assert [row["status"] for row in rows if row["usage_source"] != "provider"] == (["orphaned"] if verb == "intend" and committed else [])
    assert made.store.fetch("select count(*) as n from ledger_calls where under_way is not null") == [{"n": 0}], "nothing stays reserved"


@pytest.mark.parametrize("committed", [True, False], ids=["committed", "not committed"])
def test_a_failure_is_kept_though_the_store_was_away(house: tuple[House, Scripted], committed: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    made, adapter = house
    adapter.acts[:] = [[Fault("who are you?", status=401)]]
    monkeypatch.setattr(made.ledger, "finish", broken(made.ledger.finish, committed=committed, times=2))
    first, again = (made.ask("hello", key="once") for _ in range(2))
    assert [(one.status, one.reused) for one in (first, again)] == [("failed", False), ("failed", True)]
    assert len(adapter.asked) == 1


def test_the_next_model_is_asked_though_the_first_ones_failure_was_hard_to_keep(house: tuple[House, Scripted], monkeypatch: pytest.MonkeyPatch) -> None:
    made, adapter = house
    adapter.acts[:] = [[Fault("overloaded", status=529)]]
    monkeypatch.setattr(made.ledger, "settle", broken(made.ledger.settle, committed=True))
    assert made.ask("hello").text == "fine"
    assert [row["status"] for row in made.rows("status")] == ["failed", "succeeded"]


def test_a_file_that_cannot_be_written_is_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    made, _ = scripted()
    try:
        monkeypatch.setattr(made.ledger, "settle", broken(made.ledger.settle, committed=False, times=100))
        with pytest.raises(StoreError, match="no connection"):
            made.ask("hello", timeout=5)
    finally:
        made.close()


def test_who_was_not_heard_for_a_moment_goes_on_showing_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gateway, "BEAT_S", 0.02)
    made, _ = scripted(shared=True)
    try:
        heard: list[str] = []
        real = made.ledger.beat
        failing = broken(real, committed=False, times=3)

        def beat(owner: str) -> Future[Any]:
            heard.append(owner)
            return failing(owner)

        monkeypatch.setattr(made.ledger, "beat", beat)
        until = time.monotonic() + 10
        while len(heard) < 6:
            assert time.monotonic() < until
            time.sleep(0.01)
    finally:
        made.close()
