"""An agent's answer in a cell while it comes: its text and its tools, replaced by the answer's card at the end."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any

from hishamos.charts.formats import money
from hishamos.notebook import markup
from hishamos.notebook.front_end import kernel
from hishamos.records.calls import CommandResult
from hishamos.records.turns import AgentEvent

REDRAW_S = 0.15
SHORT = 200
"""Characters of a tool's arguments and result that the card shows."""


class LiveAnswer:
    """What has come of one agent's answer."""

    def __init__(self, agent: str) -> None:
        self.agent = agent
        self.text = ""
        self.tools: list[list[str]] = []
        self.model: str | None = None
        self.cost_nanos: int | None = 0
        self.result: CommandResult | None = None
        self._places: dict[tuple[str, str], int] = {}

    def take(self, event: AgentEvent) -> None:
        """Note one event."""
        match event.kind:
            case "attempt":
                self.model = event.model
            case "text":
                self.text += event.text
            case "restart":
                self.text = ""
            case "tool":
                self._places[event.agent or "", event.call.id] = len(self.tools)
                self.tools.append([event.call.name, event.call.arguments[:SHORT], "…"])
            case "tool_result":
                self.tools[self._places[event.agent, event.id]][2] = event.result[:SHORT]
            case "turn":
                self.cost_nanos = event.cost_nanos if event.agent == self.agent else self.cost_nanos
                self.text += "\n\n" if event.tools and self.text else ""
            case "answer":
                self.result = event.result

    def card(self, state: str) -> str:
        """Return the card of what has come."""
        rows = [tuple(markup.text(cell) for cell in row) for row in self.tools]
        body = markup.table(("tool", "asked", "told"), rows) if rows else ""
        body += f'<div dir="auto" style="white-space:pre-wrap;overflow-wrap:anywhere;margin-top:6px">{markup.text(self.text)}</div>'
        return markup.card(markup.head(self.agent, money(self.cost_nanos), state=state, kind="agent"), body, markup.text(self.model or ""))


def watch_answer(agent: str, events: Iterable[AgentEvent]) -> CommandResult | None:
    """Show an agent's work in the cell while it goes on and return its answer.

    What has come stays readable when the work fails or is interrupted; the answer has a card of its own.
    """
    from IPython.display import HTML, display

    if kernel() is None:
        return _answer_in_terminal(events)
    live = LiveAnswer(agent)
    handle: Any = display(HTML(live.card("running")), display_id=True)
    drawn = time.monotonic()
    try:
        for event in events:
            live.take(event)
            if time.monotonic() - drawn >= REDRAW_S:
                handle.update(HTML(live.card("running")))
                drawn = time.monotonic()
    except BaseException as error:
        handle.update(HTML(live.card("cancelled" if isinstance(error, KeyboardInterrupt) else "failed")))
        raise
    handle.update({"text/html": "", "text/plain": ""}, raw=True)
    return live.result


def _answer_in_terminal(events: Iterable[AgentEvent]) -> CommandResult | None:
    """Print an agent's text as it comes; the answer's own line of text follows it."""
    result = None
    for event in events:
        match event.kind:
            case "text":
                print(event.text, end="", flush=True)
            case "restart":
                print("\n[the text above is void: the answer begins anew]")
            case "answer":
                result = event.result
    print()
    return result
