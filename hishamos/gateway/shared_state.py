"""What several processes know together, in Redis: asked by scripts that run as one, forgotten by itself, done without where Redis is away."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Sequence
from typing import Any

PATIENCE_S = 1.0
"""So long is waited for Redis; a call waits no longer because of it."""
AWAY_S = 2.0
"""So long it is not asked again after it did not answer."""
NOW = "local t = redis.call('TIME'); local now = t[1] * 1000 + math.floor(t[2] / 1000)\n"
log = logging.getLogger("hishamos.gateway")


class SharedState:
    """Runs scripts on the keys of one workspace; lives on the gateway's loop.

    ``address``: Redis's; ``prefix``: how the names of the workspace's keys begin.
    """

    def __init__(self, address: str, prefix: str) -> None:
        self._address, self._prefix = address, prefix
        self._client: Any = None
        self._again = 0.0

    async def run(self, script: str, name: str, *values: object) -> Any:
        """Run a script on the key ``name``; None where Redis does not answer: then each process goes by what it knows itself."""
        if time.monotonic() < self._again:
            return None
        task = asyncio.current_task()
        assert task is not None
        asked = task.cancelling()
        try:
            async with asyncio.timeout(PATIENCE_S):
                answer = await self._redis().eval(NOW + script, 1, f"{self._prefix}{name}", *values)
        except Exception as error:  # whatever its library raises: no call fails for it
            if task.cancelling() > asked:  # a cancel that met it in mid-connection comes out as an error of the library's
                raise asyncio.CancelledError from error
            if self._again == 0.0:
                log.warning("limits and circuits are kept by each process alone while Redis is away: %s", str(error) or type(error).__name__)
            self._again = time.monotonic() + AWAY_S
            return None
        if task.cancelling() > asked:
            raise asyncio.CancelledError
        if self._again:
            log.warning("limits and circuits are shared again")
            self._again = 0.0
        return answer

    async def close(self) -> None:
        """Close the connections."""
        if self._client is not None:
            await self._client.aclose()

    def _redis(self) -> Any:
        if self._client is None:
            import redis.asyncio

            self._client = redis.asyncio.Redis.from_url(self._address, socket_connect_timeout=PATIENCE_S, decode_responses=True)
        return self._client


def whole(answer: Any) -> Sequence[Any]:
    """Return a script's answer as a sequence."""
    return answer if isinstance(answer, (list, tuple)) else [answer]
