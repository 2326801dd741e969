"""Tf-idf vectors and their cosine, over words and over pieces of words."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache

from hishamos.text.words import STOP_WORDS, stems, words


class Vectors:
    """Tf-idf vectors of several documents, each given as term counts. Terms weigh (1 + log tf) · idf, idf smoothed by one."""

    def __init__(self, documents: Sequence[Mapping[str, float]]) -> None:
        seen: dict[str, int] = defaultdict(int)
        for document in documents:
            for term in document:
                seen[term] += 1
        count = len(documents)
        self.idf = {term: math.log((1 + count) / (1 + n)) + 1 for term, n in seen.items()}
        self.rows: list[dict[str, float]] = [self._row(document) for document in documents]

    def _row(self, document: Mapping[str, float]) -> dict[str, float]:
        row = {term: (1 + math.log(tf)) * self.idf[term] for term, tf in document.items() if tf >= 1}
        length = math.sqrt(sum(weight * weight for weight in row.values())) or 1.0
        return {term: weight / length for term, weight in row.items()}

    def cosine(self, first: int, second: int) -> float:
        """Return the cosine of two documents by their indexes, 0 to 1."""
        a, b = self.rows[first], self.rows[second]
        if len(b) < len(a):
            a, b = b, a
        return sum(weight * b[term] for term, weight in a.items() if term in b)

    def candidates(self, most: int) -> Iterator[tuple[int, int]]:
        """Yield each pair of documents that share a term which at most ``most`` documents hold, once, in order."""
        holders: dict[str, list[int]] = defaultdict(list)
        for index, row in enumerate(self.rows):
            for term in row:
                holders[term].append(index)
        near: dict[int, set[int]] = defaultdict(set)
        for held in holders.values():
            if 2 <= len(held) <= most:
                for place, first in enumerate(held):
                    near[first].update(held[place + 1 :])
        for first in sorted(near):
            for second in sorted(near[first]):
                yield first, second


def word_terms(text: str) -> dict[str, float]:
    """Return the counts of a text's stems, stop words left out."""
    return counted(word for word in stems(text) if word not in STOP_WORDS)


def piece_terms(text: str, sizes: tuple[int, ...] = (3, 4)) -> dict[str, float]:
    """Return the counts of character n-grams inside the text's words (word borders count as a character), stop words left out."""
    padded = [f" {word} " for word in words(text) if word not in STOP_WORDS]
    return counted(word[i : i + size] for word in padded for size in sizes for i in range(max(1, len(word) - size + 1)))


@lru_cache(maxsize=1024)
def _words_and_pieces(text: str) -> tuple[Mapping[str, float], Mapping[str, float]]:
    return word_terms(text), piece_terms(text)


def likeness(first: str, second: str) -> float:
    """Return how alike two short texts are, 0 to 1: the mean cosine of their words and of their pieces, without idf."""
    (words_a, pieces_a), (words_b, pieces_b) = _words_and_pieces(first), _words_and_pieces(second)
    return (_cosine(words_a, words_b) + _cosine(pieces_a, pieces_b)) / 2


def counted(terms: Iterable[str]) -> dict[str, float]:
    """Return how often each term comes."""
    counts: dict[str, float] = {}
    for term in terms:
        counts[term] = counts.get(term, 0.0) + 1.0
    return counts


def _cosine(a: Mapping[str, float], b: Mapping[str, float]) -> float:
    if not a or not b:
        return 0.0
    product = sum(weight * b.get(term, 0.0) for term, weight in a.items())
    return product / math.sqrt(sum(w * w for w in a.values()) * sum(w * w for w in b.values()))
