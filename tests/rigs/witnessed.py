"""Functions for ``python`` steps that leave a trace on the disk, for tests that kill processes."""

from __future__ import annotations

import time
from pathlib import Path

from hishamos.records.tools import tool


@tool
def note(folder: str, word: str | int) -> str:
    """Leave a trace."""
    with (Path(folder) / "witness.txt").open("a") as stream:
        stream.write(f"{word}\n")
    return str(word)


def fail(folder: str, word: str) -> None:
    note(folder, word)
    raise OSError("it broke")


@tool
def slow(folder: str, word: str) -> str:
    """Leave a trace, then wait until one may go."""
    note(folder, word)
    while not (Path(folder) / "go").exists():
        time.sleep(0.02)
    return word
