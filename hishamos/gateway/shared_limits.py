"""Limits that hold for all processes of a workspace together: calls under way, and what is sent a minute."""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager

from hishamos.gateway.shared_state import SharedState
from hishamos.gateway.standing import MINUTE_S, Pace, Rates, Standing
from hishamos.records.record import new_id

KEPT_S = 15.0
"""So long a place is kept whose process was killed; a living one keeps its own."""
FIRST_LOOK_S, LONGEST_LOOK_S = 0.02, 0.25
"""How long is waited before it is looked again for a free place."""

TAKE = """
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
if redis.call('ZCARD', KEYS[1]) >= tonumber(ARGV[1]) and not redis.call('ZSCORE', KEYS[1], ARGV[2]) then return 0 end
redis.call('ZADD', KEYS[1], now + ARGV[3], ARGV[2])
redis.call('PEXPIRE', KEYS[1], ARGV[3] * 2)
return 1
"""
KEEP = """
redis.call('ZADD', KEYS[1], now + ARGV[2], ARGV[1])
redis.call('PEXPIRE', KEYS[1], ARGV[2] * 2)
return 1
"""
LEAVE = "return redis.call('ZREM', KEYS[1], ARGV[1])"
SEND = """
local rpm, tpm, tokens, minute = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now - minute)
local sent = redis.call('ZRANGE', KEYS[1], 0, -1, 'WITHSCORES')
local requests, spent, from = #sent / 2, 0, now
for i = 1, #sent, 2 do spent = spent + tonumber(string.match(sent[i], ':(%d+)$')) end
for i = 1, #sent, 2 do
  if (rpm == 0 or requests < rpm) and (tpm == 0 or spent + tokens <= tpm) then break end
  requests, spent, from = requests - 1, spent - tonumber(string.match(sent[i], ':(%d+)$')), sent[i + 1] + minute
end
if from > now then return from - now end
redis.call('ZADD', KEYS[1], now, ARGV[5] .. ':' .. tokens)
redis.call('PEXPIRE', KEYS[1], minute + 1000)
return 0
"""


class SharedStanding(Standing):
    """As :class:`Standing`; places and paces hold for all processes. While Redis is away each keeps the limits for itself."""

    def __init__(self, state: SharedState) -> None:
        super().__init__()
        self._state = state

    def pace(self, name: str) -> Pace:
        """Return what a provider, or one of its models, was sent in the last minute by all processes."""
        return self._paces.setdefault(name, SharedPace(self._state, name))

    def places(self, name: str, concurrency: int) -> AbstractAsyncContextManager[object]:
        """Return a place for a call under way: one of this process's, then one of all."""
        return self._place(super().places(name, concurrency), name, concurrency)

    @contextlib.asynccontextmanager
    async def _place(self, own: AbstractAsyncContextManager[object], name: str, concurrency: int) -> AsyncIterator[None]:
        async with own:
            key, token = f"places:{name}", new_id(16)
            keeping: asyncio.Task[None] | None = None
            try:
                await self._take(key, token, concurrency)
                keeping = asyncio.create_task(self._keep(key, token))
                yield
            finally:
                if keeping is not None:
                    keeping.cancel()
                await self._state.run(LEAVE, key, token)

    async def _take(self, key: str, token: str, concurrency: int) -> None:
        look = FIRST_LOOK_S
        while await self._state.run(TAKE, key, concurrency, token, int(KEPT_S * 1000)) == 0:
            await asyncio.sleep(look * random.uniform(0.5, 1.0))
            look = min(LONGEST_LOOK_S, look * 2)

    async def _keep(self, key: str, token: str) -> None:
        while True:
            await asyncio.sleep(KEPT_S / 3)
            await self._state.run(KEEP, key, token, int(KEPT_S * 1000))


class SharedPace(Pace):
    """As :class:`Pace`, for all processes together; who waits in this one is served in order."""

    def __init__(self, state: SharedState, name: str) -> None:
        super().__init__()
        self._state, self._key = state, f"pace:{name}"

    async def wait(self, rates: Rates, tokens: int) -> None:
        """Wait until one more request of at most ``tokens`` fits, and count it."""
        async with self._turn:
            token = new_id(16)
            while True:
                missing = await self._state.run(SEND, self._key, rates.rpm or 0, rates.tpm or 0, tokens, int(MINUTE_S * 1000), token)
                if missing is None:
                    break
                if missing == 0:
                    self.count(time.monotonic(), tokens)
                    return
                await asyncio.sleep(min(missing / 1000, 1.0))
        await super().wait(rates, tokens)
