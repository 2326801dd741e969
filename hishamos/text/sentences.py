"""Sentences of a text and which of them say most: a small TextRank (Mihalcea and Tarau, 2004) over tf-idf similarity."""

from __future__ import annotations

import re

from hishamos.text.similarity import Vectors
from hishamos.text.words import STOP_WORDS, stems

_END = re.compile(r"(?<=[.!?؟。])[\"'»”)]*\s+(?=\S)")
_BULLET = re.compile(r"^\s*(?:[-*•–]|\d{1,3}[.)])(?:\s+|$)")
_DAMPING = 0.85
_ROUNDS = 20
_MOST = 240
"""More sentences than this are not compared with one another: the work is quadratic."""


def lines(text: str) -> list[str]:
    """Return the text's non-empty lines without bullets and surrounding space."""
    return [line for raw in text.splitlines() if (line := _BULLET.sub("", raw).strip())]


def bullets(text: str) -> list[str]:
    """Return the text's list items without their bullets."""
    return [item for raw in text.splitlines() if _BULLET.match(raw) and (item := _BULLET.sub("", raw).strip())]


def sentences(text: str) -> list[str]:
    """Return the text's sentences in order; a line break ends one too."""
    return [part.strip() for line in lines(text) for part in _END.split(line) if any(map(str.isalnum, part))]


def ranked(parts: list[str], query: str = "") -> list[int]:
    """Return the indexes of ``parts`` from the most to the least central; ``query`` shifts the rank to parts that are like it.

    Equal ranks keep the text's order. Of very many parts only the first ones are compared.
    """
    compared = parts[:_MOST]
    count = len(compared)
    if count < 2:
        return list(range(len(parts)))
    vectors = Vectors([_terms(part) for part in [*compared, query]])
    links = [[vectors.cosine(i, j) if i != j else 0.0 for j in range(count)] for i in range(count)]
    weights = [sum(row) or 1.0 for row in links]
    wanted = [vectors.cosine(i, count) for i in range(count)] if query else []
    total = sum(wanted)
    start = [value / total for value in wanted] if total else [1 / count] * count
    rank = [1 / count] * count
    for _ in range(_ROUNDS):
        shares = [value / weight for value, weight in zip(rank, weights, strict=True)]
        rank = [(1 - _DAMPING) * start[i] + _DAMPING * sum(link * share for link, share in zip(links[i], shares, strict=True)) for i in range(count)]
    order = sorted(range(count), key=lambda index: (-round(rank[index], 9), index))
    return [*order, *range(count, len(parts))]


def _terms(text: str) -> dict[str, float]:
    counts: dict[str, float] = {}
    for word in stems(text):
        if word not in STOP_WORDS:
            counts[word] = counts.get(word, 0.0) + 1.0
    return counts
