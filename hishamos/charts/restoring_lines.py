"""What going back to a copy of the store means, in sentences; every face says the same."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from hishamos.charts.formats import clock, money, some
from hishamos.records.storage import Holdings, NamedRun, Restoration

NAMED = 5
THINGS = (("runs", "run"), ("attempts", "attempt"), ("results", "result"), ("issues", "issue"), ("messages", "message"))


def restoring_lines(told: Restoration) -> Iterator[str]:
    """Yield the sentences, one a line, the one about money first."""
    done = told.restored_at is not None
    if done:
        yield f"Restored from {told.file}."
    elif told.last_change_at:
        yield f"The copy's last change was on {clock(told.last_change_at)} UTC."
    else:
        yield "The copy is empty."
    if told.lost is None:
        yield "The present store can't be read, so what is lost can't be told."
    else:
        yield f"{'Lost' if done else 'Would be lost'}, from the ledger and its budgets too: {held(told.lost)}."
        if told.back != Holdings():
            yield f"{'Came' if done else 'Would come'} back: {held(told.back or Holdings())}."
    if told.goes_on:
        those = "It goes" if len(told.goes_on) == 1 else "They go"
        whose = some(len(told.goes_on), "run")
        yield f"The copy has {whose} that had not ended: {_names(told.goes_on)}. {those} on from there; what was asked since is asked and paid again."
    if not done and (told.at_work or told.open_calls):
        what = _names(told.at_work) if told.at_work else some(told.open_calls, "call")
        yield f"Being worked on now: {what}. Restoring waits for none of it: it is refused, or with force it stops them before their next call."
    yield f"The store before is kept: {told.kept}" if told.kept else "The store before is kept in backups/ beside it."


def held(holdings: Holdings) -> str:
    """Return what is lost or comes back: ``3 runs, 41 attempts, 0.12 USD``; ``nothing``."""
    parts = [some(number, thing) for name, thing in THINGS if (number := getattr(holdings, name))]
    if holdings.attempts or holdings.cost_nanos:
        parts.append(money(holdings.cost_nanos) + (f" + {holdings.unpriced} unpriced" if holdings.unpriced else ""))
    return ", ".join(parts) or "nothing"


def _names(runs: Sequence[NamedRun]) -> str:
    told = [f"{run.name} {run.id}" for run in runs[:NAMED]]
    return ", ".join([*told, f"{len(runs) - NAMED} more"] if len(runs) > NAMED else told)
