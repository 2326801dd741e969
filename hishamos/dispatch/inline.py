"""Work on a run before the call returns, for scripts and tests."""

from __future__ import annotations

from hishamos.dispatch.dispatcher import Begin


class InlineDispatcher:
    """Returns when the run has ended, waits for a person, or is paused."""

    address = "local"

    def __init__(self, begin: Begin) -> None:
        self._begin = begin

    def dispatch(self, run_id: str) -> None:
        """Work on the run; how it went stands in its row."""
        self._begin(run_id).exception()

    def messages(self) -> None:
        """None are sent."""

    def close(self) -> None:
        """Nothing waits here."""
