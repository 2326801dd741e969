"""How long a step may take: its time limit, and what else ends its attempt earlier."""

from __future__ import annotations

from collections.abc import Callable

from hishamos.engine.node import Node
from hishamos.engine.tools import Tools
from hishamos.errors import HishamosError

Late = Callable[[Node, int, float, HishamosError | None], None]


class Limits:
    """Used by the run's worker only. ``post``: the run's mailbox; ``late``: told of a step, its attempt, the seconds, and why it fails."""

    def __init__(self, tools: Tools, *, post: Callable[[Callable[[], None]], None], late: Late) -> None:
        self._tools, self._post, self._late = tools, post, late

    def begin(self, node: Node) -> None:
        """Count the step's time from now on."""
        if node.timer is not None:
            node.timer.cancel()
        if node.kind.keeps_time and node.ends is None:
            return
        seconds = node.limit_s or self._tools.settings().step_timeout_s
        error: HishamosError | None = None
        if node.ends is not None and node.ends[0] - self._tools.timers.clock() <= seconds:
            seconds, error = max(0.0, node.ends[0] - self._tools.timers.clock()), node.ends[1]
        attempt = node.attempt
        node.timer = self._tools.timers.after(seconds, lambda: self._post(lambda: self._late(node, attempt, seconds, error)))

    def end_by(self, node: Node, seconds: float, error: HishamosError) -> None:
        """Have the attempt fail with ``error`` in ``seconds``; only the first call counts."""
        if node.ends is None:
            node.ends = (self._tools.timers.clock() + seconds, error)
            self.begin(node)
