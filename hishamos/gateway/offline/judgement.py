"""How a text is classified: which value of an enumeration fits, whether a statement holds, which number is meant."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from hishamos.gateway.offline.glosses import poles
from hishamos.gateway.offline.material import Material
from hishamos.text.concepts import named, opposite
from hishamos.text.nonsense import LIMIT
from hishamos.text.similarity import likeness
from hishamos.text.vocabulary import LEVELS, SCALE, SCALE_FIELDS
from hishamos.text.words import STOP_WORDS, listed, name_words, stem, stems, words

LEVEL_WEIGHTS = {"crash": 1.6, "data_loss": 1.4, "security": 1.6, "lockout": 1.5, "broken": 1.0, "workaround": 1.1, "cosmetic": 1.5}
"""How much each concept says about how bad something is; tuned on the half of the sample that is for tuning and on phrases of other products."""
UNTOLD_LEVEL = 2
"""The level of a text that tells of nothing bad and nothing cosmetic."""
_NAMED_ELSEWHERE = 0.3
_ASKS_PRESENCE = listed("has have contains contain mentions mention includes include about")
_NUMBER = re.compile(r"(?<![\w.])[-+]?(?:\d{1,3}(?:[,٬]\d{3})+|\d+)(?:[.٫]\d+)?(?![\w])")
_NEAR = 4
"""Words on each side of a number that tell what it counts."""


def choose(values: Sequence[Any], meanings: Mapping[str, str], name: str, material: Material) -> Any | None:
    """Return the value of an enumeration that fits the material best, or None where nothing speaks for any."""
    texts = [value for value in values if isinstance(value, str)]
    if not texts:
        return None
    levels = scale(texts, name)
    if levels:
        return _level(levels, meanings, material)
    scores = fits(texts, meanings, material)
    best = max(texts, key=lambda value: scores[value])
    return best if scores[best] > 0 else None


def fits(values: Sequence[str], meanings: Mapping[str, str], material: Material) -> dict[str, float]:
    """Return how well each value fits: concepts shared with its name and meaning, words shared, the value named in the text."""
    ties = _ties(values, meanings)
    scores = {}
    for value in values:
        told = f"{' '.join(name_words(value))} {meanings.get(value, '')}"
        own = {word for word in stems(told) if word not in STOP_WORDS}
        shared = len(own & material.stem_set)
        score = sum(strength * ties[value].get(concept, 0.0) for concept, strength in material.strengths.items())
        score += min(1.5, 0.5 * shared)
        if own and not score:
            alike = likeness(told, material.text[:2000])
            score = alike if alike > 0.12 else 0.0
        if " ".join(words(value)) in material.normal and len(value) > 2 and _stands_in(value, material):
            score += 1.0
        scores[value] = score
    return scores


def _stands_in(value: str, material: Material) -> bool:
    wanted = [stem(word) for word in words(value)]
    return any(material.stems[i : i + len(wanted)] == wanted for i in range(len(material.stems)))


def _ties(values: Sequence[str], meanings: Mapping[str, str]) -> dict[str, dict[str, float]]:
    """Return how much each concept stands for each value; one that is a value's own name counts little for the others."""
    own = {value: {concept for concept, tie in named(" ".join(name_words(value))).items() if tie == 1.0} for value in values}
    ties: dict[str, dict[str, float]] = {}
    for value in values:
        told = {concept: 0.8 * tie for concept, tie in named(meanings.get(value, "")).items()}
        for other in values:
            if other != value:
                for concept in own[other] - own[value]:
                    if concept in told:
                        told[concept] *= _NAMED_ELSEWHERE
        ties[value] = told | dict.fromkeys(own[value], 1.0)
    return ties


def scale(values: Sequence[str], name: str) -> dict[str, int] | None:
    """Return each value's level of badness (0 worst) where the enumeration is such a scale, else None."""
    known = {value: level for value in values for level, names in enumerate(SCALE) if set(words(value)) & names}
    asked = bool(SCALE_FIELDS & set(name_words(name)))
    if len(known) < (2 if asked else max(3, len(values) - 1)):
        return None
    if len(known) == len(values):
        return known
    levels, last = {}, min(known.values())
    for value in values:
        last = known.get(value, last)  # a value that no scale knows takes the level of its neighbour above
        levels[value] = last
    return levels


def _level(levels: Mapping[str, int], meanings: Mapping[str, str], material: Material) -> str:
    by_level: dict[int, str] = {}
    for value, level in levels.items():
        by_level.setdefault(level, value)
    if material.nonsense >= LIMIT:
        return by_level[max(by_level)]
    told = {
        concept: level
        for level, value in sorted(by_level.items(), reverse=True)
        for concept, tie in named(meanings.get(value, "")).items()
        if tie == 1.0 and concept in LEVELS
    }
    scores = dict.fromkeys(by_level, 0.0)
    for concept, weight in LEVEL_WEIGHTS.items():
        strength = material.strengths.get(concept, 0.0)
        level = told.get(concept, LEVELS[concept])
        scores[_nearest(level, by_level)] += weight * strength
    scores[_nearest(UNTOLD_LEVEL, by_level)] += 0.4
    return by_level[max(scores, key=lambda level: (scores[level], -level))]


def _nearest(level: int, known: Mapping[int, str]) -> int:
    return min(known, key=lambda other: (abs(other - level), other))


def holds(name: str, description: str, material: Material) -> bool | None:
    """Return whether the statement that a boolean field makes holds for the material, or None where that can't be told."""
    for_true, for_false = poles(" ".join(name_words(name)), description)
    true, false = named(for_true), named(for_false)
    if max(true.get("nonsense", 0), false.get("nonsense", 0)) == 1.0:
        empty = material.nonsense >= LIMIT
        denied = false.get("nonsense", 0) > true.get("nonsense", 0) or "not" in words(for_true)
        return empty != denied
    score = _speaks(true, material) - _speaks(false, material)
    if score:
        return score > 0
    own = {word for word in stems(for_true) if word not in STOP_WORDS}
    against = {word for word in stems(for_false) if word not in STOP_WORDS}
    overlap = _share(own, material) - _share(against, material)
    if abs(overlap) >= 0.5:
        return overlap > 0
    if _ASKS_PRESENCE & set(name_words(name)):
        return overlap > 0.3
    return None


def _speaks(meant: Mapping[str, float], material: Material) -> float:
    score = 0.0
    for concept, tie in meant.items():
        if tie == 1.0:
            against = opposite(concept)
            score += material.strengths.get(concept, 0.0) - (material.strengths.get(against, 0.0) if against else 0.0)
    return score


def _share(wanted: set[str], material: Material) -> float:
    return len(wanted & material.stem_set) / len(wanted) if wanted else 0.0


def count_of(name: str, description: str, material: Material) -> float | None:
    """Return the number whose neighbours in the text are most like the field's words, or None where none are."""
    wanted = {stem(word) for word in [*name_words(name), *words(description)] if word not in STOP_WORDS}
    found = []
    for match in _NUMBER.finditer(material.text[:20_000]):
        before = [stem(word) for word in words(material.text[max(0, match.start() - 60) : match.start()])][-_NEAR:]
        after = [stem(word) for word in words(material.text[match.end() : match.end() + 60])][:_NEAR]
        nearness = sum(1 / (1 + place) for place, word in enumerate(reversed(before)) if word in wanted)
        nearness += sum(1 / (1 + place) for place, word in enumerate(after) if word in wanted)
        if nearness >= 0.5:
            found.append((-nearness, match.start(), float(re.sub("[,٬]", "", match.group()).replace("٫", "."))))
    return min(found)[2] if found else None


def all_numbers(material: Material) -> list[float]:
    """Return all numbers of the text in order."""
    return [float(re.sub("[,٬]", "", match.group()).replace("٫", ".")) for match in _NUMBER.finditer(material.text[:20_000])]
