"""The ledger on both stores: once per key, never over budget, balances equal to the sum of the rows."""

from __future__ import annotations

import random
import threading
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from hishamos.contracts.ledger import Abandoned, CallIntent, Elsewhere, Full, Known, Refused, Reserve, Sent, Verdict
from hishamos.errors import KeyReused, UnknownName
from hishamos.records.calls import Attempt, AttemptStatus, CallStatus, Outcome
from hishamos.records.configuration import BudgetSettings
from hishamos.records.money import Price
from hishamos.records.record import new_id, now
from hishamos.store import reconciling, spend, spending
from hishamos.store.connectors import Connector, Transaction, open_connector
from hishamos.store.ledger import StoreLedger
from hishamos.store.migrate import migrate
from hishamos.store.statements import statements
from tests.rigs.lengths import shared_out


@pytest.fixture(params=["duckdb", "postgres"])
def store(request: pytest.FixtureRequest, tmp_path) -> Iterator[Connector]:
    url = request.getfixturevalue("postgres_url") if request.param == "postgres" else str(tmp_path / "store.duckdb")
    connector = open_connector(url)
    migrate(connector)
    yield connector
    connector.close()


@pytest.fixture
def ledger(store: Connector) -> StoreLedger:
    return StoreLedger(store, shared=store.dialect == "postgres")


def call(key: str | None = None, *, owner: str = "me", request: str = "hash", **facts: Any) -> CallIntent:
    return CallIntent(new_id(16), key or new_id(), request, "default", owner, **facts)


def attempt(of: CallIntent, **facts: Any) -> Attempt:
    values = {"provider": "toy", "model": "toy/m", "status": AttemptStatus.SENT, "started_at": now(), "run_id": "R"} | facts
    return Attempt(id=new_id(16), call_id=of.id, idempotency_key=of.key, **values)


def intend(ledger: StoreLedger, of: CallIntent, bound: int | None = 1000, *, first: bool = True, **facts: Any) -> tuple[Verdict, Attempt]:
    draft = attempt(of, **facts)
    verdict = ledger.intend(of, draft, Reserve(bound, None), first=first).result(10)
    return verdict, draft.model_copy(update={"number": verdict.number}) if isinstance(verdict, Sent) else draft


def settle(ledger: StoreLedger, of: CallIntent, draft: Attempt, cost: int | None, bound: int = 1000, *, last: bool = True, **facts: Any) -> bool:
    done = draft.model_copy(update={"status": AttemptStatus.SUCCEEDED, "cost_nanos": cost, "finished_at": now(), "latency_ms": 5.0, **facts})
    outcome = Outcome(call_id=of.id, key=of.key, status=CallStatus.SUCCEEDED, text="done", cost_nanos=cost) if last else None
    return ledger.settle(done, Reserve(bound, None), outcome).result(10)


def limit(ledger: StoreLedger, nanos: int, name: str = "b", **facts: Any) -> None:
    ledger.sync_budgets({name: BudgetSettings(name=name, limit_usd=Decimal(nanos) / 10**9, **facts)}).result(10)


def balances_equal(store: Connector) -> bool:
    checks = reconciling.balances(store)
    return bool(checks) and all(check.equal for check in checks)


def test_a_key_is_sent_once_and_then_known(ledger: StoreLedger, store: Connector):
    mine = call("k")
    verdict, draft = intend(ledger, mine)
    assert verdict == Sent(mine.id, 1)
    assert settle(ledger, mine, draft, 7)
    known, _ = intend(ledger, call("k"))
    assert isinstance(known, Known)
    assert (known.outcome.text, known.outcome.reused, known.outcome.call_id) == ("done", True, mine.id)
    assert [row.cost_nanos for row in known.outcome.attempts] == [7]
    assert ledger.find("k", "hash").result(10) == known.outcome
    assert store.fetch("select count(*) as n from ledger_attempts")[0]["n"] == 1


def test_a_key_belongs_to_one_request(ledger: StoreLedger):
    intend(ledger, call("k"))
    with pytest.raises(KeyReused):
        intend(ledger, call("k", request="other"))
    with pytest.raises(KeyReused):
        ledger.find("k", "other").result(10)
    assert isinstance(intend(ledger, call("other"))[0], Sent)


def test_attempts_of_a_call_are_numbered(ledger: StoreLedger, store: Connector):
    mine = call()
    _, first = intend(ledger, mine)
    settle(ledger, mine, first, 0, last=False, status=AttemptStatus.FAILED, cause="overloaded")
    verdict, second = intend(ledger, mine, first=False)
    assert verdict == Sent(mine.id, 2)
    settle(ledger, mine, second, 5)
    rows = store.fetch("select number, status, cause, cost_nanos from attempts order by number")
    assert [tuple(row.values()) for row in rows] == [(1, "failed", "overloaded", 0), (2, "succeeded", None, 5)]


def test_a_dead_process_leaves_orphans_at_their_reservation(ledger: StoreLedger, store: Connector):
    limit(ledger, 10_000)
    intend(ledger, call("k", owner="dead"), 600)
    assert ledger.recover("me").result(10) == 1
    assert ledger.recover("me").result(10) == 0
    [row] = store.fetch("select status, cost_nanos, usage_source from attempts")
    assert tuple(row.values()) == ("orphaned", 600, "estimated")
    [budget] = spend.budgets(store, "UTC")
    assert (budget.committed_nanos, budget.reserved_nanos) == (600, 0)
    verdict, _ = intend(ledger, call("k"))
    assert isinstance(verdict, Sent)
    assert (verdict.number, [found.status for found in verdict.earlier]) == (2, [AttemptStatus.ORPHANED])
    assert balances_equal(store)


@pytest.mark.parametrize("policy", ["fail", "ask"])
def test_orphans_are_not_sent_again_where_the_route_says_so(ledger: StoreLedger, store: Connector, policy: Any):
    intend(ledger, call("k", owner="dead"))
    mine = call("k", orphans=policy)
    verdict, _ = intend(ledger, mine)
    assert isinstance(verdict, Abandoned)
    assert [found.status for found in verdict.attempts] == [AttemptStatus.ORPHANED]
    failed = Outcome(call_id=verdict.call_id, key="k", status=CallStatus.FAILED)
    assert ledger.finish(mine, failed).result(10)
    known, _ = intend(ledger, call("k"))
    assert isinstance(known, Known)
    assert known.outcome.status is CallStatus.FAILED


def test_a_late_answer_of_a_process_taken_for_dead_is_not_written(ledger: StoreLedger, store: Connector):
    theirs = call("k", owner="slow")
    _, draft = intend(ledger, theirs)
    mine = call("k")
    verdict, own = intend(ledger, mine)
    assert isinstance(verdict, Sent)
    assert not settle(ledger, theirs, draft, 5)
    assert ledger.find("k", "hash").result(10) is None
    mine = CallIntent(verdict.call_id, "k", "hash", "default", "me")
    assert settle(ledger, mine, own.model_copy(update={"call_id": verdict.call_id}), 9)
    assert [row["cost_nanos"] for row in store.fetch("select cost_nanos from attempts order by number")] == [1000, 9]


def test_a_living_process_keeps_its_calls_where_the_store_is_shared(store: Connector):
    ledger = StoreLedger(store, shared=True)
    ledger.beat("other").result(10)
    intend(ledger, call("k", owner="other"))
    assert isinstance(intend(ledger, call("k"))[0], Elsewhere)
    assert ledger.recover("me").result(10) == 0
    store.transaction(lambda transaction: transaction.execute("update ledger_owners set seen_at = seen_at - interval '1 hour'"))
    assert isinstance(intend(ledger, call("k"))[0], Sent)


def test_a_reservation_bounds_what_may_be_sent(ledger: StoreLedger, store: Connector):
    limit(ledger, 2500)
    one, two, three = call(), call(), call()
    assert isinstance(intend(ledger, one, 1000)[0], Sent)
    verdict, second = intend(ledger, two, 1000)
    assert isinstance(verdict, Sent)
    blocked, _ = intend(ledger, three, 1000)
    assert isinstance(blocked, Full)
    assert settle(ledger, two, second, 300)
    assert isinstance(intend(ledger, three, 1000)[0], Sent)
    refused, _ = intend(ledger, call(), 2300)
    assert isinstance(refused, Refused)
    assert (refused.committed_nanos, refused.limit_nanos, refused.unpriced) == (300, 2500, False)
    assert store.fetch("select count(*) as n from ledger_calls")[0]["n"] == 3
    assert balances_equal(store)


def test_what_has_no_price_is_refused_under_a_hard_budget_only(ledger: StoreLedger):
    limit(ledger, 10**9)
    refused, _ = intend(ledger, call(), None)
    assert isinstance(refused, Refused)
    assert refused.unpriced
    limit(ledger, 10**9, hard=False)
    assert isinstance(intend(ledger, call(), None)[0], Sent)


def test_what_is_free_passes_a_spent_budget(ledger: StoreLedger):
    limit(ledger, 0)
    assert isinstance(intend(ledger, call(), 1)[0], Refused)
    assert isinstance(intend(ledger, call(), 0)[0], Sent)


def test_a_bill_above_its_reservation_is_recorded_whole_and_closes_the_budget(ledger: StoreLedger, store: Connector):
    limit(ledger, 10_000)
    mine = call()
    _, draft = intend(ledger, mine, 100)
    assert settle(ledger, mine, draft, 450, bound=100, overrun=True)
    [budget] = spend.budgets(store, "UTC")
    assert (budget.committed_nanos, budget.reserved_nanos, budget.closed) == (450, 0, True)
    refused, _ = intend(ledger, call(), 100)
    assert isinstance(refused, Refused)
    assert refused.closed
    limit(ledger, 20_000)
    assert isinstance(intend(ledger, call(), 100)[0], Sent)
    assert balances_equal(store)


def test_a_call_is_settled_once(ledger: StoreLedger, store: Connector):
    limit(ledger, 10_000)
    mine = call()
    _, draft = intend(ledger, mine)
    assert settle(ledger, mine, draft, 400)
    assert settle(ledger, mine, draft, 400), "the answer to the first commit was lost on its way"
    [budget] = spend.budgets(store, "UTC")
    assert (budget.committed_nanos, budget.reserved_nanos) == (400, 0)
    assert [row["status"] for row in store.fetch("select status from ledger_all")] == ["succeeded"]


def test_a_settled_call_whose_process_died_at_once_is_no_orphan(tmp_path):
    folder = str(tmp_path / "store.duckdb")
    store = open_connector(folder)
    migrate(store)
    ledger = StoreLedger(store)
    limit(ledger, 10_000)
    mine, other = call(), call()
    _, draft = intend(ledger, mine)
    intend(ledger, other)
    assert settle(ledger, mine, draft, 400)
    store._late.clear()  # type: ignore[attr-defined]  # what a killed process did not come to write
    store.close()
    store = open_connector(folder)
    ledger = StoreLedger(store)
    assert ledger.recover("another").result(10) == 1
    rows = store.fetch("select call_id, status, cost_nanos from ledger_all order by cost_nanos")
    assert [(row["call_id"], row["status"], row["cost_nanos"]) for row in rows] == [(mine.id, "succeeded", 400), (other.id, "orphaned", 1000)]
    assert (ledger.open_calls(), balances_equal(store)) == (0, True)
    store.close()


def test_a_later_budget_begins_with_the_ledgers_sum(ledger: StoreLedger, store: Connector):
    for cost in (100, 200, None):
        mine = call()
        _, draft = intend(ledger, mine)
        settle(ledger, mine, draft, cost)
    open_call = call()
    _, under_way = intend(ledger, open_call, 50)
    limit(ledger, 400)
    blocked, _ = intend(ledger, call(), 100)
    assert isinstance(blocked, Full)
    assert settle(ledger, open_call, under_way, 40, bound=50)
    [budget] = spend.budgets(store, "UTC")
    assert (budget.committed_nanos, budget.reserved_nanos) == (340, 0)
    assert balances_equal(store)


def test_scopes_count_what_is_theirs(ledger: StoreLedger, store: Connector):
    scopes = {"project": "project:P", "user": "user:u", "workflow": "workflow:w", "key": "key:p", "run": "run", "all": "workspace"}
    ledger.sync_budgets({name: BudgetSettings(name=name, scope=scope, limit_usd=Decimal(1), period="total") for name, scope in scopes.items()}).result(10)
    tags = [
        {"run_id": "R1", "project": "P", "workflow": "w"},
        {"run_id": "R2", "project": "Q", "user_name": "u"},
        {"run_id": "R2", "key_prefix": "p"},
        {"run_id": None},
    ]
    for power, facts in enumerate(tags):
        mine = call()
        _, draft = intend(ledger, mine, **facts)
        settle(ledger, mine, draft, 10**power)
    found = {(row["budget"], row["scope"]): row["committed_nanos"] for row in store.fetch("select * from ledger_balances")}
    assert found == {
        ("project", "project:P"): 1,
        ("user", "user:u"): 10,
        ("workflow", "workflow:w"): 1,
        ("key", "key:p"): 100,
        ("run", "run:R1"): 1,
        ("run", "run:R2"): 110,
        ("all", "workspace"): 1111,
    }
    assert balances_equal(store)


def test_a_runs_own_limit_stands_on_top(ledger: StoreLedger):
    mine = call(run_budget_nanos=1500)
    assert isinstance(intend(ledger, mine, 1000)[0], Sent)
    assert isinstance(intend(ledger, call(run_budget_nanos=1500), 1000)[0], Full)
    refused, _ = intend(ledger, call(run_budget_nanos=1500), 1501)
    assert isinstance(refused, Refused)
    assert (refused.budget, refused.period) == ("run:R", "total")
    assert isinstance(intend(ledger, call(run_budget_nanos=1500), 1000, run_id="other")[0], Sent)


def test_a_row_belongs_to_the_period_it_began_in(store: Connector):
    zone = "Africa/Cairo"
    ledger = StoreLedger(store, lambda: zone)
    limit(ledger, 10**9, period="day")
    late, early = datetime(2026, 3, 1, 21, 59, tzinfo=UTC), datetime(2026, 3, 1, 22, 1, tzinfo=UTC)
    for moment, cost in ((late, 1), (early, 10)):
        mine = call()
        _, draft = intend(ledger, mine, started_at=moment)
        settle(ledger, mine, draft, cost)
    found = {row["period"]: row["committed_nanos"] for row in store.fetch("select * from ledger_balances")}
    assert found == {"2026-03-01 Africa/Cairo": 1, "2026-03-02 Africa/Cairo": 10}
    days = {row["day"]: row["cost_nanos"] for row in spending.spend(store, "day", zone).to_pylist()}
    assert days == {"2026-03-01": 1, "2026-03-02": 10}
    assert balances_equal(store)


def test_the_files_budgets_come_and_go_with_the_file(ledger: StoreLedger, store: Connector):
    store.transaction(lambda transaction: ledger.put_budget(transaction, BudgetSettings(name="mine", limit_usd=Decimal(1)), "stored"))
    limit(ledger, 100, name="theirs")
    assert [budget.name for budget in spend.budgets(store, "UTC")] == ["mine", "theirs"]
    ledger.sync_budgets({}).result(10)
    assert [budget.name for budget in spend.budgets(store, "UTC")] == ["mine"]
    assert isinstance(intend(ledger, call(), 101)[0], Sent)


def test_many_threads_never_exceed_a_hard_limit(ledger: StoreLedger, store: Connector):
    bound, most = 1000, 50_000
    limit(ledger, most)
    over: list[int] = []
    sent, stop = [], threading.Event()

    def watch() -> None:
        while not stop.wait(0.002):  # the threads need the processors too
            for row in store.fetch("select committed_nanos + reserved_nanos as held from ledger_balances"):
                if row["held"] > most:
                    over.append(row["held"])

    def work(number: int) -> None:
        dice = random.Random(number)
        for _ in range(25):
            mine = call()
            verdict, draft = intend(ledger, mine, bound)
            while isinstance(verdict, Full):
                verdict, draft = intend(ledger, mine, bound)
            if isinstance(verdict, Refused):
                return
            sent.append(mine.key)
            settle(ledger, mine, draft, dice.randint(0, bound))

    watcher = threading.Thread(target=watch)
    watcher.start()
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))
    stop.set()
    watcher.join()
    [balance] = store.fetch("select * from ledger_balances")
    assert over == []
    assert (balance["reserved_nanos"], balance["committed_nanos"] > most - bound) == (0, True)
    assert store.fetch("select count(*) as n from ledger_attempts")[0]["n"] == len(sent)
    assert balances_equal(store)


@pytest.mark.parametrize("seed", shared_out(range(3), usual=[0]))
def test_balances_equal_the_ledger_whatever_happens(ledger: StoreLedger, store: Connector, seed: int):
    dice = random.Random(seed)
    under_way: list[tuple[CallIntent, Attempt, int | None]] = []
    budgets: dict[str, BudgetSettings] = {}
    for step in range(80):
        action = dice.random()
        if action < 0.06:
            name = f"b{step % 4}"
            scope, period = dice.choice(["workspace", "run", "project:P", "user:u"]), dice.choice(["day", "month", "total"])
            budgets[name] = BudgetSettings(name=name, scope=scope, period=period, limit_usd=Decimal("0.00002"), hard=dice.random() < 0.5)
            ledger.sync_budgets(budgets).result(10)
        elif action < 0.55 or not under_way:
            mine = call(owner=dice.choice(["me", "doomed"]), run_budget_nanos=dice.choice([None, 5000]))
            bound = dice.choice([None, 0, 10, 1000])
            tags = {"run_id": dice.choice(["R1", "R2"]), "project": dice.choice([None, "P"]), "user_name": dice.choice([None, "u"])}
            verdict, draft = intend(ledger, mine, bound, **tags)
            if isinstance(verdict, Sent):
                under_way.append((mine, draft, bound))
        elif action < 0.9:
            mine, draft, bound = under_way.pop(dice.randrange(len(under_way)))
            cost = None if bound is None else dice.choice([0, bound, bound * 2])
            facts = {"overrun": cost is not None and bound is not None and cost > bound}
            settle(ledger, mine, draft, cost, bound=bound or 0, last=dice.random() < 0.8, **facts)
        else:
            ledger.recover("me").result(10)
            under_way = [item for item in under_way if item[0].owner == "me"]
    checks = reconciling.balances(store)
    assert [check for check in checks if not check.equal] == []
    for row in store.fetch("select scope, period, reserved_nanos from ledger_balances"):
        assert row["reserved_nanos"] >= 0
    for mine, draft, bound in under_way:
        settle(ledger, mine, draft, 0, bound=bound or 0)
    assert [row for row in store.fetch("select * from ledger_balances") if row["reserved_nanos"]] == []


def test_prices_are_dated_rows_written_when_they_change(ledger: StoreLedger):
    price = Price(model="toy/m", since=now().date(), source="hishamos.toml", input=Decimal("0.15"), output=Decimal("0.60"), cached_input=Decimal("0.075"))
    for rows in ([price], [price], [price.model_copy(update={"input": Decimal("0.2")})]):
        ledger.quote(rows).result(10)
    assert [row.input for row in ledger.price_rows("toy/m")] == [Decimal("0.2"), Decimal("0.15")]
    assert ledger.price_rows("toy/m")[1] == price


def test_spend_is_the_sum_of_the_rows_by_any_column(ledger: StoreLedger, store: Connector):
    for number in range(12):
        mine = call()
        provider = "offline" if number % 4 == 3 else "toy"
        _, draft = intend(ledger, mine, provider=provider, model=f"{provider}/m", run_id=f"R{number % 2}", hop=number % 3)
        settle(ledger, mine, draft, None if number == 0 else 10**number if provider == "toy" else 0, input_tokens=3, output_tokens=2)
    total = sum(10**number for number in range(1, 12) if number % 4 != 3)
    assert sum(row["cost_nanos"] for row in spending.spend(store, ["run", "model"], "UTC").to_pylist()) == total
    [whole] = spending.spend(store, [], "UTC").to_pylist()
    assert (whole["cost_nanos"], whole["attempts"], whole["succeeded"], whole["offline"], whole["unpriced"]) == (total, 12, 9, 3, 1)
    assert (whole["fell_back"], whole["input_tokens"], whole["output_tokens"], whole["p50_ms"]) == (8, 36, 24, 5.0)
    frame = spending.spend(store, "model", "UTC").to_pandas()
    assert str(frame["cost_nanos"].dtype) == "int64"
    rows = spending.attempts(store, spending.chosen("UTC", since=None, until=None, only={"run": "R1"}))
    assert [row.started_at for row in rows] == sorted((row.started_at for row in rows), reverse=True)
    assert len(rows) == 6
    with pytest.raises(UnknownName, match="model"):
        spending.spend(store, "modle", "UTC")


def test_the_view_shows_sent_rows_without_a_cost(ledger: StoreLedger, store: Connector):
    key = uuid.uuid4().hex
    intend(ledger, call(key))
    [row] = store.fetch("select idempotency_key, status, cost_nanos, usage_source, finished_at from attempts")
    assert tuple(row.values()) == (key, "sent", None, None, None)


def test_a_key_taken_for_new_is_looked_up_when_it_is_not(ledger: StoreLedger, store: Connector):
    mine = call("k")
    _, draft = intend(ledger, mine)
    settle(ledger, mine, draft, 7)
    known, _ = intend(ledger, call("k", fresh=True))
    assert isinstance(known, Known)
    assert isinstance(intend(ledger, call("new", fresh=True))[0], Sent)
    with pytest.raises(KeyReused):
        intend(ledger, call("k", request="other", fresh=True))
    assert store.fetch("select count(*) as n from ledger_calls")[0]["n"] == 2


@pytest.mark.parametrize("fresh", [True, False])
def test_what_costs_nothing_is_recorded_in_one_commit_once(ledger: StoreLedger, store: Connector, fresh: bool):
    def record(of: CallIntent) -> bool:
        done = attempt(of, status=AttemptStatus.SUCCEEDED, cost_nanos=0, finished_at=now())
        outcome = Outcome(call_id=of.id, key=of.key, status=CallStatus.SUCCEEDED, text="free")
        return ledger.record(of, done, Reserve(0, None), outcome).result(10)

    assert record(call("k", fresh=fresh))
    assert not record(call("k", fresh=fresh))
    known, _ = intend(ledger, call("k"))
    assert isinstance(known, Known)
    assert known.outcome.text == "free"
    assert store.fetch("select status, number from attempts") == [{"status": "succeeded", "number": 1}]


def test_the_view_of_costs_says_the_same_as_the_whole_one(ledger: StoreLedger, store: Connector):
    for key, facts in {
        "dear": {"cost": 7},
        "unpriced": {"cost": None, "step_id": "a[0]"},
        "corrected": {"cost": None, "step_id": "a[1]"},
        "declared free": {"cost": 9},
        "cached": {"cost": 0, "status": AttemptStatus.CACHED},
        "failed": {"cost": None, "status": AttemptStatus.FAILED, "cause": "timeout"},
        "outside of runs": {"cost": 3, "run_id": None},
    }.items():
        mine = call(key)
        _, draft = intend(ledger, mine, **{name: value for name, value in facts.items() if name in {"run_id", "step_id"}})
        assert settle(ledger, mine, draft, **{name: value for name, value in facts.items() if name not in {"run_id", "step_id"}})
    intend(ledger, call("orphaned", owner="dead"), 600)
    assert ledger.recover("me").result(10) == 1
    intend(ledger, call("under way"), step_id="b/2")
    intend(ledger, call("under way outside of runs"), run_id=None, provider="offline")
    correction = "insert into ledger_corrections (attempt_id, cost_nanos, audit_id, made_at) select id, $cost, 'x', started_at from ledger_attempts"
    for key, cost in (("corrected", 5), ("declared free", 0)):
        store.transaction(lambda t, key=key, cost=cost: t.execute(f"{correction} where idempotency_key = $key", {"key": key, "cost": cost}))
    columns = "idempotency_key, call_id, run_id, step_id, provider, status, cost_nanos"
    rows = store.fetch(f"select {columns} from ledger_costs order by idempotency_key")
    assert rows == store.fetch(f"select {columns} from ledger_all order by idempotency_key")
    assert {row["idempotency_key"]: (row["status"], row["cost_nanos"]) for row in rows} == {
        "dear": ("succeeded", 7), "unpriced": ("succeeded", None), "corrected": ("succeeded", 5), "declared free": ("succeeded", 0), "cached": ("cached", 0),
        "failed": ("failed", None), "outside of runs": ("succeeded", 3), "orphaned": ("orphaned", 600), "under way": ("sent", None),
        "under way outside of runs": ("sent", None),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("room", "name", "values"),
    [
        ("history", "spend_of_runs", {"ids": ["R", "S"]}),
        ("history", "spend_of_steps", {"run": "R", "paths": ["a"]}),
        ("history", "spend_below", {"run": "R", "path": "a", "below": "a[%"}),
        ("history", "calls_of_run", {"run": "R", "step": None, "limit": 9}),
        ("usual", "usual_costs", {"name": "w", "most": 9}),
    ],
)
def test_what_runs_cost_is_found_by_an_index_on_postgres(postgres_url: str, room: str, name: str, values: dict[str, Any]):
    store = open_connector(postgres_url)

    def planned(transaction: Transaction) -> str:
        transaction.execute("set local enable_seqscan = off")  # the tables are empty: all there is would be read as fast
        return "\n".join(line for row in transaction.fetch(f"explain {statements(room)[name]}", values) for line in row.values())

    plan = store.transaction(planned)
    store.close()
    assert "ledger_attempts_by_run" in plan
    assert "ledger_calls_under_way" in plan
    assert "Seq Scan on ledger" not in plan
