"""Text files that people hand in, read with clear errors."""

from __future__ import annotations

import os
import shlex
from pathlib import Path

from hishamos.errors import InvalidInput

_WRITTEN_BY = {b"PK\x03\x04": "an Excel workbook or a zip archive", b"%PDF": "a PDF document", b"\x89PNG": "a picture"}
_WIDE = (b"\xff\xfe", b"\xfe\xff")
"""The byte order marks of UTF-16."""


def read_text(path: Path) -> str:
    """Return the text of a CSV file in UTF-8, with or without a byte order mark.

    Raises :class:`InvalidInput` with the path for a file that is missing or empty, and as :func:`decoded`.
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
    return decoded(data, path)


def decoded(data: bytes, path: Path) -> str:
    """Return the text that a CSV file's bytes are in UTF-8, with or without a byte order mark.

    Raises :class:`InvalidInput` with the path, and the line where it can be told, for another encoding and for what is no text.
    """
    if data.startswith(_WIDE):
        raise _wrong_encoding("The file is UTF-16, not UTF-8", "utf-16", path)
    for start, name in _WRITTEN_BY.items():
        if data.startswith(start):
            raise InvalidInput(what=f"This is {name}, not CSV", where=str(path), next="Export it as CSV in UTF-8.")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise _wrong_encoding(f"Byte {error.start:,} (0x{data[error.start]:02x}) is not UTF-8", "cp1252", path, line) from None
    if "\x00" in text:
        line = text.count("\n", 0, text.index("\x00")) + 1
        raise _wrong_encoding("The file holds a null character: it is UTF-16 or no text at all", "utf-16", path, line)
    return text


def _wrong_encoding(what: str, likely: str, path: Path, line: int | None = None) -> InvalidInput:
    advice = f"Save it as CSV UTF-8, or: iconv -f {likely} -t utf-8 {shlex.quote(path.name)} > utf8.csv"
    arabic = " (cp1256 where it is Arabic text from Windows)" if likely == "cp1252" else ""
    return InvalidInput(what=what, where=f"{path}, line {line}" if line else str(path), next=f"{advice}{arabic}.")


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
