"""Files that definitions name: inside the workspace's folder, also once symbolic links are followed."""

from __future__ import annotations

from pathlib import Path, PurePosixPath, PureWindowsPath

from hishamos.errors import InvalidInput


def inside(root: Path, name: str, where: str) -> Path:
    """Return the real path of ``name`` below the workspace's folder ``root``; raises :class:`InvalidInput` for one that leads out of it."""
    following = "Name a file or folder inside the workspace, relative to it, without '..'."
    parts = PurePosixPath(name).parts
    if not name or "\0" in name or PurePosixPath(name).is_absolute() or PureWindowsPath(name).drive or ".." in parts or "\\" in name:
        raise InvalidInput(what=f"{name!r} is no path inside the workspace", where=where, next=following)
    base = root.resolve()
    found = (base / name).resolve()
    if not found.is_relative_to(base):
        raise InvalidInput(what=f"{name!r} leads out of the workspace by a symbolic link", where=where, next=following)
    return found
