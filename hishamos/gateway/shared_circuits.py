"""Circuits that all processes of a workspace share: what one learns of a model's health, all know before their next call."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from contextlib import suppress
from typing import Any

from hishamos.gateway.circuit import FAILURES, FIRST_PAUSE_S, LONGEST_PAUSE_S, NEITHER, SICK, Circuit, Circuits
from hishamos.gateway.routes import Target
from hishamos.gateway.shared_state import SharedState, whole

KEPT_MS = 600_000
"""So long a circuit is remembered that nobody asks about."""
PROBE_MS = 120_000
"""So long the others wait for a probe whose process was killed."""
LOOK_S = 0.5

ANSWER = """
local function told(admitted)
  local failures, pause = tonumber(redis.call('HGET', KEYS[1], 'failures') or 0), tonumber(redis.call('HGET', KEYS[1], 'pause') or 0)
  local left = (tonumber(redis.call('HGET', KEYS[1], 'until') or 0)) - now
  local probing = tonumber(redis.call('HGET', KEYS[1], 'probing') or 0) > now
  return {admitted, failures, redis.call('HGET', KEYS[1], 'cause') or '', pause, left, probing and redis.call('HGET', KEYS[1], 'probe') or ''}
end
"""
ADMIT = (
    ANSWER
    + """
local pause, asked = tonumber(redis.call('HGET', KEYS[1], 'pause') or 0), ARGV[1]
if pause == 0 then return told(1) end
if asked == '' or tonumber(redis.call('HGET', KEYS[1], 'probing') or 0) > now then return told(0) end
if tonumber(redis.call('HGET', KEYS[1], 'until') or 0) > now then return told(0) end
redis.call('HSET', KEYS[1], 'probe', asked, 'probing', now + ARGV[2])
return told(1)
"""
)
NOTE = (
    ANSWER
    + """
local caller, word, cause = ARGV[1], ARGV[2], ARGV[3]
local most, first, longest = tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])
local pause = tonumber(redis.call('HGET', KEYS[1], 'pause') or 0)
local probing = redis.call('HGET', KEYS[1], 'probe') == caller
if probing then redis.call('HDEL', KEYS[1], 'probe', 'probing') end
if word == 'well' then
  redis.call('DEL', KEYS[1])
elseif word == 'sick' then
  local failures = redis.call('HINCRBY', KEYS[1], 'failures', 1)
  redis.call('HSET', KEYS[1], 'cause', cause)
  if probing or (pause == 0 and failures >= most) then
    pause = probing and math.min(longest, pause * 2) or first
    redis.call('HSET', KEYS[1], 'pause', pause, 'until', now + pause)
  end
  redis.call('PEXPIRE', KEYS[1], ARGV[7])
end
return told(1)
"""
)


class SharedCircuits(Circuits):
    """As :class:`Circuits`; a model's circuit is one for all processes. While Redis is away each goes by its own."""

    def __init__(self, state: SharedState) -> None:
        super().__init__()
        self._state = state

    async def admit(self, circuit: Circuit, caller: object) -> bool:
        """Return whether a call may be sent; of all processes' calls the first one after the pause is the probe."""
        answer = await self._state.run(ADMIT, f"circuit:{circuit.model}", _name(caller), PROBE_MS)
        if answer is None:
            return await super().admit(circuit, caller)
        return self._learn(circuit, answer, caller)

    async def note(self, circuit: Circuit, caller: object, cause: str | None) -> None:
        """Take what a call came to, and tell all."""
        await super().note(circuit, caller, cause)
        word = "neither" if cause in NEITHER else "sick" if cause in SICK else "well"
        limits = FAILURES, int(FIRST_PAUSE_S * 1000), int(LONGEST_PAUSE_S * 1000), KEPT_MS
        answer = await self._state.run(NOTE, f"circuit:{circuit.model}", _name(caller), word, cause or "", *limits)
        if answer is not None:
            self._learn(circuit, answer, caller)

    async def wait(self, targets: Iterable[Target]) -> Target:
        """Return the first of the targets that may be asked, as soon as one may; another process may be the one that finds out."""
        targets = tuple(targets)
        while True:
            for target in targets:
                answer = await self._state.run(ADMIT, f"circuit:{target.reference}", "", PROBE_MS)
                if answer is not None:
                    self._learn(self.of(target), answer, None)
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOK_S):
                    return await super().wait(targets)

    @staticmethod
    def _learn(circuit: Circuit, answer: Any, caller: object) -> bool:
        admitted, failures, cause, pause, left, probe = whole(answer)
        circuit.failures, circuit.cause = int(failures), str(cause)
        circuit.pause_s, circuit.until = int(pause) / 1000, circuit.clock() + max(0, int(left)) / 1000
        circuit.probe = (caller if probe == _name(caller) else probe) if probe else None
        return bool(admitted)


def _name(caller: object) -> str:
    """Return a name of a call that no other process uses."""
    intent = getattr(caller, "intent", None)
    return "" if intent is None else f"{intent.id}"
