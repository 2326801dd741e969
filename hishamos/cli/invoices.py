"""A provider's invoice as a CSV file: its columns found by their usual names, its days and amounts read strictly."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date
from decimal import Decimal, InvalidOperation

from hishamos.cli.csv_files import read_rows
from hishamos.errors import InvalidInput
from hishamos.records.money import InvoiceLine
from hishamos.records.record import nanos

USUAL = {
    "day": ("day", "date", "usage_date", "usage_day", "start_date", "start_time", "timestamp"),
    "model": ("model", "model_name", "model_id", "sku", "line_item", "description"),
    "usd": ("usd", "cost_usd", "amount_usd", "cost", "amount", "total_cost", "total", "amount_value"),
}
"""Names of columns, the surest first; case, blanks and dashes do not matter."""
_THOUSANDS = re.compile(r"^-?\d{1,3}(,\d{3})+(\.\d+)?$")


def read_invoice(file: str, columns: dict[str, str | None]) -> list[InvoiceLine]:
    """Return the invoice's lines; ``columns``: the file's names for ``day``, ``model``, ``usd`` where they are not usual ones.

    Raises :class:`InvalidInput` with file and row for what is no day, no model, no amount.
    """
    names, rows = read_rows(file)
    places = {what: _column(what, wanted, names, file) for what, wanted in columns.items()}
    return [_line(row, places, f"{file}, row {number}") for number, row in enumerate(rows, 1)]


def _column(what: str, wanted: str | None, names: Sequence[str], file: str) -> str:
    if wanted is not None:
        if wanted not in names:
            raise InvalidInput(what=f"There is no column {wanted!r}", where=file, next=f"Its columns are: {', '.join(names)}.")
        return wanted
    plain = {re.sub(r"[\s-]+", "_", name.lower()): name for name in names}
    found = next((plain[usual] for usual in USUAL[what] if usual in plain), None)
    if found is None:
        advice = f"Name it: --{what} COLUMN. Its columns are: {', '.join(names)}."
        raise InvalidInput(what=f"No column is named as one for the {what} usually is", where=file, next=advice)
    return found


def _line(row: dict[str, str], places: dict[str, str], where: str) -> InvoiceLine:
    model = row[places["model"]].strip()
    if not model:
        raise InvalidInput(what="The model is empty", where=where, next="Every line needs one; remove lines that are no usage, taxes for instance.")
    return InvoiceLine(day=_day(row[places["day"]], where), model=model, cost_nanos=_nanos(row[places["usd"]], where))


def _day(text: str, where: str) -> date:
    try:
        return date.fromisoformat(re.split(r"[T ]", text.strip(), maxsplit=1)[0])
    except ValueError:
        raise InvalidInput(what=f"{text!r} is no day", where=where, next="Write days as 2026-11-24; a time behind it is left away.") from None


def _nanos(text: str, where: str) -> int:
    plain = re.sub(r"^\s*(-?)\s*(?:\$|USD|US\$)?\s*|\s*(?:USD|\$)?\s*$", r"\1", text, flags=re.IGNORECASE)
    if _THOUSANDS.match(plain):
        plain = plain.replace(",", "")
    try:
        amount = Decimal(plain)
        if amount.is_finite():
            return nanos(amount)
    except (InvalidOperation, ValueError):
        pass
    raise InvalidInput(what=f"{text!r} is no amount of USD", where=where, next="Write a decimal number such as 12.34, -0.5 or 1,234.56.")
