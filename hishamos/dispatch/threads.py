"""Work on runs in this process while the caller goes on: the runner's own threads do it."""

from __future__ import annotations

from hishamos.dispatch.dispatcher import Begin


class ThreadsDispatcher:
    """Starts the run and returns at once."""

    def __init__(self, begin: Begin) -> None:
        self._begin = begin

    def dispatch(self, run_id: str) -> None:
        """Have the run worked on; how it goes stands in its row."""
        self._begin(run_id)
