"""Attempts as the ledger's entries: what stands in one when it is sent, and what it came to, with usage and cost."""

from __future__ import annotations

import time
from typing import Any

from hishamos.contracts.ledger import BATCH, Reserve
from hishamos.errors import OutputInvalid
from hishamos.gateway import causes
from hishamos.gateway.adapters.plug import Fault
from hishamos.gateway.answers import parse
from hishamos.gateway.causes import Cause
from hishamos.gateway.costs import cost, estimate
from hishamos.gateway.received import Received
from hishamos.gateway.routes import Target
from hishamos.gateway.trips import Tried, Trip, failure
from hishamos.records.calls import Attempt, AttemptStatus, CallStatus, Outcome, Usage
from hishamos.records.record import now, timed_id
from hishamos.security import redact

ERROR_LENGTH = 2000
IN_JSON = {"issue", "notebook", "cell", "git_commit", "execution", "agent_version", "own"}
"""What a call belongs to that has no column in the ledger."""


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
        tags={**tags.model_dump(include=IN_JSON, exclude_defaults=True), **_chosen(trip)},
    )


def _chosen(trip: Trip) -> dict[str, Any]:
    """Return why this model is asked, why others of its route are not, and which files it is given."""
    passed_over = (*trip.plan.passed_over, *trip.passed_over.values())
    chosen = {} if trip.plan.reason is None else {"choice": trip.plan.reason}
    hidden = {} if trip.hidden is None else {"hidden": trip.hidden}
    mode = {"mode": BATCH} if trip.batch else {}
    files = {"files": [file.facts() for file in trip.files]} if trip.files else {}
    return {**chosen, **hidden, **mode, **files, **({"passed_over": "; ".join(passed_over)} if passed_over else {})}


def completed(
    trip: Trip, attempt: Attempt, target: Target, reading: Received, cause: Cause | None, fault: Fault | None, ask: Reserve, limit: int, started: float
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


def _status(reading: Received, cause: Cause | None) -> AttemptStatus:
    if cause is None:
        return AttemptStatus.SUCCEEDED
    if cause in (causes.CANCELLED, causes.UNSENT):
        return AttemptStatus.CANCELLED
    if cause is causes.CLOSING:
        return AttemptStatus.ORPHANED
    if cause in (causes.INCOMPLETE, causes.LENGTH) or (reading.begun and cause is not causes.CONTENT_POLICY):
        return AttemptStatus.INCOMPLETE
    return AttemptStatus.FAILED


def _bill(trip: Trip, reading: Received, cause: Cause | None, ask: Reserve, limit: int) -> tuple[Usage | None, int | None]:
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


def success(trip: Trip, tried: Tried) -> Outcome:
    """Return the outcome of a call that an attempt has ended; where a schema was asked for, with its data or why there is none."""
    outcome = trip.outcome(CallStatus.SUCCEEDED, tried=tried)
    attempt, schema = tried.attempt, trip.request.output_schema
    usage = attempt.usage or Usage(source="estimated")
    if schema is None or outcome.calls:
        return outcome.model_copy(update={"usage": usage})
    data, problem = parse(tried.text, schema)
    error = failure(OutputInvalid(model=attempt.model, what="its schema", attempts=1, problem=problem)) if problem else None
    return outcome.model_copy(update={"usage": usage, "data": data, "error": error})
