"""The ladder's outermost rung: an answer that was paid for before, to exactly this question, is given again for nothing."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from concurrent.futures import Future
from datetime import timedelta
from typing import Any

from hishamos.contracts.ledger import Cache, CachedAnswer, Ledger, Reserve
from hishamos.gateway.answers import parse
from hishamos.gateway.entries import attempt_of
from hishamos.gateway.ladder import Fallback
from hishamos.gateway.patience import answered
from hishamos.gateway.routes import OFFLINE, Target
from hishamos.gateway.trips import Trip, output_limit
from hishamos.records.calls import AttemptBegan, AttemptStatus, CallStatus, Outcome, TextPiece
from hishamos.records.record import content_hash, now

LIFETIMES = {"1h": timedelta(hours=1), "7d": timedelta(days=7), "forever": timedelta.max}
log = logging.getLogger("hishamos.gateway")


class Cached:
    """Looks for an answer of the first target that would be asked; gives what it finds, keeps what comes from below.

    What the offline model answers is never kept: it costs nothing, and is no answer of a model.
    """

    def __init__(self, below: Fallback, cache: Cache, ledger: Ledger) -> None:
        self._below, self._cache, self._ledger = below, cache, ledger
        self._new: dict[str, CachedAnswer] = {}
        """Answers whose place in the cache is being written: nobody waits for that, and who asks at once finds them here."""

    async def answer(self, trip: Trip) -> Outcome:
        """Return the call's outcome; see :meth:`Fallback.answer`."""
        lifetime = LIFETIMES.get(trip.request.cache)
        if lifetime is None or trip.cancelled:
            return await self._below.answer(trip)
        if not trip.request.refresh:
            outcome = await self._given_again(trip, trip.plan.targets[0], lifetime)
            if outcome is not None:
                return outcome
        outcome = await self._below.answer(trip)
        self._keep(trip, outcome)
        return outcome

    async def _given_again(self, trip: Trip, target: Target, lifetime: timedelta) -> Outcome | None:
        if target.provider.kind == OFFLINE.kind:
            return None
        started = time.perf_counter()
        key = cache_key(trip, target)
        found = self._new.get(key) or await asyncio.get_running_loop().run_in_executor(None, self._cache.find, key)
        if found is None or now() - found.made_at >= lifetime:
            return None
        schema = trip.request.output_schema
        data, problem = (None, None) if schema is None else parse(found.text, schema)
        if problem is not None:
            return None
        attempt = attempt_of(trip, target).model_copy(
            update={
                "status": AttemptStatus.CACHED,
                "cost_nanos": 0,
                "latency_ms": (time.perf_counter() - started) * 1000,
                "finished_at": now(),
            }
        )
        attempt = attempt.model_copy(update={"tags": {**attempt.tags, "answer_of": found.attempt_id}})
        trip.attempts.append(attempt)
        outcome = trip.outcome(CallStatus.SUCCEEDED).model_copy(update={"text": found.text, "model": found.model, "data": data})
        written = self._ledger.record(trip.intent, attempt, Reserve(0, None), outcome)
        if trip.intent.fresh:
            # The answer itself has long been durable, and a repeat of this key finds it again: nobody waits for the note that it was given.
            written.add_done_callback(_noted)
        elif not await answered(written):
            trip.attempts.pop()
            return None  # the key has an outcome of its own
        self._tell(trip, found)
        return outcome

    @staticmethod
    def _tell(trip: Trip, found: CachedAnswer) -> None:
        trip.publish(AttemptBegan(model=found.model))
        if found.text:
            trip.publish(TextPiece(text=found.text, model=found.model))

    def _keep(self, trip: Trip, outcome: Outcome) -> None:
        if outcome.status is not CallStatus.SUCCEEDED or outcome.error is not None or outcome.reused or not outcome.attempts:
            return
        if outcome.calls:
            return  # half a conversation: what the tools give may be another thing next time
        last = outcome.attempts[-1]
        target = next((target for target in trip.plan.targets if target.reference == last.model), None)
        if last.status is AttemptStatus.SUCCEEDED and target is not None and target.provider.kind != OFFLINE.kind:
            key, loop = cache_key(trip, target), asyncio.get_running_loop()
            kept = self._new[key] = CachedAnswer(last.id, outcome.call_id, last.provider, last.model, outcome.text, now())

            def forget() -> None:
                if self._new.get(key) is kept:
                    del self._new[key]

            def written(done: Future[None]) -> None:
                _noted(done)
                with contextlib.suppress(RuntimeError):  # the loop may have gone meanwhile
                    loop.call_soon_threadsafe(forget)

            self._cache.keep(key, last.id).add_done_callback(written)


def cache_key(trip: Trip, target: Target) -> str:
    """Return the hash of everything that can change the answer: model, address, messages, parameters, schema, command version."""
    asked: dict[str, Any] = trip.request.identity()
    asked.pop("target")
    facts = [target.reference, target.provider.kind, target.provider.api_base, asked, output_limit(trip), trip.tags.command]
    return content_hash([*facts, sorted(target.provider.hide)] if target.provider.hide else facts)


def _noted(done: Future[Any]) -> None:
    error = done.exception()
    if error is not None:
        log.warning("the cache could not be written: %s", error)
