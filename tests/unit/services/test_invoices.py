"""``ws.ledger.reconcile``: an invoice against a ledger whose figures were added up by hand."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from hishamos.composition import compose
from hishamos.contracts.ledger import CallIntent, Reserve
from hishamos.errors import InvalidInput
from hishamos.records.actors import OWNER
from hishamos.records.calls import Attempt, AttemptStatus
from hishamos.records.invoices import InvoiceDifference, Reconciliation
from hishamos.records.record import new_id
from hishamos.workspace import Workspace

LEDGER: list[dict[str, Any]] = [
    {"started_at": datetime(2026, 11, 1, 9, tzinfo=UTC), "cost_nanos": 1_000_000_001},
    {"started_at": datetime(2026, 11, 1, 23, 30, tzinfo=UTC), "cost_nanos": 2_000_000_000},
    {"started_at": datetime(2026, 11, 2, 9, tzinfo=UTC), "cost_nanos": 500_000_000, "usage_source": "estimated", "status": "incomplete"},
    {"started_at": datetime(2026, 11, 2, 9, tzinfo=UTC), "cost_nanos": 250_000_000, "usage_source": "estimated", "status": "orphaned"},
    {"started_at": datetime(2026, 11, 2, 10, tzinfo=UTC), "cost_nanos": None},
    {"started_at": datetime(2026, 11, 2, 11, tzinfo=UTC), "cost_nanos": 0, "status": "failed", "model": "openai/o3"},
    {"started_at": datetime(2026, 11, 2, 11, tzinfo=UTC), "cost_nanos": 7, "model": "openai/gpt-4o"},
    {"started_at": datetime(2026, 11, 2, 11, tzinfo=UTC), "cost_nanos": 0, "status": "cached", "model": "openai/gpt-5"},
    {"started_at": datetime(2026, 11, 1, 8, tzinfo=UTC), "cost_nanos": 30_000_000, "provider": "anthropic", "model": "anthropic/claude-haiku-4-5"},
    {"started_at": datetime(2026, 11, 1, 8, tzinfo=UTC), "cost_nanos": 0, "provider": "offline", "model": "offline/extractive"},
    {"started_at": datetime(2026, 11, 9, 8, tzinfo=UTC), "cost_nanos": 99, "model": "openai/gpt-4.1"},
]


@pytest.fixture
def ws(tmp_path: Path) -> Iterator[Workspace]:
    composed = compose(tmp_path, store=":memory:")
    for facts in LEDGER:
        values = {"provider": "openai", "model": "openai/gpt-4.1-mini", "status": "succeeded", "input_tokens": 100, "output_tokens": 10} | facts
        attempt = Attempt(id=new_id(16), call_id=new_id(16), idempotency_key=new_id(), **{**values, "status": AttemptStatus(values["status"])})
        call = CallIntent(attempt.call_id, attempt.idempotency_key, "h", "default", "me")
        assert composed.machinery.ledger.record(call, attempt, Reserve(0, None), None).result(10)
    yield composed.workspace_for(OWNER)
    composed.close()


def row(found: Reconciliation, day: int, model: str) -> InvoiceDifference:
    [one] = [row for row in found.rows if (row.day, row.model) == (date(2026, 11, day), model)]
    return one


def bill(tmp_path: Path, text: str) -> str:
    (tmp_path / "bill.csv").write_text(text)
    return str(tmp_path / "bill.csv")


def test_equal_to_the_last_digit(ws: Workspace, tmp_path: Path):
    found = ws.ledger.reconcile(bill(tmp_path, "date,model,cost\n2026-11-01,openai/gpt-4.1-mini,3.000000001\n"))
    assert (found.equal, found.providers, found.matched, found.unmatched) == (True, ("openai",), {}, {})
    [one] = found.rows
    assert (one.side, one.attempts, one.input_tokens, one.difference_usd) == ("both", 2, 200, 0)
    assert (found.ours_usd, found.theirs_usd) == (Decimal("3.000000001"), Decimal("3.000000001"))


def test_a_nano_dollar_is_a_difference_unless_a_threshold_allows_it(ws: Workspace, tmp_path: Path):
    file = bill(tmp_path, "date,model,cost\n2026-11-01,gpt-4.1-mini,3.00\n")
    found = ws.ledger.reconcile(file)
    assert (found.equal, found.difference_usd) == (False, Decimal("-0.000000001"))
    assert ws.ledger.reconcile(file, threshold_usd="0.01").equal


def test_estimated_orphaned_and_unpriced_parts_are_named_apart(ws: Workspace, tmp_path: Path):
    found = ws.ledger.reconcile(bill(tmp_path, "date,model,cost,requests,input_tokens,output_tokens\n2026-11-02,gpt-4.1-mini,0.6,3,300,30\n"))
    one = row(found, 2, "openai/gpt-4.1-mini")
    assert (one.ours_nanos, one.estimated_nanos, one.orphaned_nanos, one.unpriced, one.attempts) == (750_000_000, 500_000_000, 250_000_000, 1, 3)
    assert (one.difference_usd, one.differs) == (Decimal("-0.15"), True)
    assert (one.invoice_requests, one.invoice_input_tokens, one.invoice_output_tokens) == (3, 300, 30)
    assert {(other.model, other.side, other.ours_nanos) for other in found.rows if other is not one} == {("openai/gpt-4o", "ledger", 7)}


def test_a_dated_name_is_taken_for_the_model_and_it_says_so(ws: Workspace, tmp_path: Path):
    found = ws.ledger.reconcile(bill(tmp_path, "date,model,cost\n2026-11-01,gpt-4.1-mini-2025-04-14,1\n2026-11-01,gpt-4.1-mini-2025-04-14,2.000000001\n"))
    assert found.matched == {"gpt-4.1-mini-2025-04-14": "openai/gpt-4.1-mini"}
    assert found.equal


def test_what_might_be_two_models_is_taken_for_none(ws: Workspace, tmp_path: Path):
    text = "date,model,cost\n2026-11-02,gpt-4o-2024-08-06,1\n2026-11-02,gpt-4.1-mini,1\n2026-11-02,gpt-4.1-nano,1\n"
    first = ws.ledger.reconcile(bill(tmp_path, text))
    assert first.matched == {"gpt-4o-2024-08-06": "openai/gpt-4o"}
    assert first.unmatched == {"gpt-4.1-nano": "the ledger has no attempt at it in these days"}
    assert (row(first, 2, "gpt-4.1-nano").side, row(first, 2, "gpt-4.1-nano").difference_usd) == ("invoice", 1)
    both = CallIntent("X", "x", "h", "default", "me")
    twin = Attempt(
        id="X", call_id="X", idempotency_key="x", provider="azure", model="azure/gpt-4o", status=AttemptStatus.SUCCEEDED,
        cost_nanos=1, started_at=datetime(2026, 11, 2, tzinfo=UTC),
    )  # fmt: skip
    assert ws.ledger._service.machinery.ledger.record(both, twin, Reserve(0, None), None).result(10)  # type: ignore[attr-defined]
    second = ws.ledger.reconcile(bill(tmp_path, text))
    assert second.unmatched["gpt-4o-2024-08-06"] == "it may be azure/gpt-4o or openai/gpt-4o"
    named = ws.ledger.reconcile(bill(tmp_path, text), provider="openai")
    assert named.matched == {"gpt-4o-2024-08-06": "openai/gpt-4o"}
    assert named.providers == ("openai",)


def test_two_dates_are_two_models():
    from hishamos.services.invoices import _same_but_dated

    assert _same_but_dated("claude-haiku-4-5", "claude-haiku-4-5-20251001")
    assert _same_but_dated("gpt-4-0613", "gpt-4")
    assert not _same_but_dated("gpt-4o-2024-05-13", "gpt-4o-2024-08-06")
    assert not _same_but_dated("gpt-4.1", "gpt-4.1-mini")


def test_days_are_those_of_the_timezone(ws: Workspace, tmp_path: Path):
    text = "date,model,cost\n2026-11-01,gpt-4.1-mini,1.000000001\n2026-11-02,gpt-4.1-mini,2.75\n"
    utc = ws.ledger.reconcile(bill(tmp_path, text))
    assert (row(utc, 1, "openai/gpt-4.1-mini").difference_usd, row(utc, 2, "openai/gpt-4.1-mini").difference_usd) == (-2, 2)
    cairo = ws.ledger.reconcile(bill(tmp_path, text), timezone="Africa/Cairo")
    assert [one.difference_usd for one in cairo.rows if one.model == "openai/gpt-4.1-mini"] == [0, 0]
    with pytest.raises(InvalidInput, match="no timezone"):
        ws.ledger.reconcile(bill(tmp_path, text), timezone="Mars/Olympus")


def test_providers_are_those_the_invoice_names_or_whose_models_it_names(ws: Workspace, tmp_path: Path):
    header = "date,provider,model,cost\n"
    named = ws.ledger.reconcile(bill(tmp_path, f"{header}2026-11-01,OpenAI,gpt-4.1-mini,3.000000001\n2026-11-01,Anthropic,claude-haiku-4-5-20251001,0.03\n"))
    assert (named.providers, named.equal) == (("anthropic", "openai"), True)
    strange = ws.ledger.reconcile(bill(tmp_path, f"{header}2026-11-01,Google,gpt-4.1-mini,3\n"))
    assert "no attempt at a provider named Google" in strange.unmatched["gpt-4.1-mini"]


def test_credits_lower_the_sum_and_a_frame_is_an_invoice_too(ws: Workspace):
    frame = pd.DataFrame({"date": ["2026-11-01", "2026-11-01"], "model": ["gpt-4.1-mini"] * 2, "cost": [3.500000001, -0.5]})
    assert ws.ledger.reconcile(frame).equal
    dates = frame.assign(date=pd.to_datetime(frame["date"]))
    assert ws.ledger.reconcile(dates).equal
    with pytest.raises(InvalidInput, match="the DataFrame, line 3"):
        ws.ledger.reconcile(frame.assign(cost=["1", "x"]))


def test_what_is_no_invoice_is_refused(ws: Workspace, tmp_path: Path):
    with pytest.raises(InvalidInput, match="does not exist"):
        ws.ledger.reconcile(str(tmp_path / "none.csv"))
    with pytest.raises(InvalidInput, match="This is no invoice"):
        ws.ledger.reconcile(17)  # type: ignore[arg-type]
    for threshold in ("much", "-1"):
        with pytest.raises(InvalidInput, match="threshold"):
            ws.ledger.reconcile(bill(tmp_path, "date,model,cost\n2026-11-01,m,1\n"), threshold_usd=threshold)
