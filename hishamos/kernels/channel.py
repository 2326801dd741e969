"""What the two ends of a child's pipes agree on: messages of a small JSON head and a body of bytes."""

from __future__ import annotations

import json
import os
import struct
from typing import Any

LENGTHS = struct.Struct(">II")
MOST = 64 * 2**20
"""Bytes of one message; a longer one is refused by whoever writes it, and ends whoever sends it all the same."""

Message = tuple[dict[str, Any], bytes]


class TooLong(Exception):
    """A message is longer than may be."""


def written(head: dict[str, Any], body: bytes = b"") -> bytes:
    """Return a message as it goes through a pipe; raises :class:`TooLong`."""
    told = json.dumps(head, default=str).encode()
    if len(told) + len(body) > MOST:
        raise TooLong
    return LENGTHS.pack(len(told), len(body)) + told + body


def taken(buffer: bytearray) -> Message | None:
    """Take the first message out of what has come; None as long as it is not whole. Raises :class:`TooLong`."""
    if len(buffer) < LENGTHS.size:
        return None
    head, body = LENGTHS.unpack_from(buffer)
    if head + body > MOST:
        raise TooLong
    end = LENGTHS.size + head + body
    if len(buffer) < end:
        return None
    told = json.loads(bytes(buffer[LENGTHS.size : LENGTHS.size + head]))
    rest = bytes(buffer[LENGTHS.size + head : end])
    del buffer[:end]
    return told, rest


def put(descriptor: int, data: bytes) -> None:
    """Write all of ``data`` into a pipe; blocks."""
    left = memoryview(data)
    while left:
        left = left[os.write(descriptor, left[:65_536]) :]
