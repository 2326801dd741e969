"""Steps that wait for the time of their next try. The time itself stands in the journal: who takes the run over waits for what is left."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from hishamos.engine.node import Node
from hishamos.engine.tools import Tools


class Naps:
    """Used by the run's worker only. ``post``: the run's mailbox; ``awake``: told of a step whose time has come."""

    def __init__(self, tools: Tools, post: Callable[[Callable[[], None]], None], awake: Callable[[Node], None]) -> None:
        self._tools, self._post, self._awake = tools, post, awake
        self._asleep: dict[str, Node] = {}

    def __bool__(self) -> bool:
        return bool(self._asleep)

    def begin(self, node: Node, due: datetime) -> None:
        """Have a step wait until ``due``."""
        self._asleep[node.path] = node
        attempt = node.attempt
        seconds = max(0.0, (due - self._tools.clock()).total_seconds())
        node.timer = self._tools.timers.after(seconds, lambda: self._post(lambda: self._over(node, attempt)))

    def drop(self, node: Node) -> bool:
        """Have a step wait no longer; returns whether it did."""
        if self._asleep.pop(node.path, None) is None:
            return False
        if node.timer is not None:
            node.timer.cancel()
        return True

    def drop_all(self) -> None:
        """Have nothing wait any longer."""
        for node in list(self._asleep.values()):
            self.drop(node)

    def _over(self, node: Node, attempt: int) -> None:
        if node.attempt == attempt and not node.ended and self.drop(node):
            node.due = node.person = None
            self._awake(node)
