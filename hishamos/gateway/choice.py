"""Which of a route's models is asked first, and why: by order, by price, by speed, by value, by weight."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import timedelta

from hishamos.contracts.ledger import Ledger, Record
from hishamos.errors import InvalidInput
from hishamos.gateway.costs import cost, estimate
from hishamos.gateway.lengths import Length, counted_exactly, measure
from hishamos.gateway.models import input_limit, other_use, without_tools
from hishamos.gateway.prices import PriceBook
from hishamos.gateway.readable import file_tokens, unreadable
from hishamos.gateway.routes import Plan, Target
from hishamos.records.calls import ModelRequest, Usage
from hishamos.records.record import now, usd

OF_LATE = timedelta(hours=24)
REREAD_S = 10.0
LEAST = 3
"""From so many answers on, a model's record says something of it."""
RELIABLE = 0.9
Ranked = tuple[tuple[float, ...], str]


class Choice:
    """Puts a plan's targets in the order in which they are to be asked. Records are read from the ledger every ten seconds at most.

    ``larger``: returns the models that a plan's route names for prompts that are too long.
    """

    def __init__(self, prices: PriceBook, ledger: Ledger, larger: Callable[[Plan], tuple[Target, ...]]) -> None:
        self._prices, self._ledger, self._larger = prices, ledger, larger
        self._records: Mapping[str, Record] = {}
        self._read_at = -REREAD_S

    async def arrange(self, plan: Plan, request: ModelRequest, key: str) -> Plan:
        """Return the plan in order, with the reason; raises :class:`InvalidInput` when no model can take the request."""
        plan = _that_answer(plan)
        if request.tools:
            plan = _that_call_tools(plan)
        if request.files:
            plan = _that_read_files(plan, request)
        plan = await self._that_take_it(plan, request)
        how = plan.route.choose
        if how == "order" or len(plan.targets) < 2:
            return plan
        if how in ("fastest", "best value"):
            await self._reread()
        rank: Callable[[Target], Ranked] = {
            "cheapest": lambda target: self._by_price(plan, target, request),
            "fastest": self._by_speed,
            "best value": lambda target: self._by_value(plan, target, request),
            "weighted": lambda target: _by_weight(plan, target, key),
        }[how]
        places = {target.reference: place for place, target in enumerate(plan.targets)}
        ranked = sorted(((*rank(target), target) for target in plan.targets), key=lambda found: (found[0], places[found[2].reference]))
        words = ", ".join(f"{target.reference} {why}" for _, why, target in ranked[:3])
        return replace(plan, targets=tuple(target for _, _, target in ranked), reason=f"{how}: {words}")

    def _by_price(self, plan: Plan, target: Target, request: ModelRequest) -> Ranked:
        """The estimate for this very prompt, with an answer as long as it may be; what has no price comes last."""
        price = self._prices.price(target.reference)
        if price is None:
            return (1.0, 0.0), "unpriced"
        answer = request.max_output_tokens or plan.route.max_output_tokens
        files = file_tokens(request.files, target.provider.kind, target.model)
        nanos = cost(price, Usage(input=estimate(request, "", files).input, output=answer))
        return (0.0, float(nanos)), f"{usd(nanos):f} USD"

    def _by_speed(self, target: Target) -> Ranked:
        """The median of its answers' times; who has too few answers comes after those who have."""
        record = self._records.get(target.reference)
        if record is None or record.p50_ms is None or record.succeeded < LEAST:
            return (1.0, 0.0), "not measured"
        return (0.0, record.p50_ms), f"{record.p50_ms:.0f} ms"

    def _by_value(self, plan: Plan, target: Target, request: ModelRequest) -> Ranked:
        """The cheapest of those that answer nine times out of ten; who has too few answers counts as one of them."""
        record = self._records.get(target.reference)
        made = 0 if record is None else record.succeeded + record.failed
        share = 1.0 if record is None or made < LEAST else record.succeeded / made
        (unpriced, nanos), words = self._by_price(plan, target, request)
        return (0.0 if share >= RELIABLE else 1.0, unpriced, nanos), words if share >= RELIABLE else f"{words}, answers {share:.0%}"

    async def _that_take_it(self, plan: Plan, request: ModelRequest) -> Plan:
        """Leave out the models whose longest input is certainly shorter than the prompt; if none is left, take the larger ones that are not."""
        taken, passed = await _long_enough(plan.targets, request)
        if taken:
            return replace(plan, targets=taken, passed_over=(*plan.passed_over, *passed.values()))
        taken, further = await _long_enough(tuple(target for target in self._larger(plan) if suits(target, request)), request)
        if taken:
            route = plan.route.model_copy(update={"choose": "order", "on_context_overflow": ()})  # this chain has been taken
            return Plan(route, taken, "on_context_overflow", (*plan.passed_over, *passed.values(), *further.values()))
        raise InvalidInput(
            what="the prompt is longer than every model takes",
            where=f"route {plan.route.name}: {'; '.join((passed | further).values())}",
            next="Shorten the input, or give the route a model with a longer context or on_context_overflow. Nothing was sent.",
        )

    async def _reread(self) -> None:
        if time.monotonic() - self._read_at >= REREAD_S:
            self._read_at = time.monotonic()
            self._records = await asyncio.get_running_loop().run_in_executor(None, self._ledger.records, now() - OF_LATE)


def _by_weight(plan: Plan, target: Target, key: str) -> Ranked:
    """A draw by weights that is the same for the same key: a call that is entered again asks the same model."""
    weight = plan.route.weights.get(target.reference, 1.0)
    digest = hashlib.sha256(f"{key}\n{target.reference}".encode()).digest()
    draw = (int.from_bytes(digest[:8], "big") + 1) / (2**64 + 1)
    # Efraimidis and Spirakis 2006: sorted by u^(1/w), each comes first as often as its share of the weights.
    return (-(draw ** (1 / weight)) if weight > 0 else 1.0,), f"weight {weight:g}"


def _that_answer(plan: Plan) -> Plan:
    """Leave out the models that are made for something else. A schema is no reason: where a model has no native mode it is asked for in words."""
    uses = {target.reference: use for target in plan.targets if (use := other_use(target.model, target.provider)) is not None}
    passed = tuple(f"{reference} is made for {use}" for reference, use in uses.items())
    if len(uses) < len(plan.targets):
        return replace(plan, targets=tuple(target for target in plan.targets if target.reference not in uses), passed_over=(*plan.passed_over, *passed))
    advice = "Name a model that answers questions. Nothing was sent."
    raise InvalidInput(what="no model here answers questions", where=f"route {plan.route.name}: {'; '.join(passed)}", next=advice)


def _that_call_tools(plan: Plan) -> Plan:
    """Leave out the models that certainly can't use tools."""
    unable = {target.reference: why for target in plan.targets if (why := without_tools(target.model, target.provider)) is not None}
    passed = tuple(f"{reference} {why}" for reference, why in unable.items())
    if len(unable) < len(plan.targets):
        return replace(plan, targets=tuple(target for target in plan.targets if target.reference not in unable), passed_over=(*plan.passed_over, *passed))
    advice = "Name a model that uses tools, or leave the tools out. Nothing was sent."
    raise InvalidInput(what="no model here can use tools", where=f"route {plan.route.name}: {'; '.join(passed)}", next=advice)


def _that_read_files(plan: Plan, request: ModelRequest) -> Plan:
    """Leave out the models that certainly can't be given the request's images and PDFs."""
    unable = {target.reference: why for target in plan.targets if (why := unreadable(request.files, target.model, target.provider)) is not None}
    passed = tuple(f"{reference} {why}" for reference, why in unable.items())
    if len(unable) < len(plan.targets):
        return replace(plan, targets=tuple(target for target in plan.targets if target.reference not in unable), passed_over=(*plan.passed_over, *passed))
    advice = "Name a model that reads these files, or make them smaller. Nothing was sent."
    raise InvalidInput(what="no model here can be given these files", where=f"route {plan.route.name}: {'; '.join(passed)}", next=advice)


def suits(target: Target, request: ModelRequest) -> bool:
    """Return whether a model may be asked, its input's length aside: it answers questions, and uses tools and files where there are some."""
    if other_use(target.model, target.provider) is not None or unreadable(request.files, target.model, target.provider) is not None:
        return False
    return not (request.tools and without_tools(target.model, target.provider))


async def _long_enough(targets: tuple[Target, ...], request: ModelRequest) -> tuple[tuple[Target, ...], dict[str, str]]:
    """Return the targets that may take the prompt, and by reference why another one certainly does not.

    A token is a byte at least: nothing is counted where a prompt has fewer bytes than a model takes tokens.
    """
    texts = request.texts()
    size = sum(len(text.encode()) for text in texts)
    limits = {target: limit for target in targets if (limit := input_limit(target.model, target.provider)) is not None and limit < size}
    if not limits:
        return targets, {}
    exact = await asyncio.to_thread(lambda: {target for target in limits if counted_exactly(target.provider.kind, target.model)})

    def tokens(target: Target, length: Length) -> int:
        return length.exact if target in exact else length.least

    def certain(length: Length) -> bool:
        return all(tokens(target, length) > limit for target, limit in limits.items())

    length = await measure(texts, certain)
    passed = {
        target.reference: f"{target.reference} takes {limit:,} tokens, the prompt has at least {tokens(target, length):,}"
        for target, limit in limits.items()
        if tokens(target, length) > limit
    }
    return tuple(target for target in targets if target.reference not in passed), passed
