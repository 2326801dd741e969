"""What going back to a copy of the store, and letting go of old runs, means, in sentences; every face says the same."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from hishamos.charts.formats import clock, money, size_words, some
from hishamos.records.storage import Holdings, NamedRun, Pruning, Restoration

NAMED = 5
WORTH = 16 * 10**6
"""So much has to be free, bytes, for the way back to the disk to be told: a small store is hardly smaller after it."""
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


def pruning_lines(told: Pruning) -> Iterator[str]:
    """Yield the sentences, one a line: what goes, what stays though it is as old, what stays for good, and where the room is."""
    done = told.pruned_at is not None
    parts = [some(told.runs, "run"), *([some(told.conversations, "conversation")] if told.conversations else [])]
    if not (told.runs or told.conversations):
        yield f"Nothing {'went' if done else 'would go'}: no run that may go ended before {clock(told.before)} UTC."
    else:
        more = f"{some(told.steps, 'step')}, {some(told.events, 'event')}, about {size_words(told.size_bytes)}"
        files = f"; {some(told.files, 'file')}, {size_words(told.file_bytes)}" if told.files else ""
        yield f"{'Went' if done else 'Would go'}: {' and '.join(parts)} that ended before {clock(told.before)} UTC ({more}{files})."
    if told.held:
        yield f"As old, but kept, for its parent or child is younger or has not ended: {some(told.held, 'run')}."
    if told.originals:
        yield f"Forked or repeated by runs that stay, which can't be compared with them any more: {some(told.originals, 'run')}."
    if told.runs:
        yield "Ledger, audit, budgets, results and every paid answer stay; a batch of notebooks or a workflow that is started again pays anew."
    if told.free_bytes is not None:
        back = " A backup that is restored gives it back to the disk." if told.free_bytes >= WORTH else ""
        yield f"Free inside the store's file: {size_words(told.free_bytes)}, used again before it grows.{back}"


def held(holdings: Holdings) -> str:
    """Return what is lost or comes back: ``3 runs, 41 attempts, 0.12 USD``; ``nothing``."""
    parts = [some(number, thing) for name, thing in THINGS if (number := getattr(holdings, name))]
    if holdings.attempts or holdings.cost_nanos:
        parts.append(money(holdings.cost_nanos) + (f" + {holdings.unpriced} unpriced" if holdings.unpriced else ""))
    return ", ".join(parts) or "nothing"


def _names(runs: Sequence[NamedRun]) -> str:
    told = [f"{run.name} {run.id}" for run in runs[:NAMED]]
    return ", ".join([*told, f"{len(runs) - NAMED} more"] if len(runs) > NAMED else told)
