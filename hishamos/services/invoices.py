"""A provider's invoice against the ledger, by day and model."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from typing import Any

from hishamos.records.money import InvoiceCheck, InvoiceLine

_DATED = re.compile(r"[-@](\d{4}-\d{2}-\d{2}|\d{8})$")
"""How providers date a model: ``gpt-4.1-mini-2025-04-14``, ``claude-haiku-4-5-20251001``."""


def held_against(lines: Sequence[InvoiceLine], booked: Iterable[Mapping[str, Any]]) -> list[InvoiceCheck]:
    """Return one check for each day and model of invoice or ledger, in the order of days.

    An invoice's name is the ledger's model of that name, with or without its provider; else the only one that has it but for a date at its
    end. A name that fits more than one stays the invoice's own.
    """
    ledger = {(date.fromisoformat(row["day"]), row["model"]): row for row in booked}
    models = sorted({model for _, model in ledger})
    invoiced: dict[tuple[date, str], int] = {}
    names: dict[tuple[date, str], set[str]] = {}
    for line in lines:
        place = line.day, _in_ledger(line.model, models) or line.model
        invoiced[place] = invoiced.get(place, 0) + line.cost_nanos
        names.setdefault(place, set()).add(line.model)
    return [_check(place, invoiced.get(place), names.get(place, set()), ledger.get(place)) for place in sorted(invoiced.keys() | ledger.keys())]


def _check(place: tuple[date, str], invoiced: int | None, names: set[str], row: Mapping[str, Any] | None) -> InvoiceCheck:
    day, model = place
    facts = {} if row is None else {name: row[name] for name in ("attempts", "estimated", "estimated_nanos", "unpriced")}
    others = tuple(sorted(names - {model, model.partition("/")[2]}))
    return InvoiceCheck(day=day, model=model, named=others, invoiced_nanos=invoiced, ledger_nanos=None if row is None else row["cost_nanos"], **facts)


def _in_ledger(name: str, models: Sequence[str]) -> str | None:
    if name in models:
        return name
    for same in (_bare, _undated):
        found = [model for model in models if same(model.partition("/")[2]) == same(name.rpartition("/")[2])]
        if len(found) == 1:
            return found[0]
    return None


def _bare(name: str) -> str:
    return name


def _undated(name: str) -> str:
    return _DATED.sub("", name)
