"""What has come of an answer, and what it amounts to: whole, cut off, refused."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from hishamos.gateway import causes
from hishamos.gateway.adapters.plug import AdapterEvent, CallPiece, Finish, Text, Used
from hishamos.gateway.causes import Cause
from hishamos.gateway.routes import Target
from hishamos.gateway.tool_calls import Called
from hishamos.gateway.trips import Trip
from hishamos.records.calls import TextPiece, Usage

COMPLETE = frozenset({"stop", "end_turn", "stop_sequence", "eos"})
"""What providers call an answer that ended by itself."""
CALLING = frozenset({"tool_calls", "tool_use", "function_call"})
"""What providers call an answer that ended in order to have tools run."""


@dataclass(slots=True)
class Received:
    """What has come of an answer."""

    pieces: list[str] = field(default_factory=list)
    called: Called = field(default_factory=Called)
    usage: Usage | None = None
    finish: Finish | None = None
    first_at: float | None = None

    @property
    def text(self) -> str:
        return "".join(self.pieces)

    @property
    def begun(self) -> bool:
        """Whether anything of an answer has come."""
        return bool(self.pieces or self.called)

    def take(self, event: AdapterEvent, trip: Trip, target: Target) -> None:
        """Keep what has come, and tell the text to those who listen."""
        if isinstance(event, Text | CallPiece) and self.first_at is None:
            self.first_at = time.perf_counter()
        if isinstance(event, Text):
            if event.text:
                self.pieces.append(event.text)
                trip.texted = True
                trip.publish(TextPiece(text=event.text, model=target.reference))
        elif isinstance(event, CallPiece):
            if trip.request.tools:  # nobody who offered none waits for a call
                self.called.add(event)
        elif isinstance(event, Used):
            self.usage = event.usage
        else:
            self.finish = event

    def verdict(self) -> Cause | None:
        """Return why it is no success, now that the stream has ended; None where it is one."""
        if self.finish is None:
            return causes.INCOMPLETE
        reason = self.finish.reason
        if reason in ("length", "max_tokens"):
            return causes.LENGTH
        if reason in ("content_filter", "refusal", "safety"):
            return causes.CONTENT_POLICY
        return None if reason in COMPLETE or (reason in CALLING and self.called) else causes.INCOMPLETE
