"""What is picked from the prompt: sentences and lines, key terms, records and their fields, dates and addresses."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime
from typing import Any

from hishamos.gateway.offline.material import Material, record_lists
from hishamos.gateway.offline.validity import compiled, is_number
from hishamos.text.sentences import lines, ranked
from hishamos.text.similarity import likeness
from hishamos.text.vocabulary import ROLES, SCALE
from hishamos.text.words import STOP_WORDS, listed, name_words, stem, words

_HIGH_FIRST = listed("score weight votes count points importance value relevance total frequency amount")
_LOW_FIRST = listed("rank position place order")
_ALIKE = 0.62
_DIGITS = str.maketrans("٠١٢٣٤٥٦٧٨٩", "0123456789")
_MONTHS = ["january", "february", "march", "april", "may", "june", "july", "august", "september", "october", "november", "december"]

_PATTERNS = {
    "email": re.compile(r"(?<![\w.+-])[\w.+-]+@[\w-]+(?:\.[\w-]+)+"),
    "uri": re.compile(r"https?://[^\s<>\"']+[^\s<>\"'.,;:!?)]"),
    "uuid": re.compile(r"\b[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\b"),
    "ipv4": re.compile(r"\b(?:(?:25[0-5]|2[0-4]\d|1?\d?\d)\.){3}(?:25[0-5]|2[0-4]\d|1?\d?\d)\b"),
    "date-time": re.compile(r"\b\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d:?\d\d)?\b"),
}
_ISO_DATE = re.compile(r"\b(\d{4})[-/.](\d{1,2})[-/.](\d{1,2})\b")
_WRITTEN_DATE = re.compile(rf"\b(\d{{1,2}})(?:st|nd|rd|th)?\s+({'|'.join(m[:3] for m in _MONTHS)})[a-z]*\.?,?\s+(\d{{4}})\b", re.IGNORECASE)
_AMERICAN_DATE = re.compile(rf"\b({'|'.join(m[:3] for m in _MONTHS)})[a-z]*\.?\s+(\d{{1,2}})(?:st|nd|rd|th)?,?\s+(\d{{4}})\b", re.IGNORECASE)


def roles(name: str) -> frozenset[str]:
    """Return what a field is for, by the words of its name: ``short``, ``long``, ``quote``, ``why``, ``key``, ``terms``."""
    own = {*name_words(name), *(stem(word) for word in name_words(name))}
    return frozenset(role for role, names in ROLES.items() if own & names)


def key_for(name: str, record: Mapping[str, Any]) -> str | None:
    """Return the record's key that a field's name means: the same words, else the same role, else much alike; None without one."""
    wanted = [stem(word) for word in name_words(name)]
    for key in record:
        if [stem(word) for word in name_words(key)] == wanted:
            return key
    role = roles(name)
    for key in record:
        if role & roles(key) and not roles(key) - role:
            return key
    best = max(record, key=lambda key: likeness(name.replace("_", " "), key.replace("_", " ")), default=None)
    return best if best is not None and likeness(name.replace("_", " "), best.replace("_", " ")) >= _ALIKE else None


def records_for(name: str, fields: Sequence[str], material: Material) -> list[dict[str, Any]]:
    """Return the list of records that an array of objects is to be picked from: most fields found, name most alike, longest."""
    best: tuple[float, list[dict[str, Any]]] = (0.0, [])
    for key, records in record_lists(material.data):
        known = sum(key_for(field, records[0]) is not None for field in fields)
        score = known / (len(fields) or 1) + 0.5 * likeness(name.replace("_", " "), key.replace("_", " ")) + min(len(records), 100) / 1e4
        if known and score > best[0]:
            best = (score, records)
    return best[1]


def in_order(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the records from the most to the least important, by a score, a rank or a level among their fields; else as they came."""
    for key in records[0]:
        own = {stem(word) for word in name_words(key)} | set(name_words(key))
        sign = -1 if own & _HIGH_FIRST else 1 if own & _LOW_FIRST else 0
        if sign and all(is_number(record.get(key)) for record in records):
            return sorted(records, key=lambda record: sign * float(record[key]))
    for key in records[0]:
        levels = [_level(record.get(key)) for record in records]
        if all(level is not None for level in levels):
            return [record for _, _, record in sorted(zip(levels, range(len(records)), records, strict=True), key=lambda item: item[:2])]
    return records


def _level(value: Any) -> int | None:
    if not isinstance(value, str):
        return None
    return next((level for level, names in enumerate(SCALE) if value.casefold() in names), None)


def as_text(value: Any) -> str | None:
    """Return a copied value as text: a list is joined by semicolons; None for what has no plain text."""
    if isinstance(value, str):
        return value
    if is_number(value):
        return f"{value:g}" if isinstance(value, float) else str(value)
    if isinstance(value, list) and value and all(isinstance(item, (str, int, float)) for item in value):
        return "; ".join(str(item) for item in value)
    return None


def labelled(name: str, text: str) -> str | None:
    """Return what follows the field's name and a colon in the text (``Version: 4.2``), or None."""
    pattern = r"[ _-]?".join(re.escape(word) for word in name_words(name))
    match = re.search(rf"(?:^|[\n;,.(])\s*{pattern}\s*[:=]\s*(?P<value>[^\n;]+)", text, re.IGNORECASE)
    return match["value"].strip().strip("\"'") if match else None


def formatted(kind: str, material: Material) -> Iterator[str]:
    """Yield the texts of a format (date, e-mail address, …) in the material, in order."""
    if kind == "date":
        yield from dates(material.text)
    elif kind in _PATTERNS:
        for match in _PATTERNS[kind].finditer(material.text):
            found = match.group()
            if kind == "date-time":
                found = found.replace(" ", "T")
                found = found if re.search(r"(?:Z|[+-]\d\d:?\d\d)$", found) else found + ("Z" if found.count(":") == 2 else ":00Z")
                if not _readable(datetime, found):
                    continue
            yield found


def dates(text: str) -> Iterator[str]:
    """Yield the dates of a text as ``YYYY-MM-DD``: ISO dates first, then written ones. Dates of digits only and no year first are ambiguous: left out."""
    plain = text.translate(_DIGITS)
    found = [(m.group(1), m.group(2), m.group(3)) for m in _ISO_DATE.finditer(plain)]
    found += [(m.group(3), _month(m.group(2)), m.group(1)) for m in _WRITTEN_DATE.finditer(plain)]
    found += [(m.group(3), _month(m.group(1)), m.group(2)) for m in _AMERICAN_DATE.finditer(plain)]
    for year, month, day in found:
        written = f"{year}-{int(month):02d}-{int(day):02d}"
        if _readable(date, written):
            yield written


def _readable(kind: type[date], text: str) -> bool:
    """Return whether there is such a day, or such a moment."""
    try:
        kind.fromisoformat(text)
    except ValueError:
        return False
    return True


def _month(word: str) -> str:
    return str(next(i for i, month in enumerate(_MONTHS, 1) if month.startswith(word[:3].lower())))


def gist(material: Material) -> str | None:
    """Return the text's own title, else its most central sentence."""
    if material.heading:
        return material.heading
    return material.sentences[material.order[0]] if material.sentences else None


def closest(query: str, material: Material) -> str | None:
    """Return the sentence that is most like the query, or None when none is alike."""
    scored = [(likeness(query, sentence), -place, sentence) for place, sentence in enumerate(material.sentences[:200])]
    best = max(scored, default=(0.0, 0, ""))
    return best[2] if best[0] > 0.1 else None


def selected(material: Material, room: int, query: str = "") -> str:
    """Return the most central sentences in their own order, one a line, at most ``room`` characters; never less than part of one."""
    parts = material.sentences or lines(material.text)
    if not parts:
        return ""
    chosen: list[int] = []
    left = room
    for index in ranked(parts, query):
        if len(parts[index]) + 1 <= left:
            chosen.append(index)
            left -= len(parts[index]) + 1
    if not chosen:
        return shortened(parts[ranked(parts, query)[0]], room)
    return "\n".join(parts[index] for index in sorted(chosen))


def outline(records: list[dict[str, Any]], room: int) -> str:
    """Return one line per record, its key, title and reasons as they stand, as many as fit into ``room`` characters."""
    rows: list[str] = []
    left = room
    for record in records:
        told = [text for name in ("id", "title", "why") if (key := key_for(name, record)) and (text := as_text(record[key]))]
        if not told:
            told = [text for value in record.values() if isinstance(value, str) and (text := value.strip())]
        row = f"- {' · '.join(dict.fromkeys(told))}"
        if len(row) + 1 > left:
            break
        rows.append(row)
        left -= len(row) + 1
    return "\n".join(rows)


def key_terms(material: Material, count: int) -> list[str]:
    """Return the words that come most often, in the text's own form, the earlier first among equals."""
    counts: dict[str, list[Any]] = {}
    for word in words(material.text):
        if word not in STOP_WORDS and len(word) > 2 and not word.isdigit():
            counts.setdefault(stem(word), [0, word])[0] += 1
    ordered = sorted(counts.values(), key=lambda item: -item[0])
    return [word for _, word in ordered[:count]]


def shortened(text: str, most: int | None) -> str:
    """Return the text cut at a word to at most ``most`` characters."""
    if most is None or len(text) <= most:
        return text
    cut = text[:most]
    space = cut.rfind(" ")
    return (cut[:space] if space > most // 2 else cut).rstrip()


def matched(pattern: str, material: Material) -> Iterator[str]:
    """Yield the pieces of the text that a schema's pattern matches, its anchors left aside; none for a pattern that any word matches."""
    bare = compiled(pattern.removeprefix("^").removesuffix("$"))
    if bare.fullmatch("not judged") or bare.fullmatch(""):
        return
    for match in bare.finditer(material.text[:20_000]):
        if match.group().strip():
            yield match.group()
