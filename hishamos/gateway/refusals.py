"""What a call is told that a budget refuses, or that waited for its room in vain."""

from __future__ import annotations

from hishamos.contracts.ledger import Full, Refused, Reserve
from hishamos.errors import BudgetRefused, HishamosError, UnpricedModel
from hishamos.gateway.models import did_you_mean
from hishamos.gateway.routes import Target
from hishamos.gateway.trips import Trip
from hishamos.records.record import usd


def refusal(refused: Refused, target: Target, ask: Reserve) -> HishamosError:
    """Return why a budget lets nothing through, and which line changes that."""
    if refused.unpriced:
        hint = did_you_mean(target.model, target.provider.name, target.provider.kind)
        return UnpricedModel(model=target.reference, budget=refused.budget, hint=hint)
    scope_is_run = refused.budget.startswith("run:")
    raise_it = "Start it again with a larger budget_usd." if scope_is_run else f"Raise it: hishamos budget set {refused.budget} --limit USD"
    closed = "It was closed by a bill above its reservation. " if refused.closed else ""
    return _budget_refused(refused.budget, refused.scope, refused.period, refused.committed_nanos, refused.limit_nanos, ask, closed + raise_it)


def out_of_time(full: Full, ask: Reserve, trip: Trip) -> HishamosError:
    """Return that the calls under way held the rest of a budget until the deadline."""
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
