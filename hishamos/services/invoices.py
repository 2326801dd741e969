"""A provider's invoice held against the ledger: names matched, days and models compared."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from typing import Any, Literal

from pydantic import ValidationError

from hishamos.errors import InvalidInput
from hishamos.records.invoices import InvoiceDifference, InvoiceLine, InvoiceText, LedgerDay

DATE_IN_NAME = re.compile(r"[-@:](?:\d{4}-\d{2}-\d{2}|\d{8}|\d{4}|\d{3}|latest)$")
"""What a provider puts after a model's name to name one dated version of it."""


class Names:
    """The ledger's models by the names that an invoice may give them. ``models``: provider and ``provider/model``."""

    def __init__(self, models: Sequence[tuple[str, str]]) -> None:
        self._models = models
        self.matched: dict[str, str] = {}
        self.unmatched: dict[str, str] = {}

    def of(self, line: InvoiceLine) -> str | None:
        """Return the ledger's model that a line is about; None, with the reason in ``unmatched``, where that is not certain."""
        mine = [model for provider, model in self._models if line.provider is None or provider.casefold() == line.provider.casefold()]
        spelled = {line.model.casefold(), line.model.casefold().partition("/")[2]} - {""}
        found = [model for model in mine if {model.casefold(), _bare(model)} & spelled]
        found = found or [model for model in mine if any(_same_but_dated(_bare(model), name) for name in spelled)]
        if len(found) == 1:
            if _bare(found[0]) not in spelled:
                self.matched[line.model] = found[0]
            return found[0]
        if found:
            self.unmatched[line.model] = f"it may be {' or '.join(sorted(found))}"
        elif line.provider and not mine:
            self.unmatched[line.model] = f"the ledger has no attempt at a provider named {line.provider} in these days"
        else:
            self.unmatched[line.model] = "the ledger has no attempt at it in these days"
        return None


def _bare(model: str) -> str:
    return model.partition("/")[2].casefold()


def _same_but_dated(one: str, other: str) -> bool:
    """Return whether one of two names is the other with a date; two different dates are two models."""
    return DATE_IN_NAME.sub("", one) == other or one == DATE_IN_NAME.sub("", other)


def invoice_text(invoice: Any) -> InvoiceText:
    """Return an invoice as text; whoever has the file or the DataFrame has made it that (see ``hishamos.workspace``)."""
    try:
        return InvoiceText.model_validate(invoice)
    except ValidationError:
        raise InvalidInput(what="This is no invoice", where="ws.ledger.reconcile", next="Give the path of a CSV file, or a DataFrame.") from None


def concerned(lines: Sequence[InvoiceLine], ours: Sequence[LedgerDay], names: Names) -> tuple[str, ...]:
    """Return the providers whose attempts an invoice is about: those it names, else those of the models it names, else all."""
    found = set()
    for line in lines:
        model = names.of(line)
        wanted = (line.provider or "").casefold()
        found |= {day.provider for day in ours if day.model == model or day.provider.casefold() == wanted}
    return tuple(sorted(found or {day.provider for day in ours}))


def compare(lines: Sequence[InvoiceLine], ours: Sequence[LedgerDay], names: Names, threshold_usd: Decimal) -> list[InvoiceDifference]:
    """Return every day and model that either side has, in order of the days."""
    theirs: dict[tuple[date, str], list[InvoiceLine]] = defaultdict(list)
    for line in lines:
        theirs[line.day, names.of(line) or line.model].append(line)
    mine = {(day.day, day.model): day for day in ours if day.cost_nanos or day.unpriced or (day.day, day.model) in theirs}
    return [_row(day, model, mine.get((day, model)), theirs.get((day, model), []), threshold_usd) for day, model in sorted({*theirs, *mine})]


def _row(day: date, model: str, ours: LedgerDay | None, theirs: Sequence[InvoiceLine], threshold_usd: Decimal) -> InvoiceDifference:
    side: Literal["both", "ledger", "invoice"] = "both" if ours and theirs else "ledger" if ours else "invoice"
    facts: dict[str, Any] = {} if ours is None else ours.model_dump(exclude={"day", "provider", "model", "cost_nanos"})
    row = InvoiceDifference(
        day=day,
        model=model,
        side=side,
        ours_nanos=ours.cost_nanos if ours else 0,
        theirs_usd=sum((line.amount_usd for line in theirs), Decimal(0)),
        **{f"invoice_{kind}": _sum([getattr(line, kind) for line in theirs]) for kind in ("requests", "input_tokens", "output_tokens")},
        **facts,
    )
    return row.model_copy(update={"differs": abs(row.difference_usd) > threshold_usd})


def _sum(numbers: Sequence[int | None]) -> int | None:
    known = [number for number in numbers if number is not None]
    return sum(known) if known else None
