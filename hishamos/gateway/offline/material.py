"""What a prompt holds: the text to judge, the data in it, and what the instructions say of names and values."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from hishamos.gateway.offline.framed import Message, take_apart
from hishamos.gateway.offline.specimens import NOT_JUDGED
from hishamos.gateway.offline.tag_pairs import tag_pairs, without
from hishamos.text.concepts import strengths
from hishamos.text.nonsense import nonsense
from hishamos.text.sentences import bullets, lines, ranked, sentences
from hishamos.text.words import STOP_WORDS, listed, normalise, stems

MOST_CHARACTERS = 60_000
"""Of a longer text the beginning is judged: a classical method gains nothing from more, and its time is bounded."""
_MOST_JSON_TRIES = 200
_MOST_JSON_READ = 10_000_000
"""Characters read by tries that fail: brackets that nothing closes are each read to the end of the prompt."""
_TITLE = 160
_DATA_SHARE = 0.5
_ANNOUNCEMENT = 8
"""Words of a line that ends in a colon and only announces what comes."""

_FENCES = (
    re.compile(r"```[\w-]*\n(?P<inner>.*?)\n?```", re.DOTALL),
    re.compile(r'"""(?P<inner>.*?)"""', re.DOTALL),
    re.compile(r"^-{3,}\s*$\n(?P<inner>.*?)(?:^-{3,}\s*$|\Z)", re.DOTALL | re.MULTILINE),
)
_ORDERS = listed(
    """classify rank summarise summarize extract answer return read decide choose list find write translate judge label rate score sort group tag
    categorise categorize identify describe detect determine assess evaluate triage analyse analyze give report review compare reply respond
    you your given please use output task instructions صنف لخص استخرج اجب اقرا اختر رتب حدد ترجم"""
)


@dataclass(frozen=True)
class Material:
    """A text to judge and the data that belongs to it."""

    text: str
    data: Any = None
    """The JSON value found in the prompt, or the record that this text was made of."""
    guidance: str = ""
    """Instructions: definitions of values are looked up here, nothing is taken from them as an answer."""

    @cached_property
    def stems(self) -> list[str]:
        """The text's stems."""
        return stems(self.text)

    @cached_property
    def stem_set(self) -> frozenset[str]:
        """The text's different stems, stop words left out."""
        return frozenset(stem for stem in self.stems if stem not in STOP_WORDS)

    @cached_property
    def normal(self) -> str:
        """The text, normalised."""
        return normalise(self.text)

    @cached_property
    def strengths(self) -> dict[str, float]:
        """The concepts the text speaks of; those of its first line count half as much again."""
        found = strengths(self.text)
        head, _, rest = self.text.partition("\n")
        if rest:
            for name, strength in strengths(head).items():
                found[name] = found.get(name, 0.0) + strength / 2
        return found

    @cached_property
    def nonsense(self) -> float:
        """How surely the text says nothing, 0 to 1."""
        return nonsense(self.text)

    @cached_property
    def sentences(self) -> list[str]:
        """The text's sentences."""
        return sentences(self.text)

    @cached_property
    def bullets(self) -> list[str]:
        """The text's list items."""
        return bullets(self.text)

    @cached_property
    def order(self) -> list[int]:
        """Indexes of the sentences, the most central first."""
        return ranked(self.sentences)

    @property
    def heading(self) -> str | None:
        """The first line, where it stands as a title above a text."""
        found = lines(self.text)
        if len(found) > 1 and len(found[0]) <= _TITLE and not found[0].endswith((".", "。", "؟", ":")):
            return found[0]
        return None

    def record(self, record: Mapping[str, Any]) -> Material:
        """Return one record of the data as material of its own."""
        return Material(text="\n".join(_texts(record))[:MOST_CHARACTERS], data=record, guidance=self.guidance)

    def part(self, text: str) -> Material:
        """Return a piece of the text as material of its own."""
        return Material(text=text, guidance=self.guidance)


def read_prompt(instructions: str, prompt: str | Sequence[str]) -> Material:
    """Return what a prompt holds, or the messages of one.

    The text to judge is what stands between tags on lines of their own, else the prompt without the lines at its beginning that give
    orders; of that, what stands between code fences, triple quotes or dashed lines where it begins so. Where most of it is JSON, that is
    read as data, and its strings are the text. What HishamOS put below a message as data or as files is material, however short it is;
    of what the last message says above data with texts in it only that is judged which stands between tags.
    """
    said: list[str] = []
    given: list[str] = []
    outer = [instructions]
    data = None
    messages = [prompt] if isinstance(prompt, str) else prompt
    for place, message in enumerate(messages, 1):
        text, orders, below, found = _told(take_apart(message), last=place == len(messages))
        said.append(text)
        given += below
        outer += [orders] if orders else []
        data = data if found is None else found
    inner, around, own = _said("\n\n".join(said))
    text = "\n".join(part for part in (inner.strip(), *given) if part)
    guidance = "\n".join([*outer, around])
    return Material(text=text[:MOST_CHARACTERS], data=own if data is None else data, guidance=guidance[:MOST_CHARACTERS])


def _told(message: Message, *, last: bool) -> tuple[str, str, list[str], Any]:
    """Return of a message what is said above its data and files, the orders for them, their texts, and the data.

    Orders are those of the ``last`` message: all that was said before it is the conversation that it is about.
    """
    said, orders = message.said, ""
    texts = [text for value in message.data for text in _texts(value)]
    data = next((value for value in reversed(message.data) if _structured(value)), None)
    if last and texts:
        inner, around = _tagged(said)
        texts = [inner.strip(), *texts] if around else texts
        said, orders = "", around or said
    elif last and (any(message.data) or message.files):
        said, orders = _without_orders(said, keeps=0)
    for file in message.files:
        found, rest = _take_json(file)
        texts.append(rest.strip() if found is None else "\n".join(_texts(found)))
        orders += "" if found is None else f"\n{rest}"
        data = found if data is None else data
    return said, orders, texts, data


def _said(prompt: str) -> tuple[str, str, Any]:
    """Return the text to judge of what is said, what stands around it, and the data that it is."""
    inner, outer = _tagged(prompt)
    data, rest = _take_json(inner)
    if data is not None:
        return "\n".join(_texts(data)), f"{outer}\n{rest}", data
    return (inner, outer, None) if outer else (*_fenced(prompt), None)


def _tagged(prompt: str) -> tuple[str, str]:
    """Return what stands between tags and what stands around them; without tags, all and nothing.

    An empty pair on one line, with more than orders beside it, is no pair of marks but part of a text.
    """
    found = tag_pairs(prompt)
    inner = "\n".join(pair.inner for pair in found)
    outer = without(found, prompt).strip()
    marks = inner or any("\n" in prompt[pair.start : pair.end].strip() for pair in found) or (found and not _without_orders(outer, keeps=0)[0])
    return (inner, outer or "\n") if marks else (prompt, "")


def _fenced(prompt: str) -> tuple[str, str]:
    """Return what stands in fences and what stands around them. A fence below other text is part of that text."""
    inner, outer = _without_orders(prompt)
    for fence in _FENCES:
        match = fence.search(inner)
        before = inner[: match.start()].strip() if match else ""
        if match and (not before or _gives_order(before)):
            return "\n".join(match["inner"] for match in fence.finditer(inner)), f"{outer}\n{fence.sub(chr(10), inner)}"
    return inner, outer


def _without_orders(prompt: str, keeps: int = 1) -> tuple[str, str]:
    """Return a prompt without the lines at its beginning that give orders, and those; the last ``keeps`` lines are none."""
    rows = prompt.strip().splitlines()
    first = 0
    announced = False
    while first < len(rows) - keeps and not announced and _gives_order(rows[first]):
        announced = rows[first].rstrip().endswith(":")
        first += 1
    return "\n".join(rows[first:]), "\n".join(rows[:first])


def _gives_order(line: str) -> bool:
    words = normalise(line.strip()[:MOST_CHARACTERS]).split()
    return not words or words[0].strip(".,:;!") in _ORDERS or (line.rstrip().endswith(":") and len(words) <= _ANNOUNCEMENT)


def _take_json(prompt: str) -> tuple[Any, str]:
    """Return the largest JSON object or array of records in the prompt, and the prompt without it."""
    decoder = json.JSONDecoder()
    best: tuple[int, int, Any] | None = None
    position = tries = read = 0
    while tries < _MOST_JSON_TRIES and read < _MOST_JSON_READ:
        opening = _next_opening(prompt, position)
        if opening < 0:
            break
        tries += 1
        try:
            value, end = decoder.raw_decode(prompt, opening)
        except (ValueError, RecursionError) as error:
            read += (error.pos if isinstance(error, json.JSONDecodeError) else len(prompt)) - opening
            position = opening + 1
            continue
        if _structured(value) and (best is None or end - opening > best[1] - best[0]):
            best = (opening, end, value)
        position = end
    if best is None or best[1] - best[0] < _DATA_SHARE * len(prompt.strip()):
        return None, prompt  # a scrap of JSON inside a text is part of the text
    return best[2], prompt[: best[0]] + "\n" + prompt[best[1] :]


def _next_opening(prompt: str, start: int) -> int:
    places = [place for place in (prompt.find("{", start), prompt.find("[", start)) if place >= 0]
    return min(places, default=-1)


def _structured(value: Any) -> bool:
    return bool(value) and (isinstance(value, dict) or (isinstance(value, list) and any(isinstance(item, dict) for item in value)))


def _texts(value: Any, depth: int = 6) -> Iterator[str]:
    """Yield the strings of a JSON value in order, those left out that only tell what was not judged before."""
    if isinstance(value, str):
        if (text := value.strip()) and text != NOT_JUDGED:
            yield text
    elif depth and isinstance(value, Mapping):
        for item in value.values():
            yield from _texts(item, depth - 1)
    elif depth and isinstance(value, list):
        for item in value:
            yield from _texts(item, depth - 1)


def record_lists(data: Any, name: str = "", depth: int = 3) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """Yield every list of records in the data with the name it stands under."""
    if isinstance(data, list):
        records = [item for item in data if isinstance(item, dict)]
        if records:
            yield name, records
    elif depth and isinstance(data, dict):
        for key, value in data.items():
            yield from record_lists(value, key, depth - 1)
