"""Text files that people hand in, read with clear errors."""

from __future__ import annotations

import os
from pathlib import Path

from hishamos.errors import InvalidInput


def read_text(path: Path) -> str:
    """Return the text of a CSV file in UTF-8, with or without a byte order mark.

    Raises :class:`InvalidInput` with the path, and the line where it can be told, for a file that is missing, empty or not UTF-8.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise InvalidInput(what="The file does not exist", where=str(path), next=nearest_file(path) or "Give the path of an existing CSV file.") from None
    except IsADirectoryError:
        raise InvalidInput(what="This is a folder", where=str(path), next="Give the path of a CSV file.") from None
    except OSError as error:
        raise InvalidInput(what=f"The file can't be read: {error.strerror}", where=str(path), next="Check its permissions.") from error
    if not data.strip():
        raise InvalidInput(what="The file is empty", where=str(path), next="It needs a line with column names, and rows below it.")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        what = f"The file is not UTF-8: byte 0x{data[error.start]:02x} in line {line}"
        raise InvalidInput(what=what, where=str(path), next=f"Save it as UTF-8, or: iconv -f WINDOWS-1252 -t UTF-8 {path.name} > utf8.csv") from None


def absolute(path: str | os.PathLike[str], root: Path) -> str:
    """Return a path as its caller means it: from his own folder, else from the workspace's ``root``. One that is found in neither is from his own."""
    try:
        candidates = [folder / Path(path).expanduser() for folder in (Path.cwd(), root)]
        return str(next((candidate.absolute() for candidate in candidates if os.path.exists(candidate)), candidates[0].absolute()))
    except (RuntimeError, ValueError):  # nobody's home, or no path at all: for the service to refuse
        return os.fspath(path)


def nearest_file(path: Path) -> str:
    """Return a sentence with the most alike name in the same folder; empty when there is none."""
    from difflib import get_close_matches

    folder = path.parent
    names = [entry.name for entry in folder.iterdir()] if folder.is_dir() else []
    close = get_close_matches(path.name, names, n=1, cutoff=0.6)
    return f"Did you mean {folder / close[0]}?" if close else ""
