"""``ws.ledger``: every attempt and its money."""

from __future__ import annotations

from builtins import list as List  # noqa: N812 - every contract has a verb named list
from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from hishamos.contracts.services import LedgerService as LedgerContract
from hishamos.frames.tables import frame
from hishamos.records.calls import Attempt
from hishamos.records.money import BalanceCheck, Price
from hishamos.services.service import Service, implements
from hishamos.store import reconciling
from hishamos.store import spend as questions

if TYPE_CHECKING:
    import pandas
    import pyarrow


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
        limit: int = 100,
    ) -> List[Attempt]:
        return questions.attempts(self.machinery.store, run=run, model=model, project=project, since=since, limit=limit)

    def spend(
        self,
        *,
        by: str | Sequence[str] = "model",
        since: datetime | None = None,
        until: datetime | None = None,
        run: str | None = None,
        project: str | None = None,
    ) -> pandas.DataFrame:
        return frame(self.spend_table(by=by, since=since, until=until, run=run, project=project))

    def spend_table(
        self,
        *,
        by: str | Sequence[str] = "model",
        since: datetime | None = None,
        until: datetime | None = None,
        run: str | None = None,
        project: str | None = None,
    ) -> pyarrow.Table:
        timezone = self.machinery.settings().workspace.timezone
        return questions.spend(self.machinery.store, by, timezone, since=since, until=until, run=run, project=project)

    def balances(self) -> List[BalanceCheck]:
        return reconciling.balances(self.machinery.store)

    def price(self, model: str) -> Price | None:
        price = self.machinery.gateway.prices.price(model)
        if price is None:
            return None
        dated = next(iter(self.machinery.ledger.price_rows(model)), price)
        same = dated.model_copy(update={"since": price.since}) == price
        return dated if same else price
