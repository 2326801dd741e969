"""``python -m hishamos.server.worker --workspace PATH``: one of the processes that work on runs where a broker hands out the work."""

from __future__ import annotations

import argparse
import logging
import os
import socket
import sys
import threading
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hishamos.composition import Composed, compose
from hishamos.errors import HishamosError, InvalidSettings
from hishamos.records import own_tags
from hishamos.server.logs import hide, to_terminal
from hishamos.settings import is_scaled, load

log = logging.getLogger("hishamos.worker")


def main(arguments: Sequence[str] | None = None) -> int:
    """Work until asked to stop (SIGTERM, Ctrl-C); return the process's exit code."""
    parser = argparse.ArgumentParser(prog="python -m hishamos.server.worker")
    parser.add_argument("--workspace", required=True, type=Path)
    parser.add_argument("--concurrency", type=int, default=None, help="how many runs at once")
    options = parser.parse_args(arguments)
    root = options.workspace.resolve()
    os.environ.pop(own_tags.VARIABLE, None)  # runs have the tags of whoever started them, and so have the notebooks that they execute
    to_terminal()
    try:
        _check(root)
        composed = compose(root, worker=True)
    except HishamosError as error:
        print(f"✕ {error}", file=sys.stderr)
        return error.exit_code
    hide(composed.keys)
    composed.places = options.concurrency or composed.settings().workspace.runs
    composed.start()
    try:
        return serve(composed)
    finally:
        composed.close()
        log.info("left")


def serve(composed: Composed) -> int:
    """Take runs as Celery tells of them until a signal ends it; return the exit code.

    A thread waits for each run, for Celery acknowledges a message when its task returns; the work itself is the runner's.
    """
    from celery import signals
    from celery.platforms import SecurityWarning

    warnings.simplefilter("ignore", SecurityWarning)  # of running as root: what comes is JSON, and names a run
    application = composed.celery()
    places = composed.places

    def leave(**_: Any) -> None:
        log.info("asked to stop: runs at work go on elsewhere")
        threading.Thread(target=composed.hand_back, name="hand-back", daemon=True).start()

    def keep_log(**_: Any) -> None:
        """Let Celery leave the log as it is."""

    def ready(**_: Any) -> None:
        log.info("ready: works on up to %s runs at once, pid %s", places, os.getpid())

    signals.setup_logging.connect(keep_log)
    signals.worker_ready.connect(ready)
    signals.worker_shutting_down.connect(leave)
    worker = application.Worker(
        hostname=f"{os.getpid()}@{socket.gethostname()}",
        pool="threads",
        concurrency=places,
        quiet=True,
        loglevel="WARNING",
        without_gossip=True,
        without_mingle=True,
        without_heartbeat=True,
    )
    worker.start()
    return int(worker.exitcode or 0)


def _check(root: Path) -> None:
    workspace = load(root).workspace
    if not is_scaled(workspace):
        raise InvalidSettings(
            problem="the work of this workspace is done by its server, there is nothing for a worker",
            where=str(root / "hishamos.toml"),
            next='To have workers write under [workspace]: store = "postgresql://user@host/db" and broker = "redis://host:6379/0".',
            line=None,
        )


if __name__ == "__main__":
    sys.exit(main())
