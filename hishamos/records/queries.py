"""SELECTs that people keep."""

from __future__ import annotations

from hishamos.records.record import Record


class SavedQuery(Record):
    """A SELECT under a name: the file ``queries/NAME.sql`` of the workspace."""

    name: str
    statement: str
