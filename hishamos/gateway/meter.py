"""The lowest rung: one attempt, its intent committed before it is sent and its outcome before it is told."""

from __future__ import annotations

import asyncio
import contextlib
import math
import time
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Future
from dataclasses import replace

from hishamos.contracts.ledger import Abandoned, Elsewhere, Full, InBatch, Known, Ledger, Refused, Reserve, Sent
from hishamos.errors import FileChanged, OrphanedCall, ServerClosing, StoreError
from hishamos.gateway import causes
from hishamos.gateway.adapters.plug import AdapterEvent, AdapterRequest, Fault
from hishamos.gateway.adapters.registry import Adapters
from hishamos.gateway.batching import LIMIT_S, BatchDesk
from hishamos.gateway.budget_line import BudgetLine
from hishamos.gateway.causes import Action, Cause, classify
from hishamos.gateway.clean import cleaned
from hishamos.gateway.costs import batch_price, bound, input_bound
from hishamos.gateway.entries import attempt_of, completed, success
from hishamos.gateway.handed_in import bytes_of
from hishamos.gateway.patience import Patience, answered, persistently
from hishamos.gateway.prices import PriceBook
from hishamos.gateway.readable import file_tokens
from hishamos.gateway.received import Received
from hishamos.gateway.refusals import out_of_time, refusal
from hishamos.gateway.routes import OFFLINE, Target
from hishamos.gateway.tool_calls import judged
from hishamos.gateway.trips import Ended, Tried, Trip, output_limit
from hishamos.gateway.veil import Veil, unveiled, veiled
from hishamos.records.calls import Attempt, AttemptBegan, AttemptStatus, CallStatus, ModelRequest, Outcome, Restarted, UsageTold
from hishamos.records.money import Price

ELSEWHERE_POLL_S = 0.1


class Meter:
    """Makes one attempt at one target."""

    def __init__(self, ledger: Ledger, prices: PriceBook, adapters: Adapters, desk: BatchDesk) -> None:
        self._ledger, self._prices, self._adapters, self._desk = ledger, prices, adapters, desk
        self._line = BudgetLine(0.1 if ledger.shared else 0.5)
        self._quoted: dict[str, Price] = {}

    async def climb(self, trip: Trip, target: Target) -> Tried:
        """Return what the attempt came to, durable; raises :class:`Ended` where the ledger says that nothing may be sent."""
        limit = output_limit(trip)
        price = self._prices.price(target.reference)
        if trip.batch:
            price = None if price is None else batch_price(price)
        await self._adapters.ready(target.provider.kind)
        if trip.request.tools:
            self._adapters.check_tools(target.provider.kind)
        await self._load(trip, target)
        # In a thread: a long prompt takes a while to look through.
        sent, veil = await asyncio.to_thread(veiled, trip.request, target.provider.hide) if target.provider.hide else (trip.request, None)
        trip.hidden = veil.summary if veil else None
        ask = Reserve(None if price is None else bound(price, input_bound(sent, trip.file_tokens), limit), price)
        if trip.cancelled:
            raise TimeoutError
        if target.provider.kind == OFFLINE.kind and not trip.held:
            tried = await self._at_once(trip, target, ask, limit)
            if tried is not None:
                return tried
        intended = await self._intend(trip, target, ask)
        attempt = intended.attempt if isinstance(intended, InBatch) else intended
        ask = intended.reserve if isinstance(intended, InBatch) else ask
        trip.row = attempt.id
        self._quote(target.reference, price)
        tried = await self._attempted(trip, target, attempt, ask, limit, sent, veil)
        await self._settle(trip, tried, ask)
        return tried

    async def _load(self, trip: Trip, target: Target) -> None:
        """Read the request's images and PDFs; ends the call where they are no longer what was handed in."""
        asked = trip.request.files
        if not asked:
            return
        self._adapters.check_files(target.provider.kind)
        trip.file_tokens = file_tokens(asked, target.provider.kind, target.model)
        try:
            trip.file_bytes = await bytes_of(asked)
        except FileChanged as changed:
            raise Ended(await self.end(trip, trip.outcome(CallStatus.FAILED, error=changed))) from None

    async def _at_once(self, trip: Trip, target: Target, ask: Reserve, limit: int) -> Tried | None:
        """Answer before anything is written, then write all in one commit: nothing is paid, and a repeat is answered the same.

        None if the key is known: nothing was written, and its call may have ended or be another process's.
        """
        tried = await self._attempted(trip, target, attempt_of(trip, target), ask, limit, trip.request, None)
        self._conclude(trip, tried)
        if not await self._kept(lambda: self._ledger.record(trip.intent, tried.attempt, ask, tried.outcome)):
            trip.attempts.pop()
            return None
        trip.held, trip.made = True, trip.made + 1
        _tell(trip, tried.attempt)
        return tried

    async def _attempted(self, trip: Trip, target: Target, attempt: Attempt, ask: Reserve, limit: int, sent: ModelRequest, veil: Veil | None) -> Tried:
        """Send the request, read the answer; nothing is written."""
        if trip.texted:
            trip.publish(Restarted(model=target.reference))
            trip.texted = False
        trip.publish(AttemptBegan(model=target.reference))
        reading, started = Received(), time.perf_counter()
        cause, fault = await self._read(trip, target, limit, reading, sent, veil)
        trip.file_bytes = {}
        attempt = completed(trip, attempt, target, reading, cause, fault, ask, limit, started)
        return _tried(trip, target, attempt, reading, cause, fault)

    async def _intend(self, trip: Trip, target: Target, ask: Reserve) -> Attempt | InBatch:
        again = False
        patience = Patience(shared=self._ledger.shared, until=trip.deadline)
        while True:
            settled = self._line.settled
            attempt = attempt_of(trip, target)
            try:
                verdict = await answered(self._ledger.intend(trip.intent, attempt, ask, first=not trip.held))
            except StoreError as error:
                await patience.after(error)
                trip.held = False  # whether it was committed is not known: what the store has of the call is looked up
                trip.intent = replace(trip.intent, fresh=False, orphans="retry")  # nothing was sent
                continue
            await self._settled(trip)
            if again and not isinstance(verdict, Full):
                self._line.wake()  # it leaves the line, sent or refused: the next one asks
            if isinstance(verdict, Sent):
                if not trip.held:
                    trip.intent = replace(trip.intent, id=verdict.call_id)
                    trip.attempts[:] = verdict.earlier
                trip.held, trip.made, trip.warnings = True, trip.made + 1, trip.warnings + verdict.warnings
                return attempt.model_copy(update={"call_id": verdict.call_id, "number": verdict.number})
            if isinstance(verdict, Known):
                raise Ended(verdict.outcome)
            if isinstance(verdict, InBatch):
                trip.intent = replace(trip.intent, id=verdict.attempt.call_id)
                trip.held, trip.made, trip.attempts = True, trip.made + 1, [*verdict.earlier]
                trip.batch, trip.handed_in, trip.deadline = True, True, asyncio.get_running_loop().time() + LIMIT_S
                return verdict
            if isinstance(verdict, Abandoned):
                trip.held, trip.attempts = True, list(verdict.attempts)
                trip.intent = replace(trip.intent, id=verdict.call_id)
                raise Ended(await self.end(trip, trip.outcome(CallStatus.FAILED, error=OrphanedCall(call=verdict.call_id))))
            if isinstance(verdict, Refused):
                raise Ended(await self.end(trip, trip.outcome(CallStatus.REFUSED, error=refusal(verdict, target, ask))))
            await self._wait(trip, target, ask, verdict, settled, again=again)
            again = isinstance(verdict, Full)

    async def _wait(self, trip: Trip, target: Target, ask: Reserve, verdict: Full | Elsewhere, settled: int, *, again: bool) -> None:
        """Wait for room, or for the process that holds the call; at the deadline the call ends without having been sent."""
        try:
            async with trip.scope():
                if isinstance(verdict, Full):
                    await self._line.wait(verdict.budget, settled, again=again)
                else:
                    await asyncio.sleep(ELSEWHERE_POLL_S)
        except TimeoutError:
            if trip.closing:
                raise ServerClosing from None
            if trip.cancelled:
                raise Ended(await self.end(trip, trip.outcome(CallStatus.CANCELLED))) from None
            if isinstance(verdict, Full):
                error = out_of_time(verdict, ask, trip)
                raise Ended(await self.end(trip, trip.outcome(CallStatus.REFUSED, error=error))) from None
            error = causes.call_failed(target.reference, "another process still holds this call", "deadline", 0, "Repeat it with the same key later.")
            raise Ended(trip.outcome(CallStatus.FAILED, error=error)) from None

    async def _read(
        self, trip: Trip, target: Target, limit: int, reading: Received, sent: ModelRequest, veil: Veil | None
    ) -> tuple[Cause | None, Fault | None]:
        """Send the request and read its answer within the attempt's time and the idle time; return why it is no success, if it is none."""
        if trip.cancelled:
            return causes.UNSENT, None
        loop = asyncio.get_running_loop()
        provider = target.provider
        until, idle_s = (math.inf, math.inf) if trip.batch else (loop.time() + provider.timeout_s, provider.idle_timeout_s)
        ask = AdapterRequest(
            provider=provider,
            model=target.model,
            messages=sent.messages,
            output_schema=sent.output_schema,
            max_output_tokens=limit,
            temperature=sent.temperature,
            api_key=target.api_key,
            stream=trip.stream,
            timeout_s=min(until, trip.deadline) - loop.time(),
            tools=sent.tools,
            files=trip.file_bytes,
        )
        try:
            async with trip.scope(until), contextlib.aclosing(self._source(trip, target, ask)) as told:  # type: ignore[type-var]
                clear = cleaned(told, target.api_key)
                async for event in clear if veil is None else unveiled(clear, veil):
                    reading.take(event, trip, target)
                    trip.extend(min(until, loop.time() + idle_s))
        except Fault as fault:
            return classify(fault), fault
        except TimeoutError:
            return self._out_of_time(trip, target, reading)
        return reading.verdict(), None

    def _out_of_time(self, trip: Trip, target: Target, reading: Received) -> tuple[Cause, Fault | None]:
        """Return why an attempt was ended from outside; a row that its provider has is left to it when the process leaves."""
        provider = target.provider
        if trip.batch and trip.closing:
            raise ServerClosing from None
        if trip.batch and not self._desk.drop(trip.row):
            return causes.UNSENT, None
        if trip.cancelled:
            return (causes.CLOSING if trip.closing else causes.CANCELLED), None
        if trip.over():
            return causes.DEADLINE, Fault("the request's deadline passed", transport="timeout")
        waited = "no answer" if not reading.begun else f"nothing more for {provider.idle_timeout_s:g} s"
        return causes.TIMEOUT, Fault(f"{waited} (timeout_s = {provider.timeout_s:g}, idle_timeout_s = {provider.idle_timeout_s:g})", transport="timeout")

    def _source(self, trip: Trip, target: Target, ask: AdapterRequest) -> AsyncIterator[AdapterEvent]:
        if trip.batch:
            return self._desk.events(trip.row, None if trip.handed_in else ask, target)
        return self._adapters.of(target.provider.kind).stream(ask)

    async def _settle(self, trip: Trip, tried: Tried, ask: Reserve) -> None:
        """Commit the attempt, and with it the call's end where this is it.

        After a failure that goes on elsewhere at once nobody is answered yet: the commit of what comes next may hold it too.
        """
        self._conclude(trip, tried)
        if tried.outcome is None and tried.cause is not None and tried.cause.action is not Action.RETRY and not (trip.closing or self._ledger.shared):
            # An exclusive store has one writer: whoever is woken now asks it after this settlement.
            trip.unsettled = self._ledger.settle(tried.attempt, ask, None), tried.attempt
            self._line.wake()
            return
        done = await self._kept(lambda: self._ledger.settle(tried.attempt, ask, tried.outcome))
        self._line.wake()
        if done:
            _tell(trip, tried.attempt)
        else:
            trip.held = False  # another process took the call over; what it makes of it is the answer
            trip.attempts.pop()
            await self._follow(trip, tried.target)

    @staticmethod
    async def _settled(trip: Trip) -> None:
        """See to it that an attempt which failed before is durable; raises what the store says where it is not."""
        if trip.unsettled is not None:
            (future, attempt), trip.unsettled = trip.unsettled, None
            await answered(future)
            _tell(trip, attempt)

    @staticmethod
    def _conclude(trip: Trip, tried: Tried) -> None:
        """Add the attempt to its call, and with it the call's end where this is it."""
        trip.attempts.append(tried.attempt)
        if tried.cause is None:
            tried.outcome = success(trip, tried)
        elif tried.attempt.status is AttemptStatus.CANCELLED and not trip.closing:
            tried.outcome = trip.outcome(CallStatus.CANCELLED)

    async def _follow(self, trip: Trip, target: Target) -> None:
        outcome = None
        while outcome is None and not trip.over():
            outcome = await answered(self._ledger.find(trip.intent.key, trip.intent.request_hash))
            await asyncio.sleep(0 if outcome else ELSEWHERE_POLL_S)
        if outcome is not None:
            raise Ended(outcome)
        error = causes.call_failed(target.reference, "another process took this call over", "owner_died", 1, "Repeat it with the same key later.")
        raise Ended(trip.outcome(CallStatus.FAILED, error=error))

    async def end(self, trip: Trip, outcome: Outcome) -> Outcome:
        """Store an outcome that no attempt's commit carries."""
        await self._kept(lambda: self._ledger.finish(trip.intent, outcome))
        await self._settled(trip)
        return outcome

    async def _kept(self, ask: Callable[[], Future[bool]]) -> bool:
        """Have the ledger keep what has happened, also after a connection to the store that broke."""
        return await persistently(ask, shared=self._ledger.shared)

    def _quote(self, model: str, price: Price | None) -> None:
        if price is not None and self._quoted.get(model) is not price:
            self._quoted[model] = price
            self._ledger.quote([price])


def _tell(trip: Trip, attempt: Attempt) -> None:
    usage = attempt.usage
    if usage is not None:
        trip.publish(UsageTold(model=attempt.model, usage=usage, cost_nanos=attempt.cost_nanos))


def _tried(trip: Trip, target: Target, attempt: Attempt, reading: Received, cause: Cause | None, fault: Fault | None) -> Tried:
    return Tried(
        target=target,
        attempt=attempt,
        cause=cause,
        text=reading.text,
        calls=judged(reading.called, trip.request.tools, target.api_key) if cause is None and reading.called else (),
        not_judged=reading.finish.not_judged if reading.finish else (),
        broken=attempt.status is AttemptStatus.INCOMPLETE and cause is not causes.LENGTH,
        retry_after_s=fault.retry_after_s if fault else None,
    )
