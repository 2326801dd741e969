"""Whether a text says nothing: a test, gibberish, an advertisement. Character statistics and a small vocabulary, English and Arabic."""

from __future__ import annotations

import re
from functools import lru_cache

from hishamos.text.concepts import strengths
from hishamos.text.words import STOP_WORDS, listed, words

_LINK = re.compile(r"https?://|www\.", re.IGNORECASE)
_REPEATED = re.compile(r"(.)\1{3,}")
_ROWS = ("qwertyuiop", "asdfghjkl", "zxcvbnm", "abcdefghijklmnopqrstuvwxyz", "ضصثقفغعهخحجد", "شسيبلاتنمكط", "ئءؤرلايوةزظ", "ابتثجحخدذرزسشصضطظعغفقكلمنهوي")
_RUN = 4
_RUN_SHARE = 0.7
"""``property`` holds a run of the keyboard too; nonsense is made of them."""
_BOTH_WAYS = (*_ROWS, *(row[::-1] for row in _ROWS))
_VOWELS = set("aeiouyàáâäãåèéêëìíîïòóôöõùúûüæœø")
_CHATTER = listed(
    """test tests testing tested ignore hello hi hey lol haha hahaha foo bar baz lorem ipsum dolor blah bla yo ok okay sup nothing here ping dummy
    sample asdf qwerty xyz abc تجربه تجريب اختبار تيست مرحبا اهلا سلام هلا تجاهل ههه هههه"""
)
_SELLING = listed(
    """buy cheap free winner won win prize gift congratulations offer discount casino crypto bitcoin viagra loan loans followers seo subscribe
    click promo deal deals earn money income investment limited claim lottery dating sale cash bonus guaranteed profit اربح ربحت جائزه مجانا
    عرض خصم اشتر تخفيض مبروك قرض استثمار اضغط ارباح متابعين"""
)
_DIFFICULTY = ("crash", "data_loss", "security", "lockout", "broken", "cosmetic")
LIMIT = 0.5
"""From this score on a text counts as nonsense."""


def nonsense(text: str) -> float:
    """Return how surely the text says nothing, 0 to 1: the surest of gibberish, chatter or test, and advertisement."""
    found = words(text)
    letters = [word for word in found if not word.isdigit()]
    if not letters:
        return 1.0
    return min(1.0, max(_hollow(letters), _advertisement(text, letters)))


def _hollow(letters: list[str]) -> float:
    """Return the share of words that are gibberish, chatter or repeated, where the text is short or they are nearly all of it."""
    empty = [word for word in letters if word in _CHATTER or gibberish(word)]
    content = [word for word in letters if word not in STOP_WORDS]
    share = len(empty) / len(letters)
    content_share = sum(word in _CHATTER or gibberish(word) for word in content) / len(content) if content else 1.0
    repeated = 1 - len(set(letters)) / len(letters) if len(letters) >= 4 else 0.0
    score = max(share, content_share * 0.9 if len(letters) <= 12 else 0.0)
    if len(letters) <= 12:
        score = max(score, min(share, 0.4) + repeated)
    return score


def _advertisement(text: str, letters: list[str]) -> float:
    selling = len(_SELLING & set(letters))
    score = 0.15 * selling + (0.25 if _LINK.search(text) else 0.0) + (0.1 if "!!" in text else 0.0)
    if selling < 2:
        return min(score, LIMIT / 2)
    trouble = strengths(text)
    return score - 0.2 * sum(trouble.get(name, 0.0) for name in _DIFFICULTY)


@lru_cache(maxsize=8192)
def gibberish(word: str) -> bool:
    """Return whether one normalised word looks typed without sense: one letter repeated, keyboard or alphabet runs, no vowel, long consonant runs."""
    if _REPEATED.search(word):
        return True
    runs = _runs(word)
    if max(runs, default=0) >= _RUN and sum(runs) >= _RUN_SHARE * len(word):
        return True
    if word in {"jkl", "asd", "qwe", "zxc", "sdf", "dfg", "fgh", "ghj"}:
        return True
    if word.isascii() and word.isalpha():
        return (len(word) >= 6 and not _VOWELS & set(word)) or bool(re.search(r"[bcdfghjklmnpqrstvwxz]{6,}", word))
    return False


def _runs(word: str) -> list[int]:
    """Return the lengths of the runs of three and more letters that neighbour on a keyboard or in an alphabet, from the word's beginning on."""
    found, start = [], 0
    while start < len(word) - 2:
        length = 2
        while start + length < len(word) and any(word[start : start + length + 1] in row for row in _BOTH_WAYS):
            length += 1
        if length > 2:
            found.append(length)
            start += length
        else:
            start += 1
    return found
