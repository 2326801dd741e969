"""Words of English and Arabic text: normalising, splitting, light stemming."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

_ARABIC_MARKS = re.compile("[\u0610-\u061a\u064b-\u065f\u0670\u06d6-\u06ed\u0640]")  # diacritics and the stretching tatweel
_ARABIC_LETTERS = str.maketrans({"أ": "ا", "إ": "ا", "آ": "ا", "ٱ": "ا", "ى": "ي", "ة": "ه", "ؤ": "و", "ئ": "ي", "ک": "ك", "ی": "ي"})
_ARABIC = re.compile("[\u0621-\u064a]")
_ARABIC_PREFIXES = ("وبال", "وال", "بال", "كال", "فال", "ولل", "لل", "ال")
_ARABIC_SUFFIXES = ("هما", "كم", "نا", "ها", "ات", "ان", "ون", "ين", "يه", "ته", "ه", "ي")

_CROWDED = re.compile(r"(.(?:[^\w\s\x00-\x7f]|[\uff9e\uff9f]){30})", re.DOTALL)
"""A character with thirty behind it that may all be marks on it: no language has as many (Unicode annex 15, stream-safe text)."""
_WORD = re.compile(r"[^\W_]+")
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_CONTRACTIONS = ((re.compile(r"\bcan(?:[’']t|not)\b"), "can not"), (re.compile(r"\bwon[’']t\b"), "will not"), (re.compile(r"n[’']t\b"), " not"))
_POSSESSIVE = re.compile(r"[’']s\b")


def listed(text: str) -> frozenset[str]:
    """Return the different words of a list written as text."""
    return frozenset(text.split())


STOP_WORDS = listed(
    """a about above after again all also am an and any are as at be because been before being below between both but by can could did do does
    doing down during each few for from further get gets had has have having he her here hers him his how i if in into is it its itself just
    let me more most my no nor not now of off on once only or other our ours out over own same she should so some such than that the their
    theirs them then there these they this those through to too under until up us very was we were what when where which while who whom why
    will with would you your yours من في على الى عن مع ان انه انها هذا هذه ذلك تلك التي الذي الذين ما لا لم لن قد كل بعد قبل عند ثم او و هو
    هي هم كان كانت كما حتى اي هل بين منذ غير لكن اذا يا انا نحن عليه فيه به لها له اما رغم"""
)


def normalise(text: str) -> str:
    """Return the text in one form: NFKC, lower case, contractions spelled out, Arabic without marks and with one form per letter."""
    pieces = [text] if text.isascii() else _CROWDED.split(text)  # the time to normalise is quadratic in the marks on one letter
    plain = "".join(unicodedata.normalize("NFKC", piece) for piece in pieces).casefold()
    if "'" in plain or "’" in plain or "cannot" in plain:
        for pattern, replacement in _CONTRACTIONS:
            plain = pattern.sub(replacement, plain)
        plain = _POSSESSIVE.sub("", plain)
    if _ARABIC.search(plain):
        plain = _ARABIC_MARKS.sub("", plain).translate(_ARABIC_LETTERS)
    return plain


def words(text: str) -> list[str]:
    """Return the normalised words of a text in order, numbers included."""
    return _WORD.findall(normalise(text))


def stems(text: str) -> list[str]:
    """Return the light stems of a text's words in order."""
    return [stem(word) for word in words(text)]


def name_words(name: str) -> list[str]:
    """Return the words of an identifier: ``isReport``, ``is_report`` and ``is-report`` give ``['is', 'report']``."""
    return words(_CAMEL.sub(" ", name).replace("_", " "))


@lru_cache(maxsize=8192)
def stem(word: str) -> str:
    """Return a light stem of one normalised word: plural, tense and article endings go, derivations stay."""
    if _ARABIC.match(word):
        return _arabic_stem(word)
    if len(word) <= 3 or not word.isascii() or not word.isalpha():
        return word
    if word.endswith("ies") and len(word) > 4:
        word = word[:-3] + "y"
    elif word.endswith(("sses", "shes", "ches", "xes", "zes")):
        word = word[:-2]
    elif word.endswith("s") and not word.endswith(("ss", "us", "is")):
        word = word[:-1]
    for ending, shortest in (("ing", 6), ("ed", 5), ("ly", 6)):
        if word.endswith(ending) and len(word) >= shortest:
            word = word[: -len(ending)]
            if len(word) > 3 and word[-1] == word[-2] and word[-1] not in "ls":
                word = word[:-1]
            break
    return word[:-1] if word.endswith("e") and len(word) > 3 else word


def _arabic_stem(word: str) -> str:
    for prefix in _ARABIC_PREFIXES:
        if word.startswith(prefix) and len(word) - len(prefix) >= 3:
            word = word[len(prefix) :]
            break
    else:
        if word.startswith("و") and len(word) >= 5:  # "and"
            word = word[1:]
    for suffix in _ARABIC_SUFFIXES:
        if word.endswith(suffix) and len(word) - len(suffix) >= 3:
            return word[: -len(suffix)]
    return word
