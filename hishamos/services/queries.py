"""``ws.sql``: one SELECT over the views that people query."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from hishamos.contracts.services import Sql
from hishamos.frames.tables import frame
from hishamos.services.service import Service, implements
from hishamos.store.readonly import select

if TYPE_CHECKING:
    import pandas
    import pyarrow


@implements(Sql)
class SqlService(Service):
    """Implements :class:`hishamos.contracts.services.Sql`."""

    def query(self, statement: str, *, limit: int = 100_000, timeout_s: float = 30, parameters: Mapping[str, Any] | None = None) -> pandas.DataFrame:
        """See the contract."""
        return frame(self.query_table(statement, limit=limit, timeout_s=timeout_s, parameters=parameters))

    def query_table(self, statement: str, *, limit: int = 100_000, timeout_s: float = 30, parameters: Mapping[str, Any] | None = None) -> pyarrow.Table:
        """Return the answer as an Arrow table."""
        return select(self.machinery.store, statement, limit=limit, timeout_s=timeout_s, parameters=parameters)
