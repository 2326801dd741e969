"""A provider's invoice as lines: columns by their usual names, days and amounts read strictly."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

from hishamos.errors import InvalidInput, UnknownName
from hishamos.frames.csv_rows import csv_rows
from hishamos.records.invoices import InvoiceLine, InvoiceText

USUAL = {
    "day": ("day", "date", "usage date", "start date", "timestamp", "start time"),
    "provider": ("provider", "vendor"),
    "model": ("model", "model name", "model id", "model version"),
    "amount": ("amount", "cost", "usd", "cost usd", "amount usd", "total cost", "total usd", "net amount"),
    "input_tokens": ("input tokens", "prompt tokens"),
    "output_tokens": ("output tokens", "completion tokens"),
    "requests": ("requests", "num model requests", "request count", "calls"),
}
"""How the columns of an invoice are usually named; capitals, _ - ( ) and $ make no difference."""
NEEDED = ("day", "model", "amount")
CURRENCY = ("currency", "currency code", "amount currency")
AMOUNT = re.compile(r"(?:\d+|\d{1,3}(?:,\d{3})+)(?:\.\d+)?(?:[eE][+-]?\d{1,2})?|\.\d+")
SIGNS = re.compile(r"US\$|USD|\$", re.IGNORECASE)
WHOLE = re.compile(r"(\d+|\d{1,3}(?:,\d{3})+)(?:\.0+)?")


def invoice_lines(invoice: InvoiceText, columns: Mapping[str, str], timezone: ZoneInfo) -> list[InvoiceLine]:
    """Return an invoice's lines in their order.

    ``columns``: what a column holds (a key of :data:`USUAL`) to its name, where that is not a usual one; ``timezone``: whose day a moment
    belongs to. Raises :class:`InvalidInput` with the line of what is no day, no amount in USD or no whole number.
    """
    names, rows = csv_rows(invoice.text.removeprefix("\ufeff"), invoice.name)
    found = _columns(names, columns, invoice.name)
    currency = next((name for name in names if _plain(name) in CURRENCY), None)
    return [_line(number, row, found, currency, f"{invoice.name}, line {number}", timezone) for number, row in rows]


def _line(number: int, row: Mapping[str, str], found: Mapping[str, str], currency: str | None, where: str, timezone: ZoneInfo) -> InvoiceLine:
    if currency is not None and row[currency].strip().upper() not in ("USD", ""):
        raise InvalidInput(what=f"The amount is in {row[currency].strip()}", where=where, next="The ledger is in USD: hand in the invoice in USD.")
    model = row[found["model"]].strip()
    if not model:
        raise InvalidInput(what="No model is named", where=where, next="Name one in every row; leave out rows of sums.")
    return InvoiceLine(
        line=number,
        day=_day(row[found["day"]].strip(), where, timezone),
        model=model,
        amount_usd=amount(row[found["amount"]], where),
        provider=row[found["provider"]].strip() or None if "provider" in found else None,
        **{kind: _whole(row[found[kind]], where) for kind in ("input_tokens", "output_tokens", "requests") if kind in found},
    )


def _columns(names: Sequence[str], given: Mapping[str, str], file: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for kind, name in given.items():
        if kind not in USUAL:
            raise UnknownName.among("column of an invoice", kind, list(USUAL), f"It has: {', '.join(USUAL)}.")
        if name not in names:
            raise UnknownName.among("column", name, list(names), f"{file} has: {', '.join(names)}.")
        found[kind] = name
    for kind, usual in USUAL.items():
        fitting = [name for name in names if _plain(name) in usual and name not in found.values()]
        if kind in found or not fitting:
            continue
        if len(fitting) > 1:
            what = f"The columns {' and '.join(map(repr, fitting))} may both be the {kind}"
            raise InvalidInput(what=what, where=f"{file}, line 1", next=f"Say which: --columns {kind}={fitting[0]}")
        found[kind] = fitting[0]
    missing = [kind for kind in NEEDED if kind not in found]
    if missing:
        what = f"There is no column for the {' and the '.join(missing)}; it has {', '.join(names)}"
        raise InvalidInput(what=what, where=f"{file}, line 1", next=f"Name it: --columns {missing[0]}=COLUMN")
    return found


def _plain(name: str) -> str:
    return " ".join(re.sub(r"[_\-()$]", " ", name.casefold()).split())


def _day(text: str, where: str, timezone: ZoneInfo) -> date:
    try:
        if len(text) == 10:
            return date.fromisoformat(text)
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise InvalidInput(what=f"{text!r} is no day", where=where, next="Write it as 2026-11-23, or as a time such as 2026-11-23T14:05:00Z.") from None
    return moment.date() if moment.tzinfo is None else moment.astimezone(timezone).date()


def amount(text: str, where: str) -> Decimal:
    """Return an amount in USD, exact: ``1,234.56``, ``$0.25``, ``-3``, ``(3.00)`` for a credit."""
    bare = text.strip().replace("\u2212", "-")
    negative = bare.startswith("(") and bare.endswith(")")
    bare = SIGNS.sub("", bare[1:-1] if negative else bare, count=1).strip().replace("- ", "-")
    if bare[:1] in ("-", "+"):
        negative, bare = negative != (bare[0] == "-"), bare[1:].strip()
    if not AMOUNT.fullmatch(bare):
        raise InvalidInput(what=f"{text.strip()!r} is no amount in USD", where=where, next="Write it as 1234.56 or 1,234.56; a credit as -12.50.")
    value = Decimal(bare.replace(",", ""))
    return -value if negative else value


def _whole(text: str, where: str) -> int | None:
    bare = text.strip()
    if not bare:
        return None
    found = WHOLE.fullmatch(bare)
    if found is None:
        raise InvalidInput(what=f"{bare!r} is no whole number", where=where, next="Write tokens and requests as 1200 or 1,200.")
    return int(found[1].replace(",", ""))
