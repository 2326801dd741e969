"""Telling a task's events while it goes on, each once, though the task is entered again from the top."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from hishamos.errors import HishamosError
from hishamos.records.calls import Finished, ToolCalled, UsageTold
from hishamos.records.turns import AgentEvent

if TYPE_CHECKING:
    from hishamos.contracts.models import PendingCall


class Telling:
    """The events of one task, handed to ``tell`` in order; thread-safe."""

    def __init__(self, tell: Callable[[AgentEvent], None]) -> None:
        self._tell = tell
        self._told: set[tuple[str, str]] = set()
        self._lock = threading.Lock()

    def once(self, place: str, event: AgentEvent) -> None:
        """Tell what happened at a place, unless an earlier entry did."""
        with self._lock:
            if (place, event.kind) in self._told:
                return
            self._told.add((place, event.kind))
        self._tell(event)

    def listen(self, place: str, call: PendingCall) -> None:
        """Tell a call's events as they come. Only the agent that was asked is heard; of its tools' calls only what they took is told."""
        feed, own = call.events(), place.isdigit()

        def pump() -> None:
            with contextlib.suppress(HishamosError):  # the call's end is told by its outcome
                for event in feed.take()[0]:
                    # The call's end is not the task's, and its tools are told by the loop, which knows whose they are.
                    if not isinstance(event, Finished | ToolCalled) and (own or isinstance(event, UsageTold)):
                        self._tell(event)

        feed.on_ready(pump)
