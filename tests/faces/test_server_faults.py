"""The workspace server in bad company: signals, strangers' sockets, lost answers, long logs, keys in traces."""

from __future__ import annotations

import fcntl
import json
import logging
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import hishamos
from hishamos.contracts.wire import Places, all_verbs, boot_id
from hishamos.errors import HishamosError, InvalidInput, ProtocolMismatch, ServerUnreachable, StoreError
from hishamos.records.record import now
from hishamos.records.results import IssueDraft
from hishamos.records.workspaces import ServerInfo
from hishamos.remote.discovery import _wait_for_holder
from hishamos.remote.requests import Requests
from hishamos.settings import Keys

OFFLINE = "offline/extractive"


def facts(address: Path, pid: int, **changes: object) -> ServerInfo:
    """What a server that listens on ``address`` would write of itself."""
    told = {"pid": pid, "host": socket.gethostname(), "boot_id": boot_id(), "user": "mallory", "address": f"unix:{address}"}
    more = {"protocol": 1, "schema_version": 4, "version": "0.1.0", "fingerprint": "x", "started_at": now()}
    return ServerInfo.model_validate({**told, **more, **changes})


def written(folder: Path, info: ServerInfo) -> Places:
    places = Places(folder)
    places.local.mkdir(parents=True, exist_ok=True)
    places.info.write_text(info.model_dump_json())
    return places


@pytest.fixture
def stranger(workspace_dir: Path) -> Iterator[int]:
    """The pid of a process that lives as long as the test and is no server; nothing of it is left for the workspace's own cleaning."""
    process = subprocess.Popen(["sleep", "300"])
    yield process.pid
    process.kill()
    process.wait()
    info = Places(workspace_dir).info
    if info.exists() and json.loads(info.read_text())["pid"] == process.pid:
        info.unlink()


def ended(pid: int) -> bool:
    for _ in range(400):
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.05)
    return False


@pytest.mark.long
@pytest.mark.usefixtures("real_processes")
def test_a_terminated_server_drains_and_lets_go(workspace_dir: Path) -> None:
    ws = hishamos.open(workspace_dir)
    run = ws.workflows.start("triage_bugs", {"file": hishamos.sample("bugs.csv"), "publish": "no"}, model=OFFLINE)
    info = Requests(workspace_dir).server
    os.kill(info.pid, signal.SIGTERM)
    assert ended(info.pid)
    places = Places(workspace_dir)
    assert places.log.read_text().rstrip().endswith("left"), "it came to its end by itself"
    assert not places.info.exists()
    assert not Path(info.address.removeprefix("unix:")).exists()
    assert ws.runs.wait(run.id, timeout_s=60).state == "succeeded"


def test_a_server_whose_settings_were_broken_since_leaves_in_order(workspace_dir: Path) -> None:
    hishamos.open(workspace_dir).health.ping()
    (workspace_dir / "hishamos.toml").write_text("[nonsense\n")
    assert Requests(workspace_dir).stop()
    log = Places(workspace_dir).log.read_text()
    assert log.rstrip().endswith("left")
    assert "Traceback" not in log


@pytest.mark.long
def test_who_follows_a_run_does_not_hold_a_leaving_server_and_goes_on_with_the_next(workspace_dir: Path) -> None:
    ws = hishamos.open(workspace_dir)
    run = ws.workflows.start("triage_bugs", {"file": hishamos.sample("bugs.csv"), "publish": "no"}, model=OFFLINE)
    ws.runs.pause(run.id)
    seen: list[int] = []
    follower = threading.Thread(target=lambda: seen.extend(event.seq for event in ws.runs.follow(run.id)))
    follower.start()
    deadline = time.monotonic() + 60
    while ws.runs.get(run.id).state != "paused" and time.monotonic() < deadline:
        time.sleep(0.1)
    begun = time.monotonic()
    assert Requests(workspace_dir).stop()
    assert time.monotonic() - begun < 4, "an open stream would hold it for the whole time of grace"
    ws.runs.resume(run.id)
    follower.join(60)
    assert not follower.is_alive()
    assert seen == sorted(set(seen)), "no event twice"
    assert ws.runs.get(run.id).state == "succeeded"


@pytest.mark.long
@pytest.mark.usefixtures("real_processes")
def test_a_client_with_newer_code_has_the_older_server_leave_once(workspace_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    older = hishamos.open(workspace_dir)
    first = older.health.ping().pid
    with monkeypatch.context() as patch:
        patch.setattr("hishamos.remote.requests.code", lambda: ("newer", 2**62))
        newer = hishamos.open(workspace_dir)
    second = newer.health.ping().pid
    assert second != first
    assert ended(first)
    assert older.health.ping().pid == second, "the older client goes on with the same server"
    assert newer.health.ping().pid == second


def test_another_protocol_is_told_in_a_sentence(workspace_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pid = hishamos.open(workspace_dir).health.ping().pid
    monkeypatch.setattr("hishamos.remote.requests.PROTOCOL", 0)
    with pytest.raises(ProtocolMismatch, match=rf"server \(pid {pid}, HishamOS .*is newer than this program.*pip install -U"):
        hishamos.open(workspace_dir)


def test_what_a_newer_version_adds_to_its_greeting_is_passed_over(workspace_dir: Path) -> None:
    requests = Requests(workspace_dir)
    server = requests.server
    hello = {"protocol": 2, "version": "9", "stamp": 0, "fingerprint": "other", "added_later": True}
    assert json.loads(requests._post(server, "/v1/hello", json.dumps(hello).encode(), {})[1])["pid"] == server.pid
    places = Places(workspace_dir)
    places.info.write_text(json.dumps(json.loads(places.info.read_text()) | {"added_later": 1}))
    assert hishamos.open(workspace_dir).health.ping().pid == server.pid


@pytest.mark.usefixtures("real_processes")
def test_no_key_goes_to_a_socket_that_lies_in_a_strangers_folder(workspace_dir: Path, tmp_path: Path, stranger: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-not-for-strangers-0123456789")
    folder = tmp_path / "open"
    folder.mkdir(mode=0o755)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as trap:
        trap.bind(str(folder / "s"))
        trap.listen()
        trap.setblocking(False)
        places = written(workspace_dir, facts(folder / "s", stranger))
        with places.lock.open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            with pytest.raises(ServerUnreachable, match=f"host {socket.gethostname()}, user mallory.*hishamos server stop"):
                hishamos.open(workspace_dir)
        assert hishamos.open(workspace_dir).health.ping().pid != stranger, "when nobody holds the workspace, such facts are no obstacle"
        with pytest.raises(BlockingIOError):
            trap.accept()


def test_a_server_on_another_host_is_named(workspace_dir: Path, tmp_path: Path, stranger: int) -> None:
    places = written(workspace_dir, facts(tmp_path / "s", stranger, host="elsewhere", boot_id="other"))
    with places.lock.open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(ServerUnreachable, match="host elsewhere, user mallory"):
            hishamos.open(workspace_dir)


def test_a_folder_that_does_not_exist_is_told_and_not_made(workspace_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    missing = workspace_dir / "projcet"
    with pytest.raises(InvalidInput, match=r"does not exist \(.*projcet\)\. .*mkdir"):
        hishamos.open(missing)
    monkeypatch.setenv("HISHAMOS_WORKSPACE", str(missing))
    with pytest.raises(InvalidInput, match="projcet"):
        hishamos.open()
    assert not missing.exists()
    (workspace_dir / "file").touch()
    with pytest.raises(InvalidInput, match="must be a folder, this is a file"):
        hishamos.open(workspace_dir / "file")


def test_a_backup_is_complete_or_refused_with_a_reason(workspace_dir: Path) -> None:
    import duckdb

    ws = hishamos.open(workspace_dir)
    ws.projects.ensure("KEPT")
    written_to = ws.health.backup("copies/one.duckdb")
    with duckdb.connect(written_to, read_only=True) as copy:
        assert copy.execute("select count(*) from work_projects").fetchone() == (1,)
    with pytest.raises(InvalidInput, match="exists already"):
        ws.health.backup("copies/one.duckdb")
    (workspace_dir / "file").touch()
    with pytest.raises(StoreError, match=r"can't be written.*file/two\.duckdb.*Choose a folder"):
        ws.health.backup("file/two.duckdb")


@pytest.mark.usefixtures("real_processes")
@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="needs /proc")
def test_the_server_is_detached_and_takes_little_from_its_client(workspace_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-stays-with-the-client-0123456789")
    monkeypatch.setenv("HISHAMOS_ACTING", "run/step")
    with (workspace_dir / "mine").open("w") as mine:
        os.set_inheritable(mine.fileno(), True)
        pid = hishamos.open(workspace_dir).health.ping().pid
    process = Path(f"/proc/{pid}")
    environment = (process / "environ").read_bytes()
    assert b"sk-stays" not in environment
    assert b"HISHAMOS_ACTING" not in environment
    descriptors = {int(entry.name): os.readlink(entry) for entry in (process / "fd").iterdir()}
    log = str(Places(workspace_dir).log)
    assert [descriptors[number] for number in (0, 1, 2)] == ["/dev/null", log, log]
    assert str(workspace_dir / "mine") not in descriptors.values()
    assert (os.getsid(pid), os.getpgid(pid)) == (pid, pid)


class Relay:
    """Stands before the server's socket: hands a request on and keeps the answer."""

    def __init__(self, path: Path, server: str) -> None:
        self.path = path
        self.kept: list[bytes] = []
        self._server = server
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.bind(str(path))
        self._listener.listen()
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        client, _ = self._listener.accept()
        with client, socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as onward:
            onward.connect(self._server)
            request = client.recv(1 << 20)
            length = re.search(rb"(?i)content-length: (\d+)", request)
            while length and len(request.partition(b"\r\n\r\n")[2]) < int(length[1]):
                request += client.recv(1 << 20)
            onward.sendall(request)
            self.kept.append(onward.recv(1 << 20))
        self._listener.close()


def test_an_answer_that_was_lost_is_given_again(workspace_dir: Path, tmp_path: Path) -> None:
    hishamos.open(workspace_dir).projects.ensure("DEMO")
    requests = Requests(workspace_dir)
    relay = Relay(tmp_path / "r", requests.server.address.removeprefix("unix:"))
    requests._server = requests.server.model_copy(update={"address": f"unix:{relay.path}"})
    answer = requests.call(all_verbs()["issues", "create"], {"project": "DEMO", "drafts": [IssueDraft(title="once")]})
    assert b" 200 " in relay.kept[0].splitlines()[0], "the server did the work the first time, too"
    assert [issue.key for issue in answer] == ["DEMO-1"]
    assert [issue.key for issue in hishamos.open(workspace_dir).issues.list(project="DEMO")] == ["DEMO-1"]


def test_the_log_is_turned_over_by_its_size(workspace_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HISHAMOS_LOG_BYTES", "4000")
    requests = Requests(workspace_dir)
    for _ in range(12):
        with pytest.raises(HishamosError, match="unexpected"):
            requests._post(requests.server, "/v1/keys", b"{not json", {})
    places = Places(workspace_dir)
    logs = sorted(file.name for file in places.local.glob("server.log*"))
    assert logs == ["server.log", "server.log.1", "server.log.2", "server.log.3"]
    assert all((places.local / name).stat().st_size <= 8000 for name in logs)


@pytest.fixture
def traced() -> Iterator[logging.LogRecord]:
    try:
        int("refused: my-own-kind-of-key, sk-of-a-known-kind-0123")
    except ValueError:
        yield logging.LogRecord("x", logging.ERROR, __file__, 1, "it failed with %s", ("my-own-kind-of-key",), sys.exc_info())


def test_no_key_stands_in_the_log_whatever_it_looks_like(tmp_path: Path, traced: logging.LogRecord) -> None:
    from hishamos.server.logs import _Redacting

    keys = Keys()
    (tmp_path / "key").write_text("my-own-kind-of-key\n")
    assert keys.resolve(f"file:{tmp_path / 'key'}") == "my-own-kind-of-key"
    line = _Redacting(keys.secrets).format(traced)
    assert "Traceback" in line
    assert "my-own-kind" not in line
    assert "sk-of-a-known" not in line


def test_facts_of_a_server_are_json_that_people_can_read(workspace_dir: Path) -> None:
    info = Requests(workspace_dir).server
    told = json.loads(Places(workspace_dir).info.read_text())
    assert {"pid", "host", "boot_id", "user", "address", "protocol", "schema_version", "version", "fingerprint"} <= told.keys()
    assert told["pid"] == info.pid


def test_who_finds_a_holder_that_says_nothing_is_told_what_it_may_be(workspace_dir: Path) -> None:
    places = Places(workspace_dir)
    places.lock.parent.mkdir(parents=True, exist_ok=True)
    with places.lock.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(ProtocolMismatch, match=r"a server that is still leaving.*Try again in a minute"):
            _wait_for_holder(places, time.monotonic() + 0.1)
