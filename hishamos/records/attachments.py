"""Files that go with a prompt: known by their content, never by their name."""

from __future__ import annotations

from typing import Any, Literal

from hishamos.records.record import Record

Media = Literal["image/png", "image/jpeg", "image/gif", "image/webp", "application/pdf", "text/plain"]


class Attachment(Record):
    """A file as it was when it was handed in. Its bytes stay where they are, and are held against the hash when they are sent."""

    path: str
    """Absolute."""
    media: Media
    """What its bytes are, whatever its name says."""
    sha256: str
    size: int
    """Bytes."""
    width: int | None = None
    height: int | None = None
    """Pixels of an image."""
    pages: int | None = None
    """Of a PDF."""

    @property
    def name(self) -> str:
        """The file's name without its folder."""
        return self.path.replace("\\", "/").rpartition("/")[2]

    @property
    def image(self) -> bool:
        """Whether it is an image."""
        return self.media.startswith("image/")

    @property
    def word(self) -> str:
        """``PNG``, ``JPEG``, ``GIF``, ``WebP``, ``PDF`` or ``text``."""
        return {"image/webp": "WebP", "text/plain": "text"}.get(self.media, self.media.rpartition("/")[2].upper())

    def identity(self) -> list[str]:
        """Return what of it can change an answer."""
        return [self.media, self.sha256]

    def facts(self) -> dict[str, Any]:
        """Return what the ledger keeps of it with an attempt."""
        return {"path": self.path, "media": self.media, "sha256": self.sha256, "bytes": self.size}
