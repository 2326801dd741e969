"""What a schema and the instructions say each value means: ``blocker: data is lost; minor: …``, ``false for spam``, ``- ui = screens``."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache

from hishamos.text.words import normalise

_MARK = r"(?<![\w-]){value}(?![\w-])[\"'»”`*]*\s*(?:[:=–—]|->|\(|,?\s(?:means|is|are|stands for|for|if|when|where)\s|\s-\s)"
_END = re.compile(r"[\n;|]")
_LONGEST = 400


def glosses(values: Sequence[str], *texts: str) -> dict[str, str]:
    """Return for each value what the texts say of it, empty where they say nothing; an earlier text wins over a later one."""
    found = dict.fromkeys(values, "")
    for text in texts:
        for value, gloss in _read(tuple(values), text).items():
            found[value] = found[value] or gloss
    return found


@lru_cache(maxsize=512)
def _read(values: tuple[str, ...], text: str) -> Mapping[str, str]:
    if not text:
        return {}
    marks: list[tuple[int, int, str]] = []
    for value in values:
        if value.strip():
            pattern = _MARK.format(value=re.escape(value))
            marks.extend((match.start(), match.end(), value) for match in re.finditer(pattern, text, re.IGNORECASE))
    marks.sort()
    found: dict[str, str] = {}
    for place, (_, end, value) in enumerate(marks):
        until = marks[place + 1][0] if place + 1 < len(marks) else len(text)
        gloss = text[end : min(until, end + _LONGEST)]
        stop = _END.search(gloss)
        gloss = (gloss[: stop.start()] if stop else gloss).strip(" \t.,;)\"'")
        found.setdefault(value, gloss)
    return found


def poles(name: str, description: str) -> tuple[str, str]:
    """Return what speaks for true and what for false, of a boolean field's name and description."""
    told = _read(("true", "false", "yes", "no"), description)
    for_true = told.get("true") or told.get("yes") or ""
    for_false = told.get("false") or told.get("no") or ""
    if not for_true and not for_false:
        for_true = description
    return f"{name} {for_true}".strip(), for_false


def asks_for(count_text: str) -> int | None:
    """Return the number that a text asks for (``the top three``, ``at most 5``), or None."""
    match = _COUNT.search(normalise(count_text))
    if not match:
        return None
    word = match["count"]
    return int(word) if word.isdigit() else _NUMBERS.index(word) + 1


_NUMBERS = ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"]
_COUNT = re.compile(rf"\b(?:top|first|best|worst|most|exactly|up to|at most|the)\s+(?P<count>\d{{1,3}}|{'|'.join(_NUMBERS)})\b")
