"""The front door: from a path to a :class:`hishamos.Workspace`, and where shipped files are."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from hishamos.errors import InvalidInput, UnknownName

if TYPE_CHECKING:
    from hishamos.workspace import Workspace

on_open: list[Callable[[Workspace], None]] = []
"""Called with each workspace that is opened; a face that shows things (a notebook) registers itself here."""


def open(path: str | Path | None = None) -> Workspace:  # noqa: A001 - hishamos.open is the public verb
    """Open a workspace and return it.

    ``path``: its folder; ``":memory:"`` for one that lives in this process and is gone with it; left out: ``HISHAMOS_WORKSPACE``, the
    nearest folder that is a workspace, the nearest project folder, else the current folder. The first client starts the workspace's
    server, all others connect to it. Raises :class:`InvalidInput`, :class:`ServerError` or
    :class:`StoreError` with what to do next.
    """
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
    for opened in on_open:
        opened(workspace)
    return workspace


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
