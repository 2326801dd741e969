"""The swap of a store that waits to be restored: halted at any of its acts and begun again it comes to the same, whatever the old store left."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import pytest

from hishamos.errors import InvalidInput, StoreBusy, StoreError, StoreTooNew
from hishamos.store import restoring
from hishamos.store.connectors import open_connector
from hishamos.store.connectors.duckdb_file import DuckDBConnector
from hishamos.store.migrate import migrate, shipped
from tests.conformance.test_migrations import KEPT, NEWEST, ONE_ROW
from tests.rigs.lengths import shared_out
from tests.rigs.nursery import python

MOMENT = datetime(2026, 11, 28, 10, 0, 0, tzinfo=UTC)
PROJECT = "insert into work_projects (key, name, issues_made, created_at) values ('{}', 'n', 0, current_timestamp)"


def keys(file: Path) -> set[str]:
    with duckdb.connect(str(file), read_only=True) as connection:
        return {row[0] for row in connection.execute("select key from work_projects").fetchall()}


def store_with(file: Path, key: str) -> DuckDBConnector:
    store = open_connector(str(file))
    assert isinstance(store, DuckDBConnector)
    migrate(store)
    store.transaction(lambda transaction: transaction.execute(PROJECT.format(key)))
    return store


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    store_with(tmp_path / "copy.duckdb", "COPY").close()
    return tmp_path / "copy.duckdb"


@pytest.fixture
def killed(tmp_path: Path) -> Path:
    """A store as a killed server leaves it: its last commits stand in its log only."""
    store = store_with(tmp_path / "live.duckdb", "OLD")
    path = tmp_path / "local" / "store.duckdb"
    path.parent.mkdir()
    store.between_commits(lambda: [shutil.copyfile(f"{store.path}{end}", f"{path}{end}") for end in ("", ".wal")])
    store.close()
    return path


def forward(path: Path, copy: Path) -> None:
    restoring.put_forward(restoring.prepare(path, copy), path, MOMENT)


def test_the_present_store_is_kept_with_its_log_and_none_of_it_gets_into_the_restored_one(killed: Path, copy: Path) -> None:
    forward(killed, copy)
    kept = restoring.finish(killed)
    assert kept == killed.parent / "backups" / "before-restore-20261128T100000.duckdb"
    assert keys(killed) == {"COPY"}
    assert keys(kept) == {"OLD"}
    assert restoring.finish(killed) is None
    assert sorted(os.listdir(killed.parent)) == ["backups", "store.duckdb"]


class Halted(BaseException):
    pass


def halting(patch: pytest.MonkeyPatch, at: int) -> list[str]:
    """Let only so many acts on files come about, as for a process that is killed before the next."""
    done: list[str] = []

    def wrapped(name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def act(*values: Any, **named: Any) -> Any:
            if len(done) == at:
                raise Halted
            done.append(name)
            return real(*values, **named)

        return act

    for holder, name in ((os, "link"), (os, "fsync"), (os, "utime"), (Path, "replace"), (Path, "unlink"), (shutil, "copyfile")):
        patch.setattr(holder, name, wrapped(name, getattr(holder, name)))
    return done


@pytest.mark.parametrize("links", [True, pytest.param(False, marks=pytest.mark.long)], ids=["links", "copies"])
def test_halted_at_any_act_it_leaves_the_old_store_or_the_new_one(killed: Path, copy: Path, monkeypatch: pytest.MonkeyPatch, links: bool) -> None:
    ends = []
    for at in range(100):
        path = killed.parent.parent / f"local{at}" / killed.name
        shutil.copytree(killed.parent, path.parent)
        with monkeypatch.context() as patch:
            if not links:
                patch.setattr(os, "link", lambda *_: (_ for _ in ()).throw(OSError("no links here")))
            staged = restoring.prepare(path, copy)
            done = halting(patch, at)
            try:
                restoring.put_forward(staged, path, MOMENT)
                restoring.finish(path)
            except Halted:
                staged.close()
            else:
                break
        assert path.exists(), f"there is no store after {done}"
        kept = restoring.finish(path)
        assert keys(path) == ({"COPY"} if "replace" in done else {"OLD"}), done
        assert kept is None or keys(kept) == {"OLD"}, done
        assert not list(path.parent.glob("*restoring*"))
        ends.append(kept is not None)
    assert True in ends
    assert False in ends


def test_it_works_where_there_is_no_store_any_more(tmp_path: Path, copy: Path) -> None:
    path = tmp_path / "local" / "store.duckdb"
    path.parent.mkdir()
    forward(path, copy)
    restoring.finish(path)
    assert keys(path) == {"COPY"}
    assert os.listdir(path.parent) == ["store.duckdb"]


@pytest.fixture(scope="module")
def versions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a copy of a store as each version left it, with a row from each."""
    folder = tmp_path_factory.mktemp("versions")
    growing = open_connector(str(folder / "growing.duckdb"))
    for version in range(1, NEWEST + 1):
        migrate(growing, shipped()[:version], back_up=False)
        growing.transaction(lambda transaction, version=version: transaction.execute(ONE_ROW[version]))
        growing.copy_to(folder / f"{version}.duckdb")
    growing.close()
    return folder


@pytest.mark.parametrize("version", shared_out(range(1, NEWEST + 1), {1, NEWEST - 1, NEWEST}))
def test_a_copy_of_every_earlier_version_is_read_and_brought_to_the_newest(tmp_path: Path, versions: Path, version: int) -> None:
    copy, path = versions / f"{version}.duckdb", tmp_path / "store.duckdb"
    present = store_with(path, "OLD")
    meant = restoring.look(path, copy, present)
    assert (meant.schema_version, meant.lost.runs, meant.back.runs) == (version, 0, int(version >= 13))
    staged = restoring.prepare(path, copy)
    restoring.put_forward(staged, path, MOMENT)
    present.close()
    restoring.finish(path)
    restored = open_connector(str(path))
    assert migrate(restored) == NEWEST
    for number in range(1, version + 1):
        assert restored.fetch_one(f"select count(*) as n from {KEPT[number]} = 'kept'") == {"n": 1}
    restored.close()
    assert not list((tmp_path / "backups").glob("*schema*")), "the copy is a copy already"


def test_the_copy_loses_what_was_free_in_its_file(tmp_path: Path) -> None:
    full = store_with(tmp_path / "full.duckdb", "OLD")
    rows = "insert into requests (id, verb, answer, made_at) select 'r' || i, 'v', repeat(md5(i || ''), 20), current_timestamp from range(20000) r(i)"
    full.transaction(lambda transaction: transaction.execute(rows))
    full.copy_to(tmp_path / "full-copy.duckdb")
    full.transaction(lambda transaction: transaction.execute("delete from requests"))
    full.copy_to(tmp_path / "copy.duckdb")
    full.close()
    before = (tmp_path / "copy.duckdb").stat().st_size
    forward(tmp_path / "store.duckdb", tmp_path / "copy.duckdb")
    restoring.finish(tmp_path / "store.duckdb")
    assert (tmp_path / "store.duckdb").stat().st_size < before / 2


def attempt(identity: str, cost: int | None, status: str = "succeeded") -> str:
    columns = "id, call_id, idempotency_key, number, provider, model, hop, status, cost_nanos, overrun, started_at, tags"
    return f"insert into ledger_attempts ({columns}) values ('{identity}', 'c', 'k', 1, 'p', 'p/m', 0, '{status}', {'null' if cost is None else cost}, false, current_timestamp, '{{}}')"


def test_lost_and_come_back_add_up_to_the_ledger_of_the_copy(tmp_path: Path, copy: Path) -> None:
    correction = "insert into ledger_corrections (attempt_id, cost_nanos, audit_id, made_at) values ('both', 9, 'a', current_timestamp)"
    with duckdb.connect(str(copy)) as connection:
        for statement in (attempt("both", None), attempt("copy-only", 40)):
            connection.execute(statement)
    present = store_with(tmp_path / "store.duckdb", "COPY")
    for statement in (attempt("both", None), correction, attempt("new", 500), attempt("unpriced", None)):
        present.transaction(lambda transaction, statement=statement: transaction.execute(statement))
    meant = restoring.look(tmp_path / "store.duckdb", copy, present)
    present.close()
    assert meant.lost.model_dump(exclude_defaults=True) == {"attempts": 2, "cost_nanos": 509, "unpriced": 1}
    assert meant.back.model_dump(exclude_defaults=True) == {"attempts": 1, "cost_nanos": 40}
    assert 509 - 509 + 40 == 40, "the present sum, what is lost, what comes back: the copy's sum"


def test_what_is_no_copy_is_refused_with_a_reason(tmp_path: Path, copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "store.duckdb"
    present = store_with(path, "OLD")
    other = tmp_path / "other.duckdb"

    def refused(file: Path, error: type[Exception], match: str) -> None:
        with pytest.raises(error, match=match):
            restoring.look(path, file, present)

    refused(tmp_path / "nothing", InvalidInput, "no such file")
    refused(tmp_path, InvalidInput, "a folder")
    refused(path, InvalidInput, "the store itself")
    (tmp_path / "link").hardlink_to(path)
    refused(tmp_path / "link", InvalidInput, "the store itself")
    other.write_text("no store at all" * 1000)
    refused(other, InvalidInput, "no store of HishamOS")
    other.unlink()
    with duckdb.connect(str(other)) as connection:
        connection.execute("create table t (i int)")
    refused(other, InvalidInput, "no store of HishamOS")
    with duckdb.connect(str(copy)) as connection:
        connection.execute("insert into migrations values (999, 'later', 'x', current_timestamp)")
    refused(copy, StoreTooNew, "newer HishamOS")
    with duckdb.connect(str(copy)) as connection:
        connection.execute("delete from migrations where number = 999")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10**9, 10**9, 10**6))
    refused(copy, StoreError, "1 MB are free")
    present.close()
    assert keys(path) == {"OLD"}


def test_a_copy_that_is_damaged_inside_is_refused_before_anything_changes(tmp_path: Path) -> None:
    path, copy = tmp_path / "store.duckdb", tmp_path / "copy.duckdb"
    full = store_with(copy, "COPY")
    rows = "insert into requests (id, verb, answer, made_at) select 'r' || i, 'v', repeat(md5(i || ''), 20), current_timestamp from range(20000) r(i)"
    full.transaction(lambda transaction: transaction.execute(rows))
    full.close()
    with copy.open("r+b") as file:
        for place in range(2_000_000, copy.stat().st_size, 262_144):
            file.seek(place)
            file.write(b"\0" * 64)
    store_with(path, "OLD").close()
    with pytest.raises(StoreError, match="can't be read"):
        restoring.prepare(path, copy)
    assert keys(path) == {"OLD"}
    assert not list(tmp_path.glob("*restoring*"))


def test_a_copy_that_another_program_writes_is_refused(tmp_path: Path, copy: Path) -> None:
    holder = python("import duckdb, sys, time; held = duckdb.connect(sys.argv[1]); print('held', flush=True); time.sleep(60)", copy)
    assert holder.stdout is not None
    holder.stdout.readline()
    with pytest.raises(StoreBusy, match=f"pid {holder.pid}"):
        restoring.look(tmp_path / "store.duckdb", copy, None)
    holder.kill()
    holder.wait()
    assert restoring.look(tmp_path / "store.duckdb", copy, None).lost is None
