"""Writing as if keys were new, and looking them up only when one is not."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from typing import TYPE_CHECKING, TypeVar

from hishamos.errors import DuplicateKey

if TYPE_CHECKING:
    from hishamos.store.connectors import Connector, Work

T = TypeVar("T")


def unless_known(store: Connector, work: Work[T], careful: Callable[[], Work[T]], *, here: bool = False) -> Future[T]:
    """Submit ``work``; if a key that it took for new is known, submit what ``careful`` returns instead, once. ``here``: see :meth:`Connector.submit`."""
    answer: Future[T] = Future()

    def pass_on(done: Future[T], *, last: bool) -> None:
        error = done.exception()
        if isinstance(error, DuplicateKey) and not last:
            store.submit(careful()).add_done_callback(lambda second: pass_on(second, last=True))
        elif error is not None:
            answer.set_exception(error)
        else:
            answer.set_result(done.result())

    store.submit(work, here=here).add_done_callback(lambda first: pass_on(first, last=False))
    return answer
