"""The front door: from a path to a :class:`hishamos.Workspace`, and where shipped files are."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from hishamos.errors import InvalidInput, UnknownName
from hishamos.frames.accessor import offer

if TYPE_CHECKING:
    from hishamos.records.runs import Run
    from hishamos.workspace import Workspace

QUICK_S = 0.3
"""What ends sooner than this shows no progress."""
REDRAW_S = 0.5
LINE_S = 60.0
run_workspace: Workspace | None = None
"""In a process that runs a cell for a step: the run's workspace. Who opens the same one gets this, so that his calls count for the run."""
on_open: list[Callable[[Workspace], None]] = []
"""Called with each workspace that is opened; a face that shows things (a notebook) registers itself here."""


def open(path: str | Path | None = None) -> Workspace:  # noqa: A001 - hishamos.open is the public verb
    """Open a workspace and return it.

    ``path``: its folder; ``":memory:"`` for one that lives in this process and is gone with it; left out: ``HISHAMOS_WORKSPACE``, the
    nearest folder that is a workspace, the nearest project folder, else the current folder. The first client starts the workspace's
    server, all others connect to it. Raises :class:`InvalidInput`, :class:`ServerError` or
    :class:`StoreError` with what to do next.
    """
    if run_workspace is not None and path != ":memory:" and (path is None or Path(path).resolve() == Path(run_workspace.root)):
        return run_workspace
    if path == ":memory:":
        from hishamos.composition import open_in_process

        workspace = open_in_process()
    else:
        from hishamos.remote import connect
        from hishamos.settings import find_root

        root = find_root(path)
        if not root.is_dir():
            what = "The workspace must be a folder, this is a file" if root.exists() else "The workspace's folder does not exist"
            raise InvalidInput(what=what, where=str(root), next=f"Correct its path, or make a folder first: mkdir -p '{root}'")
        workspace = connect(root)
    workspace.watch = watch_in_script
    offer(workspace)
    for opened in on_open:
        opened(workspace)
    return workspace


def watch_in_script(workspace: Workspace, run: str, timeout_s: float | None) -> Run:
    """Wait for a run. A map tells its pace on stderr, and at the end what came of it.

    On a terminal the pace is one line that is written over, elsewhere a line a minute.
    """
    from hishamos.records.runs import RunKind, RunState

    current = workspace.runs.wait(run, timeout_s=QUICK_S if timeout_s is None else min(QUICK_S, timeout_s))
    if current.kind is not RunKind.MAP:
        return current if current.ended else workspace.runs.wait(run, timeout_s=None if timeout_s is None else max(0.0, timeout_s - QUICK_S))
    from hishamos.charts.pace import map_outcome, pace

    began, live = time.monotonic(), sys.stderr.isatty()
    step_s = REDRAW_S if live else LINE_S
    try:
        while current.state in {RunState.QUEUED, RunState.RUNNING} and (timeout_s is None or time.monotonic() - began < timeout_s):
            told = f"{current.name}  {pace(current, time.monotonic() - began)}"
            if live:
                print(f"\r\x1b[K{told}", end="", file=sys.stderr, flush=True)
            elif time.monotonic() - began >= LINE_S:
                print(told, file=sys.stderr, flush=True)
            current = workspace.runs.wait(run, timeout_s=step_s if timeout_s is None else min(step_s, timeout_s))
    finally:
        current = workspace.runs.get(run)
        print(("\r\x1b[K" if live else "") + map_outcome(current, time.monotonic() - began), file=sys.stderr, flush=True)
    return current


def shipped(kind: str) -> Path:
    """Return the folder of shipped files: ``app``, ``samples`` or ``notebooks``; in a clone the clone's own, else the wheel's."""
    package = Path(__file__).parent
    bundled = package / "_bundle" / kind
    if bundled.exists():
        return bundled
    return package.parent / {"samples": "data/samples"}.get(kind, kind)


def sample(name: str) -> str:
    """Return the path of a shipped sample, such as ``bugs.csv``, from any folder; raises :class:`UnknownName` with the nearest name."""
    folder = shipped("samples")
    file = folder / name
    if Path(name).name != name or not file.is_file():
        known = sorted(entry.name for entry in folder.glob("*.*"))
        raise UnknownName.among("sample", name, known, f"Shipped: {', '.join(known)}.")
    return str(file)
