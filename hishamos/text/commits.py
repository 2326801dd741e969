"""The commit that is checked out in a folder, read from git's files: no process is started for it."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

HASH = re.compile(r"[0-9a-f]{40}([0-9a-f]{24})?")
LONGEST = 4096
PATIENCE_S = 5.0


def commit_of(folder: Path) -> str | None:
    """Return the hash of the commit that is checked out in a folder; None outside of git, and before the first commit."""
    git = _git(folder)
    if git is None:
        return None
    try:
        head = _read(git / "HEAD")
        if not head.startswith("ref: "):
            return head if HASH.fullmatch(head) else None
        return _resolved(git, head.removeprefix("ref: "))
    except (OSError, UnicodeDecodeError):
        return None


def is_dirty(folder: Path) -> bool | None:
    """Return whether anything differs from the commit, new files too; None where git can't tell. Asks git, and takes milliseconds at least."""
    there = next((place for place in (folder, *folder.parents) if place.is_dir()), folder)  # a notebook may have been moved since
    # A repository's own hook for watching files is not started by us.
    command = ["git", "-C", str(there), "-c", "core.fsmonitor=false", "status", "--porcelain", "--untracked-files=normal"]
    try:
        done = subprocess.run(command, capture_output=True, timeout=PATIENCE_S, check=False, stdin=subprocess.DEVNULL)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return bool(done.stdout.strip()) if done.returncode == 0 else None


def _git(folder: Path) -> Path | None:
    """Return git's own folder of the nearest working tree; of a linked one it stands elsewhere."""
    for place in (folder, *folder.parents):
        found = place / ".git"
        try:
            if found.is_dir():
                return found
            if found.is_file():
                told = _read(found)
                return (place / told.removeprefix("gitdir: ")).resolve() if told.startswith("gitdir: ") else None
        except (OSError, UnicodeDecodeError):
            return None
    return None


def _resolved(git: Path, reference: str) -> str | None:
    common = git
    if (git / "commondir").is_file():
        common = (git / _read(git / "commondir")).resolve()
    for base in (git, common):
        file = base / reference
        if file.is_file():
            found = _read(file)
            return found if HASH.fullmatch(found) else None
    packed = common / "packed-refs"
    if packed.is_file():
        for line in packed.read_text(encoding="utf-8").splitlines():
            found, _, name = line.partition(" ")
            if name == reference and HASH.fullmatch(found):
                return found
    return None


def _read(file: Path) -> str:
    with file.open(encoding="utf-8") as stream:
        return stream.read(LONGEST).strip()
