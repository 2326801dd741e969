"""What breaks a promise is noticed: each piece of evidence, spoilt in one place."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime
from typing import Any

import pytest

from hishamos.proof.evidence import Crowd, Cut, Map, Offline, always_readable, never_a_fake, never_locked_out, never_lost, never_over, never_twice
from hishamos.proof.provider import Entry
from hishamos.records.calls import Attempt
from hishamos.records.money import BalanceCheck

MAP = Map("RUN", 2, "succeeded", {"A": 5}, {"A": 5, "B": 5}, 0.5, 0, {"succeeded": 2})
BOOK = [Entry("steady", "row 0", 5, whole=True), Entry("steady", "row 1", 5, whole=True), Entry("steady", "row 1", 5, whole=True)]
CROWD = Crowd(2, [{"ends": {"succeeded": 1, "refused": 1}, "asked": 3, "locked": 0}], 100, 90, 7, 90, 0)
CUT = Cut("CallFailed", "succeeded", "book/steady", whole=True)
OFFLINE = Offline(labelled=True, cost_nanos=0, answered_unasked=False)
BALANCE = BalanceCheck(
    budget="cap",
    scope="project:CAP",
    period="total",
    committed_nanos=90,
    ledger_committed_nanos=90,
    reserved_nanos=0,
    ledger_reserved_nanos=0,
    orphaned_nanos=0,
)


def attempt(key: str, status: str = "succeeded", *, output: int = 100, model: str = "book/steady", cost: int | None = 5) -> Attempt:
    moment = datetime(2026, 1, 1, tzinfo=UTC)
    facts: dict[str, Any] = {"id": key + status, "call_id": key, "idempotency_key": key, "run_id": "RUN", "provider": "book", "started_at": moment}
    return Attempt(status=status, model=model, output_tokens=output, input_tokens=20, usage_source="provider", cost_nanos=cost, **facts)


LEDGER = [attempt("k0", output=100), attempt("k1", "orphaned", output=900), attempt("k1", output=101)]


def test_a_second_bill_beside_an_orphan_is_no_second_payment() -> None:
    assert never_twice(MAP, BOOK, LEDGER).kept


@pytest.mark.parametrize(
    ("seen", "book", "ledger"),
    [
        (MAP, [*BOOK, BOOK[0]], LEDGER),
        (MAP, [*BOOK, BOOK[1]], LEDGER),
        (MAP, BOOK, [LEDGER[0], LEDGER[2]]),
        (MAP, BOOK, LEDGER[:2]),
        (dataclasses.replace(MAP, sent_by_the_same_again=1), BOOK, LEDGER),
        (dataclasses.replace(MAP, ends_of_the_same_again={"succeeded": 1, "failed": 1}), BOOK, LEDGER),
    ],
)
def test_what_is_paid_twice_or_lost_is_noticed(seen: Map, book: list[Entry], ledger: list[Attempt]) -> None:
    assert not never_twice(seen, book, ledger).kept


DEAR_BOOK, DEAR_LEDGER = [Entry("dear", "x", 90, whole=True)], [attempt("d", model="book/dear", cost=90)]


def test_a_budget_that_held() -> None:
    assert never_over(CROWD, DEAR_BOOK, DEAR_LEDGER).kept


@pytest.mark.parametrize(
    ("crowd", "book"),
    [
        (dataclasses.replace(CROWD, highest_nanos=101), DEAR_BOOK),
        (dataclasses.replace(CROWD, highest_nanos=0), DEAR_BOOK),
        (dataclasses.replace(CROWD, reserved_nanos=1), DEAR_BOOK),
        (dataclasses.replace(CROWD, committed_nanos=89), DEAR_BOOK),
        (dataclasses.replace(CROWD, calls=3), DEAR_BOOK),
        (CROWD, DEAR_BOOK * 2),
    ],
)
def test_a_budget_that_did_not_hold(crowd: Crowd, book: list[Entry]) -> None:
    assert not never_over(crowd, book, DEAR_LEDGER).kept


def test_cut_answers_and_the_offline_model() -> None:
    broken = [attempt("c", "incomplete", model="book/cutting")]
    assert never_a_fake(CUT, OFFLINE, broken).kept
    for cut in ({"alone": "succeeded"}, {"whole": False}, {"served_by": "book/cutting"}, {"status": "failed"}):
        assert not never_a_fake(dataclasses.replace(CUT, **cut), OFFLINE, broken).kept  # type: ignore[arg-type]
    for offline in ({"labelled": False}, {"cost_nanos": None}, {"answered_unasked": True}):
        assert not never_a_fake(CUT, dataclasses.replace(OFFLINE, **offline), broken).kept  # type: ignore[arg-type]
    assert not never_a_fake(CUT, OFFLINE, [attempt("c", model="book/cutting")]).kept
    assert not never_a_fake(CUT, OFFLINE, []).kept


def test_locks_losses_and_notebooks() -> None:
    assert never_locked_out(CROWD).kept
    assert not never_locked_out(dataclasses.replace(CROWD, answers=[{"asked": 3, "locked": 1}])).kept
    assert never_lost(MAP, [BALANCE]).kept
    assert not never_lost(dataclasses.replace(MAP, finished_after={"A": 6}), [BALANCE]).kept
    assert not never_lost(dataclasses.replace(MAP, state="paused"), [BALANCE]).kept
    assert not never_lost(MAP, [BALANCE.model_copy(update={"reserved_nanos": 1})]).kept
    html = '<table></table><img src="data:image/png;base64,x">0.1 USD did you mean'
    assert always_readable({"cells": [{"outputs": [{"data": {"text/html": html}}]}]}).kept
    for missing in ("<table", "base64,", " USD", "did you mean"):
        assert not always_readable({"cells": [{"outputs": [{"data": {"text/html": html.replace(missing, "")}}]}]}).kept
    assert not always_readable({"cells": [{"outputs": [{"data": {"text/html": html + "<script"}}]}]}).kept
