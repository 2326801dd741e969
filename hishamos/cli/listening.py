"""An agent's work on a terminal while it goes on: its text on stdout as it comes, tools and what else happens on stderr."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING

from hishamos.cli.face import Face

if TYPE_CHECKING:
    from hishamos.records.calls import CommandResult
    from hishamos.records.turns import AgentEvent

SHORT = 120
"""Characters of a tool's arguments and result that a line shows."""


def streams(face: Face) -> bool:
    """Return whether an answer is shown as it comes: on a terminal, unless one document was asked for."""
    return not face.json and sys.stdout.isatty()


def listen(face: Face, events: Iterable[AgentEvent]) -> CommandResult:
    """Show an agent's work as it comes and return its answer; raises what the stream raises."""
    from rich.text import Text

    console, beside = face.console(), face.console(stderr=True)
    open_line = False

    def note(line: str) -> None:
        nonlocal open_line
        if open_line:
            console.print()
            open_line = False
        beside.print(Text(line, "dim"))

    answer: CommandResult | None = None
    try:
        for event in events:
            match event.kind:
                case "text":
                    console.print(Text(event.text), end="", soft_wrap=True)
                    open_line = open_line or bool(event.text)
                case "restart":
                    note(f"the answer broke off; {event.model} begins it again")
                case "tool":
                    note(f"→ {event.call.name} {_short(event.call.arguments)}")
                case "tool_result":
                    note(f"{'✕' if event.failed else '←'} {event.name} {_short(event.result)}")
                case "answer":
                    answer = event.result
    finally:
        if open_line:
            console.print()
    assert answer is not None, "a stream that ends without an answer raises"
    return answer


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= SHORT else line[: SHORT - 1] + "…"
