"""The gateway: a synchronous, thread-safe face over one event loop in a thread of its own."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import replace

from hishamos.contracts.batches import BatchBook
from hishamos.contracts.ledger import Cache, CallIntent, Ledger
from hishamos.contracts.models import PendingCall
from hishamos.errors import HishamosError, KeyReused, ServerClosing, StoreClosed, StoreError
from hishamos.gateway import routes
from hishamos.gateway.adapters.plug import AdapterFactory
from hishamos.gateway.adapters.registry import Adapters
from hishamos.gateway.answers import check_schema
from hishamos.gateway.batching import BatchDesk, in_batches
from hishamos.gateway.cache import Cached
from hishamos.gateway.call_settings import begin_call, once_a_breath
from hishamos.gateway.choice import Choice, suits
from hishamos.gateway.circuit import Breaker, Circuits
from hishamos.gateway.handed_in import with_texts
from hishamos.gateway.ladder import Fallback, Limits, Retry
from hishamos.gateway.meter import Meter
from hishamos.gateway.models import input_limit
from hishamos.gateway.patience import answered
from hishamos.gateway.pending import SharedCall, all_over
from hishamos.gateway.prices import PriceBook
from hishamos.gateway.probing import ollama_nearby, probe
from hishamos.gateway.readiness import statuses
from hishamos.gateway.routes import Plan, Target
from hishamos.gateway.shared_circuits import SharedCircuits
from hishamos.gateway.shared_limits import SharedStanding
from hishamos.gateway.shared_state import SharedState
from hishamos.gateway.standing import Standing
from hishamos.gateway.tool_calls import check_tools
from hishamos.gateway.trips import Trip
from hishamos.gateway.warming import Warming
from hishamos.records.calls import ModelRequest, Outcome, Tags
from hishamos.records.configuration import LimitSettings, Settings
from hishamos.records.record import content_hash, timed_id
from hishamos.records.workspaces import Finding, ProviderStatus

log = logging.getLogger(__name__)
BEAT_S = 2.0
GRACE_S = 5.0


class Gateway:
    """How models are called (:class:`hishamos.contracts.models.ModelGateway`).

    ``ledger``: where calls and money are kept; ``settings``: the configuration in force; ``keys``: resolves a key's reference
    (``env:NAME``); ``owner``: this process, a name that no other process ever has; ``adapters``: further kinds of providers;
    ``cache``: where answers that may be given again are looked for; ``shared``: where limits and circuits are kept with other processes.
    """

    def __init__(
        self,
        ledger: Ledger,
        settings: Callable[[], Settings],
        keys: Callable[[str], str | None],
        owner: str,
        adapters: dict[str, AdapterFactory] | None = None,
        cache: Cache | None = None,
        shared: SharedState | None = None,
        *,
        batches: BatchBook,
    ) -> None:
        settings = once_a_breath(settings)
        self._ledger, self._settings, self._keys, self.owner = ledger, settings, keys, owner
        self.prices = PriceBook(settings)
        self._shared = shared
        self.standing = Standing() if shared is None else SharedStanding(shared)
        self.circuits = Circuits() if shared is None else SharedCircuits(shared)
        self._choice = Choice(self.prices, ledger, self._larger)
        self._adapters = Adapters(adapters)
        self._calls: dict[str, SharedCall] = {}
        self._trips: dict[SharedCall, Trip] = {}
        self._lock = threading.Lock()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="hishamos-gateway", daemon=True)
        self._closing = False
        self._serving: set[asyncio.Task[None]] = set()
        self._beating: Future[None] | None = None
        self._warming = Warming(settings, keys, self._adapters)
        self._desk = BatchDesk(batches, self._adapters, self._resolved, lambda: self.owner)
        meter = Meter(ledger, self.prices, self._adapters, self._desk)
        limited = Limits(Breaker(meter, self.circuits), self.standing, self._limits)
        ladder = Fallback(Retry(limited), meter, self.standing, self.circuits, self._chain)
        self._ladder = ladder if cache is None else Cached(ladder, cache, ledger)

    def start(self) -> None:
        """Start the loop, take over what a dead process left, make the store's budgets those of the configuration."""
        self._thread.start()
        if self._ledger.shared:
            self._ledger.beat(self.owner).result()
            self._beating = asyncio.run_coroutine_threadsafe(self._beat(), self._loop)
        self._ledger.recover(self.owner).result()
        asyncio.run_coroutine_threadsafe(self._desk.take_over(), self._loop).result()
        self._ledger.sync_budgets(self._settings().budgets).result()

    def reconfigure(self, settings: Settings) -> None:
        """Take over the configuration's budgets, warm up for what it adds; to be called with the new settings whenever they were read again."""
        self._ledger.sync_budgets(settings.budgets)
        self._warming.again()

    def warm(self, then: Callable[[], None] = lambda: None) -> None:
        """Import in the background what the providers that can be asked need, now and when there are new ones, ``then`` call. Answers at once."""
        self._warming.start(then)

    def submit(
        self,
        request: ModelRequest,
        *,
        key: str,
        tags: Tags,
        run_budget_nanos: int | None = None,
        stream: bool = False,
        fresh: bool = False,
        batch: bool = False,
    ) -> PendingCall:
        """See the contract."""
        request_hash = content_hash(request.identity())
        while True:
            with self._lock:
                if self._closing:
                    raise ServerClosing
                call = self._calls.get(key)
                if call is None:
                    call = self._calls[key] = SharedCall(key, request_hash, self._cancel)
                    handle = call.join()
                    break
            if call.request_hash != request_hash:
                raise KeyReused(key=key)
            handle = call.join()
            if handle is not None:
                return handle
        intent = CallIntent(timed_id(), key, request_hash, request.target, self.owner, fresh=fresh, run_budget_nanos=run_budget_nanos)
        self._loop.call_soon_threadsafe(self._begin, call, intent, request, tags, stream, batch)
        if handle is None:
            raise RuntimeError("a new call can't have ended")
        return handle

    def settled(self, key: str) -> Future[None]:
        """See the contract."""
        with self._lock:
            return all_over([call for name, call in self._calls.items() if name == key or name.startswith(f"{key}/")])

    def check(self, target: str) -> None:
        """See the contract."""
        routes.plan(target, self._settings(), self._keys)

    def room(self, target: str) -> int | None:
        """Return the fewest input tokens that any model of ``target`` takes; None where nobody says. Raises as :meth:`check`."""
        found = routes.plan(target, self._settings(), self._keys).targets
        return min((limit for one in found if (limit := input_limit(one.model, one.provider)) is not None), default=None)

    def candidates(self, target: str) -> tuple[list[str], int]:
        """Return the model that a target asks first, or all among which it chooses, and the output limit of its route, tokens."""
        plan = routes.plan(target, self._settings(), self._keys)
        names = [one.reference for one in plan.targets]
        return names if plan.route.choose != "order" else names[:1], plan.route.max_output_tokens

    def targets(self) -> Sequence[str]:
        """See the contract."""
        return routes.names(self._settings(), self._keys)

    def providers(self) -> list[ProviderStatus]:
        """Return the providers with their state; asks nobody but servers on this machine."""
        return statuses(self._settings(), self._keys, self.standing, self.circuits, self._adapters.problem)

    def reach(self) -> list[Finding]:
        """Ask every provider that seems ready for the list of its models, for nothing, and return what came of it; takes five seconds at most."""
        settings = self._settings()
        seeming = {status.name: status for status in self.providers() if status.state in ("ready", "failing")}
        found = probe(
            [
                (provider, self._keys(provider.api_key) if provider.api_key else None, [model.partition("/")[2] for model in seeming[provider.name].models])
                for provider in settings.providers.values()
                if provider.name in seeming
            ]
        )
        nearby = None if any(provider.kind == "ollama" for provider in settings.providers.values()) else ollama_nearby()
        return found if nearby is None else [*found, nearby]

    @property
    def open_calls(self) -> int:
        """How many calls are under way in this process, and how many batches for which nobody waits yet."""
        return len(self._calls) or self._desk.open_batches

    def close(self, grace_s: float = GRACE_S) -> None:
        """Refuse new calls, give those under way ``grace_s`` seconds, leave the rest to the next process as orphans."""
        with self._lock:
            if self._closing:
                return
            self._closing = True
        self._warming.stop()
        try:
            if self._thread.is_alive():
                asyncio.run_coroutine_threadsafe(self._drain(grace_s), self._loop).result()
        finally:
            if self._thread.is_alive():
                self._loop.call_soon_threadsafe(self._loop.stop)
                self._thread.join()
            self._loop.close()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()

    def _begin(self, call: SharedCall, intent: CallIntent, request: ModelRequest, tags: Tags, stream: bool, batch: bool) -> None:
        task = self._loop.create_task(self._serve(call, intent, request, tags, stream, batch))
        self._serving.add(task)
        task.add_done_callback(self._serving.discard)

    async def _serve(self, call: SharedCall, intent: CallIntent, request: ModelRequest, tags: Tags, stream: bool, batch: bool) -> None:
        outcome: Outcome | None = None
        error: BaseException | None = None
        begin_call()
        try:
            outcome = await self._answer(call, intent, request, tags, stream, batch)
        except Exception as caught:  # noqa: BLE001 - it is handed to the callers
            error = caught
        finally:
            with self._lock:
                if self._calls.get(call.key) is call:
                    del self._calls[call.key]
            self._trips.pop(call, None)
            call.end(outcome, error)

    async def _answer(self, call: SharedCall, intent: CallIntent, request: ModelRequest, tags: Tags, stream: bool, batch: bool) -> Outcome:
        began = self._loop.time()
        files = request.files
        try:
            request = await with_texts(request) if files else request
            plan = await self._plan(request, call.key)
            if batch:
                plan = in_batches(plan, self._adapters)
        except HishamosError:  # of no weight where the call has ended before
            stored = await answered(self._ledger.find(call.key, call.request_hash))
            if stored is None:
                raise
            return stored
        trip = Trip(
            intent=replace(intent, orphans=plan.route.orphans),
            request=request,
            tags=tags,
            plan=plan,
            stream=stream,
            publish=call.publish,
            deadline=began + plan.route.deadline_s,
            files=files,
            batch=batch,
        )
        self._trips[call] = trip
        if call.cancelled:
            trip.interrupt()
        return await self._ladder.answer(trip)

    async def _plan(self, request: ModelRequest, key: str) -> Plan:
        plan = routes.plan(request.target, self._settings(), self._keys)
        if request.output_schema is not None:
            check_schema(request.output_schema)
        if request.tools:
            check_tools(request.tools)
        return await self._choice.arrange(plan, request, key)

    def _limits(self, model: str) -> LimitSettings | None:
        return self._settings().limits.get(model)

    def _chain(self, trip: Trip, models: tuple[str, ...]) -> tuple[Target, ...]:
        found = routes.usable(models, self._settings(), self._keys, trip.intent.target)[0]
        return tuple(target for target in found if suits(target, trip.request)) if trip.request.tools or trip.request.files else found

    def _resolved(self, reference: str) -> Target:
        return routes.resolve(reference, self._settings(), self._keys, reference)

    def _larger(self, plan: Plan) -> tuple[Target, ...]:
        return routes.usable(plan.route.on_context_overflow, self._settings(), self._keys, plan.route.name)[0]

    def _cancel(self, call: SharedCall) -> None:
        self._loop.call_soon_threadsafe(self._interrupt, call)

    def _interrupt(self, call: SharedCall) -> None:
        if not call.deserted:
            return  # somebody joined meanwhile
        call.cancelled = True
        trip = self._trips.get(call)
        if trip is not None:
            trip.interrupt()

    async def _drain(self, grace_s: float) -> None:
        if self._serving:
            await asyncio.wait(self._serving, timeout=grace_s)
        for trip in list(self._trips.values()):
            trip.interrupt(closing=True)
        if self._serving:
            await asyncio.wait(self._serving, timeout=GRACE_S)
        await self._desk.close()
        await self._adapters.close()
        if self._shared is not None:
            await self._shared.close()
        if self._ledger.shared:
            await answered(self._ledger.leave(self.owner))
        rest = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]  # litellm's own among them
        for task in rest:
            task.cancel()
        await asyncio.gather(*rest, return_exceptions=True)
        await self._loop.shutdown_asyncgens()

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(BEAT_S)
            try:
                await answered(self._ledger.beat(self.owner))
            except StoreClosed:
                raise
            except StoreError:  # a store that is away for a while: who does not go on is taken for dead for good
                log.exception("the store did not hear that %s lives", self.owner)
