"""What a file is, by its bytes: an image, a PDF or a text. What no provider would read is refused here, before any money is spent."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path
from typing import Any

from hishamos.errors import InvalidInput
from hishamos.records.attachments import Attachment, Media

MOST_BYTES = 50_000_000
"""Of any file. OpenAI takes 50 MB of files in a request, Gemini a PDF of 50 MB, Anthropic 32 MB in all."""
MOST_IMAGE_BYTES = 20_000_000
"""Of an image: the most that OpenAI publishes ("up to 20 MB per image"); Anthropic takes less."""
IMAGES: dict[str, Media] = {"PNG": "image/png", "JPEG": "image/jpeg", "MPO": "image/jpeg", "GIF": "image/gif", "WEBP": "image/webp"}
"""By Pillow's names; an MPO is a JPEG with further pictures behind it, as some cameras write."""
PICTURE_NAMES = frozenset({".png", ".jpg", ".jpeg", ".gif", ".webp", ".pdf", ".heic", ".heif", ".bmp", ".tif", ".tiff", ".avif", ".svg"})
KINDS = "a PNG, JPEG, GIF or WebP image, a PDF, or a text in UTF-8"


def look(path: Path, where: str) -> Attachment:
    """Return what the file at an absolute path is.

    ``where``: whose file it is, for errors. Raises :class:`InvalidInput` for a file that is missing, empty, too large, cut off, animated,
    encrypted, or nothing that can be sent.
    """
    try:
        size = path.stat().st_size
        if path.is_dir():
            raise _refused(path, "is a folder", where, "Give the path of a file.")
        if size > MOST_BYTES:
            raise _too_large(path, size, MOST_BYTES, where)
        data = path.read_bytes()
    except FileNotFoundError:
        raise _refused(path, "does not exist", where, "Check the path.") from None
    except (OSError, ValueError) as error:
        raise _refused(path, f"can't be read ({getattr(error, 'strerror', None) or error})", where, "Check its permissions.") from error
    if not data:
        raise _refused(path, "is empty", where, f"Give {KINDS}.")
    facts = _image(path, data, where) or _pdf(path, data, where) or _text(path, data, where)
    return Attachment(path=str(path), sha256=hashlib.sha256(data).hexdigest(), size=len(data), **facts)


def _image(path: Path, data: bytes, where: str) -> dict[str, Any] | None:
    """Return an image's facts; None for what is none. Only its header is trusted to a decoder, and a JPEG's smallest scale."""
    found = _signature(data)
    if found is None:
        return None
    if len(data) > MOST_IMAGE_BYTES:
        raise _too_large(path, len(data), MOST_IMAGE_BYTES, where, what="image")
    from PIL import Image

    try:
        with Image.open(io.BytesIO(data), formats=(found,)) as image:
            kind, (width, height) = str(image.format), image.size
            animated = kind != "MPO" and bool(getattr(image, "is_animated", False))
            whole = _whole(image, data)
    except Image.DecompressionBombError as error:
        raise _refused(path, "has too many pixels", where, "Scale it down.") from error
    except Exception as error:  # whatever a decoder stumbles over
        raise _refused(path, f"is cut off or damaged: it begins like a {found} image and can't be read to its end", where, "Save it again.") from error
    if not whole:
        raise _refused(path, f"is cut off: its {found} image has no end", where, "Save or copy it again.")
    if animated:
        raise _refused(path, "is animated, and providers read one picture", where, "Save the one frame that matters as a PNG.")
    return {"media": IMAGES[kind], "width": width, "height": height}


def _signature(data: bytes) -> str | None:
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return "PNG"
    if data.startswith(b"\xff\xd8\xff"):
        return "JPEG"
    if data.startswith((b"GIF87a", b"GIF89a")):
        return "GIF"
    return "WEBP" if data.startswith(b"RIFF") and data[8:12] == b"WEBP" else None


def _whole(image: Any, data: bytes) -> bool:
    """Return whether an image's end is there; raises what the decoder raises where its middle is damaged."""
    if image.format == "GIF":
        return data.rstrip(b"\0").endswith(b";")
    if image.format == "WEBP":
        return len(data) >= int.from_bytes(data[4:8], "little") + 8
    if image.format == "PNG":
        image.verify()  # the check sums of all parts
        return b"IEND" in data[-1024:] or data.rfind(b"IEND") > data.rfind(b"IDAT")
    image.draft("L", (1, 1))  # an eighth of its size: the whole data is read, little is computed
    image.load()
    return True


def _pdf(path: Path, data: bytes, where: str) -> dict[str, Any] | None:
    if b"%PDF-" not in data[:1024]:
        return None
    if b"%%EOF" not in data[-2048:]:
        raise _refused(path, "is cut off: the PDF has no end", where, "Save or copy it again.")
    from pypdf import PdfReader

    try:
        reader = PdfReader(io.BytesIO(data))
        encrypted, pages = reader.is_encrypted, 0 if reader.is_encrypted else len(reader.pages)
    except Exception as error:  # whatever the reader stumbles over
        raise _refused(path, f"is a damaged PDF ({str(error)[:100] or type(error).__name__})", where, "Print it into a new PDF.") from error
    if encrypted:
        raise _refused(path, "is an encrypted PDF, which providers refuse", where, "Save it without a password.")
    if not pages:
        raise _refused(path, "is a PDF without pages", where, "Save it again.")
    return {"media": "application/pdf", "pages": pages}


def _text(path: Path, data: bytes, where: str) -> dict[str, Any]:
    text = None
    if b"\0" not in data:
        try:
            text = data.decode("utf-8-sig")
        except UnicodeDecodeError:
            text = None
    if text is None or path.suffix.lower() in PICTURE_NAMES:
        raise _refused(path, f"is nothing that can be sent: it begins with {data[:12]!r}", where, f"Give {KINDS}.")
    return {"media": "text/plain"}


def _too_large(path: Path, size: int, most: int, where: str, what: str = "file") -> InvalidInput:
    return _refused(path, f"has {size / 1e6:,.1f} MB, and no {what} of more than {most / 1e6:g} MB is taken", where, "Scale it down, or split it.")


def _refused(path: Path, problem: str, where: str, following: str) -> InvalidInput:
    return InvalidInput(what=f"the file {path} {problem}", where=where, next=f"{following} Nothing was sent.")
