"""The lowest rung: one attempt, its intent committed before it is sent and its outcome before it is told."""

from __future__ import annotations

import asyncio
import contextlib
import math
import time
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from typing import Any

from hishamos.contracts.ledger import BATCH, Abandoned, Elsewhere, Full, InBatch, Known, Ledger, Refused, Reserve, Sent
from hishamos.errors import BudgetRefused, FileChanged, HishamosError, OrphanedCall, OutputInvalid, ServerClosing, StoreError, UnpricedModel
from hishamos.gateway import causes
from hishamos.gateway.adapters.plug import AdapterEvent, AdapterRequest, CallPiece, Fault, Finish, Text, Used
from hishamos.gateway.adapters.registry import Adapters
from hishamos.gateway.answers import parse
from hishamos.gateway.batching import LIMIT_S, BatchDesk
from hishamos.gateway.budget_line import BudgetLine
from hishamos.gateway.causes import Action, Cause, classify
from hishamos.gateway.clean import cleaned
from hishamos.gateway.costs import batch_price, bound, cost, estimate, input_bound
from hishamos.gateway.handed_in import bytes_of
from hishamos.gateway.models import did_you_mean
from hishamos.gateway.patience import Patience, answered, persistently
from hishamos.gateway.prices import PriceBook
from hishamos.gateway.readable import file_tokens
from hishamos.gateway.routes import OFFLINE, Target
from hishamos.gateway.tool_calls import Called, judged
from hishamos.gateway.trips import Ended, Tried, Trip, failure, output_limit
from hishamos.gateway.veil import Veil, unveiled, veiled
from hishamos.records.calls import Attempt, AttemptBegan, AttemptStatus, CallStatus, ModelRequest, Outcome, Restarted, TextPiece, Usage, UsageTold
from hishamos.records.money import Price
from hishamos.records.record import now, timed_id, usd
from hishamos.security import redact

ELSEWHERE_POLL_S = 0.1
ERROR_LENGTH = 2000
COMPLETE = frozenset({"stop", "end_turn", "stop_sequence", "eos"})
"""What providers call an answer that ended by itself."""
CALLING = frozenset({"tool_calls", "tool_use", "function_call"})
"""What providers call an answer that ended in order to have tools run."""


@dataclass(slots=True)
class _Reading:
    """What has come of an answer."""

    pieces: list[str] = field(default_factory=list)
    called: Called = field(default_factory=Called)
    usage: Usage | None = None
    finish: Finish | None = None
    first_at: float | None = None

    @property
    def text(self) -> str:
        return "".join(self.pieces)

    @property
    def begun(self) -> bool:
        """Whether anything of an answer has come."""
        return bool(self.pieces or self.called)


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
        reading, started = _Reading(), time.perf_counter()
        cause, fault = await self._read(trip, target, limit, reading, sent, veil)
        trip.file_bytes = {}
        attempt = _completed(trip, attempt, target, reading, cause, fault, ask, limit, started)
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
                raise Ended(await self.end(trip, trip.outcome(CallStatus.REFUSED, error=_refusal(verdict, target, ask))))
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
                error = _out_of_time(verdict, ask, trip)
                raise Ended(await self.end(trip, trip.outcome(CallStatus.REFUSED, error=error))) from None
            error = causes.call_failed(target.reference, "another process still holds this call", "deadline", 0, "Repeat it with the same key later.")
            raise Ended(trip.outcome(CallStatus.FAILED, error=error)) from None

    async def _read(
        self, trip: Trip, target: Target, limit: int, reading: _Reading, sent: ModelRequest, veil: Veil | None
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
                    _take(event, reading, trip, target)
                    trip.extend(min(until, loop.time() + idle_s))
        except Fault as fault:
            return classify(fault), fault
        except TimeoutError:
            return self._out_of_time(trip, target, reading)
        return _verdict(reading), None

    def _out_of_time(self, trip: Trip, target: Target, reading: _Reading) -> tuple[Cause, Fault | None]:
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
            tried.outcome = _success(trip, tried)
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


def _take(event: AdapterEvent, reading: _Reading, trip: Trip, target: Target) -> None:
    """Keep what has come, and tell the text to those who listen."""
    if isinstance(event, Text | CallPiece) and reading.first_at is None:
        reading.first_at = time.perf_counter()
    if isinstance(event, Text):
        if event.text:
            reading.pieces.append(event.text)
            trip.texted = True
            trip.publish(TextPiece(text=event.text, model=target.reference))
    elif isinstance(event, CallPiece):
        if trip.request.tools:  # nobody who offered none waits for a call
            reading.called.add(event)
    elif isinstance(event, Used):
        reading.usage = event.usage
    else:
        reading.finish = event


def _tell(trip: Trip, attempt: Attempt) -> None:
    usage = attempt.usage
    if usage is not None:
        trip.publish(UsageTold(model=attempt.model, usage=usage, cost_nanos=attempt.cost_nanos))


def _tried(trip: Trip, target: Target, attempt: Attempt, reading: _Reading, cause: Cause | None, fault: Fault | None) -> Tried:
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


def _verdict(reading: _Reading) -> Cause | None:
    if reading.finish is None:
        return causes.INCOMPLETE
    reason = reading.finish.reason
    if reason in ("length", "max_tokens"):
        return causes.LENGTH
    if reason in ("content_filter", "refusal", "safety"):
        return causes.CONTENT_POLICY
    return None if reason in COMPLETE or (reason in CALLING and reading.called) else causes.INCOMPLETE


def attempt_of(trip: Trip, target: Target) -> Attempt:
    """Return the attempt that a call makes at a target, not sent yet."""
    tags = trip.tags
    return Attempt(
        id=timed_id(),
        call_id=trip.intent.id,
        idempotency_key=trip.intent.key,
        run_id=tags.run,
        step_id=tags.step,
        workflow=tags.workflow,
        command=tags.command,
        agent=tags.agent,
        project=tags.project,
        user_name=tags.user,
        key_prefix=tags.key_prefix,
        provider=target.provider.name,
        model=target.reference,
        hop=trip.hop,
        status=AttemptStatus.SENT,
        started_at=now(),
        tags={**tags.model_dump(include={"issue", "notebook", "cell", "git_commit"}, exclude_none=True), **_chosen(trip)},
    )


def _chosen(trip: Trip) -> dict[str, Any]:
    """Return why this model is asked, why others of its route are not, and which files it is given."""
    passed_over = (*trip.plan.passed_over, *trip.passed_over.values())
    chosen = {} if trip.plan.reason is None else {"choice": trip.plan.reason}
    hidden = {} if trip.hidden is None else {"hidden": trip.hidden}
    mode = {"mode": BATCH} if trip.batch else {}
    files = {"files": [file.facts() for file in trip.files]} if trip.files else {}
    return {**chosen, **hidden, **mode, **files, **({"passed_over": "; ".join(passed_over)} if passed_over else {})}


def _completed(
    trip: Trip, attempt: Attempt, target: Target, reading: _Reading, cause: Cause | None, fault: Fault | None, ask: Reserve, limit: int, started: float
) -> Attempt:
    """Return the attempt with its status, usage and cost."""
    status = _status(reading, cause)
    usage, money = _bill(trip, reading, cause, ask, limit)
    facts: dict[str, object] = {
        "status": status,
        "cause": cause.name if cause else None,
        "error": redact(str(fault), [target.api_key] if target.api_key else [])[:ERROR_LENGTH] if fault else None,
        "cost_nanos": money,
        "overrun": money is not None and ask.bound_nanos is not None and money > ask.bound_nanos,
        "latency_ms": (time.perf_counter() - started) * 1000,
        "ttft_ms": None if reading.first_at is None else (reading.first_at - started) * 1000,
        "finished_at": now(),
        "usage_source": usage.source if usage else ("estimated" if cause is not None and cause.billed else None),
    }
    if usage is not None:
        facts |= {f"{kind}_tokens": getattr(usage, kind) for kind in ("input", "cached", "cache_write", "output", "reasoning")}
    return attempt.model_copy(update=facts)


def _status(reading: _Reading, cause: Cause | None) -> AttemptStatus:
    if cause is None:
        return AttemptStatus.SUCCEEDED
    if cause in (causes.CANCELLED, causes.UNSENT):
        return AttemptStatus.CANCELLED
    if cause is causes.CLOSING:
        return AttemptStatus.ORPHANED
    if cause in (causes.INCOMPLETE, causes.LENGTH) or (reading.begun and cause is not causes.CONTENT_POLICY):
        return AttemptStatus.INCOMPLETE
    return AttemptStatus.FAILED


def _bill(trip: Trip, reading: _Reading, cause: Cause | None, ask: Reserve, limit: int) -> tuple[Usage | None, int | None]:
    """Return usage and cost. What the provider may have billed without telling is estimated: by the part that came, else at the reservation."""
    if reading.finish is not None:
        usage = reading.usage or estimate(trip.request, reading.text + reading.called.text, trip.file_tokens)
    elif reading.begun:
        usage = estimate(trip.request, reading.text + reading.called.text, trip.file_tokens)
        usage = usage.model_copy(update={"output": min(usage.output, limit)})
    elif cause is None or cause.billed:
        return None, ask.bound_nanos
    else:
        return None, 0
    return usage, None if ask.price is None else cost(ask.price, usage)


def _success(trip: Trip, tried: Tried) -> Outcome:
    outcome = trip.outcome(CallStatus.SUCCEEDED, tried=tried)
    attempt, schema = tried.attempt, trip.request.output_schema
    usage = attempt.usage or Usage(source="estimated")
    if schema is None or outcome.calls:
        return outcome.model_copy(update={"usage": usage})
    data, problem = parse(tried.text, schema)
    error = failure(OutputInvalid(model=attempt.model, what="its schema", attempts=1, problem=problem)) if problem else None
    return outcome.model_copy(update={"usage": usage, "data": data, "error": error})


def _refusal(refused: Refused, target: Target, ask: Reserve) -> HishamosError:
    if refused.unpriced:
        hint = did_you_mean(target.model, target.provider.name, target.provider.kind)
        return UnpricedModel(model=target.reference, budget=refused.budget, hint=hint)
    scope_is_run = refused.budget.startswith("run:")
    raise_it = "Start it again with a larger budget_usd." if scope_is_run else f"Raise it: hishamos budget set {refused.budget} --limit USD"
    closed = "It was closed by a bill above its reservation. " if refused.closed else ""
    return _budget_refused(refused.budget, refused.scope, refused.period, refused.committed_nanos, refused.limit_nanos, ask, closed + raise_it)


def _out_of_time(full: Full, ask: Reserve, trip: Trip) -> HishamosError:
    waiting = f"Calls under way hold the rest; none ended within the route's deadline_s = {trip.plan.route.deadline_s:g}. Try again later."
    return _budget_refused(full.budget, full.scope, full.period, full.committed_nanos, full.limit_nanos, ask, waiting)


def _budget_refused(budget: str, scope: str, period: str, committed: int, limit: int, ask: Reserve, advice: str) -> BudgetRefused:
    return BudgetRefused(
        budget=budget,
        scope=scope,
        period=period,
        committed_usd=f"{usd(committed):f}",
        limit_usd=f"{usd(limit):f}",
        bound_usd=f"{usd(ask.bound_nanos or 0):f}",
        next=advice,
    )
