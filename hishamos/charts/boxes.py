"""What stands in the box of a step, line by line, and how large it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from hishamos.charts.formats import count, duration, money, state_label, waiting_words
from hishamos.records.pictures import GraphPart, GraphStep

Kind = Literal["name", "muted", "state", "slanted", "part", "note"]
WIDEST, NARROWEST = 268.0, 124.0
PADDING = 12.0
NAME_HEIGHT, LINE_HEIGHT = 19.0, 16.0
SIZES: dict[Kind, float] = {"name": 13.0, "muted": 11.5, "state": 11.5, "slanted": 11.5, "part": 11.5, "note": 11.5}
SIGN = 18.0
"""Room for the sign before a text."""
MOST_PARTS = 6


@dataclass(frozen=True, slots=True)
class TextLine:
    """One line of a box: its text, what it is, and the state that its sign tells."""

    kind: Kind
    text: str
    state: str | None = None
    right: str = ""
    """What stands at the right end."""


@dataclass(frozen=True, slots=True)
class StepBox:
    """The lines of one step's box, and its size in pixels."""

    step: GraphStep
    lines: tuple[TextLine, ...]
    width: float
    height: float


def step_boxes(steps: tuple[GraphStep, ...], *, widest: float = WIDEST, jumps: bool = False) -> list[StepBox]:
    """Return the boxes of a graph's steps, all of one width: the widest text's, within limits. ``jumps``: whether a box says where the run jumps to."""
    texts = [_lines(step, jumps=jumps) for step in steps]
    need = max(_breadth(line) for lines in texts for line in lines) + 2 * PADDING
    width = min(widest, max(NARROWEST, need))
    return [StepBox(step, tuple(lines), width, _height(lines, step)) for step, lines in zip(steps, texts, strict=True)]


def progress_words(step: GraphStep) -> str:
    """Return how far a map or loop is: ``40/66``, or ``3`` where nobody knows of how many."""
    if step.done is None:
        return ""
    return count(step.done) if step.total is None else f"{count(step.done)}/{count(step.total)}"


def state_words(step: GraphStep) -> str:
    """Return a step's state in words, with time and money: ``succeeded · 33.2 s · 0.0391 USD``."""
    words = [state_label(step.state or "pending").partition(" ")[2]]
    if step.failed:
        words.append(f"{count(step.failed)} failed")
    if step.reused:
        words.append("reused")
    if step.seconds is not None and step.state not in {"skipped", "pending"}:
        words.append(duration(step.seconds))
    if step.attempts:
        words.append("offline model" if step.offline and not step.cost_nanos else money(None if step.unpriced else step.cost_nanos))
    return " · ".join(words)


def part_words(part: GraphPart) -> str:
    """Return a step within a step in words: ``each: command classify_bug``."""
    return f"{part.role}: {part.type} {part.subject}".rstrip()


def failure_words(step: GraphStep) -> str:
    """Return what happens when a step fails, unless the run fails with it."""
    if step.goto is not None:
        return f"on error, at most {step.at_most}" if step.at_most else "on error"
    return "goes on when it fails" if step.lenient else ""


def _lines(step: GraphStep, *, jumps: bool) -> list[TextLine]:
    found = [TextLine("name", step.id, step.state, right=progress_words(step))]
    found.append(TextLine("muted", f"{step.type} · {step.subject}" if step.subject else step.type))
    if step.state is not None:
        found.append(TextLine("state", state_words(step), step.state))
    if step.note and step.state in {"failed", "timed_out", "waiting"}:
        found.append(TextLine("note", waiting_words(step.note), step.state))
    if step.when is not None:
        found.append(TextLine("slanted", f"if {step.when}"))
    if step.lenient:
        found.append(TextLine("slanted", failure_words(step)))
    if jumps and step.goto is not None:
        found.append(TextLine("slanted", f"{failure_words(step)} → {step.goto}"))
    found += [TextLine("part", part_words(part), part.state) for part in step.parts[:MOST_PARTS]]
    if len(step.parts) > MOST_PARTS:
        found.append(TextLine("part", f"and {len(step.parts) - MOST_PARTS} more"))
    return found


def _height(lines: list[TextLine], step: GraphStep) -> float:
    bar = 7.0 if step.done is not None else 0.0
    parts = 6.0 if any(line.kind == "part" for line in lines) else 0.0
    return 2 * 9.0 + NAME_HEIGHT + LINE_HEIGHT * (len(lines) - 1) - 3 + bar + parts


def _breadth(line: TextLine) -> float:
    sign = SIGN if line.state and line.kind in {"name", "part"} else 0.0
    right = 14 + text_width(line.right, 11.5) if line.right else 0.0
    return sign + right + text_width(line.text, SIZES[line.kind], bold=line.kind == "name")


def fitting(text: str, size: float, room: float, *, bold: bool = False) -> str:
    """Return as much of a text as has room, with an ellipsis where it is cut."""
    if text_width(text, size, bold=bold) <= room:
        return text
    kept = text
    while kept and text_width(f"{kept}…", size, bold=bold) > room:
        kept = kept[:-1]
    return f"{kept.rstrip(' .')}…"


def text_width(text: str, size: float, *, bold: bool = False) -> float:
    """Return about how wide a text is in pixels, rather too wide: the reader's font is not known."""
    return sum(map(_share, text)) * size * (1.1 if bold else 1.0)


def _share(character: str) -> float:
    if character in " .,:;'|!ijltfrI()[]{}/·":
        return 0.36
    if character in "mwMW%@—…":
        return 0.95
    if ord(character) >= 0x2E80:
        return 1.02
    if character.isupper():
        return 0.7
    return 0.63 if character in "0123456789_→←×" else 0.6
