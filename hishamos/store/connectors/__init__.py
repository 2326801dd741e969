"""The connector plug: the fewest verbs that DuckDB and PostgreSQL both offer."""

from __future__ import annotations

from hishamos.store.connectors.connector import Connector, Row, Transaction, Work
from hishamos.store.connectors.urls import file_of, is_postgres, open_connector

__all__ = ["Connector", "Row", "Transaction", "Work", "file_of", "is_postgres", "open_connector"]
