"""Rows that go to a provider in one piece: collected, planned, handed in once, asked for until they have ended, found again after a crash."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TYPE_CHECKING

from hishamos.contracts.batches import BatchBook, KeptBatch, WaitingRow
from hishamos.errors import HishamosError, InvalidInput
from hishamos.gateway.adapters.batch_plug import Batches, BatchRow, RowAnswer
from hishamos.gateway.adapters.plug import AdapterEvent, AdapterRequest, Fault, Finish, Text, Used
from hishamos.gateway.costs import cost
from hishamos.gateway.routes import Plan, Target
from hishamos.records.calls import Attempt, AttemptStatus, CallStatus, Outcome, Usage
from hishamos.records.record import new_id, now

if TYPE_CHECKING:
    from hishamos.gateway.adapters.registry import Adapters

log = logging.getLogger("hishamos.gateway")
QUIET_S = 1.0
"""A batch is handed in once no further row has come for so long."""
FIRST_POLL_S, LONGEST_POLL_S = 2.0, 60.0
SETTLING_S = 15.0
"""A request that was cut off may still arrive: so long nobody concludes that the provider has no such batch."""
EARLIER = timedelta(minutes=10)
"""By how much a provider's clock may be behind."""
UNCLAIMED_S = 30.0
"""So long an answer for which nobody waits is left to whoever comes for it."""
LIMIT_S = 26 * 3600.0
"""A provider ends a batch within a day; a row waits for its answer so long at most."""
MOST_ROWS = 10_000
"""Of one batch, whatever the provider takes: its plan is one commit."""


@dataclass(eq=False)
class _Batch:
    """One batch of this process. ``collecting``: the rows until they are handed in."""

    target: Target
    kept: KeptBatch | None = None
    collecting: dict[str, bytes] = field(default_factory=dict)
    size: int = 0
    touched: float = 0.0
    answers: dict[str, asyncio.Future[RowAnswer]] = field(default_factory=dict)
    """By attempt: of those for which somebody waits, and of those whose answer has come."""
    full: asyncio.Event = field(default_factory=asyncio.Event)
    cancelled: bool = False
    task: asyncio.Task[None] | None = None

    @property
    def waited_for(self) -> bool:
        return any(not answer.done() for answer in self.answers.values())


class BatchDesk:
    """Lives on the gateway's loop. ``target``: a model by its reference, ready to be called; raises where it is not."""

    def __init__(self, book: BatchBook, adapters: Adapters, target: Callable[[str], Target], owner: Callable[[], str]) -> None:
        self._book, self._adapters, self._target, self._owner = book, adapters, target, owner
        self._endpoints: dict[Target, Batches] = {}
        self._collecting: dict[str, _Batch] = {}
        self._open: dict[str, _Batch] = {}
        """By our id."""
        self._rows: dict[str, _Batch] = {}
        """By attempt."""
        self._taking = asyncio.Lock()

    @property
    def open_batches(self) -> int:
        """How many batches are under way."""
        return len(self._open) + len(self._collecting)

    async def take_over(self) -> None:
        """Go on with the batches that a process left open."""
        async with self._taking:
            for kept in await asyncio.wrap_future(self._book.take(self._owner())):
                if kept.id not in self._open:
                    await self._adopt(kept)

    async def events(self, attempt: str, ask: AdapterRequest | None, target: Target) -> AsyncGenerator[AdapterEvent]:
        """Give the events of a row's answer once its batch has ended; raises :class:`Fault`. ``ask``: None for one that was handed in before."""
        if attempt not in self._rows:
            if ask is None:
                await self.take_over()
            else:
                await self._add(attempt, ask, target)
        batch = self._rows.get(attempt)
        if batch is None:
            raise Fault("the batch is not known any more", status=503)
        answer = await asyncio.shield(batch.answers[attempt])
        if answer.fault is not None:
            raise answer.fault
        for event in answer.events:
            yield event

    def drop(self, attempt: str) -> bool:
        """Nobody waits for a row any more; returns whether it may have been sent. A batch that nobody waits for is cancelled at its provider."""
        batch = self._rows.pop(attempt, None)
        if batch is None:
            return True
        batch.answers.pop(attempt, None)
        if batch.kept is None:
            batch.size -= len(batch.collecting.pop(attempt, b""))
            return False
        if not batch.waited_for:
            batch.cancelled = True
        return True

    async def close(self) -> None:
        """Leave what is under way to the next process."""
        tasks = [batch.task for batch in (*self._collecting.values(), *self._open.values()) if batch.task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for endpoint in self._endpoints.values():
            await endpoint.close()

    async def _add(self, attempt: str, ask: AdapterRequest, target: Target) -> None:
        endpoint = await self._endpoint(target)
        written = await asyncio.to_thread(endpoint.write, BatchRow(attempt, ask))
        batch = self._collecting.get(target.reference)
        limit = endpoint.limits
        full = batch is not None and (len(batch.collecting) >= min(limit.rows, MOST_ROWS) or batch.size + len(written) > limit.bytes * 0.95)
        if batch is not None and full:
            self._collecting.pop(target.reference).full.set()
            batch = None
        loop = asyncio.get_running_loop()
        if batch is None:
            batch = self._collecting[target.reference] = _Batch(target)
            batch.task = loop.create_task(self._run(batch))
        batch.collecting[attempt], batch.size, batch.touched = written, batch.size + len(written), loop.time()
        batch.answers[attempt] = loop.create_future()
        self._rows[attempt] = batch

    async def _adopt(self, kept: KeptBatch) -> None:
        loop = asyncio.get_running_loop()
        try:
            target = self._target(kept.model)
        except HishamosError:
            log.warning("batch %s of %s waits for its provider's configuration", kept.id, kept.model)
            target = Target(kept.model, None, kept.model.partition("/")[2], None)  # type: ignore[arg-type]  # looked for again when it is asked
        batch = self._open[kept.id] = _Batch(target, kept)
        for row in await asyncio.to_thread(self._book.waiting, kept.id):
            batch.answers[row.attempt.id] = loop.create_future()
            self._rows[row.attempt.id] = batch
        batch.task = loop.create_task(self._run(batch))

    async def _run(self, batch: _Batch) -> None:
        """A batch from its first row to its end."""
        try:
            if batch.kept is None and not await self._hand_in(batch):
                return
            await self._follow(batch)
        except asyncio.CancelledError:
            raise
        except Exception:
            log.exception("a batch of %s could not be handed in", batch.target.reference)
            self._fail(batch, Fault("the batch could not be planned, nothing was sent", status=503))
        finally:
            if self._collecting.get(batch.target.reference) is batch:
                del self._collecting[batch.target.reference]
            if batch.kept is not None:
                self._open.pop(batch.kept.id, None)

    async def _hand_in(self, batch: _Batch) -> bool:
        """Wait until it is full or quiet, write its plan, send it; returns whether there is something to follow."""
        loop = asyncio.get_running_loop()
        while self._collecting.get(batch.target.reference) is batch and (left := batch.touched + QUIET_S - loop.time()) > 0:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(batch.full.wait(), left)
        if self._collecting.get(batch.target.reference) is batch:
            del self._collecting[batch.target.reference]
        if not batch.collecting:
            return False
        rows = dict(batch.collecting)
        batch.kept = KeptBatch(new_id(), batch.target.reference, len(rows), now(), self._owner())
        self._open[batch.kept.id] = batch
        await asyncio.wrap_future(self._book.plan(batch.kept, list(rows)))
        batch.collecting = {}
        endpoint = await self._endpoint(batch.target)
        try:
            remote = await endpoint.submit(batch.kept.id, list(rows.values()))
        except Fault as fault:
            if fault.transport in ("refused", "name") or (fault.status is not None and fault.status < 500):
                await self._never_sent(batch, fault)
                return False
            return True  # whether the provider has it is found out
        await self._made(batch, remote)
        return True

    async def _follow(self, batch: _Batch) -> None:
        assert batch.kept is not None
        pause = FIRST_POLL_S
        while True:
            try:
                endpoint = await self._endpoint(batch.target)
            except (HishamosError, Fault):
                await asyncio.sleep(LONGEST_POLL_S)
                batch.target = self._again(batch)
                continue
            try:
                if batch.kept.remote_id is None and not await self._find(batch, endpoint):
                    return
                if await self._ended(batch, endpoint):
                    return
            except Fault as fault:
                if fault.status == 404:
                    await self._gone(batch)
                    return
                log.warning("batch %s: %s", batch.kept.id, fault)
                batch.target = self._again(batch)
            except Exception:  # the store, or an answer that nobody expected
                log.exception("batch %s could not be asked for", batch.kept.id)
            await asyncio.sleep(pause)
            pause = min(pause * 1.5, LONGEST_POLL_S)

    def _again(self, batch: _Batch) -> Target:
        try:
            return self._target(batch.target.reference)
        except HishamosError:
            return batch.target

    async def _find(self, batch: _Batch, endpoint: Batches) -> bool:
        """Find out whether the provider has a batch whose id was never written; False if it has not, which ends it."""
        assert batch.kept is not None
        kept = batch.kept
        known = {other.kept.remote_id for other in self._open.values() if other.kept is not None}
        pending = False
        async for state in endpoint.find(kept.id, kept.made_at - EARLIER, kept.rows):
            if state.id in known:
                continue
            if endpoint.names_are_kept or await self._is_ours(batch, endpoint, state.id, ended=state.ended):
                await self._made(batch, state.id)
                return True
            pending = pending or not state.ended
        if pending or now() < kept.made_at + timedelta(seconds=SETTLING_S):
            raise Fault("it is not known yet whether the provider has it", status=503)
        await self._never_sent(batch, Fault("the batch did not reach the provider", status=503))
        return False

    async def _is_ours(self, batch: _Batch, endpoint: Batches, remote: str, *, ended: bool) -> bool:
        if not ended:
            return False
        async for answer in endpoint.answers(remote):
            if answer.name in batch.answers:
                return True
        return False

    async def _ended(self, batch: _Batch, endpoint: Batches) -> bool:
        """Take the answers of a batch that has ended; returns whether all is settled."""
        assert batch.kept is not None
        assert batch.kept.remote_id is not None
        if batch.cancelled:
            batch.cancelled = False
            await endpoint.cancel(batch.kept.remote_id)
        state = await endpoint.state(batch.kept.remote_id)
        if not state.ended:
            return False
        if state.problem is None:
            async for answer in endpoint.answers(batch.kept.remote_id):
                self._answered(batch, answer)
        rest = Fault(state.problem, status=400) if state.problem else Fault("the provider gave no answer to this row", code="expired", status=503)
        for attempt, waiting in list(batch.answers.items()):
            if not waiting.done():
                waiting.set_result(RowAnswer(attempt, "failed", fault=rest))
        await self._settle(batch)
        return True

    async def _settle(self, batch: _Batch) -> None:
        """Wait until every row is settled by who waits for it; settle those for which nobody comes; close the batch."""
        assert batch.kept is not None
        loop = asyncio.get_running_loop()
        until = loop.time() + UNCLAIMED_S
        while not await asyncio.wrap_future(self._book.end(batch.kept.id)):
            await asyncio.sleep(0.2)
            if loop.time() < until:
                continue
            for row in await asyncio.to_thread(self._book.waiting, batch.kept.id):
                answer = batch.answers.get(row.attempt.id)
                if answer is not None and answer.done():
                    settled, outcome = _unclaimed(row, answer.result())
                    await asyncio.wrap_future(self._book.settle(row, settled, outcome))
        for name in batch.answers:
            self._rows.pop(name, None)

    @staticmethod
    def _answered(batch: _Batch, answer: RowAnswer) -> None:
        waiting = batch.answers.get(answer.name)
        if waiting is not None and not waiting.done():
            told = answer
            if answer.fault is None and answer.end != "answered":
                told = RowAnswer(answer.name, answer.end, fault=Fault(f"the row was {answer.end}", code=answer.end, status=503))
            waiting.set_result(told)

    async def _made(self, batch: _Batch, remote: str) -> None:
        assert batch.kept is not None
        await asyncio.wrap_future(self._book.made(batch.kept.id, remote))
        batch.kept = replace(batch.kept, remote_id=remote)

    async def _never_sent(self, batch: _Batch, fault: Fault) -> None:
        assert batch.kept is not None
        await asyncio.wrap_future(self._book.unsent(batch.kept.id))
        self._fail(batch, fault)

    async def _gone(self, batch: _Batch) -> None:
        assert batch.kept is not None
        self._fail(batch, Fault("the provider does not know the batch any more; it may have billed it", transport="disconnected"))
        await self._settle(batch)

    def _fail(self, batch: _Batch, fault: Fault) -> None:
        for attempt, waiting in batch.answers.items():
            if not waiting.done():
                waiting.set_result(RowAnswer(attempt, "failed", fault=fault))
        for attempt in batch.answers:
            self._rows.pop(attempt, None)

    async def _endpoint(self, target: Target) -> Batches:
        if target.provider is None:
            raise Fault("the provider is not configured", status=401)
        await self._adapters.ready(target.provider.kind)
        if target not in self._endpoints:
            found = self._adapters.batches(target.provider, target.api_key)
            if found is None:
                raise Fault(f"{target.provider.name} has no batches", status=400)
            self._endpoints[target] = found
        return self._endpoints[target]


def in_batches(plan: Plan, adapters: Adapters) -> Plan:
    """Return the plan of a row that goes in a batch: the models whose provider takes batches, one try, a day's time."""
    able = tuple(target for target in plan.targets if adapters.takes_batches(target.provider.kind))
    passed = tuple(f"{target.reference} has no batches" for target in plan.targets if target not in able)
    if not able:
        following = "Name a model of OpenAI or Anthropic, or leave mode out. Nothing was sent."
        raise InvalidInput(what="no model here takes batches", where=f"route {plan.route.name}: {'; '.join(passed)}", next=following)
    route = plan.route.model_copy(update={"attempts": 1, "deadline_s": LIMIT_S})
    return replace(plan, route=route, targets=able, passed_over=(*plan.passed_over, *passed))


def _unclaimed(row: WaitingRow, answer: RowAnswer) -> tuple[Attempt, Outcome | None]:
    """Return a row's attempt and outcome for whoever asks for it later."""
    facts: dict[str, object] = {"finished_at": now(), "status": AttemptStatus.FAILED, "cost_nanos": 0, "cause": answer.end}
    outcome = None
    finish = next((event.reason for event in answer.events if isinstance(event, Finish)), None)
    if answer.fault is None:
        usage = next((event.usage for event in reversed(answer.events) if isinstance(event, Used)), None) or Usage(source="estimated")
        text = "".join(event.text for event in answer.events if isinstance(event, Text))
        spent = None if row.reserve.price is None else cost(row.reserve.price, usage)
        facts |= {f"{kind}_tokens": getattr(usage, kind) for kind in ("input", "cached", "cache_write", "output", "reasoning")}
        facts |= {"status": AttemptStatus.SUCCEEDED, "cause": None, "cost_nanos": spent, "usage_source": usage.source}
        attempt = row.attempt
        if finish != "stop":
            facts |= {"status": AttemptStatus.INCOMPLETE, "cause": finish or "incomplete"}
        else:
            told = {"text": text, "model": attempt.model, "usage": usage, "cost_nanos": spent}
            outcome = Outcome(call_id=attempt.call_id, key=attempt.idempotency_key, status=CallStatus.SUCCEEDED, **told)
    return row.attempt.model_copy(update=facts), outcome
