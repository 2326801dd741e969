"""The contracts about money: the ledger, budgets, and the audit of who changed either."""

from __future__ import annotations

import os
from builtins import list as List  # noqa: N812 - every contract has a verb named list
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Protocol

from hishamos.contracts.verbs import verb
from hishamos.records.audit import AuditEntry, Repricing
from hishamos.records.calls import Attempt
from hishamos.records.exchanges import Exchange
from hishamos.records.invoices import Reconciliation
from hishamos.records.money import BalanceCheck, Budget, BudgetWarning, Period, Price
from hishamos.records.receipts import Receipt

if TYPE_CHECKING:
    import pandas


class LedgerService(Protocol):
    """``ws.ledger``: every attempt and its money."""

    @verb("ledger.read")
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
        """Return attempts, newest first.

        ``only``: the value that a group of :meth:`spend` has, by the group's name (``{"day": "2026-11-28", "provider": "openai"}``), None where it
        has none. ``after``: the id of the attempt behind which to go on. Raises :class:`UnknownName`, and :class:`InvalidInput` for what is no time.
        """
        ...

    @verb("runs.read")
    def exchange(self, attempt: str) -> Exchange:
        """Return what an attempt was asked and what came back, as far as its run kept it. Raises ``UnknownName``."""
        ...

    @verb("ledger.read")
    def tags(self, *, since: datetime | None = None, until: datetime | None = None) -> List[str]:
        """Return the names of the tags that calls of a span carry, in order; days (UTC) that lie in it in part count whole."""
        ...

    @verb("ledger.read")
    def version(self) -> str:
        """Return a text that is another one as soon as an attempt begins or ends, or its cost becomes another: until then, sums may be kept."""
        ...

    @verb("ledger.read", kind="table")
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
        """Return the spend grouped by columns of the ledger, ``day``, ``hour``, ``month``, or where the calls came from.

        That is ``notebook``, ``cell`` (its notebook stands before it) and ``commit`` (column ``git_commit``), null for calls of no notebook; and
        ``tag:NAME`` for a tag of people's own (:meth:`hishamos.Workspace.tagged`), in a column of this name, null for calls that have none of it.

        Columns: the groups, ``calls``, ``attempts``, ``succeeded``, ``failed``, ``fell_back`` (attempts that were not a call's first
        target), ``retried`` (its first target, asked again), ``input_tokens`` and how many of these were ``cached_tokens`` and
        ``cache_write_tokens``, ``output_tokens`` and how many of these were ``reasoning_tokens``, ``cost_nanos`` (int64), ``unpriced``, ``p50_ms``,
        ``p95_ms``, ``ttft_p50_ms``, ``ttft_p95_ms`` (until the first token). Offline answers cost 0 and count in no success rate: they are counted in
        ``offline`` only; answers given again by the cache in ``cached`` only.

        ``only``: as for :meth:`calls`. ``sums_only`` leaves out ``calls`` and the four columns of times, which of a large ledger take longest. The frame's
        ``attrs["sql"]`` is the SELECT with which ``ws.sql`` gives the same numbers.
        """
        ...

    @verb("ledger.read")
    def receipt(self, execution: str | None = None) -> Receipt:
        """Return what one execution of a notebook was made with and what it cost so far, summed over exactly its calls.

        ``execution``: its id, as in the tags of its attempts; left out, the notebook that asks. Each executed notebook ends in its receipt.
        Raises :class:`InvalidInput` where no notebook asks.
        """
        ...

    @verb("ledger.read")
    def balances(self) -> List[BalanceCheck]:
        """Hold every budget's balance against the sums over the ledger, all read at one moment, also while calls are under way."""
        ...

    @verb("ledger.read")
    def reconcile(
        self,
        invoice: str | os.PathLike[str] | pandas.DataFrame,
        *,
        columns: Mapping[str, str] | None = None,
        provider: str | None = None,
        timezone: str | None = None,
        threshold_usd: str = "0",
    ) -> Reconciliation:
        """Hold a provider's invoice against the ledger by day and model.

        ``invoice``: the path of a CSV file, or a DataFrame, with day, model and amount in USD, and maybe provider, input_tokens,
        output_tokens, requests; ``columns``: which column is which, where its name is not a usual one (``{"amount": "Net charge"}``);
        ``provider``: whose invoice it is, as in the ledger; ``timezone``: whose days the invoice has (left out: the workspace's; providers
        mostly bill by UTC); ``threshold_usd``: differences of a day and model up to this are none. An attempt belongs to the day it began.
        """
        ...

    @verb("ledger.write", kind="change")
    def reprice(self, *, model: str | None = None) -> Repricing:
        """Give attempts that were unpriced when they were made their cost at the price in force now; ``model``: only this one's.

        Done again it finds nothing to do. Spend and budgets follow in the same commits, and each has an audit entry.
        """
        ...

    @verb("ledger.write", kind="change")
    def settle(self, call: str, cost_usd: str) -> AuditEntry:
        """Declare what an orphan, or another attempt whose cost is an estimate, truly cost; budgets follow, an audit entry is written.

        ``call``: the call's id, or the attempt's where a call has several; ``cost_usd``: a decimal string, "0" for not billed.
        """
        ...

    @verb("ledger.read")
    def price(self, model: str) -> Price | None:
        """Return the price in force of a model, or None when it is unpriced."""
        ...


class Budgets(Protocol):
    """``ws.budgets``: limits on spend."""

    @verb("budgets.read")
    def list(self) -> List[Budget]:
        """Return all budgets with their balance in the current period."""
        ...

    @verb("budgets.read")
    def get(self, name: str) -> Budget:
        """Return one budget; raises :class:`UnknownName`."""
        ...

    @verb("budgets.write", kind="change")
    def set(self, name: str, *, limit_usd: str, scope: str = "workspace", period: Period = "month", hard: bool = True, warn_at: Sequence[str] = ()) -> Budget:
        """Create or change a budget; ``limit_usd``: a decimal string; ``warn_at``: shares of the limit as decimal strings, such as "0.8".

        A budget that is not ``hard`` refuses nothing, and warns at the whole limit.
        """
        ...

    @verb("budgets.read")
    def warnings(self, *, run: str | None = None, budget: str | None = None, limit: int = 100) -> List[BudgetWarning]:
        """Return the shares of budgets that were passed, newest first; ``run``: by this run's calls; ``budget``: of this one."""
        ...

    @verb("budgets.write", kind="change")
    def remove(self, name: str) -> None:
        """Remove a budget; the ledger keeps what was spent."""
        ...


class Audit(Protocol):
    """``ws.audit``: who changed what."""

    @verb("audit.read")
    def list(self, *, action: str | None = None, subject: str | None = None, limit: int = 100) -> List[AuditEntry]:
        """Return entries, newest first; ``action``: ``ledger.reprice``, ``ledger.settle``, ``budgets.set``, ``budgets.remove``."""
        ...

    @verb("audit.read")
    def get(self, entry: str) -> AuditEntry:
        """Return one entry by its id."""
        ...
