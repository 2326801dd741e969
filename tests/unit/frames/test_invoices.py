"""An invoice is read as it was meant, or refused with the line that can't be read."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest

from hishamos.errors import InvalidInput, UnknownName
from hishamos.frames.invoices import amount, invoice_lines
from hishamos.records.invoices import InvoiceText

UTC = ZoneInfo("UTC")


def lines(text: str, timezone: ZoneInfo = UTC, **columns: str):
    return invoice_lines(InvoiceText(name="bill.csv", text=text), columns, timezone)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("12.50", "12.50"), (" 1,234.5678901234 ", "1234.5678901234"), ("$0.25", "0.25"), ("US$ 3", "3"), ("4 USD", "4"), ("-$1.20", "-1.20"), ("$-1.20", "-1.20"),
        ("(12.00)", "-12.00"), ("($1,000.00)", "-1000.00"), ("\u22125", "-5"), (".5", "0.5"), ("1.2e-05", "0.000012"), ("1,234,567", "1234567"), ("+7", "7"), ("١٢", "12"),
    ],
)  # fmt: skip
def test_amounts_are_exact(text: str, value: str):
    assert amount(text, "here") == Decimal(value)


@pytest.mark.parametrize("text", ["", "free", "1,23", "1.234,56", "12,34.5", "€5", "£5", "1 234", "nan", "inf", "--5", "0x10", "1e999", "$", "5 EUR"])
def test_what_is_no_amount_is_refused(text: str):
    with pytest.raises(InvalidInput, match=r"no amount in USD \(here\)"):
        amount(text, "here")


@pytest.mark.parametrize(
    "header", ["day,model,amount", "Date,Model,Cost (USD)", "DATE,model_name,cost", '"usage date","model-id","Amount USD"', "\ufeffdate,Model,usd"]
)
def test_usual_names_of_columns_are_recognised(header: str):
    [line] = lines(f"{header}\n2026-11-01,gpt-4.1,1.5\n")
    assert (line.line, line.day, line.model, line.amount_usd, line.provider) == (2, date(2026, 11, 1), "gpt-4.1", Decimal("1.5"), None)


def test_all_columns_of_an_invoice_are_read():
    text = 'date,provider,model,input_tokens,output_tokens,requests,cost,currency\n2026-11-01,OpenAI,gpt-4.1,"1,200",30,,"$1,000.00",usd\n'
    [line] = lines(text)
    assert (line.provider, line.input_tokens, line.output_tokens, line.requests) == ("OpenAI", 1200, 30, None)
    assert line.amount_usd == 1000


def test_columns_may_be_named_by_hand():
    [line] = lines("When,What,Net charge,Gross\n2026-11-01,m,1,2\n", day="When", model="What", amount="Net charge")
    assert (line.day, line.model, line.amount_usd) == (date(2026, 11, 1), "m", 1)
    with pytest.raises(UnknownName, match="amount"):
        lines("day,model,amount\n2026-11-01,m,1\n", amout="amount")
    with pytest.raises(UnknownName, match="bill.csv has: day, model, amount"):
        lines("day,model,amount\n2026-11-01,m,1\n", amount="charge")


@pytest.mark.parametrize(
    ("header", "problem"),
    [
        ("day,model", "no column for the amount"),
        ("model,price", "the day and the amount"),
        ("day,model,cost,amount", r"'cost' and 'amount' may both be the amount .*--columns amount=cost"),
    ],
)
def test_what_can_not_be_told_apart_is_asked_back(header: str, problem: str):
    with pytest.raises(InvalidInput, match=problem):
        lines(f"{header}\n{','.join('1' for _ in header.split(','))}\n")


def test_a_moment_belongs_to_a_day_of_the_timezone():
    text = "day,model,cost\n2026-11-01T23:30:00Z,m,1\n2026-11-02 01:30:00+02:00,m,1\n2026-11-01T23:30:00,m,1\n"
    assert [line.day.day for line in lines(text)] == [1, 1, 1]
    assert [line.day.day for line in lines(text, ZoneInfo("Africa/Cairo"))] == [2, 2, 1]


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        ("11/23/2026,m,1", "'11/23/2026' is no day"),
        ("2026-02-30,m,1", "'2026-02-30' is no day"),
        ("20261123,m,1", None),
        ("2026-11-23,m,lots", "'lots' is no amount"),
        ("2026-11-23,,1", "No model is named"),
        ("Total,m,1", "'Total' is no day"),
    ],
)
def test_a_row_that_can_not_be_read_is_named_with_its_line(row: str, problem: str | None):
    text = f'day,model,cost\n2026-11-22,"two\nlines",1\n\n{row}\n'
    if problem is None:
        assert lines(text)[1].line == 5
        return
    with pytest.raises(InvalidInput, match=problem) as caught:
        lines(text)
    assert caught.value.where == "bill.csv, line 5"


@pytest.mark.parametrize(("cell", "problem"), [("1.5", "'1.5' is no whole number"), ("-3", "no whole number"), ("many", "no whole number")])
def test_tokens_are_whole_numbers(cell: str, problem: str):
    with pytest.raises(InvalidInput, match=problem):
        lines(f"day,model,cost,input_tokens\n2026-11-22,m,1,{cell}\n")


def test_another_currency_is_refused():
    with pytest.raises(InvalidInput, match="The amount is in EUR"):
        lines("day,model,cost,currency\n2026-11-22,m,1,EUR\n")
