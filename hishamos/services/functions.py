"""``ws.functions``: how runs call functions back that a notebook or script registered."""

from __future__ import annotations

from concurrent.futures import Future
from typing import Any

from hishamos.contracts.feeds import Feed
from hishamos.contracts.functions import Functions
from hishamos.records.callbacks import Asked, CallBack, CalledBack
from hishamos.records.runs import RUN_ENDED, RunState
from hishamos.services.service import Service, implements

OVER = RUN_ENDED | {RunState.PAUSED}


@implements(Functions)
class FunctionsService(Service):
    """The desks of one workspace for one actor."""

    def calls(self, desk: str, *, run: str | None = None) -> Feed[CallBack]:
        """See the contract."""
        journal, feed = self.machinery.journal, self.machinery.desks.open(desk)
        if run is None:
            return feed
        news = journal.subscribe(run, journal.history.last_event(run), OVER)

        def look() -> None:
            if news.take()[1]:
                self.machinery.desks.over(desk, run)

        feed.on_close(lambda _: news.close())
        news.on_ready(look)
        return feed

    def leave(self, desk: str) -> None:
        """See the contract."""
        self.machinery.desks.over(desk)

    def answer(self, call: str, end: CalledBack) -> bool:
        """See the contract."""
        return self.machinery.desks.answer(call, end)

    def ask(self, call: str, head: dict[str, Any], body: str) -> Asked:
        """See the contract."""
        return self.ask_later(call, head, body).result()

    def ask_later(self, call: str, head: dict[str, Any], body: str) -> Future[Asked]:
        """The answer of :meth:`ask`, at once as a future."""
        return self.machinery.desks.ask(call, head, body)
