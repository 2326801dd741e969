"""``python -m hishamos.server --workspace PATH``: elected by a lock, serves until nothing holds it."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import errno
import fcntl
import getpass
import json
import logging
import os
import signal
import socket
from collections.abc import Sequence
from pathlib import Path
from typing import IO

import uvicorn

import hishamos
from hishamos.composition import Composed, compose, finish_restore, store_file
from hishamos.contracts.wire import PROTOCOL, Places, boot_id, code
from hishamos.errors import HishamosError, StoreError, to_wire
from hishamos.records.record import now
from hishamos.records.workspaces import ServerInfo
from hishamos.security import redact
from hishamos.server.application import Application
from hishamos.server.host import Host
from hishamos.server.logs import hide, to_file
from hishamos.server.presence import Presence, Standing

IDLE_S = 900.0
CHECK_S = 2.0
GRACE_S = 5
KEYS_S = 2.0
"""How long runs wait for the keys of whoever started the server."""
AGAIN_S = 5.0
"""Between two tries to go on with what a dead server left, where the store did not answer."""
log = logging.getLogger("hishamos.server")


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve a workspace; return the process's exit code."""
    parser = argparse.ArgumentParser(prog="python -m hishamos.server")
    parser.add_argument("--workspace", required=True, type=Path)
    parser.add_argument("--status-fd", type=int, default=None, help="where to say how the start went, one line of JSON")
    parser.add_argument("--stay", action="store_true", help="wait for another server to leave, and stay when there is nothing to do")
    options = parser.parse_args(arguments)
    places = Places(options.workspace.resolve())
    say = _Speaker(options.status_fd)
    try:
        places.local.mkdir(parents=True, exist_ok=True)
        lock = places.lock.open("a")
    except OSError as error:
        say(error=to_wire(StoreError(problem=f"the folder can't be written: {error.strerror}", where=str(places.local), next="Make it writable.")))
        return 1
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | (0 if options.stay else fcntl.LOCK_NB))
    except BlockingIOError:
        say(elsewhere=True)
        return 0
    to_file(places.log)
    return _own(places, say, lock, stay=options.stay)


def _own(places: Places, say: _Speaker, lock: IO[str], *, stay: bool) -> int:
    try:
        file = store_file(places.root)  # looked up once: an edit that breaks the settings must not keep the server from leaving in order
        _put_restored(file)
        composed = compose(places.root)
    except (HishamosError, OSError) as error:
        return _refuse(places, say, error)
    try:
        presence = Presence(places, lock, file)
        listener = presence.listen()
        info = _info(presence.address, composed)
        presence.tell(info)
    except (HishamosError, OSError) as error:
        composed.close()
        return _refuse(places, say, error)
    host = Host(composed, info)
    composed.machinery.server = lambda: host.info
    composed.machinery.ending = host.ending
    hide(composed.keys)
    try:
        asyncio.run(_serve(places, host, presence, listener, say, stay=stay))
    finally:
        presence.withdraw()
        composed.close()
        _put_restored(file)
        log.info("left")
        lock.close()
    return 0


def _put_restored(file: Path | None) -> None:
    """Put a store that waits to be restored in its place: between two servers, and again before the next where one was killed in between."""
    kept = finish_restore(file)
    if kept is not None:
        log.info("the store was restored; the one before is kept as %s", kept)


def _refuse(places: Places, say: _Speaker, error: HishamosError | OSError) -> int:
    """Say why there is no server."""
    if isinstance(error, OSError):
        problem = "the disk is full" if error.errno == errno.ENOSPC else f"the folder can't be used: {error.strerror or error}"
        error = StoreError(problem=problem, where=str(error.filename or places.local), next="Mend that, then try again; nothing was half written.")
    log.error("did not start: %s", error)
    say(error=to_wire(error))
    return 1


async def _serve(places: Places, host: Host, presence: Presence, listener: socket.socket, say: _Speaker, *, stay: bool) -> None:
    application = Application(host)
    config = uvicorn.Config(
        application,
        http="httptools",
        loop="asyncio",
        lifespan="off",
        ws="none",
        access_log=False,
        proxy_headers=False,
        log_config=None,
        timeout_graceful_shutdown=GRACE_S,
        timeout_keep_alive=3600,
        backlog=512,
    )
    server = uvicorn.Server(config)
    # Signals are ours: uvicorn raises one again when it has stopped, and the process would end before its store is closed.
    server.capture_signals = contextlib.nullcontext

    def leave() -> None:
        server.should_exit = True
        application.end_streams()

    loop = asyncio.get_running_loop()
    host.on_leave = lambda: loop.call_soon_threadsafe(leave)
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, host.leave, f"asked to by {number.name}")
    log.info("serving %s on %s, pid %s", places.root, presence.address, host.info.pid)
    host.composed.begin()
    say(started=True)
    tasks = [asyncio.create_task(_go_on(host)), asyncio.create_task(_stay_found(host, presence, server))]
    if not stay:
        tasks.append(asyncio.create_task(_leave_when_idle(host, application)))
    for task in tasks:
        task.add_done_callback(_told)
    try:
        await server.serve(sockets=[listener])
    finally:
        host.leaving = True
        for task in tasks:
            task.cancel()


async def _go_on(host: Host) -> None:
    """Go on with what a dead server left, once whoever started this one has handed its keys over: the runs' calls need them."""
    if host.wanted():
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(host.handed.wait(), KEYS_S)
    while True:
        try:
            await asyncio.to_thread(host.composed.go_on)
        except StoreError as error:
            log.error("could not go on with what a dead server left, trying again in %g s: %s", AGAIN_S, error)
            await asyncio.sleep(AGAIN_S)
        else:
            return


def _told(task: asyncio.Task[None]) -> None:
    """Say in the log what ended a task for which nobody waits."""
    if not task.cancelled() and (error := task.exception()) is not None:
        log.error("%s ended: %s", task.get_coro(), error, exc_info=error)


async def _stay_found(host: Host, presence: Presence, server: uvicorn.Server) -> None:
    """See to it that clients find the server, and that it leaves where another one may take its place."""
    before = Standing.FOUND
    while not host.leaving:
        await asyncio.sleep(CHECK_S)
        try:
            standing = presence.look()
            if standing is Standing.HIDDEN:
                await _be_found(host, presence, server)
            elif standing is Standing.DEPOSED:
                host.leave("its lock was removed")
            elif standing is Standing.BEREFT is before:  # twice: a folder that is being moved may be back
                # To close the store would have DuckDB remove its log by a name that may be another server's by now.
                log.error("its folder was removed or replaced: it ends at once, and leaves the store as it is")
                logging.shutdown()
                os._exit(1)
            before = standing
        except (HishamosError, OSError) as error:
            log.error("clients may not find this server, trying again in %g s: %s", CHECK_S, error)


async def _be_found(host: Host, presence: Presence, server: uvicorn.Server) -> None:
    if not presence.reachable:
        for listening in server.servers:
            listening.close()
        await server.startup(sockets=[presence.listen()])
    host.info = host.info.model_copy(update={"address": f"unix:{presence.address}"})
    presence.tell(host.info)
    log.info("was not to be found: says anew that it is on %s", presence.address)


async def _leave_when_idle(host: Host, application: Application) -> None:
    idle_s = float(os.environ.get("HISHAMOS_IDLE_S") or IDLE_S)
    loop = asyncio.get_running_loop()
    while not host.leaving:
        await asyncio.sleep(min(CHECK_S, idle_s / 4))
        idle = loop.time() - application.last_request >= idle_s and application.open_requests == 0
        if idle and not await asyncio.to_thread(host.busy):
            host.leave(f"nothing to do for {idle_s:g} s")


def _info(address: Path, composed: Composed) -> ServerInfo:
    return ServerInfo(
        pid=os.getpid(),
        host=socket.gethostname(),
        boot_id=boot_id(),
        user=getpass.getuser(),
        address=f"unix:{address}",
        protocol=PROTOCOL,
        schema_version=composed.schema_version,
        version=hishamos.__version__,
        fingerprint=code()[0],
        started_at=now(),
    )


class _Speaker:
    """Tells the client that started us, once, how it went."""

    def __init__(self, descriptor: int | None) -> None:
        self._descriptor = descriptor

    def __call__(self, **said: object) -> None:
        if self._descriptor is not None:
            os.write(self._descriptor, redact(json.dumps(said, default=str)).encode() + b"\n")
            os.close(self._descriptor)
            self._descriptor = None


if __name__ == "__main__":
    ended = main()
    logging.shutdown()
    # All is closed. To take litellm's modules apart one by one holds a processor for seconds, and nobody has anything of it.
    os._exit(ended)
