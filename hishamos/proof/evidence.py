"""From what was seen to a promise kept or broken: the provider's book on one side, the ledger on the other."""

from __future__ import annotations

import collections
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hishamos.proof.provider import Entry
from hishamos.records.calls import Attempt, AttemptStatus
from hishamos.records.money import BalanceCheck
from hishamos.records.proofs import Promise
from hishamos.records.record import NANOS_PER_USD

if TYPE_CHECKING:
    import pandas

STEADY, DEAR, CUTTING, UNLISTED = "book/steady", "book/dear", "book/cutting", "book/unlisted"
ROW = "row "
"""How the questions of the killed map begin."""


@dataclass(frozen=True)
class Map:
    """The map whose client and then whose server were killed."""

    run: str
    rows: int
    state: str
    finished_before: Mapping[str, int | None]
    """Attempts that had succeeded before the server was killed, with their costs."""
    finished_after: Mapping[str, int | None]
    """Those that the next server found."""
    back_s: float
    sent_by_the_same_again: int
    ends_of_the_same_again: Mapping[str, int]


@dataclass(frozen=True)
class Crowd:
    """Several processes that asked for more than a budget holds."""

    calls: int
    answers: Sequence[Mapping[str, Any]]
    """What each process said: how its rows ended, how often it asked, how often it was locked out."""
    limit_nanos: int
    highest_nanos: int
    """The most that was committed and reserved together, whenever somebody looked."""
    looked: int
    committed_nanos: int
    reserved_nanos: int

    def ends(self) -> collections.Counter[str]:
        """Return how all rows ended."""
        return sum((collections.Counter(answer["ends"]) for answer in self.answers), collections.Counter())


@dataclass(frozen=True)
class Cut:
    """An answer that was cut off: alone, and where another model stood behind it."""

    alone: str
    status: str
    served_by: str | None
    whole: bool
    """Whether the text was told whole and once."""


@dataclass(frozen=True)
class Offline:
    """The offline model, asked by name, and where nobody answered."""

    labelled: bool
    cost_nanos: int | None
    answered_unasked: bool


def never_twice(seen: Map, book: Sequence[Entry], attempts: Sequence[Attempt]) -> Promise:
    """Every request that was billed beyond the first for one row has an orphan of its own; the same map again sends nothing."""
    received = collections.Counter(entry.asked for entry in book if entry.asked.startswith(ROW))
    ours = [attempt for attempt in attempts if attempt.model == STEADY and attempt.run_id == seen.run]
    answered = {attempt.idempotency_key: attempt for attempt in ours if attempt.status is AttemptStatus.SUCCEEDED}
    orphans = collections.Counter(attempt.idempotency_key for attempt in ours if attempt.status is AttemptStatus.ORPHANED)
    of_row = {f"{ROW}{(attempt.output_tokens or 0) - 100}": orphans[key] for key, attempt in answered.items()}
    again = sum(count - 1 for count in received.values())
    twice = sum(max(0, count - 1 - of_row.get(row, 0)) for row, count in received.items())
    lost = seen.rows - len(answered)
    evidence = (
        f"rows {seen.rows}, book {sum(received.values())}, ledger {len(ours)}, lost {lost}; in flight when the server died and sent again {again}, "
        f"each beside an orphaned row; paid twice {twice}; the same map again sent {seen.sent_by_the_same_again}"
    )
    kept = twice == 0 and lost == 0 and seen.sent_by_the_same_again == 0 and seen.ends_of_the_same_again == {"succeeded": seen.rows}
    return Promise(number=1, name="Never pay twice", kept=kept, evidence=evidence)


def never_over(crowd: Crowd, book: Sequence[Entry], attempts: Sequence[Attempt]) -> Promise:
    """What is committed and reserved never passes the limit, and what was refused was never sent."""
    ends = crowd.ends()
    sent = sum(entry.model == "dear" for entry in book)
    paid = [attempt for attempt in attempts if attempt.model == DEAR and attempt.status is AttemptStatus.SUCCEEDED]
    evidence = (
        f"{len(crowd.answers)} processes, {crowd.calls} calls at once, limit {_usd(crowd.limit_nanos)}: committed and reserved at most "
        f"{_usd(crowd.highest_nanos)} in {crowd.looked} looks; answered {ends['succeeded']}, refused {ends['refused']}, sent {sent}"
    )
    once = ends["succeeded"] == sent == len(paid) and ends["succeeded"] + ends["refused"] == crowd.calls
    held = 0 < crowd.highest_nanos <= crowd.limit_nanos and crowd.reserved_nanos == 0 and crowd.committed_nanos == sum(one.cost_nanos or 0 for one in paid)
    return Promise(number=2, name="Never over budget", kept=once and held, evidence=evidence)


def never_a_wrong_cent(
    book: Sequence[Entry], attempts: Sequence[Attempt], sums: tuple[pandas.DataFrame, pandas.DataFrame], balances: Sequence[BalanceCheck]
) -> Promise:
    """The ledger, its sums and the provider's own bill are equal to the nano-dollar; what has no price is counted, not 0."""
    told = [attempt for attempt in attempts if attempt.provider == "book" and attempt.usage_source == "provider" and attempt.cost_nanos is not None]
    ledger = sum(attempt.cost_nanos or 0 for attempt in told)
    # Of a question that was billed twice because the server died, the book's second bill stands with the orphan, as an estimate.
    bill = sum({(entry.model, entry.asked): entry.nanos for entry in book if entry.whole and entry.model != "unlisted"}.values())
    estimated = [attempt for attempt in attempts if attempt.provider == "book" and attempt.usage_source == "estimated"]
    unpriced = [attempt for attempt in attempts if attempt.model == UNLISTED]
    everything = sum(attempt.cost_nanos or 0 for attempt in attempts)
    spend, sql = (int(frame[column].fillna(0).sum()) for frame, column in zip(sums, ("cost_nanos", "nanos"), strict=True))
    equal = sum(check.equal for check in balances)
    evidence = (
        f"the provider's bill {_usd(bill)}, ours {_usd(ledger)}; all {_usd(everything)} in the ledger, {_usd(spend)} in spend, {_usd(sql)} in SQL; "
        f"{len(estimated)} estimated, {len(unpriced)} unpriced; balances equal {equal} of {len(balances)}"
    )
    kept = bill == ledger and everything == spend == sql and equal == len(balances) > 0 and all(one.cost_nanos is None for one in unpriced) and bool(unpriced)
    return Promise(number=3, name="Never a wrong cent", kept=kept, evidence=evidence)


def never_a_fake(cut: Cut, offline: Offline, attempts: Sequence[Attempt]) -> Promise:
    """What is cut off is no success, and the offline model answers only who names it."""
    broken = [attempt.status for attempt in attempts if attempt.model == CUTTING]
    text = "whole and once" if cut.whole else "wrong"
    evidence = (
        f"cut off in mid-stream: {cut.alone} alone; with a model behind it {cut.status} by {cut.served_by}, its text {text}; "
        f"successes among {len(broken)} cut attempts: {broken.count(AttemptStatus.SUCCEEDED)}; offline model: labelled "
        f"{'yes' if offline.labelled else 'no'}, cost {offline.cost_nanos}, unasked answers {int(offline.answered_unasked)}"
    )
    honest = cut.alone != "succeeded" and (cut.status, cut.served_by) == ("succeeded", STEADY) and cut.whole
    kept = honest and bool(broken) and set(broken) == {AttemptStatus.INCOMPLETE} and offline.labelled and offline.cost_nanos == 0
    return Promise(number=4, name="Never a fake answer", kept=kept and not offline.answered_unasked, evidence=evidence)


def never_locked_out(crowd: Crowd) -> Promise:
    """Nobody sees that the database is in another's hands."""
    locked, asked = (sum(answer[name] for answer in crowd.answers) for name in ("locked", "asked"))
    evidence = f"{len(crowd.answers) + 1} processes at once on one workspace, {asked + crowd.looked} requests, lock errors {locked}"
    return Promise(number=5, name="Never locked out", kept=locked == 0 and asked > 0, evidence=evidence)


def never_lost(seen: Map, balances: Sequence[BalanceCheck]) -> Promise:
    """What was committed before a kill is there after it, unchanged, and the run goes on."""
    there = sum(seen.finished_after.get(name, -1) == cost for name, cost in seen.finished_before.items())
    evidence = (
        f"server killed with {len(seen.finished_before)} finished calls: {there} of them there and unchanged {seen.back_s:.1f} s later; "
        f"the run went on and {seen.state}; reserved and not settled: {sum(check.reserved_nanos for check in balances)}"
    )
    kept = 0 < there == len(seen.finished_before) and seen.state == "succeeded" and not any(check.reserved_nanos for check in balances)
    return Promise(number=6, name="Never lost", kept=kept, evidence=evidence)


def always_readable(notebook: Mapping[str, Any]) -> Promise:
    """An executed notebook shows its run, table, chart, cost and error without script, network or server."""
    outputs = [output for cell in notebook["cells"] for output in cell.get("outputs", ())]
    shown = [one for output in outputs for one in output.get("data", {}).items()] + [("text/plain", output.get("text", "")) for output in outputs]
    text = "".join("".join(value) if isinstance(value, list) else str(value) for _, value in shown)
    found = {"tables": text.count("<table"), "charts": text.count("data:image/png;base64,"), "costs": text.count(" USD"), "errors": text.count("did you mean")}
    signs = ("<script", "http://", "https://", "widget-view", "<object at 0x")
    needs = sum(text.count(sign) for sign in signs)
    words = ", ".join(f"{name} {count}" for name, count in found.items())
    return Promise(
        number=7, name="Always readable", kept=all(found.values()) and not needs, evidence=f"{words}; scripts, outside addresses, empty objects {needs}"
    )


def _usd(nanos: int) -> str:
    return f"{nanos / NANOS_PER_USD:.9f} USD"
