"""What clients find a server by: its lock, its facts and its socket. Other hands may remove any of them while it runs."""

from __future__ import annotations

import contextlib
import enum
import os
import socket
from pathlib import Path
from typing import IO

from hishamos.contracts.wire import Places
from hishamos.records.record import content_hash
from hishamos.records.workspaces import ServerInfo
from hishamos.security import runtime_folder


class Standing(enum.Enum):
    """How a server stands to its workspace."""

    FOUND = "found"
    HIDDEN = "hidden"
    """It is the workspace's server, but clients can't find it: its socket or its facts were removed."""
    DEPOSED = "deposed"
    """Its lock was removed or replaced, so that another server may start."""
    BEREFT = "bereft"
    """And the store that it has open is not the workspace's any more."""


class Presence:
    """``lock``: held by this process; ``store``: the store's file, if it is one, opened by it."""

    def __init__(self, places: Places, lock: IO[str], store: Path | None) -> None:
        self._places, self._store = places, store
        self._lock = _file(os.fstat(lock.fileno()))
        self._kept = _at(store)
        self._socket: tuple[int, int] | None = None
        self._info: ServerInfo | None = None
        self.address = runtime_folder() / f"{content_hash(str(places.root), 20)}.sock"

    def listen(self) -> socket.socket:
        """Return a listening socket at the address; its folder is made anew where it has gone, which a logout may do."""
        self.address = runtime_folder() / self.address.name
        self.address.unlink(missing_ok=True)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        listener.bind(str(self.address))
        self.address.chmod(0o600)
        listener.listen(512)
        listener.setblocking(False)
        self._socket = _at(self.address)
        return listener

    def tell(self, info: ServerInfo) -> None:
        """Write who we are in one step: a reader sees the old facts or the new ones."""
        draft = self._places.info.with_suffix(".draft")
        draft.write_text(info.model_dump_json(indent=2) + "\n", encoding="utf-8")
        draft.chmod(0o600)
        draft.replace(self._places.info)
        self._info = info

    def look(self) -> Standing:
        """Return how the server stands; raises ``OSError`` where nothing can be told just now."""
        if _at(self._places.lock) != self._lock:
            return Standing.DEPOSED if _at(self._store) == self._kept else Standing.BEREFT
        return Standing.FOUND if self.reachable and self._told else Standing.HIDDEN

    def withdraw(self) -> None:
        """Remove facts and socket where they are still ours: another server may have started."""
        with contextlib.suppress(OSError):
            if self._told:
                self._places.info.unlink(missing_ok=True)
            if self.reachable:
                self.address.unlink(missing_ok=True)

    @property
    def reachable(self) -> bool:
        """Whether the socket at the address is the one that it listens on."""
        return self._socket is not None and _at(self.address) == self._socket

    @property
    def _told(self) -> bool:
        try:
            return self._info is not None and ServerInfo.model_validate_json(self._places.info.read_bytes()).pid == self._info.pid
        except (OSError, ValueError):
            return False


def _file(facts: os.stat_result) -> tuple[int, int]:
    return facts.st_dev, facts.st_ino


def _at(path: Path | None) -> tuple[int, int] | None:
    """Return which file is there now; None for none. What keeps it from being told is raised: it need not have gone."""
    try:
        return None if path is None else _file(path.stat())
    except (FileNotFoundError, NotADirectoryError):
        return None
