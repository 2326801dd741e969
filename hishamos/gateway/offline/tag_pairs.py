"""Pairs of tags in a text, each tag at its end of a line: ``<report>`` before and ``</report>`` after what they mark."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

_OPENING = re.compile(r"^[ \t]*<([A-Za-z][\w-]*)>\n?", re.MULTILINE)
_CLOSING = re.compile(r"</([A-Za-z][\w-]*)>[ \t]*$", re.MULTILINE)


@dataclass(frozen=True)
class Pair:
    """Where a pair of tags stands in a text, and what stands between the two."""

    start: int
    """Of the line that the opening tag begins."""
    end: int
    """Of the line that the closing tag ends."""
    inner: str
    """Without the one line break next to each tag, and without blanks before the closing one."""


def tag_pairs(text: str) -> list[Pair]:
    """Return the pairs of tags in a text, in its order: none overlaps another, one inside another is part of what that one marks.

    A tag that begins a line is closed by the first of its name after it that ends one. The time is linear in the length of the text,
    whatever it holds: one regular expression for both tags looks for the end of each unclosed tag through all that comes after it.
    """
    closings: dict[str, list[re.Match[str]]] = defaultdict(list)
    for closing in _CLOSING.finditer(text):
        closings[closing[1]].append(closing)
    for waiting in closings.values():
        waiting.reverse()
    pairs: list[Pair] = []
    end = 0
    for opening in _OPENING.finditer(text) if closings else ():
        if opening.start() < end:
            continue
        waiting = closings.get(opening[1], [])
        while waiting and waiting[-1].start() < opening.end():
            waiting.pop()
        if waiting:
            closing = waiting.pop()
            end = closing.end()
            inner = text[opening.end() : closing.start()].rstrip(" \t").removesuffix("\n")
            pairs.append(Pair(opening.start(), end, inner))
    return pairs


def without(pairs: Sequence[Pair], text: str) -> str:
    """Return a text with a line break in the place of each of its pairs."""
    kept = zip([0, *(pair.end for pair in pairs)], [*(pair.start for pair in pairs), len(text)], strict=True)
    return "\n".join(text[start:end] for start, end in kept)


def stands_in(pairs: Sequence[Pair], place: int) -> bool:
    """Return whether a place of a text is in one of its pairs."""
    before = bisect_right(pairs, place, key=lambda pair: pair.start)
    return before > 0 and place < pairs[before - 1].end
