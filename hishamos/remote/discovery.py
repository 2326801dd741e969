"""Finds the workspace's server, or starts it: many clients at once start one."""

from __future__ import annotations

import fcntl
import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from hishamos.contracts.wire import Places, boot_id
from hishamos.errors import ProtocolMismatch, ServerStartFailed, ServerUnreachable, StoreBusy, StoreError, from_wire
from hishamos.records import own_tags
from hishamos.records.workspaces import ServerInfo
from hishamos.security import check_owned

HIDDEN_S = 6.0
"""How long a client waits for a server whose folder of sockets it does not see: it makes another within two seconds, where it does not see it either."""
START_S = 30.0
"""How long a client waits for a server to start."""
KEPT_VARIABLES = ("HOME", "LANG", "LC_ALL", "LOGNAME", "PATH", "SHELL", "SSL_CERT_FILE", "SSL_CERT_DIR", "TMPDIR", "TZ", "USER", "XDG_CONFIG_HOME")
KEPT_PREFIXES = ("XDG_RUNTIME", "HISHAMOS_", "PYTHON", "DBUS_SESSION", "REQUESTS_CA", "HTTP", "http", "NO_PROXY", "no_proxy", "ALL_PROXY")


def find(places: Places) -> ServerInfo | None:
    """Return the server that says it runs, or None. Raises :class:`ServerUnreachable` when it can't be reached from here."""
    try:
        info = ServerInfo.model_validate_json(places.info.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError, ValidationError, UnicodeDecodeError):
        return None
    except PermissionError:
        raise StoreError(problem="the folder can't be read", where=str(places.local), next="Ask its owner for access.") from None
    if (info.host, info.boot_id) != (socket.gethostname(), boot_id()) or not _alive(info.pid):
        return None
    if not _ours(info):
        # Facts that somebody else wrote, or that came with a copied folder: no key goes there. A dead server's are no obstacle.
        if not held(places) or _taken_away(info):
            return None
        raise ServerUnreachable(host=info.host, user=info.user, next="Work as that user, or stop it there first: hishamos server stop")
    return info


def _ours(info: ServerInfo) -> bool:
    """Return whether the socket lies in a folder that only this user may enter."""
    try:
        check_owned(_folder(info))
    except (ServerUnreachable, OSError):
        return False
    return True


def _taken_away(info: ServerInfo) -> bool:
    """Return whether the socket's folder is not there: its server makes another one soon, unless it sees the folder and we don't."""
    try:
        _folder(info).lstat()
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return False


def _folder(info: ServerInfo) -> Path:
    return Path(info.address.removeprefix("unix:")).parent


def start(places: Places) -> ServerInfo:
    """Return the running server, started if there is none.

    Raises :class:`ServerStartFailed` with the end of its log, or the typed error that kept it from starting.
    """
    with _only_starter(places):
        deadline = time.monotonic() + START_S
        while True:
            found = find(places)
            if found is not None and answers(found):
                return found
            reader, writer = os.pipe()
            with open(reader, "rb") as status:
                process = _spawn(places, writer)
                os.close(writer)
                said = _first_line(status.fileno())
            if said is None or "started" in said:
                return _await(places, process)
            process.wait(10)
            if "error" in said:
                raise from_wire(said["error"])
            _wait_for_holder(places, deadline)


def answers(info: ServerInfo) -> bool:
    """Return whether the server's socket accepts connections."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(info.address.removeprefix("unix:"))
        except OSError:
            return False
    return True


def _spawn(places: Places, status: int) -> subprocess.Popen[bytes]:
    # -P: a workspace that is a checkout of HishamOS must not shadow the installed package that the client runs.
    command = [sys.executable, "-P", "-m", "hishamos.server", "--workspace", str(places.root), "--status-fd", str(status)]
    with places.log.open("ab") as log:
        process = subprocess.Popen(
            command,
            cwd=places.root,
            env=_environment(),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            pass_fds=(status,),
            start_new_session=True,
        )
    # Somebody has to take note of the server's end, else it stays a zombie as long as this client lives.
    threading.Thread(target=process.wait, name="hishamos-server-end", daemon=True).start()
    return process


def _environment() -> dict[str, str]:
    """What a server needs of the client's environment: no key, nothing that belongs to the client's own work."""
    kept = {name: value for name, value in os.environ.items() if name in KEPT_VARIABLES or name.startswith(KEPT_PREFIXES)}
    for belongs_to_client in ("HISHAMOS_WORKSPACE", "HISHAMOS_ACTING", own_tags.VARIABLE):
        kept.pop(belongs_to_client, None)
    # glibc's many arenas, one for nearly each thread, take a tenth of a server's memory and give nothing where the interpreter is the limit.
    arenas = os.environ.get("MALLOC_ARENA_MAX") or "2"
    return kept | {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "MALLOC_ARENA_MAX": arenas}


def _first_line(descriptor: int) -> dict[str, Any] | None:
    """Return what the child said of its start; None when it closed the pipe without a word."""
    text = b""
    while b"\n" not in text:
        part = os.read(descriptor, 65536)
        if not part:
            return None
        text += part
    said: dict[str, Any] = json.loads(text)
    return said


def _await(places: Places, process: subprocess.Popen[bytes]) -> ServerInfo:
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline and process.poll() is None:
        found = find(places)
        if found is not None and answers(found):
            return found
        time.sleep(0.02)
    problem = f"did not start within {START_S:g} s" if process.poll() is None else f"ended as it started, with exit code {process.returncode}"
    raise ServerStartFailed(problem=problem, log=str(places.log), tail=tail(places.log))


def held(places: Places) -> bool:
    """Return whether a server holds the workspace; one that is leaving does so until its store is closed."""
    try:
        with places.lock.open() as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return True
    return False


@contextmanager
def only_server(root: Path) -> Iterator[None]:
    """Keep every server of a workspace out, as one does; raises :class:`StoreBusy` where one runs."""
    places = Places(root)
    with _only_starter(places), places.lock.open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            other = _written(places)
            raise StoreBusy(path=str(root), holder="the workspace's server", pid=other.pid if other else 0) from None
        yield


def _wait_for_holder(places: Places, deadline: float) -> None:
    """Return when the process that holds the lock answers, having just started, or has let go of it; raise when neither comes in time."""
    hidden = time.monotonic() + HIDDEN_S
    while time.monotonic() < deadline:
        found = find(places)
        if (found is not None and answers(found)) or not held(places):
            return
        other = _written(places)
        if other is not None and _taken_away(other) and time.monotonic() > hidden:
            break
        if other is not None and other.host != socket.gethostname():
            raise ServerUnreachable(host=other.host, user=other.user, next="Use HishamOS there, or stop it there first: hishamos server stop")
        time.sleep(0.05)
    other = _written(places)
    if other is None:  # a server that leaves takes its facts away first
        problem = f"A process holds {places.lock} but says nothing of itself: most likely a server that is still leaving."
        raise ProtocolMismatch(problem=problem, next="Try again in a minute; if it does not go away, end it.")
    raise ServerUnreachable(host=other.host, user=other.user, next=f"It has pid {other.pid}: end it there, then try again.")


def _written(places: Places) -> ServerInfo | None:
    try:
        return ServerInfo.model_validate_json(places.info.read_text(encoding="utf-8"))
    except (OSError, ValidationError, UnicodeDecodeError):
        return None


def tail(log: Path, lines: int = 5) -> str:
    """Return the end of a log."""
    if not log.exists():
        return "(empty)"
    return "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:]) or "(empty)"


@contextmanager
def _only_starter(places: Places) -> Iterator[None]:
    try:
        places.local.mkdir(parents=True, exist_ok=True)
        handle = places.starting.open("w")
    except OSError as error:
        problem = "the workspace's folder can't be written"
        raise StoreError(problem=problem, where=f"{places.local}: {error.strerror}", next="Make it writable, or choose another: --workspace PATH") from None
    with handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
