"""Secrets: never shown, never written. Folders: only their owner's."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterable
from pathlib import Path

from hishamos.errors import ServerUnreachable

_PATTERNS = re.compile(
    r"""
      \bsk-[A-Za-z0-9_-]{8,}            # OpenAI, Anthropic (sk-ant-), OpenRouter (sk-or-)
    | \bAIza[0-9A-Za-z_-]{20,}          # Google
    | \bgsk_[A-Za-z0-9]{20,}            # Groq
    | \bxox[abprs]-[A-Za-z0-9-]{10,}    # Slack
    | (?<=[Bb]earer\s)[A-Za-z0-9._~+/-]{12,}=*
    | (?<=api[-_]key["'\s:=]{1})[A-Za-z0-9._-]{16,}
    | (?<=://)[^\s:/@]+:[^\s/@]+(?=@)   # user:password in an address
    """,
    re.VERBOSE,
)
HIDDEN = "[redacted]"
SHORTEST = 8
"""A value shorter than this is no secret that could be found in a text without hiding common words."""


def redact(text: str, secrets: Iterable[str] = ()) -> str:
    """Return the text without the given secrets and without anything that looks like a known provider's key."""
    for secret in sorted({secret for secret in secrets if len(secret) >= SHORTEST}, key=len, reverse=True):
        text = text.replace(secret, HIDDEN)
    return _PATTERNS.sub(HIDDEN, text)


def runtime_folder() -> Path:
    """Return the folder for sockets, 0700 and owned by this user; made when absent.

    ``XDG_RUNTIME_DIR`` where it is usable, else a folder in ``/tmp`` (a socket's path holds about 100 characters, so the workspace's own
    folder will not do). Raises :class:`ServerUnreachable` when somebody else owns it.
    """
    given = os.environ.get("XDG_RUNTIME_DIR")
    base = Path(given) if given and len(given) < 40 and os.access(given, os.W_OK) else Path("/tmp")  # noqa: S108 - owner and mode are checked below
    folder = base / (f"hishamos-{os.getuid()}")
    folder.mkdir(mode=0o700, exist_ok=True)
    check_owned(folder)
    return folder


def check_owned(folder: Path) -> None:
    """Raise unless the folder is a real folder of this user that nobody else may enter."""
    facts = folder.lstat()
    if not stat.S_ISDIR(facts.st_mode) or facts.st_uid != os.getuid() or stat.S_IMODE(facts.st_mode) & 0o077:
        raise ServerUnreachable(
            host="this one", user=f"uid {facts.st_uid}", next=f"{folder} must be a folder of yours with mode 0700: remove it, then try again."
        )
