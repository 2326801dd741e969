"""``ws.sql``: one SELECT over the views that people query, and those that they keep as files of the workspace."""

from __future__ import annotations

import re
from builtins import list as List  # noqa: N812 - as in the contract
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hishamos.contracts.services import Sql
from hishamos.engine.places import inside
from hishamos.errors import InvalidInput
from hishamos.frames.tables import frame
from hishamos.records.queries import SavedQuery
from hishamos.services.saving import put_text
from hishamos.services.service import Service, implements
from hishamos.store.readonly import select

if TYPE_CHECKING:
    import pandas
    import pyarrow


FOLDER = "queries"
NAME = re.compile(r"[^\W_][\w -]{0,79}")
LONGEST = 100_000
"""Characters of a statement that may be run."""


@implements(Sql)
class SqlService(Service):
    """Implements :class:`hishamos.contracts.services.Sql`."""

    def query(self, statement: str, *, limit: int = 100_000, timeout_s: float = 30, parameters: Mapping[str, Any] | None = None) -> pandas.DataFrame:
        """See the contract."""
        return frame(self.query_table(statement, limit=limit, timeout_s=timeout_s, parameters=parameters))

    def query_table(self, statement: str, *, limit: int = 100_000, timeout_s: float = 30, parameters: Mapping[str, Any] | None = None) -> pyarrow.Table:
        """Return the answer as an Arrow table."""
        return select(self.machinery.store, statement, limit=limit, timeout_s=timeout_s, parameters=parameters)

    def saved(self) -> List[SavedQuery]:
        """See the contract."""
        found = sorted(file for file in (self.root / FOLDER).glob("*.sql") if NAME.fullmatch(file.stem))
        return [SavedQuery(name=file.stem, statement=self._file(file.stem).read_text(encoding="utf-8", errors="replace")[:LONGEST]) for file in found]

    def save(self, name: str, statement: str) -> SavedQuery:
        """See the contract."""
        if not statement.strip() or len(statement) > LONGEST:
            what = f"a statement of {len(statement)} characters" if statement.strip() else "an empty statement"
            raise InvalidInput(what=f"{what} can't be kept", where=f"query {name}", next=f"Write a SELECT of at most {LONGEST} characters.")
        put_text(self._file(name), statement)
        return SavedQuery(name=name, statement=statement)

    def forget(self, name: str) -> None:
        """See the contract."""
        self._file(name).unlink(missing_ok=True)

    def _file(self, name: str) -> Path:
        if not NAME.fullmatch(name):
            next_ = "Letters, digits, spaces, - and _, at most 80, a letter or digit first."
            raise InvalidInput(what=f"{name[:80]!r} is no name for a query", where="queries", next=next_)
        return inside(self.root, f"{FOLDER}/{name}.sql", f"query {name}")
