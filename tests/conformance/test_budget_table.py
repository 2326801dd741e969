"""Every scope of a budget x every period x every way in which a call can end, on both stores.

After each: nothing stays reserved, exactly the budgets that the call belongs to hold what the ledger says, and the books agree.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import pytest

from hishamos.contracts.ledger import CallIntent, Reserve, Sent
from hishamos.gateway import ladder
from hishamos.gateway.adapters.plug import Fault, Text
from hishamos.records.calls import Attempt, AttemptStatus, CallStatus, Tags
from hishamos.records.configuration import BudgetSettings
from hishamos.records.record import content_hash, new_id, now
from hishamos.store import reconciling
from tests.rigs.gateways import House, Scripted, answer, request, scripted
from tests.rigs.lengths import shared_out

QUESTION = request()
PERIODS = ("day", "month", "total")
PAID = 20_000
"""What an answer costs: 10 input tokens at 1000 nano-dollars, 5 output tokens at 2000."""
HALF = -(-(len(b"hello") + 16) // 3) * 1000 + -(-len(b"half an answer") // 3) * 2000
"""What a part is estimated at: three bytes a token, the message's frame included."""
BOUND = (64 + len(b"hello") + 16) * 1000 + 2048 * 2000
"""What is reserved: more input than there can be, and the whole output limit."""
LEFT = 3_000
"""What a dead process had reserved."""

Key = tuple[str, str]
"""A balance's budget and scope; each has one for every period."""


@dataclass
class Cell:
    """One scope under test: a call's tags, and the balances that such a call belongs to."""

    house: House
    adapter: Scripted
    tags: Tags
    mine: set[Key]
    budgets: dict[str, BudgetSettings]
    tight: str
    """The budget to tighten, without its period; empty where the limit is the run's own."""
    run_budget_nanos: int | None = None

    def ask(self, *acts: Any, **facts: Any) -> Any:
        self.adapter.acts.extend(acts)
        limit = {} if self.run_budget_nanos is None else {"run_budget_nanos": self.run_budget_nanos}
        return self.house.ask(tags=self.tags, **{**limit, **facts})

    def limited(self, **limits: str) -> None:
        """Set limits by the budgets' names, USD; the others are as they were."""
        changed = {name: self.budgets[name].model_copy(update={"limit_usd": Decimal(usd)}) for name, usd in limits.items()}
        self.house.ledger.sync_budgets(self.budgets | changed).result(10)


@pytest.fixture(scope="module")
def workspace(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, scheme: Callable[[], str]) -> Iterator[tuple[House, Scripted, Any]]:
    """One workspace for the whole table, with two budgets for every kind of scope and every period."""
    store = scheme() if request.param == "postgres" else str(tmp_path_factory.mktemp("table") / "store.duckdb")
    house, adapter = scripted(store=store, attempts=2, on_broken_stream="fail", timeout_s=0.05, deadline_s=20)
    kinds = {"all": "workspace", "run": "run"}
    for kind in ("project", "user", "key", "workflow"):
        kinds |= {f"{kind}-{whose}": f"{kind}:{whose}" for whose in ("mine", "theirs")}
    budgets = {
        f"{name}-{period}": BudgetSettings(name=f"{name}-{period}", scope=scope, period=period, limit_usd=Decimal(1))
        for name, scope in kinds.items()
        for period in PERIODS
    }
    house.ledger.sync_budgets(budgets).result(10)
    # So that others' balances are there, to be left alone.
    house.ask(tags=Tags(run="theirs", workflow="theirs", project="theirs", user="theirs", key_prefix="theirs"))
    yield house, adapter, budgets
    house.close()


@pytest.fixture(scope="module")
def scheme(postgres_server: str) -> Iterator[Callable[[], str]]:
    """Makes a PostgreSQL address with a schema of its own, gone with the module."""
    import psycopg

    schema = f"t_{new_id(12).lower()}"
    yield lambda: f"{postgres_server}{'&' if '?' in postgres_server else '?'}schema={schema}"
    with psycopg.connect(postgres_server, autocommit=True) as connection:
        connection.execute(f'drop schema if exists "{schema}" cascade')


@pytest.fixture
def cell(request: pytest.FixtureRequest, workspace: tuple[House, Scripted, Any], monkeypatch: pytest.MonkeyPatch) -> Cell:
    monkeypatch.setattr(ladder, "FIRST_PAUSE_S", 0.01)
    house, adapter, budgets = workspace
    adapter.acts.clear()
    scope, run = request.param, new_id()
    everybody = {(f"all-{period}", "workspace") for period in PERIODS}
    if scope == "workspace":
        return Cell(house, adapter, Tags(), everybody, budgets, "all")
    if scope in ("run", "map"):
        mine = everybody | {(f"run-{period}", f"run:{run}") for period in PERIODS}
        if scope == "run":
            return Cell(house, adapter, Tags(run=run), mine, budgets, "run")
        # A command over rows is a run of its own with a limit of its own, whose balance has the run's name.
        own = (f"run:{run}", f"run:{run}")
        return Cell(house, adapter, Tags(run=run, command="echo@1"), mine | {own}, budgets, "", run_budget_nanos=10**9)
    tags = Tags(**{"key_prefix" if scope == "key" else scope: "mine"})
    mine = everybody | {(f"{scope}-mine-{period}", f"{scope}:mine") for period in PERIODS}
    return Cell(house, adapter, tags, mine, budgets, f"{scope}-mine")


def succeeded(cell: Cell) -> list[tuple[str, int]]:
    assert cell.ask(answer()).status is CallStatus.SUCCEEDED
    return [("succeeded", PAID)]


def failed(cell: Cell) -> list[tuple[str, int]]:
    assert cell.ask([Fault("no such thing", status=400)]).status is CallStatus.FAILED
    return [("failed", 0)]


def tried_again(cell: Cell) -> list[tuple[str, int]]:
    assert cell.ask([Fault("overloaded", status=503, retry_after_s=0)], answer()).status is CallStatus.SUCCEEDED
    return [("failed", 0), ("succeeded", PAID)]


def timed_out(cell: Cell) -> list[tuple[str, int]]:
    assert cell.ask([5.0], [5.0]).status is CallStatus.FAILED
    return [("failed", BOUND), ("failed", BOUND)]


def cut(cell: Cell) -> list[tuple[str, int]]:
    assert cell.ask([Text("half an "), Text("answer")]).status is CallStatus.FAILED
    return [("incomplete", HALF)]


def cancelled(cell: Cell) -> list[tuple[str, int]]:
    cell.adapter.acts.append([0.045, *answer()])
    asked = len(cell.adapter.asked)
    pending = cell.house.gateway.submit(QUESTION, key=new_id(), tags=cell.tags, run_budget_nanos=cell.run_budget_nanos)
    until = time.monotonic() + 10
    while len(cell.adapter.asked) == asked:
        assert time.monotonic() < until
    pending.detach(cancel=True)
    with pytest.raises(CancelledError):
        pending.outcome.result(10)
    while cell.house.gateway.open_calls:
        assert time.monotonic() < until
        time.sleep(0.001)
    return [("cancelled", BOUND)]


def cached(cell: Cell) -> list[tuple[str, int]]:
    question = f"hello {new_id()}"
    assert cell.ask(answer(), text=question, cache="forever").cost_nanos == PAID
    again = cell.ask(text=question, cache="forever")
    assert (again.cost_nanos, again.attempts[-1].status) == (0, AttemptStatus.CACHED)
    return [("succeeded", PAID), ("cached", 0)]


def left_behind(cell: Cell) -> CallIntent:
    """Leave what a process leaves that dies between the intent and the outcome."""
    intent = CallIntent(new_id(16), new_id(), content_hash(QUESTION.identity()), "default", "dead", run_budget_nanos=cell.run_budget_nanos)
    tags = cell.tags
    facts = {"run_id": tags.run, "workflow": tags.workflow, "project": tags.project, "user_name": tags.user, "key_prefix": tags.key_prefix}
    draft = Attempt(
        id=new_id(16), call_id=intent.id, idempotency_key=intent.key, provider="toy", model="toy/model", status=AttemptStatus.SENT, started_at=now(), **facts
    )
    before = balances(cell.house)
    assert isinstance(cell.house.ledger.intend(intent, draft, Reserve(LEFT, None), first=True).result(10), Sent)
    held = {row[:2]: after[1] - before.get(row, (0, 0))[1] for row, after in balances(cell.house).items() if after != before.get(row)}
    assert held == dict.fromkeys(cell.mine, LEFT)
    return intent


def orphaned_then_sent_again(cell: Cell) -> list[tuple[str, int]]:
    intent = left_behind(cell)
    outcome = cell.ask(answer(), key=intent.key)
    assert [attempt.status.value for attempt in outcome.attempts] == ["orphaned", "succeeded"]
    return [("orphaned", LEFT), ("succeeded", PAID)]


def crashed(cell: Cell) -> list[tuple[str, int]]:
    left_behind(cell)
    assert cell.house.ledger.recover(cell.house.gateway.owner).result(10) == 1
    return [("orphaned", LEFT)]


def refused(cell: Cell) -> list[tuple[str, int]]:
    for period in PERIODS if cell.tight else ():
        name = f"{cell.tight}-{period}"
        cell.limited(**{name: "0.000001"})
        outcome = cell.ask()
        assert (outcome.status, outcome.error.facts["budget"], outcome.error.facts["period"].split("-")[0]) == (
            CallStatus.REFUSED,
            name,
            "total" if period == "total" else str(now().year),
        )
    cell.limited()
    if not cell.tight:
        outcome = cell.ask(run_budget_nanos=BOUND - 1)
        assert (outcome.status, outcome.error.facts["budget"]) == (CallStatus.REFUSED, f"run:{cell.tags.run}")
    return []


def overrun(cell: Cell) -> list[tuple[str, int]]:
    bill = 10_000_000
    assert cell.ask(answer(input=bill // 1000, output=0)).status is CallStatus.SUCCEEDED
    assert cell.ask().error.type == "BudgetRefused"
    closed = cell.house.store.fetch("select distinct budget, scope from ledger_balances where closed")
    assert {(row["budget"], row["scope"]) for row in closed} == cell.mine
    cell.house.store.transaction(lambda transaction: transaction.execute("update ledger_balances set closed = false"))
    return [("succeeded", bill)]


def _hash() -> str:
    from hishamos.records.record import content_hash

    return content_hash(QUESTION.identity())


def balances(house: House) -> dict[tuple[str, str, str], tuple[int, int]]:
    rows = house.store.fetch("select budget, scope, period, committed_nanos, reserved_nanos from ledger_balances")
    return {(row["budget"], row["scope"], row["period"]): (row["committed_nanos"], row["reserved_nanos"]) for row in rows}


ENDINGS = [succeeded, failed, tried_again, timed_out, cut, cancelled, cached, orphaned_then_sent_again, crashed, refused, overrun]


endings = pytest.mark.parametrize("ending", ENDINGS, ids=lambda ending: ending.__name__)
"""Stands first, so that it changes fastest: a provider that fails time after time is left alone for a while."""


@endings
@pytest.mark.parametrize("workspace", ["duckdb", "postgres"], indirect=True, scope="module")
@pytest.mark.parametrize("cell", ["workspace", "project", "map"], indirect=True)
def test_reservations_end_and_exactly_the_right_budgets_are_touched(cell: Cell, ending: Callable[[Cell], list[tuple[str, int]]]):
    touched(cell, ending)


@endings
@pytest.mark.parametrize("workspace", shared_out(["duckdb", "postgres"], usual=["duckdb"]), indirect=True, scope="module")
@pytest.mark.parametrize("cell", ["user", "key", "workflow", "run"], indirect=True)
def test_so_they_do_in_scopes_that_differ_by_a_name(cell: Cell, ending: Callable[[Cell], list[tuple[str, int]]]):
    touched(cell, ending)


def touched(cell: Cell, ending: Callable[[Cell], list[tuple[str, int]]]) -> None:
    before, known = balances(cell.house), {row["id"] for row in cell.house.rows("id")}
    expected = ending(cell)
    rows = [row for row in cell.house.rows("id, status, cost_nanos") if row["id"] not in known]
    assert sorted((row["status"], row["cost_nanos"]) for row in rows) == sorted(expected)
    after, total = balances(cell.house), sum(cost for _, cost in expected)
    assert {reserved for _, reserved in after.values()} == {0}
    added = {key: after[key][0] - before.get(key, (0, 0))[0] for key in after}
    changed = {key[:2]: nanos for key, nanos in added.items() if nanos}
    assert changed == (dict.fromkeys(cell.mine, total) if total else {})
    assert [check for check in reconciling.balances(cell.house.store) if not check.equal] == []
