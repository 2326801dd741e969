"""``ws.ledger``: every attempt and its money."""

from __future__ import annotations

import os
from builtins import list as List  # noqa: N812 - every contract has a verb named list
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from hishamos.contracts.money import LedgerService as LedgerContract
from hishamos.errors import InvalidInput
from hishamos.frames.invoices import amount, invoice_lines
from hishamos.frames.tables import frame
from hishamos.gateway.costs import cost
from hishamos.records.audit import AuditEntry, Repricing
from hishamos.records.calls import Attempt
from hishamos.records.exchanges import Exchange
from hishamos.records.invoices import Reconciliation
from hishamos.records.money import BalanceCheck, Price
from hishamos.records.receipts import Receipt
from hishamos.records.record import nanos
from hishamos.services.exchanges import exchange
from hishamos.services.invoices import Names, compare, concerned, invoice_text
from hishamos.services.receipts import receipt_of
from hishamos.services.service import Service, implements, present_origin
from hishamos.store import audit, own_tags, reconciling, spending
from hishamos.store.corrections import Corrections, unpriced_models

if TYPE_CHECKING:
    import pandas
    import pyarrow

EVERY = 1_000_000


@implements(LedgerContract)
class LedgerService(Service):
    """The ledger of one workspace for one actor."""

    def calls(
        self,
        *,
        run: str | None = None,
        model: str | None = None,
        project: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        only: Mapping[str, str | None] | None = None,
        after: str | None = None,
        limit: int = 100,
    ) -> List[Attempt]:
        choice = self._chosen(since, until, only, run=run, model=model, project=project)
        return spending.attempts(self.machinery.store, choice, after=after, limit=limit)

    def exchange(self, attempt: str) -> Exchange:
        return exchange(self.machinery, attempt)

    def tags(self, *, since: datetime | None = None, until: datetime | None = None) -> List[str]:
        return own_tags.tag_names(self.machinery.store, since, until)

    def version(self) -> str:
        return spending.version(self.machinery.store)

    def spend(
        self,
        *,
        by: str | Sequence[str] = "model",
        since: datetime | None = None,
        until: datetime | None = None,
        run: str | None = None,
        project: str | None = None,
        only: Mapping[str, str | None] | None = None,
        sums_only: bool = False,
    ) -> pandas.DataFrame:
        return frame(self.spend_table(by=by, since=since, until=until, run=run, project=project, only=only, sums_only=sums_only))

    def spend_table(
        self,
        *,
        by: str | Sequence[str] = "model",
        since: datetime | None = None,
        until: datetime | None = None,
        run: str | None = None,
        project: str | None = None,
        only: Mapping[str, str | None] | None = None,
        sums_only: bool = False,
    ) -> pyarrow.Table:
        choice = self._chosen(since, until, only, run=run, project=project)
        return spending.spend(self.machinery.store, by, self._timezone(), choice, sums_only=sums_only)

    def _chosen(self, since: datetime | None, until: datetime | None, only: Mapping[str, str | None] | None, **named: str | None) -> spending.Chosen:
        values = {name: value for name, value in named.items() if value is not None} | dict(only or {})
        return spending.chosen(self._timezone(), since=since, until=until, only=values)

    def _timezone(self) -> str:
        return self.machinery.settings().workspace.timezone

    def receipt(self, execution: str | None = None) -> Receipt:
        here = present_origin()
        identity = execution or (here.execution if here else None)
        if identity is None:
            raise InvalidInput(what="no notebook makes this call", where="ws.ledger.receipt", next="Name an execution: the tag of its attempts.")
        return receipt_of(self.machinery, identity, here if here and here.execution == identity else None)

    def balances(self) -> List[BalanceCheck]:
        return reconciling.balances(self.machinery.store)

    def reconcile(
        self,
        invoice: str | os.PathLike[str] | pandas.DataFrame,
        *,
        columns: Mapping[str, str] | None = None,
        provider: str | None = None,
        timezone: str | None = None,
        threshold_usd: str = "0",
    ) -> Reconciliation:
        read, zone = invoice_text(invoice), timezone or self._timezone()
        lines = invoice_lines(read, columns or {}, _zone(zone))
        if provider is not None:
            lines = [line.model_copy(update={"provider": provider}) for line in lines]
        threshold = amount(threshold_usd, "threshold_usd")
        if threshold < 0:
            raise InvalidInput(what=f"{threshold_usd} USD is no threshold", where="threshold_usd", next="Give 0 or more.")
        first, last = min(line.day for line in lines), max(line.day for line in lines)
        ours = reconciling.days_of_models(self.machinery.store, first, last, zone)
        names = Names(sorted({(day.provider, day.model) for day in ours}))
        providers = concerned(lines, ours, names)
        rows = compare(lines, [day for day in ours if day.provider in providers], names, threshold)
        return Reconciliation(
            invoice=read.name,
            timezone=zone,
            first=first,
            last=last,
            providers=providers,
            threshold_usd=threshold,
            rows=tuple(rows),
            matched=names.matched,
            unmatched=names.unmatched,
        )

    def reprice(self, *, model: str | None = None) -> Repricing:
        # Its own id finds the entries again: a repeat goes on where the first was cut off, and tells the whole.
        identity, store = self.change_id(), self.machinery.store
        corrections = Corrections(store, self.machinery.ledger, self.actor.name, identity)
        prices = {one.model: self.machinery.gateway.prices.price(one.model) for one in unpriced_models(store, model)}
        for price in prices.values():
            while price is not None and corrections.reprice(price, cost):
                pass
        left = unpriced_models(store, model)
        return Repricing(
            entries=tuple(reversed(audit.entries(store, request_id=identity, limit=EVERY))),
            unpriced={one.model: one.known_usage for one in left if one.known_usage and prices.get(one.model) is None},
            unknown_usage={one.model: one.unknown_usage for one in left if one.unknown_usage},
        )

    def settle(self, call: str, cost_usd: str) -> AuditEntry:
        true_cost = amount(cost_usd, "cost_usd")
        if not 0 <= true_cost < 10**9:
            raise InvalidInput(what=f"{cost_usd} USD is no cost", where="cost_usd", next="Give 0 for what was not billed, or what the provider billed.")
        corrections = Corrections(self.machinery.store, self.machinery.ledger, self.actor.name, self.change_id())
        return self.change("ledger.settle", AuditEntry, lambda transaction: corrections.settle(transaction, call, nanos(true_cost)))

    def price(self, model: str) -> Price | None:
        price = self.machinery.gateway.prices.price(model)
        if price is None:
            return None
        dated = next(iter(self.machinery.ledger.price_rows(model)), price)
        same = dated.model_copy(update={"since": price.since}) == price
        return dated if same else price


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ValueError, OSError, KeyError):
        raise InvalidInput(what=f"{name!r} is no timezone", where="timezone", next="Give an IANA name such as UTC or Africa/Cairo.") from None
