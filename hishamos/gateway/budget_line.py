"""Calls that wait for room under a budget, first come first served within this process."""

from __future__ import annotations

import asyncio
from collections import deque


class BudgetLine:
    """One line a budget. Its head asks again when a reservation was settled here, and now and then for those settled elsewhere.

    ``poll_s``: how often the head asks without being woken, seconds.
    """

    def __init__(self, poll_s: float) -> None:
        self._poll_s = poll_s
        self._lines: dict[str, deque[asyncio.Event]] = {}
        self.settled = 0
        """How many reservations were settled; read it before asking, and hand it to :meth:`wait`."""

    def wake(self) -> None:
        """Let the heads of all lines ask again: room may have come."""
        self.settled += 1
        for line in self._lines.values():
            line[0].set()

    async def wait(self, budget: str, settled: int, *, again: bool) -> None:
        """Wait until it is this call's turn to ask; ``again``: it was the head before and keeps its place."""
        if settled != self.settled:
            return
        turn = asyncio.Event()
        line = self._lines.setdefault(budget, deque())
        line.appendleft(turn) if again else line.append(turn)
        try:
            while not turn.is_set():
                try:
                    async with asyncio.timeout(self._poll_s):
                        await turn.wait()
                except TimeoutError:
                    if line[0] is turn:
                        return
        finally:
            line.remove(turn)
            if not line:
                self._lines.pop(budget, None)
