"""Which general concepts a text speaks of, and how strongly: the reader of the table in ``vocabulary``."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, lru_cache

from hishamos.text.vocabulary import CLASSES, OPPOSITES, TABLE
from hishamos.text.words import stem, stems, words

_GAPS = {"..": r"(?: \S+){0,3}?", "...": r"(?: \S+){0,6}?"}
_FURTHER = 0.5
"""What a second and each later cue of a concept adds, as a share of its weight."""


@dataclass(frozen=True)
class Concept:
    """One row of the table, compiled."""

    name: str
    names: frozenset[str]
    """Stemmed names, words joined by a space."""
    cues: tuple[tuple[re.Pattern[str], float], ...]
    without: tuple[re.Pattern[str], ...]


@cache
def concepts() -> dict[str, Concept]:
    """Return all concepts by name, compiled once."""
    blocks = re.split(r"\n\s*\n", re.sub(r"(?m)^#.*\n", "", TABLE))
    return {concept.name: concept for concept in map(_compile, blocks)}


def strengths(text: str) -> dict[str, float]:
    """Return how strongly the text speaks of each concept it touches: the heaviest cue whole, each further one by half."""
    return _strengths(" " + " ".join(stems(text)) + " ")


@lru_cache(maxsize=512)
def named(text: str) -> Mapping[str, float]:
    """Return which concepts a name or a description means: 1 where one of the concept's own names stands in it, else its cues by half."""
    stream = " " + " ".join(stems(text)) + " "
    found = {name: min(1.0, 0.5 * strength) for name, strength in _strengths(stream).items()}
    for concept in concepts().values():
        if any(f" {name} " in stream for name in concept.names):
            found[concept.name] = 1.0
    return found


def opposite(concept: str) -> str | None:
    """Return the concept that speaks against this one."""
    return OPPOSITES.get(concept)


def _strengths(stream: str) -> dict[str, float]:
    found = {}
    for concept in concepts().values():
        rest = stream
        for pattern in concept.without:
            rest = pattern.sub(" ", rest)
        weights = sorted((weight for pattern, weight in concept.cues if pattern.search(rest)), reverse=True)
        if weights:
            found[concept.name] = weights[0] + _FURTHER * sum(weights[1:])
    return found


def _compile(block: str) -> Concept:
    rows = block.strip("\n").splitlines()
    name, _, names = " ".join(row for row in rows if not row.startswith(" ")).partition(" = ")
    plus: list[tuple[re.Pattern[str], float]] = []
    minus: list[re.Pattern[str]] = []
    for raw in " ".join(row for row in rows if row.startswith(" ")).split("|"):
        cue, _, weight = raw.strip().partition("~")
        if cue.startswith("-"):
            minus.append(_pattern(cue[1:]))
        elif cue:
            plus.append((_pattern(cue), float(weight or 1)))
    return Concept(name, frozenset(" ".join(stems(row)) for row in names.split("|")), tuple(plus), tuple(minus))


def _pattern(cue: str) -> re.Pattern[str]:
    parts = []
    for part in cue.split():
        if part in _GAPS:
            parts.append(_GAPS[part])
        elif part.startswith("<"):
            parts.append(_group(part[1:-1]))
        elif part.endswith("*"):
            parts.append(" " + re.escape(_beginning("".join(words(part[:-1])))) + r"\S*")
        else:
            parts.extend(" " + re.escape(stem(word)) for word in words(part))
    return re.compile("".join(parts) + r"(?= )")


def _beginning(word: str) -> str:
    return word[:-1] if len(word) > 3 and word.endswith("e") else word  # as stems lose it


@cache
def _group(name: str) -> str:
    if CLASSES[name] == "*":
        return r" \S+"
    options = {" ".join(stems(word.replace("-", " "))) for word in CLASSES[name].split()}
    return " (?:" + "|".join(sorted(map(re.escape, options))) + ")"
