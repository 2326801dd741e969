"""Images and PDFs for the tests, made in memory."""

from __future__ import annotations

import io
from pathlib import Path

from PIL import Image


def image(kind: str = "PNG", size: tuple[int, int] = (40, 30), colour: str = "red", frames: int = 1) -> bytes:
    """Return an image's bytes; with several ``frames`` an animated one."""
    stream = io.BytesIO()
    pictures = [Image.new("RGB", size, (number * 40 % 256, 10, 10) if frames > 1 else colour) for number in range(frames)]
    pictures[0].save(stream, kind, **({"save_all": True, "append_images": pictures[1:]} if frames > 1 else {}))
    return stream.getvalue()


def pdf(pages: int = 1, password: str | None = None) -> bytes:
    """Return a PDF of empty pages."""
    from pypdf import PdfWriter

    writer, stream = PdfWriter(), io.BytesIO()
    for _ in range(pages):
        writer.add_blank_page(200, 300)
    if password is not None:
        writer.encrypt(password, algorithm="RC4-128")
    writer.write(stream)
    return stream.getvalue()


def put(folder: Path, name: str, data: bytes) -> Path:
    """Write a file and return its path."""
    path = folder / name
    path.write_bytes(data)
    return path
