"""A run as it is once it has ended, waits or is paused: a future, for no thread is to wait so long."""

from __future__ import annotations

from concurrent.futures import Future
from typing import TYPE_CHECKING

from hishamos.records.runs import RUN_ENDED, Run, RunState

if TYPE_CHECKING:
    from hishamos.engine.timers import Timer
    from hishamos.services.machinery import Machinery

SETTLED = RUN_ENDED | {RunState.WAITING, RunState.PAUSED}


def settled(machinery: Machinery, run: str, timeout_s: float | None = None) -> Future[Run]:
    """Return the run as it then is, or as it is after ``timeout_s`` seconds. ``run``: its whole id."""
    answer: Future[Run] = Future()
    now = machinery.journal.history.get(run)
    if now.state in SETTLED:
        answer.set_result(now)
        return answer
    feed = machinery.journal.subscribe(run, machinery.journal.history.last_event(run), SETTLED)
    timer: list[Timer] = [] if timeout_s is None else [machinery.runner.later(timeout_s, feed.close)]

    def look() -> None:
        if feed.take()[1]:
            machinery.runner.soon(tell)

    def tell() -> None:
        for one in timer:
            one.cancel()
        if not answer.done() and answer.set_running_or_notify_cancel():
            try:
                answer.set_result(machinery.journal.history.get(run))
            except Exception as error:  # noqa: BLE001 - told to whoever waits
                answer.set_exception(error)

    answer.add_done_callback(lambda future: feed.close() if future.cancelled() else None)
    feed.on_ready(look)
    return answer
