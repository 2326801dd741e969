"""How well descriptions of what somebody can do match a task: tf-idf over words and pieces of words, no model."""

from __future__ import annotations

from collections.abc import Sequence

from hishamos.text.similarity import Vectors, counted, piece_terms, word_terms
from hishamos.text.words import STOP_WORDS, name_words, stems

WORDS = 0.7
"""The share of whole words; the rest is that of their pieces, which find what is inflected or written together."""


def matches(task: str, profiles: Sequence[str]) -> list[float]:
    """Return how well each profile matches the task, 0 to 1. Words that many profiles hold weigh less."""
    by_words = Vectors([word_terms(text) for text in (*profiles, task)])
    by_pieces = Vectors([piece_terms(text) for text in (*profiles, task)])
    last = len(profiles)
    return [WORDS * by_words.cosine(place, last) + (1 - WORDS) * by_pieces.cosine(place, last) for place in range(last)]


def shared(task: str, names: Sequence[str]) -> list[str]:
    """Return those of ``names`` (capabilities, tags) that share a word with the task, those that share most first."""
    words = counted(word for word in stems(task) if word not in STOP_WORDS)
    found = [(sum(word in words for word in set(stems(" ".join(name_words(name))))), name) for name in names]
    return [name for count, name in sorted(found, key=lambda one: -one[0]) if count]
