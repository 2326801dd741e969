"""A provider's invoice against the ledger, to the nano-dollar; on both engines, by hand-made rows."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest

from hishamos.cli.invoices import read_invoice
from hishamos.composition import open_in_process
from hishamos.errors import InvalidInput
from hishamos.records.money import InvoiceCheck, InvoiceLine
from hishamos.workspace import Workspace

COLUMNS: dict[str, str | None] = {"day": None, "model": None, "usd": None}


@pytest.fixture(params=["duckdb", "postgres"])
def ws(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Workspace]:
    store = str(tmp_path / "store.duckdb") if request.param == "duckdb" else request.getfixturevalue("postgres_url")
    with open_in_process(tmp_path, store=store) as opened:
        yield opened


def book(ws: Workspace, model: str, moment: str, nanos: int | None, usage: str | None = "provider", status: str = "succeeded") -> None:
    """Put an attempt into the ledger."""
    store = ws.ledger.machinery.store  # type: ignore[attr-defined]
    number = store.fetch_one("select count(*) as n from ledger_attempts")["n"]
    started = datetime.fromisoformat(moment).replace(tzinfo=UTC)
    row: dict[str, Any] = {"id": f"a{number}", "call": f"c{number}", "model": model, "provider": model.partition("/")[0], "nanos": nanos, "usage": usage}
    sql = (
        "insert into ledger_attempts (id, call_id, idempotency_key, number, hop, provider, model, status, usage_source, cost_nanos, started_at, overrun, tags)"
        " values ($id, $call, $call, 1, 0, $provider, $model, $status, $usage, $nanos, $started, false, '{}')"
    )
    store.transaction(lambda transaction: transaction.execute(sql, {**row, "started": started, "status": status}))


def line(day: str, model: str, nanos: int) -> InvoiceLine:
    return InvoiceLine(day=date.fromisoformat(day), model=model, cost_nanos=nanos)


def told(checks: list[InvoiceCheck]) -> list[tuple[str, str, int | None, int | None, int]]:
    return [(one.day.isoformat(), one.model, one.invoiced_nanos, one.ledger_nanos, one.difference_nanos) for one in checks]


def test_days_and_models_are_summed_and_held_against_each_other(ws: Workspace):
    for model, moment, nanos in [
        ("openai/gpt-4.1-mini", "2026-11-02T23:59:59.999", 1_000_000_001),
        ("openai/gpt-4.1-mini", "2026-11-03T00:00:00", 7),
        ("openai/gpt-4.1-mini", "2026-11-03T12:00:00", 5),
        ("anthropic/claude-haiku-4-5", "2026-11-03T12:00:00", 900),
        ("openai/gpt-4.1-mini", "2026-11-04T12:00:00", 77),
    ]:
        book(ws, model, moment, nanos)
    found = ws.ledger.reconcile(
        [line("2026-11-02", "gpt-4.1-mini", 1_000_000_001), line("2026-11-03", "gpt-4.1-mini", 10), line("2026-11-03", "gpt-4.1-mini", 1)]
    )
    assert told(found) == [
        ("2026-11-02", "openai/gpt-4.1-mini", 1_000_000_001, 1_000_000_001, 0),
        ("2026-11-03", "anthropic/claude-haiku-4-5", None, 900, -900),
        ("2026-11-03", "openai/gpt-4.1-mini", 11, 12, -1),
    ]


def test_what_explains_a_difference_is_named(ws: Workspace):
    book(ws, "openai/gpt-4.1-mini", "2026-11-03T12:00:00", 500)
    book(ws, "openai/gpt-4.1-mini", "2026-11-03T12:00:01", 300, "estimated", "orphaned")
    book(ws, "openai/gpt-4.1-mini", "2026-11-03T12:00:02", None)
    book(ws, "openai/gpt-4.1-mini", "2026-11-03T12:00:03", 0, None, "cached")
    book(ws, "offline/extractive", "2026-11-03T12:00:04", 0, "estimated")
    [check] = ws.ledger.reconcile([line("2026-11-03", "openai/gpt-4.1-mini", 600)])
    assert (check.ledger_nanos, check.attempts, check.estimated, check.estimated_nanos, check.unpriced) == (800, 3, 1, 300, 1)


def test_a_dated_name_is_matched_only_where_it_is_clear(ws: Workspace):
    book(ws, "openai/gpt-4.1-mini", "2026-11-03T12:00:00", 1)
    book(ws, "openai/gpt-4o-2024-08-06", "2026-11-03T12:00:00", 2)
    book(ws, "openai/gpt-4o-2024-11-20", "2026-11-03T12:00:00", 3)
    book(ws, "anthropic/claude-haiku-4-5", "2026-11-03T12:00:00", 4)
    names = ["gpt-4.1-mini-2025-04-14", "gpt-4o", "gpt-4o-2024-11-20", "claude-haiku-4-5-20251001", "whisper-1"]
    found = {one.model: one for one in ws.ledger.reconcile([line("2026-11-03", name, 10) for name in names])}
    assert found["openai/gpt-4.1-mini"].named == ("gpt-4.1-mini-2025-04-14",)
    assert found["anthropic/claude-haiku-4-5"].named == ("claude-haiku-4-5-20251001",)
    assert (found["openai/gpt-4o-2024-11-20"].invoiced_nanos, found["openai/gpt-4o-2024-08-06"].invoiced_nanos) == (10, None)
    assert (found["gpt-4o"].ledger_nanos, found["whisper-1"].ledger_nanos) == (None, None)


def test_days_are_those_of_the_invoice(ws: Workspace):
    book(ws, "openai/gpt-4.1-mini", "2026-11-03T23:30:00", 5)
    assert told(ws.ledger.reconcile([line("2026-11-04", "gpt-4.1-mini", 5)], timezone="Africa/Cairo")) == [("2026-11-04", "openai/gpt-4.1-mini", 5, 5, 0)]
    assert [one.ledger_nanos for one in ws.ledger.reconcile([line("2026-11-04", "gpt-4.1-mini", 5)])] == [None]
    with pytest.raises(InvalidInput, match="no time zone 'Mars'"):
        ws.ledger.reconcile([line("2026-11-04", "gpt-4.1-mini", 5)], timezone="Mars")


def read(tmp_path: Path, text: str | bytes, **columns: str) -> list[tuple[str, str, int]]:
    (tmp_path / "invoice.csv").write_bytes(text if isinstance(text, bytes) else text.encode())
    lines = read_invoice(str(tmp_path / "invoice.csv"), {**COLUMNS, **columns})
    return [(one.day.isoformat(), one.model, one.cost_nanos) for one in lines]


def test_usual_columns_are_found_and_amounts_read_exactly(tmp_path: Path):
    text = '\ufeffUsage Date,Model,Requests,Cost\n2026-11-03,gpt-4.1-mini,12,0.0000000015\n2026-11-03T10:00:00Z,b,1,"$1,234.5"\n2026-11-04,b,1,-0.25 USD\n'
    assert read(tmp_path, text) == [("2026-11-03", "gpt-4.1-mini", 2), ("2026-11-03", "b", 1_234_500_000_000), ("2026-11-04", "b", -250_000_000)]
    assert read(tmp_path, "wann,was,wieviel\n2026-11-03,b,1\n", day="wann", model="was", usd="wieviel") == [("2026-11-03", "b", 10**9)]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("day,model,usd\n2026-11-03,b,1\n03.11.2026,b,1\n", "'03.11.2026' is no day .*row 2"),
        ("day,model,usd\n2026-11-03,b,1.2.3\n", "'1.2.3' is no amount of USD .*row 1"),
        ('day,model,usd\n2026-11-03,b,"1,5"\n', "'1,5' is no amount"),
        ("day,model,usd\n2026-11-03,b,NaN\n", "'NaN' is no amount"),
        ("day,model,usd\n2026-11-03, ,1\n", "The model is empty"),
        ("day,modell,usd\n2026-11-03,b,1\n", "No column is named as one for the model usually is.*--model COLUMN.*day, modell, usd"),
        ("day,model,usd\n", "no rows"),
        (b"day,model,usd\n2026-11-03,caf\xe9,1\n", "not UTF-8"),
    ],
)
def test_what_cannot_be_read_is_told_with_its_place(tmp_path: Path, text: str | bytes, says: str):
    with pytest.raises(InvalidInput, match=f"(?s){says}"):
        read(tmp_path, text)
