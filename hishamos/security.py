"""Secrets: never shown, never written. Folders: only their owner's."""

from __future__ import annotations

import base64
import html
import json
import os
import re
import stat
from collections import defaultdict
from collections.abc import Iterable, Mapping
from functools import lru_cache
from pathlib import Path
from urllib.parse import quote, quote_plus

from hishamos.errors import ServerUnreachable

_PATTERNS = re.compile(
    r"""
      \bsk-[A-Za-z0-9_-]{8,}            # OpenAI, Anthropic (sk-ant-), OpenRouter (sk-or-)
    | \bAIza[0-9A-Za-z_-]{20,}          # Google
    | \bgsk_[A-Za-z0-9]{20,}            # Groq
    | \bxox[abprs]-[A-Za-z0-9-]{10,}    # Slack
    | (?<=[Bb]earer\s)[A-Za-z0-9._~+/-]{12,}=*
    | (?<=api[-_]key["'\s:=]{1})[A-Za-z0-9._-]{16,}
    | (?<=://)[^\s:/@]*:[^\s/@]+(?=@)   # user:password in an address, or a password alone
    """,
    re.VERBOSE,
)
HIDDEN = "[redacted]"
SHORTEST = 8
"""A value shorter than this is no secret that could be found in a text without hiding common words."""


PARTIAL = 12
"""So many characters of a secret in a row are a part of it that is hidden too."""
_GRAM = 4


def redact(text: str, secrets: Iterable[str] = ()) -> str:
    """Return the text without the given secrets and without anything that looks like a known provider's key."""
    return _PATTERNS.sub(HIDDEN, without(text, secrets))


def without(text: str, secrets: Iterable[str]) -> str:
    """Return the text without the given secrets, whole or twelve characters of them, plain or as base64, URLs, JSON and HTML write them."""
    for secret in sorted({secret for secret in secrets if len(secret) >= SHORTEST}, key=len, reverse=True):
        text = text.replace(secret, HIDDEN)
        if len(text) >= PARTIAL:
            text = _without_parts(text, _parts(secret))
    return text


def begun(text: str, secret: str) -> int:
    """Return how many of the text's last characters may be the beginning of a secret, or of a part of it, that goes on in what follows.

    Fewer than four say nothing, and are no secret either: 0.
    """
    if text[-_GRAM:] not in _parts(secret):
        return 0
    forms = _forms(secret)
    longest = min(len(text), max(map(len, forms)))
    return next(count for count in range(longest, 0, -1) if any(text[-count:] in form for form in forms))


@lru_cache(maxsize=64)
def _forms(secret: str) -> tuple[str, ...]:
    """Return how a secret may be written: as it is, as URLs, JSON and HTML escape it, in base64 at each of the three places it can begin."""
    plain = {secret, quote(secret, safe=""), quote_plus(secret), json.dumps(secret)[1:-1], html.escape(secret)}
    data = secret.encode("utf-8", "surrogatepass")
    for ahead, shared in ((0, 0), (1, 2), (2, 3)):  # so many bytes ahead of it, so many signs that hold some of them
        whole = (ahead + len(data)) // 3 * 4
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            plain.add(encode(b"\0" * ahead + data).decode()[shared:whole])
    return tuple(form for form in plain if len(form) >= SHORTEST)


@lru_cache(maxsize=64)
def _parts(secret: str) -> Mapping[str, list[tuple[str, int]]]:
    """Return where each four characters stand in a secret's forms."""
    found: dict[str, list[tuple[str, int]]] = defaultdict(list)
    for form in _forms(secret):
        for place in range(len(form) - _GRAM + 1):
            found[form[place : place + _GRAM]].append((form, place))
    return dict(found)


def _without_parts(text: str, parts: Mapping[str, list[tuple[str, int]]]) -> str:
    """Hide every run of ``PARTIAL`` characters that a form has too. One of them in nine is looked at: no such run lies between two."""
    pieces: list[str] = []
    kept, place = 0, 0
    while place + _GRAM <= len(text):
        runs = (_run(text, place, kept, form, at) for form, at in parts.get(text[place : place + _GRAM], ()))
        first, last = max(runs, key=lambda run: run[1] - run[0], default=(0, 0))
        if last - first < PARTIAL:
            place += PARTIAL - _GRAM + 1
            continue
        pieces += [text[kept:first], HIDDEN]
        kept = place = last
    return "".join((*pieces, text[kept:]))


def _run(text: str, place: int, least: int, form: str, at: int) -> tuple[int, int]:
    """Return where the longest stretch that text and form share begins and ends, around one place of each; not before ``least``."""
    first, last = place, place + _GRAM
    back, on = at, at + _GRAM
    while first > least and back > 0 and text[first - 1] == form[back - 1]:
        first, back = first - 1, back - 1
    while last < len(text) and on < len(form) and text[last] == form[on]:
        last, on = last + 1, on + 1
    return first, last


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
