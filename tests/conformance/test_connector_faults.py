"""What a store does when the machine, another program or the server beside it fails."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import Future
from contextlib import suppress
from pathlib import Path

import duckdb
import pytest

from hishamos.errors import StoreBusy, StoreClosed, StoreError, UnsafeSql
from hishamos.store.connectors import open_connector
from hishamos.store.connectors.duckdb_file import copy_file
from hishamos.store.readonly import select

OPEN = "import duckdb, sys; duckdb.connect(sys.argv[1], read_only=len(sys.argv) > 2).execute('select 1')"


def others_can_open(path, *flags):
    return subprocess.run([sys.executable, "-c", OPEN, str(path), *flags], capture_output=True, text=True, check=False).returncode == 0


@pytest.fixture
def path(tmp_path):
    return tmp_path / "local" / "store.duckdb"


@pytest.fixture
def file_store(path):
    connector = open_connector(str(path))
    connector.transaction(lambda t: t.execute("create table notes (id integer primary key, text text)"))
    yield connector
    connector.close()


def put(number, text="x"):
    return lambda t: t.execute("insert into notes (id, text) values ($id, $text)", {"id": number, "text": text})


def count(store):
    return store.fetch_one("select count(*) as n from notes")["n"]


def test_a_foreign_program_that_holds_the_file_is_named_with_its_pid(path):
    path.parent.mkdir()
    program = "import duckdb, sys; c = duckdb.connect(sys.argv[1]); print('held', flush=True); sys.stdin.read()"
    holder = subprocess.Popen([sys.executable, "-c", program, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(StoreBusy) as caught:
            open_connector(str(path))
        assert caught.value.pid == holder.pid
        assert f"pid {holder.pid}" in str(caught.value)
        assert "python" in caught.value.holder
        assert str(path) in str(caught.value)
    finally:
        holder.communicate()
    open_connector(str(path)).close()


def test_a_file_that_this_program_has_open_is_told_so_and_stays_held(file_store, path):
    with pytest.raises(StoreBusy, match="has it open already") as caught:
        open_connector(str(path))
    assert caught.value.pid == os.getpid()
    assert not others_can_open(path)
    assert file_store.transaction(put(1)) == 1


def test_readers_too_are_locked_in(file_store):
    """Some of DuckDB's settings hold for one connection only; a reader has one of its own."""
    import pyarrow

    table_of_mine = pyarrow.table({"a": [1]})
    assert table_of_mine.num_rows == 1
    with file_store.lend() as reader:
        for query in ("select * from table_of_mine", "select * from read_text('/etc/hostname')", "attach '/tmp/x.duckdb' as x", "set threads = 1"):
            with pytest.raises(duckdb.Error):
                reader.execute(query)
    settings = {row["name"]: row["value"] for row in file_store.fetch("select name, value from duckdb_settings()")}
    assert settings["python_enable_replacements"] == settings["enable_external_access"] == settings["autoload_known_extensions"] == "false"
    assert settings["lock_configuration"] == "true"
    assert settings["TimeZone"] in {"UTC", "Etc/UTC"}
    assert "%" not in settings["max_temp_directory_size"]


def test_memory_never_spills_into_the_current_folder():
    store = open_connector(":memory:")
    assert store.fetch_one("select value from duckdb_settings() where name = 'temp_directory'") == {"value": ""}
    store.close()


def test_a_file_that_is_no_database_is_told_so_and_left_alone(path):
    path.parent.mkdir()
    path.write_bytes(b"this is no database at all" * 400)
    with pytest.raises(StoreError, match="move the file away"):
        open_connector(str(path))
    assert path.read_bytes().startswith(b"this is no database")


def test_a_folder_that_is_a_file_is_told_so(tmp_path):
    (tmp_path / "local").write_text("")
    with pytest.raises(StoreError):
        open_connector(str(tmp_path / "local" / "store.duckdb"))


def test_a_read_only_folder_is_told_so():
    with tempfile.TemporaryDirectory(prefix="hos-") as name:
        folder = Path(name)
        folder.chmod(0o555)
        program = (
            "import os, sys\n"
            "from hishamos.errors import StoreError\n"
            "from hishamos.store.connectors import open_connector\n"
            "import hishamos.store.connectors.duckdb_file\n"
            "os.getuid() or os.setuid(65534)\n"
            "for place in ('store.duckdb', 'data/local/store.duckdb'):\n"
            "    try: open_connector(sys.argv[1] + '/' + place)\n"
            "    except StoreError as error: print(error)\n"
        )
        done = subprocess.run([sys.executable, "-c", program, name], capture_output=True, text=True, check=False, cwd="/")
        assert done.stdout.count("the folder can't be written") == 2, done
        assert done.stdout.count("Make it writable") == 2
        assert list(folder.iterdir()) == []
        folder.chmod(0o755)


@pytest.fixture
def small_disk():
    folder = Path(tempfile.mkdtemp(prefix="hos-disk-"))
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=6m", "tmpfs", str(folder)], capture_output=True, text=True, check=False)
    if mounted.returncode:
        folder.rmdir()
        pytest.skip(f"needs the right to mount a tmpfs: {mounted.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)
    folder.rmdir()


def fill(folder):
    """Take all the room that is left."""
    ballast = folder / "ballast"
    with ballast.open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(b"x" * 4096)
    return ballast


def test_a_full_disk_is_told_half_writes_nothing_and_is_got_over(small_disk):
    path = small_disk / "store.duckdb"
    store = open_connector(str(path))
    store.transaction(lambda t: t.execute("create table notes (id integer primary key, text text)"))
    for number in range(10):
        store.transaction(put(number))
    ballast = fill(small_disk)
    acknowledged, failures = list(range(10)), []
    for number in range(10, 60):
        try:
            store.transaction(lambda t, number=number: [put(number * 10, os.urandom(30_000).hex())(t), put(number * 10 + 1)(t)])
            acknowledged += [number * 10, number * 10 + 1]
        except StoreError as error:
            failures.append(str(error))
    assert failures
    assert all("disk is full" in text for text in failures), set(failures)
    ballast.unlink()
    store.transaction(put(9999))
    assert [row["id"] for row in store.fetch("select id from notes order by id")] == [*acknowledged, 9999]
    store.close()
    again = open_connector(str(path))
    assert [row["id"] for row in again.fetch("select id from notes order by id")] == [*acknowledged, 9999]
    again.close()


def given_up(small_disk):
    """A store whose DuckDB instance declared itself invalid: a full disk stopped it in the middle of a checkpoint."""
    store = open_connector(str(small_disk / "store.duckdb"))
    store.transaction(lambda t: t.execute("create table notes (id integer primary key, text text)"))
    for number in range(40):
        store.transaction(put(number, os.urandom(30_000).hex()))
    assert count(store) == 40
    ballast = fill(small_disk)
    with pytest.raises(StoreError, match="disk is full"):
        store.copy_to(small_disk / "copy.duckdb")
    ballast.unlink()
    return store


def test_a_store_that_duckdb_gave_up_is_opened_anew_by_the_next_write(small_disk):
    store = given_up(small_disk)
    futures = [store.submit(put(number)) for number in range(40, 60)]
    assert [future.result(20) for future in futures] == [1] * 20
    assert count(store) == 60
    assert not others_can_open(small_disk / "store.duckdb")
    store.copy_to(small_disk / "copy.duckdb")
    store.close()


def test_a_store_that_duckdb_gave_up_is_opened_anew_after_a_read(small_disk):
    store = given_up(small_disk)
    with pytest.raises(StoreError) as caught:
        select(store, "select 1", limit=1, timeout_s=5)
    assert not isinstance(caught.value, UnsafeSql)
    with suppress(StoreError):
        count(store)
    deadline = time.monotonic() + 10
    found = None
    while found is None and time.monotonic() < deadline:
        with suppress(StoreError):
            found = count(store)
    assert found == 40
    store.close()


def test_a_file_that_has_gone_is_never_begun_anew_empty(small_disk):
    store = given_up(small_disk)
    path, aside = small_disk / "store.duckdb", small_disk / "aside"
    path.rename(aside)
    for _ in range(2):
        with pytest.raises(StoreError, match="the file has gone"):
            store.transaction(put(40))
        with pytest.raises(StoreError):
            count(store)
        with pytest.raises(StoreError), store.lend():
            pytest.fail("nothing to lend")
    assert not path.exists()
    aside.rename(path)
    assert store.transaction(put(40)) == 1
    assert count(store) == 41
    store.close()


def test_when_duckdb_gives_up_inside_a_group_all_of_it_are_told(small_disk):
    store = given_up(small_disk)
    store._given_up = False  # as if the instance had broken under this group
    gate = threading.Event()
    store.submit(lambda t: gate.wait(5))
    futures = [store.submit(put(number)) for number in range(40, 45)]
    gate.set()
    outcomes = [future.exception(20) for future in futures]
    assert all(error is None or isinstance(error, StoreError) for error in outcomes)
    assert store.transaction(put(99)) == 1
    assert count(store) == 41 + outcomes.count(None)
    store.close()


def test_a_disk_too_small_to_begin_with_is_told(small_disk):
    fill(small_disk)
    with pytest.raises(StoreError, match="disk is full"):
        open_connector(str(small_disk / "store.duckdb")).transaction(lambda t: t.execute("create table a (b text)"))


def test_a_copy_waits_for_what_another_connection_is_in_the_middle_of(file_store, tmp_path, monkeypatch):
    file_store.transaction(lambda transaction: transaction.execute("insert into notes values (1, 'a')"))
    change = "update notes set text = 'b'"
    done = []
    with file_store.lend() as other:
        other.execute("begin transaction")
        other.execute(change)
        thread = threading.Thread(target=lambda: done.append(file_store.copy_to(tmp_path / "copy.duckdb")))
        thread.start()
        thread.join(0.2)
        assert not done
        other.execute("rollback")
    thread.join(20)
    assert (done, (tmp_path / "copy.duckdb").exists()) == ([None], True)
    monkeypatch.setattr("hishamos.store.connectors.duckdb_file.CHECKPOINT_S", 0.05)
    with file_store.lend() as other:
        other.execute("begin transaction")
        other.execute(change)
        with pytest.raises(StoreError, match="CHECKPOINT"):
            file_store.copy_to(tmp_path / "late.duckdb")
        other.execute("rollback")


def test_a_copy_to_a_full_disk_leaves_no_part(small_disk, file_store):
    file_store.transaction(lambda t: t.executemany("insert into notes values ($i, $t)", [{"i": i, "t": os.urandom(40_000).hex()} for i in range(150)]))
    with pytest.raises(StoreError, match="copy failed"):
        file_store.copy_to(small_disk / "copy.duckdb")
    assert list(small_disk.iterdir()) == []
    assert count(file_store) == 150


WRITER = """
import sys, threading
from hishamos.store.connectors import open_connector
store = open_connector(sys.argv[1])
store.transaction(lambda t: t.execute("create table pairs (id bigint primary key, half text)"))
lock, numbers = threading.Lock(), iter(range(10**9))
def go():
    while True:
        with lock: number = next(numbers)
        def work(t):
            t.execute("insert into pairs values ($id, 'a')", {"id": number * 2})
            t.execute("insert into pairs values ($id, 'b')", {"id": number * 2 + 1})
        store.transaction(work)
        sys.stdout.write(f"{number}\\n"); sys.stdout.flush()
for _ in range(6): threading.Thread(target=go).start()
"""


@pytest.mark.parametrize("engine", ["duckdb", "postgres"])
def test_what_was_acknowledged_survives_a_kill_and_nothing_is_half_there(engine, path, request):
    url = request.getfixturevalue("new_postgres_url") if engine == "postgres" else str(path)
    child = subprocess.Popen([sys.executable, "-c", WRITER, url], stdout=subprocess.PIPE, text=True)
    told = [child.stdout.readline() for _ in range(60)]
    os.kill(child.pid, signal.SIGKILL)
    told += child.stdout.read().splitlines(keepends=True)
    child.wait()
    acknowledged = {int(line) for line in told if line.endswith("\n")}
    assert len(acknowledged) >= 60
    store = open_connector(url)
    if engine == "postgres":
        time.sleep(0.5)  # the server ends the dead client's open transactions
    ids = {row["id"] for row in store.fetch("select id from pairs")}
    assert {half for number in acknowledged for half in (number * 2, number * 2 + 1)} <= ids
    assert {number // 2 for number in ids if number % 2} == {number // 2 for number in ids if not number % 2}
    store.transaction(lambda t: t.execute("insert into pairs values (-1, 'c')"))
    store.close()


def test_a_copy_made_while_others_write_and_read_is_whole(file_store, path, tmp_path):
    stop = threading.Event()

    def write():
        number = 0
        while not stop.is_set():
            file_store.transaction(lambda t, number=number: t.executemany("insert into notes values ($i, 'x')", [{"i": number}, {"i": number + 1}]))
            number += 2

    def read():
        while not stop.is_set():
            assert count(file_store) % 2 == 0

    threads = [threading.Thread(target=write), threading.Thread(target=read)]
    for thread in threads:
        thread.start()
    copies = []
    with file_store.lend() as held:
        held.execute("begin transaction read only")
        held.execute("select count(*) from notes").fetchall()
        for number in range(3):
            least = count(file_store)
            copies.append((least, tmp_path / "copies" / f"{number}.duckdb"))
            file_store.copy_to(copies[-1][1])
            assert not others_can_open(path)
            assert not others_can_open(path, "read-only")
    stop.set()
    for thread in threads:
        thread.join()
    for least, copy in copies:
        with duckdb.connect(str(copy), read_only=True) as opened:
            (found,) = opened.execute("select count(*) from notes").fetchone()
        assert found >= least
        assert found % 2 == 0
    assert sorted(file.name for file in (tmp_path / "copies").iterdir()) == ["0.duckdb", "1.duckdb", "2.duckdb"]


def test_a_copy_never_replaces_the_store_itself(file_store, path, tmp_path):
    file_store.transaction(put(1))
    link = tmp_path / "link.duckdb"
    link.symlink_to(path)
    for target in (path, link):
        with pytest.raises(StoreError, match="replace the store itself"):
            file_store.copy_to(target)
    with pytest.raises(StoreError, match="copy failed"):
        copy_file(tmp_path / "none.duckdb", tmp_path / "copy.duckdb")
    assert count(file_store) == 1


def test_closing_lets_the_file_go_even_where_threads_that_read_it_live_on(file_store, path):
    stop, has_read = threading.Event(), threading.Event()

    def read_and_stay():
        count(file_store)
        has_read.set()
        stop.wait(20)

    thread = threading.Thread(target=read_and_stay)
    thread.start()
    has_read.wait(10)
    file_store.close()
    assert others_can_open(path)
    assert not path.with_name(path.name + ".wal").exists()
    stop.set()
    thread.join()
    for call in (file_store.lend().__enter__, lambda: file_store.copy_to(path.with_name("copy"))):
        with pytest.raises(StoreClosed):
            call()


def test_closing_ends_a_long_read(file_store):
    outcome: Future[object] = Future()

    def read():
        try:
            outcome.set_result(file_store.fetch("select count(*) as n from range(1000000) a, range(1000000) b where (a.range + b.range) % 7 = 3"))
        except StoreError as error:
            outcome.set_exception(error)

    thread = threading.Thread(target=read)
    thread.start()
    time.sleep(0.3)
    file_store.close()
    assert isinstance(outcome.exception(10), StoreClosed)
    thread.join()


def test_a_work_that_waits_for_another_is_told_not_to(file_store, tmp_path):
    for inner in (lambda t: file_store.transaction(put(1)), lambda t: file_store.copy_to(tmp_path / "copy")):
        with pytest.raises(RuntimeError, match="wait for itself"):
            file_store.transaction(inner)


def test_several_statements_in_one_text_are_refused(file_store):
    with pytest.raises(ValueError, match="one statement at a time, not 2"):
        file_store.transaction(lambda t: t.execute("select 1; select 2"))
    assert file_store.fetch("select 1 as n") == [{"n": 1}]


def test_more_texts_than_are_kept_parsed_still_work(file_store):
    assert [file_store.fetch_one(f"select {number} as n")["n"] for number in range(1100)] == list(range(1100))
