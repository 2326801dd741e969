"""The bytes of a file that was handed in, as it was then."""

from __future__ import annotations

import hashlib
from pathlib import Path

from hishamos.errors import FileChanged
from hishamos.records.attachments import Attachment


def read(attachment: Attachment) -> bytes:
    """Return a file's bytes; raises :class:`FileChanged` where they are no longer what was handed in."""
    try:
        data = Path(attachment.path).read_bytes()
    except FileNotFoundError:
        raise FileChanged(path=attachment.path, change="is gone") from None
    except OSError as error:
        raise FileChanged(path=attachment.path, change=f"can't be read any more ({error.strerror})") from error
    if hashlib.sha256(data).hexdigest() != attachment.sha256:
        raise FileChanged(path=attachment.path, change="has changed")
    return data
