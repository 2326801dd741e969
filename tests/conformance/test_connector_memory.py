"""What DuckDB keeps of its file in memory: bounded, given back after its checkpoints, and never at the cost of somebody who reads."""

from __future__ import annotations

import base64
import random
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from hishamos.records.record import timed_id
from hishamos.store.connectors import duckdb_memory, open_connector
from hishamos.store.connectors.duckdb_file import DuckDBConnector
from hishamos.store.connectors.duckdb_memory import KEPT, LOG, Trimming, memory_bytes

ROW = 1_000
GROUP = 1_000
HELD = "select cast(sum(memory_usage_bytes) as bigint) as held from duckdb_memory() where tag in ('BASE_TABLE', 'ART_INDEX')"
LIMIT = "select current_setting('memory_limit') as memory"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[DuckDBConnector]:
    opened = open_connector(str(tmp_path / "store.duckdb"))
    assert isinstance(opened, DuckDBConnector)
    opened.transaction(lambda transaction: transaction.execute("create table noise (id text primary key, said text)"))
    yield opened
    opened.close()


def written(store: DuckDBConnector, megabytes: int) -> None:
    """Write so much that nothing of it can be made smaller."""
    dice = random.Random(megabytes)
    for _ in range(megabytes * 10**6 // ROW // GROUP):
        rows = [{"id": timed_id(20), "said": base64.b64encode(dice.randbytes(ROW * 3 // 4)).decode()} for _ in range(GROUP)]
        store.transaction(lambda transaction, rows=rows: transaction.executemany("insert into noise (id, said) values ($id, $said)", rows))


@pytest.fixture(autouse=True)
def looked_at_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(duckdb_memory, "LOOK_S", 0.0)


def test_what_was_written_is_not_kept_for_good(store: DuckDBConnector, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(duckdb_memory, "KEPT", 10**6)
    before = store.fetch_one(LIMIT)
    written(store, 16)
    store.transaction(lambda transaction: transaction.fetch("select 1"))  # whoever wrote last is answered first
    [held] = store.fetch(HELD)
    assert held["held"] < 10**6 + 2 * LOG
    assert store.fetch("select count(*) as n from noise") == [{"n": 16_000}]
    written(store, 1)
    assert store.fetch_one(LIMIT) == before, "the memory that queries may take is what it was"


def test_who_reads_is_waited_for(store: DuckDBConnector):
    busy = threading.Lock()
    said: list[str] = []
    trimming = Trimming(store.path)
    assert not trimming.due()
    written(store, 5)
    assert trimming.due()
    with busy:
        trimming.run(said.append, [threading.Lock(), busy])
        assert (said, trimming.due()) == ([], True)
    trimming.run(said.append, [busy])
    assert said == [f"set memory_limit = '{KEPT}B'", f"set memory_limit = '{memory_bytes()}B'"]
    assert not trimming.due()
    assert not busy.locked()


def test_readers_of_much_are_never_short_of_memory_while_others_write(store: DuckDBConnector):
    written(store, 5)
    wrong: list[BaseException] = []
    stop = threading.Event()

    def read() -> None:
        while not stop.is_set():
            try:
                # Needs more than what is kept: sorts two copies of all there is.
                store.fetch("select max(n) as n from (select row_number() over (order by a.said desc, a.id) as n from noise a, range(8) r)")
            except BaseException as error:
                wrong.append(error)
                return

    reader = threading.Thread(target=read)
    reader.start()
    written(store, 6)
    stop.set()
    reader.join()
    assert wrong == []


def test_in_memory_there_is_no_file_to_keep_of():
    trimming = Trimming(None)
    assert not trimming.due()
