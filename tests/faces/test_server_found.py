"""What clients find a server by is taken away under it: its socket, its facts, its lock, its folder; and servers that say nothing."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

import hishamos
from hishamos.contracts.wire import Places
from hishamos.errors import ServerSilent, StoreError
from hishamos.remote import requests
from hishamos.remote.requests import Requests
from tests.faces.test_server import gone, server_pid


@pytest.fixture
def short() -> Iterator[Path]:
    """A folder for sockets of the test's own, whose path is short enough."""
    made = Path(tempfile.mkdtemp(prefix="hish", dir="/tmp"))
    yield made
    shutil.rmtree(made, ignore_errors=True)


@pytest.mark.parametrize("lost", ["socket", "facts", "folder"])
def test_a_server_that_was_hidden_is_found_again(workspace_dir: Path, short: Path, monkeypatch: pytest.MonkeyPatch, lost: str) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(short))
    first = Requests(workspace_dir).server
    if lost == "socket":
        Path(first.address.removeprefix("unix:")).unlink()
    elif lost == "facts":
        Places(workspace_dir).info.unlink()
    else:  # as the end of a session takes it
        shutil.rmtree(short)
    assert hishamos.open(workspace_dir).health.ping().pid == first.pid
    assert server_pid(workspace_dir) == first.pid


def test_a_server_whose_folder_was_removed_ends_and_leaves_the_next_one_alone(workspace_dir: Path) -> None:
    first = hishamos.open(workspace_dir).health.ping().pid
    shutil.rmtree(workspace_dir / "data" / "local")
    ws = hishamos.open(workspace_dir)
    ws.projects.ensure("KEEP")
    second = server_pid(workspace_dir)
    assert second != first
    assert gone(first)
    assert ws.health.ping().pid == second == server_pid(workspace_dir)
    os.kill(second, signal.SIGKILL)  # what it had committed lay in its log: the first one took nothing of it away
    assert [project.key for project in hishamos.open(workspace_dir).projects.list()] == ["KEEP"]


def test_a_server_whose_lock_was_removed_leaves_in_order(workspace_dir: Path) -> None:
    ws = hishamos.open(workspace_dir)
    ws.projects.ensure("KEEP")
    first = ws.health.ping().pid
    Places(workspace_dir).lock.unlink()
    assert gone(first)
    assert not (workspace_dir / "data" / "local" / "hishamos.duckdb.wal").exists()
    assert [project.key for project in ws.projects.list()] == ["KEEP"]
    assert "leaving: its lock was removed" in Places(workspace_dir).log.read_text()


def test_a_server_that_hangs_is_told_with_its_pid(workspace_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    server = Requests(workspace_dir).server
    monkeypatch.setattr(requests, "SILENT_S", 0.5)
    os.kill(server.pid, signal.SIGSTOP)
    try:
        for ask in (partial(hishamos.open, workspace_dir), Requests(workspace_dir).stop):
            with pytest.raises(ServerSilent, match=rf"\(pid {server.pid}\) has not answered for 0.5 s.*kill -9 {server.pid}"):
                ask()
    finally:
        os.kill(server.pid, signal.SIGCONT)
    assert hishamos.open(workspace_dir).health.ping().pid == server.pid


def test_a_server_that_can_not_write_its_facts_says_so(workspace_dir: Path) -> None:
    draft = Places(workspace_dir).info.with_suffix(".draft")
    draft.mkdir(parents=True)
    with pytest.raises(StoreError, match=r"the folder can't be used: Is a directory.*server\.draft"):
        hishamos.open(workspace_dir).health.ping()
    draft.rmdir()
    assert hishamos.open(workspace_dir).health.ping().pid
