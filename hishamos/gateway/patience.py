"""Waiting for a store that several processes share: a connection that broke is no reason to forget what was paid."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from typing import TypeVar

from hishamos.errors import StoreClosed, StoreError

T = TypeVar("T")
PATIENCE_S = 60.0
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.1, 2.0


def answered(future: Future[T]) -> Awaitable[T]:
    """Wait on the loop for what the store's thread answers."""
    return asyncio.wrap_future(future)


class Patience:
    """How often, and how long, something is tried again that the store did not answer.

    ``shared``: whether the store is a server that may come back; a file that can't be written stays so, and is told at once.
    """

    def __init__(self, *, shared: bool, until: float | None = None) -> None:
        self._shared = shared
        self._pause = FIRST_PAUSE_S
        self._until = asyncio.get_running_loop().time() + PATIENCE_S if until is None else until

    async def after(self, error: StoreError) -> None:
        """Wait before the next try; raises the error where there is none."""
        hopeless = not self._shared or isinstance(error, StoreClosed)
        if hopeless or asyncio.get_running_loop().time() + self._pause > self._until:
            raise error
        await asyncio.sleep(self._pause)
        self._pause = min(LONGEST_PAUSE_S, self._pause * 2)


async def persistently(ask: Callable[[], Future[T]], *, shared: bool) -> T:
    """Return what the store answers to something that can be asked again whatever became of the first time."""
    patience = Patience(shared=shared)
    while True:
        try:
            return await answered(ask())
        except StoreError as error:
            await patience.after(error)
