"""``--picture FILE``: the graph of a workflow or a run, drawn into a file or as text on the terminal."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import click

from hishamos.cli.face import Face
from hishamos.errors import InvalidInput

if TYPE_CHECKING:
    from hishamos.records.pictures import Picture, PictureFormat


class Draw(Protocol):
    """How a picture is had in a format."""

    def __call__(self, *, format: PictureFormat) -> Picture:
        """Return the picture."""
        ...


def picture_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a verb ``--picture FILE``."""
    told = "Draw the graph into FILE: .svg, .png, .mmd (Mermaid) or .txt; - shows it as text."
    return click.option("--picture", metavar="FILE", help=told)(command)


def draw_picture(face: Face, file: str, draw: Draw) -> None:
    """Write a picture in the format that the file's name tells, and say where it is."""
    from hishamos.charts.pictures import SUFFIXES

    if file == "-":
        shown = draw(format="text")
        face.show({"name": shown.name, "format": "text", "text": shown.text}, lambda: (shown.text.rstrip("\n"),))
        return
    path = Path(file).expanduser().absolute()
    if path.suffix.lower() not in SUFFIXES:
        raise InvalidInput(what=f"{path.name!r} names no picture", where="--picture", next=f"Let the name end with {', '.join(SUFFIXES)}.")
    picture = draw(format=SUFFIXES[path.suffix.lower()])
    try:
        path.write_bytes(picture.data)
    except OSError as error:
        raise InvalidInput(what=f"{path} can't be written: {error.strerror}", where="--picture", next="Name a file in a folder that exists.") from None
    document = {"name": picture.name, "format": picture.format, "file": str(path), "size_bytes": len(picture.data)}
    face.show(document, lambda: (f"Written: {path}",))
