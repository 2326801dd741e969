"""PostgreSQL schemas of the newest form, emptied and lent again: a tenth of what making one and dropping it costs."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator

import psycopg

from hishamos.store.connectors import open_connector
from hishamos.store.migrate import migrate

LEAVE_S = 0.1
"""How long it is waited until those who used a schema are gone; one that somebody still uses is dropped."""
RELATIONS = "select relname, relkind from pg_class where relnamespace = %s::regnamespace and relkind in ('r', 'S', 'v') order by relname"
USERS = "select count(*) from pg_stat_activity where application_name = %s"


def address(server: str, schema: str) -> str:
    """Return the address of a schema; whoever uses it has its name."""
    return f"{server}{'&' if '?' in server else '?'}schema={schema}&application_name={schema}"


class Schemas:
    """The schemas of one process of the test run."""

    def __init__(self, server: str) -> None:
        self._server = server
        self._free: list[str] = []
        self._form: list[tuple[str, str]] = []

    @contextlib.contextmanager
    def lent(self) -> Iterator[str]:
        """Lend the address of an empty schema that is migrated."""
        schema = self._free.pop() if self._free else self._made()
        try:
            yield address(self._server, schema)
        finally:
            with psycopg.connect(self._server, autocommit=True) as connection:
                if self._emptied(connection, schema):
                    self._free.append(schema)
                else:
                    connection.execute(f'drop schema if exists "{schema}" cascade')

    def close(self) -> None:
        """Drop them all."""
        with psycopg.connect(self._server, autocommit=True) as connection:
            for schema in self._free:
                connection.execute(f'drop schema if exists "{schema}" cascade')

    def _made(self) -> str:
        schema = f"t_{os.urandom(6).hex()}"
        connector = open_connector(address(self._server, schema))
        migrate(connector)
        connector.close()
        if not self._form:
            with psycopg.connect(self._server) as connection:
                self._form = connection.execute(RELATIONS, (schema,)).fetchall()
        return schema

    def _emptied(self, connection: psycopg.Connection, schema: str) -> bool:
        """Empty a schema; False where a test has changed its form, or where somebody may still write into it."""
        until = time.monotonic() + LEAVE_S
        while connection.execute(USERS, (schema,)).fetchone() != (0,):
            if time.monotonic() > until:
                return False
            time.sleep(0.005)
        if connection.execute(RELATIONS, (schema,)).fetchall() != self._form:
            return False
        emptied = [f'delete from "{schema}"."{name}"' for name, kind in self._form if kind == "r" and name != "migrations"]
        emptied += [f'alter sequence "{schema}"."{name}" restart' for name, kind in self._form if kind == "S"]
        connection.execute("; ".join(emptied))
        return True
