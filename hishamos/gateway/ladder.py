"""The ladder above the meter, outermost first: the next target by cause, the same target again, that target's places."""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections.abc import Callable
from dataclasses import replace

from hishamos.errors import AdapterBroken, CallFailed, ServerClosing
from hishamos.gateway import causes
from hishamos.gateway.causes import Action, Cause
from hishamos.gateway.circuit import CircuitOpen, Circuits
from hishamos.gateway.costs import estimate
from hishamos.gateway.meter import Meter
from hishamos.gateway.models import did_you_mean
from hishamos.gateway.readable import file_tokens
from hishamos.gateway.routes import Target
from hishamos.gateway.standing import RECHECK_S, Standing
from hishamos.gateway.trips import Ended, Rung, Tried, Trip, output_limit
from hishamos.records.calls import CallStatus, Outcome
from hishamos.records.configuration import LimitSettings

FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 8.0
PATIENCE_S = 20.0
"""A longer Retry-After is not waited for where the route has another target."""


class Limits:
    """No more calls under way than ``concurrency``, no more a minute than ``rpm`` and ``tpm``: of the model, then of its provider.

    ``limits``: returns a model's own. Who waits is served in order; a model's queue keeps no place of its provider.
    """

    def __init__(self, below: Rung, standing: Standing, limits: Callable[[str], LimitSettings | None]) -> None:
        self._below, self._standing, self._limits = below, standing, limits

    async def climb(self, trip: Trip, target: Target) -> Tried:
        """Wait for the places, then for room in the last minute, within the deadline. A row of a batch takes none."""
        if trip.batch:
            return await self._below.climb(trip, target)
        own = self._limits(target.reference)
        rules = ((target.reference, own), (target.provider.name, target.provider)) if own else ((target.provider.name, target.provider),)
        async with contextlib.AsyncExitStack() as held:
            async with trip.scope():
                for name, rule in rules:
                    if rule.concurrency:
                        await held.enter_async_context(self._standing.places(name, rule.concurrency))
            if any(rule.rpm or rule.tpm for _, rule in rules):
                files = file_tokens(trip.request.files, target.provider.kind, target.model)
                tokens = estimate(trip.request, "", files).input + output_limit(trip)
                async with trip.scope():
                    for name, rule in rules:
                        await self._standing.pace(name).wait(rule, tokens)
            return await self._below.climb(trip, target)


class Retry:
    """The same target again, after a pause, for causes that pass."""

    def __init__(self, below: Rung) -> None:
        self._below = below

    async def climb(self, trip: Trip, target: Target) -> Tried:
        """Return the last try's result; raises :class:`CircuitOpen`, with that result if there is one, where the target is not asked."""
        tries = 0
        tried: Tried | None = None
        while True:
            try:
                tried = await self._below.climb(trip, target)
            except CircuitOpen:
                raise CircuitOpen(tried) from None
            tries += 1
            if tried.cause is None or not self._again(trip, tried, tried.cause, tries):
                return tried
            pause = _pause(tries, tried.retry_after_s)
            if tried.retry_after_s and trip.waiting_targets and pause > PATIENCE_S:
                return tried
            if asyncio.get_running_loop().time() + pause >= trip.deadline:
                return tried
            async with trip.scope():
                await asyncio.sleep(pause)

    @staticmethod
    def _again(trip: Trip, tried: Tried, cause: Cause, tries: int) -> bool:
        if cause.action is not Action.RETRY or (tried.broken and trip.plan.route.on_broken_stream != "restart"):
            return False
        return tries < cause.tries and trip.left() > trip.waiting_targets and not trip.over()


class Fallback:
    """The next target, or another chain, by cause."""

    def __init__(self, below: Rung, meter: Meter, standing: Standing, circuits: Circuits, chain: Callable[[Trip, tuple[str, ...]], tuple[Target, ...]]) -> None:
        self._below, self._meter, self._standing, self._circuits, self._chain = below, meter, standing, circuits, chain

    async def answer(self, trip: Trip) -> Outcome:
        """Return the call's outcome, durable; raises ``ServerClosing`` where the process leaves before it."""
        try:
            return await self._climb(trip)
        except Ended as ended:
            return ended.outcome
        except TimeoutError:  # while waiting between attempts
            if trip.closing:
                raise ServerClosing from None
            if trip.cancelled:
                return await self._meter.end(trip, trip.outcome(CallStatus.CANCELLED))
            reason = "; ".join(("the request's deadline passed", *trip.passed_over.values()))
            error = causes.call_failed(trip.intent.target, reason, "deadline", len(trip.attempts), _deadline_advice(trip))
            return await self._meter.end(trip, trip.outcome(CallStatus.FAILED, error=error))

    async def _climb(self, trip: Trip) -> Outcome:
        waiting = self._in_order(trip)
        resting: list[Target] = []
        hops: dict[str, int] = {}
        chained: set[Action] = set()
        last: Tried | None = None
        unusable: AdapterBroken | None = None
        while (waiting or resting) and trip.left() > 0 and not trip.over():
            target = waiting.pop(0) if waiting else await self._first_of(trip, resting)
            trip.waiting_targets = len(waiting)
            trip.hop = hops.setdefault(target.reference, len(hops))
            try:
                last = await self._below.climb(trip, target)
            except CircuitOpen as refused:
                last = refused.last or last
                resting.append(target)
                continue
            except AdapterBroken as broken:
                unusable, trip.passed_over[target.reference] = broken, str(broken)
                continue
            if last.outcome is not None:
                self._standing.clear(target)
                return last.outcome
            cause = last.cause
            if trip.closing:
                raise ServerClosing  # the call stays open for the next process
            if cause is None or cause.action is Action.FAIL:
                break
            if cause is causes.AUTHENTICATION:
                self._standing.mark(target, last.attempt.error or cause.name)
            if last.broken and trip.plan.route.on_broken_stream != "restart":
                break
            if cause.action in (Action.LARGER, Action.OTHER_POLICY):
                waiting = [] if cause.action in chained else self._other_chain(trip, cause.action)
                chained.add(cause.action)
                resting.clear()
        if last is None and unusable is not None and not trip.attempts:
            return await self._meter.end(trip, trip.outcome(CallStatus.FAILED, error=unusable))
        return await self._meter.end(trip, _failed(trip, last))

    async def _first_of(self, trip: Trip, resting: list[Target]) -> Target:
        """Wait within the deadline until one of the targets whose circuits are open may be asked; take it out of them."""
        async with trip.scope():
            target = await self._circuits.wait(resting)
        resting.remove(target)
        return target

    def _in_order(self, trip: Trip) -> list[Target]:
        """Return the targets without those whose key was refused; if none is left, those that may be asked again."""
        targets = trip.plan.targets
        marks = {target: self._standing.refused(target) for target in targets}
        good = [target for target in targets if marks[target] is None]
        if good:
            refused = tuple(f"{target.reference} has its key refused" for target in targets if marks[target] is not None)
            trip.plan = replace(trip.plan, passed_over=(*trip.plan.passed_over, *refused))
            return good
        return [target for target, mark in marks.items() if mark is None or time.monotonic() - mark.since > RECHECK_S] or list(targets[:1])

    def _other_chain(self, trip: Trip, action: Action) -> list[Target]:
        route = trip.plan.route
        return list(self._chain(trip, route.on_context_overflow if action is Action.LARGER else route.on_content_policy))


def _pause(tries: int, retry_after_s: float | None) -> float:
    """Return the pause before the next try: exponential with jitter, and never shorter than the provider asks for."""
    longest: float = min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2 ** (tries - 1))
    pause = longest * random.uniform(0.5, 1.0)
    return max(pause, retry_after_s or 0.0)


def _failed(trip: Trip, last: Tried | None) -> Outcome:
    if last is None or last.cause is None:
        error = causes.call_failed(trip.intent.target, "no attempt was left", "attempts", len(trip.attempts), _deadline_advice(trip))
        return trip.outcome(CallStatus.FAILED, error=error)
    cause = last.cause
    kept = cause is causes.LENGTH or (last.broken and trip.plan.route.on_broken_stream == "keep")
    error = _failure(trip, last, cause)
    return trip.outcome(CallStatus.INCOMPLETE if kept else CallStatus.FAILED, tried=last, error=error)


def _failure(trip: Trip, last: Tried, cause: Cause) -> CallFailed:
    reason = last.attempt.error or WORDS.get(cause.name, cause.name.replace("_", " "))
    return causes.call_failed(last.attempt.model, reason.rstrip("."), cause.name, len(trip.attempts), advice(cause, last.target))


def _deadline_advice(trip: Trip) -> str:
    return f"The route's limits are deadline_s = {trip.plan.route.deadline_s:g} and attempts = {trip.plan.route.attempts}."


WORDS = {
    "incomplete": "the answer's stream ended without its end",
    "length": "the answer was cut off at its output limit",
    "content_policy": "the provider's content policy refused it",
}


def advice(cause: Cause, target: Target) -> str:
    """Return what to do about a cause, in a sentence."""
    provider = target.provider
    if cause is causes.AUTHENTICATION:
        where = provider.api_key or f"[providers.{provider.name}] api_key"
        return f"{provider.name} refuses its key: set a valid one in {where} (provider {provider.name})."
    if cause is causes.CONNECTION:
        where = f"api_base = {provider.api_base!r} of [providers.{provider.name}]" if provider.api_base else "the network"
        return f"{provider.name} can't be reached: check {where}."
    return {
        "length": "Raise max_output_tokens.",
        "context_overflow": "Shorten the input, or give the route on_context_overflow.",
        "rate_limit": f"Lower concurrency or rpm of [providers.{provider.name}], or add a model to the route.",
        "redirected": f"It answers with a redirect, and a key follows none: write the new address as api_base of [providers.{provider.name}].",
        "quota": f"Check the account's credit at {provider.name}.",
        "unknown_model": f"{did_you_mean(target.model, provider.name, provider.kind)}Check the model's name at {provider.name}.",
        "deadline": "Raise the route's deadline_s.",
        "timeout": f"Raise timeout_s or idle_timeout_s of [providers.{provider.name}].",
    }.get(cause.name, "Try again, or add a model to the route.")
