"""Migrations: numbered SQL files, each run once, in order, in a transaction; a file with data is backed up first."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path

from hishamos.errors import StoreError, StoreTooNew
from hishamos.records.record import now
from hishamos.store.connectors import Connector, Row, Transaction

_FILE = re.compile(r"^(\d{4})_(\w+)(\.duckdb)?\.sql$")
_TABLE = "create table if not exists migrations (number bigint primary key, name text not null, checksum text not null, applied_at timestamptz not null)"


@dataclass(frozen=True)
class Migration:
    """One numbered file, with the DuckDB twin of its text where it has one."""

    number: int
    name: str
    text: str
    duckdb_text: str | None = None

    @property
    def checksum(self) -> str:
        """SHA-256 of both texts."""
        return hashlib.sha256((self.text + (self.duckdb_text or "")).encode()).hexdigest()


def shipped() -> list[Migration]:
    """Return the migrations that this program knows, in order."""
    return read(resources.files("hishamos.store") / "migrations")


def read(folder: Traversable) -> list[Migration]:
    """Return the migrations of a folder, in order; numbers are unique and without gaps."""
    texts: dict[tuple[int, str], dict[bool, str]] = {}
    for file in folder.iterdir():
        found = _FILE.match(file.name)
        if found:
            texts.setdefault((int(found[1]), found[2]), {})[bool(found[3])] = file.read_text(encoding="utf-8")
    alone = [f"{number:04d}_{name}" for (number, name), by in texts.items() if False not in by]
    if alone:
        raise ValueError(f"only DuckDB's twin is there, the migration is missing: {', '.join(sorted(alone))}")
    found_all = [Migration(number, name, by[False], by.get(True)) for (number, name), by in sorted(texts.items())]
    if [migration.number for migration in found_all] != list(range(1, len(found_all) + 1)):
        raise ValueError(f"migrations are not numbered 1, 2, 3 …: {[migration.number for migration in found_all]}")
    return found_all


def schema_version(connector: Connector) -> int:
    """Return the number of the newest migration in the store; 0 for an empty one."""
    return max(_applied(connector), default=0)


def migrate(connector: Connector, migrations: Sequence[Migration] | None = None, *, back_up: bool = True) -> int:
    """Bring the store to the newest schema and return its version; ``back_up``: false for what is a copy itself.

    Raises what :func:`check` raises, and :class:`StoreError` when a migration fails: then the store is as it was before that migration.
    """
    known = list(shipped() if migrations is None else migrations)
    newest = known[-1].number if known else 0
    found = check(_applied(connector), connector.address, known)
    if found == newest:
        return found
    if found and back_up:
        back_up_before(connector, found)
    for migration in known:
        connector.transaction(lambda transaction, migration=migration: _apply(transaction, migration, connector))  # type: ignore[misc]
    return newest


def check(applied: Mapping[int, str], address: str, migrations: Sequence[Migration] | None = None) -> int:
    """Return a store's schema version; ``applied``: the checksums of its migrations by number.

    Raises :class:`StoreTooNew` for a store that a newer program wrote, :class:`StoreError` for one made by a migration whose text differs.
    """
    known = list(shipped() if migrations is None else migrations)
    newest = known[-1].number if known else 0
    found = max(applied, default=0)
    if found > newest:
        raise StoreTooNew(path=address, found=found, known=newest)
    for migration in known:
        if applied.get(migration.number, migration.checksum) != migration.checksum:
            raise StoreError(
                problem=f"it was made by another build: its migration {migration.number:04d}_{migration.name} differs",
                where=address,
                next="Use the program that made it, or restore a backup.",
            )
    return found


def back_up_before(connector: Connector, version: int) -> Path | None:
    """Copy a DuckDB file, checkpointed, into ``backups`` beside it; PostgreSQL has tools of its own."""
    path = getattr(connector, "path", None)
    if path is None:
        return None
    copy = Path(path).parent / "backups" / f"{Path(path).stem}-schema-{version}-{now():%Y%m%dT%H%M%S}.duckdb"
    connector.copy_to(copy)  # type: ignore[attr-defined]  # only DuckDB's connector has a path
    return copy


def _applied(connector: Connector) -> dict[int, str]:
    def work(transaction: Transaction) -> list[Row]:
        # Two that make the same table in one instant would hurt each other, "if not exists" or not.
        transaction.lock("migrations")
        transaction.execute(_TABLE)
        return transaction.fetch("select number, checksum from migrations")

    return {row["number"]: row["checksum"] for row in connector.transaction(work)}


def _apply(transaction: Transaction, migration: Migration, connector: Connector) -> None:
    transaction.lock("migrations")
    row = transaction.fetch_one("select checksum from migrations where number = $number", {"number": migration.number})
    if row is not None:
        return
    text = migration.duckdb_text if connector.dialect == "duckdb" and migration.duckdb_text else migration.text
    try:
        for statement in split(text):
            transaction.execute(statement)
    except Exception as error:
        raise StoreError(
            problem=f"migration {migration.number:04d}_{migration.name} failed: {error}",
            where=connector.address,
            next=f"The store stays at schema {migration.number - 1}, nothing of this migration was applied. Use the program that wrote it.",
        ) from error
    values = {"number": migration.number, "name": migration.name, "checksum": migration.checksum, "applied_at": now()}
    transaction.execute("insert into migrations (number, name, checksum, applied_at) values ($number, $name, $checksum, $applied_at)", values)


def split(text: str) -> list[str]:
    """Return the statements of a migration; they are divided by a semicolon at a line's end."""
    without_comments = re.sub(r"^\s*--.*$", "", text, flags=re.MULTILINE)
    return [part.strip() for part in re.split(r";\s*(?:\n|$)", without_comments) if part.strip()]
