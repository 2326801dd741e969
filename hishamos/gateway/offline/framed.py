"""A message taken apart: what was said, and what HishamOS put below it as data and as files. Its own words round them are in none of these."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from hishamos.gateway.offline.specimens import NOT_JUDGED
from hishamos.gateway.offline.tag_pairs import stands_in, tag_pairs
from hishamos.text.framing import DATA, FILE, LEFT_OUT, NOTED, REPAIR, SUMMED

_DEEPEST = 50


def _written(frame: str) -> str:
    """Return the pattern of what is written with a frame; where it has a field, anything may stand."""
    return ".*?".join(re.escape(piece) for piece in re.split(r"\{\w+\}", frame))


_DATA = re.compile(_written(DATA))
_FILE = re.compile(_written(FILE))
_HEADS = re.compile(rf"^(?:{_written(SUMMED)}|{_written(LEFT_OUT)}\n*)", re.MULTILINE)
_REPAIR = re.compile(_written(REPAIR), re.DOTALL)


@dataclass(frozen=True)
class Message:
    """What one message holds."""

    said: str
    data: tuple[Any, ...] = ()
    files: tuple[str, ...] = ()


def take_apart(text: str) -> Message:
    """Return what a message holds. Frames that stand between tags are quoted there: they stay."""
    before, *files = _split(_FILE, text)
    said, *given = _split(_DATA, before)
    data = []
    for piece in given:
        try:
            value, end = json.JSONDecoder().raw_decode(piece)
        except (ValueError, RecursionError):
            said += f"\n\n{piece}"
            continue
        data.append(_bare(value))
        said += piece[end:]
    return Message(_HEADS.sub("", said), tuple(data), tuple(files))


def spoken(messages: Iterable[tuple[str, str]]) -> list[str]:
    """Return the texts of messages (role, text) that hold something of the user's or of a model's.

    Left out are an answer that was sent back together with what was wrong with it, and answers that say nothing.
    """
    told = list(messages)
    while len(told) > 1 and told[-1][0] == "user" and _REPAIR.fullmatch(told[-1][1]):
        del told[-2:]
    return [text for role, text in told if not (role == "assistant" and text in (NOTED, NOT_JUDGED))]


def _split(frame: re.Pattern[str], text: str) -> list[str]:
    """Return the pieces of a text between the frames in it, those between tags left aside."""
    found = [match.span() for match in frame.finditer(text)]
    quoted = tag_pairs(text) if found else []
    outside = [(start, end) for start, end in found if not stands_in(quoted, start)]
    return [text[start:end] for start, end in zip([0, *(end for _, end in outside)], [*(start for start, _ in outside), len(text)], strict=True)]


def _bare(value: Any, depth: int = _DEEPEST) -> Any:
    """Return data without frames in its texts: messages of a conversation, which is summed up, have theirs."""
    if isinstance(value, str):
        return "\n".join(piece for piece in _split(_DATA, _HEADS.sub("", value)) if piece)
    if depth and isinstance(value, dict):
        return {key: _bare(item, depth - 1) for key, item in value.items()}
    if depth and isinstance(value, list):
        return [_bare(item, depth - 1) for item in value]
    return value
