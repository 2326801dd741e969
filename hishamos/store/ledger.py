"""The ledger in the store: calls, attempts, reservations, balances."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeVar

from hishamos.contracts.ledger import BATCH, Abandoned, CallIntent, Elsewhere, InBatch, Known, Record, Reserve, Sent, Verdict
from hishamos.errors import KeyReused
from hishamos.records.calls import Attempt, AttemptStatus, CallStatus, Outcome
from hishamos.records.configuration import BudgetSettings
from hishamos.records.money import Price
from hishamos.records.record import canonical, nanos, now
from hishamos.store.accounts import Accounts
from hishamos.store.new_keys import unless_known
from hishamos.store.own_tags import TagsInUse
from hishamos.store.statements import statements
from hishamos.store.thresholds import tell

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from hishamos.store.connectors import Connector, Transaction, Work

SQL = statements("ledger")
MONEY_SQL = statements("money")
BATCH_SQL = statements("batches")

T = TypeVar("T")

MONEY = "money"
"""The lock under which money is read and then changed."""

COLUMNS = frozenset(Attempt.model_fields) - {"tags"}
SENT = (
    "idempotency_key", "number", "run_id", "step_id", "workflow", "command", "agent", "project", "user_name", "key_prefix",
    "provider", "model", "hop",
)  # fmt: skip
"""What is known of an attempt when it is sent."""


@dataclass(frozen=True, slots=True)
class _Held:
    """What the store knows of a call."""

    id: str
    request_hash: str
    owner: str
    outcome: str | None
    under_way: str | None
    """The attempt that is under way, and what is known of it as JSON."""
    sent: str | None
    attempts: tuple[Attempt, ...] = ()
    """The complete ones."""

    @property
    def ended(self) -> bool:
        return self.outcome is not None and Outcome.model_validate_json(self.outcome).status is not CallStatus.CANCELLED

    def stored(self) -> Outcome | None:
        if self.outcome is None:
            return None
        costs = [attempt.cost_nanos for attempt in self.attempts]
        facts = {"attempts": self.attempts, "reused": True, "cost_nanos": None if None in costs else sum(cost or 0 for cost in costs)}
        return Outcome.model_validate_json(self.outcome).model_copy(update=facts)

    def left_behind(self) -> tuple[Attempt, Reserve]:
        return left_behind(self.id, self.under_way or "", self.sent or "{}")


@dataclass(frozen=True, slots=True)
class _Place:
    """Where an attempt stands: its call, its number, the attempts before it."""

    call_id: str
    number: int
    earlier: tuple[Attempt, ...] = ()
    new: bool = False
    """The call has no row yet."""
    adopt: bool = False
    """The call's row is another process's."""


class StoreLedger:
    """:class:`hishamos.contracts.ledger.Ledger` on a connector.

    ``timezone``: the workspace's IANA timezone, which budgets' periods follow. ``shared``: several processes write to this store, so
    that an owner lives as long as it shows itself; otherwise every other owner is dead.
    """

    def __init__(self, connector: Connector, timezone: Callable[[], str] = lambda: "UTC", *, shared: bool = False) -> None:
        self._store = connector
        self._timezone = timezone
        self._shared = shared
        self.accounts = Accounts(shared=shared)
        self._tags = TagsInUse()

    @property
    def shared(self) -> bool:
        """Whether several processes share the store."""
        return self._shared

    def intend(self, call: CallIntent, attempt: Attempt, reserve: Reserve, *, first: bool) -> Future[Verdict]:
        """See the port."""
        timezone, uses = self._timezone(), self._tags.new(attempt)

        def intended(asked: CallIntent) -> Work[Verdict]:
            def work(transaction: Transaction) -> Verdict:
                transaction.lock(MONEY)
                self._tags.write(transaction, uses)
                return self._intend(transaction, asked, attempt, reserve, first, timezone)

            return work

        return self._tags.written(uses, self._boldly(intended, call))

    def record(self, call: CallIntent, attempt: Attempt, reserve: Reserve, outcome: Outcome | None) -> Future[bool]:
        """See the port."""
        opening, row, uses = _opening(call, call.id, None), _row(attempt, reserve, outcome), self._tags.new(attempt)

        def recorded(asked: CallIntent) -> Work[bool]:
            def work(transaction: Transaction) -> bool:
                transaction.lock(MONEY)
                self._tags.write(transaction, uses)
                if not asked.fresh and transaction.fetch_one(SQL["call_by_key"], {"key": call.key}) is not None:
                    return False
                transaction.insert(SQL["insert_call"], opening)
                # Who looks into the cache reads attempts, and would have to write the last one first.
                insert = transaction.insert if attempt.status is AttemptStatus.CACHED else transaction.insert_later
                insert(SQL["insert_attempt"], row)
                return True

            return work

        return self._tags.written(uses, self._boldly(recorded, call))

    def settle(self, attempt: Attempt, reserve: Reserve, outcome: Outcome | None) -> Future[bool]:
        """See the port."""
        values = _row(attempt, reserve, outcome)
        mine = {"call_id": attempt.call_id, "id": attempt.id}

        def work(transaction: Transaction) -> bool:
            transaction.lock(MONEY)
            if not self._shared:
                # The attempt's row, whose key is its own, says that it is no longer under way: what was written when it was sent can wait.
                transaction.put_off(SQL["end_sendings"], mine)
            elif not transaction.execute(SQL["end_sending"], mine):
                return settled_before(transaction)
            transaction.insert(SQL["insert_attempt"], values)
            self.accounts.settle(transaction, attempt, reserve.bound_nanos or 0)
            return True

        def settled_before(transaction: Transaction) -> bool:
            # By a commit whose answer was lost on its way; an orphan's row is another process's doing.
            return transaction.fetch_one(SQL["attempt_as"], {"id": attempt.id, "status": attempt.status}) is not None

        return self._store.submit(work) if self._shared else unless_known(self._store, work, lambda: settled_before)

    def finish(self, call: CallIntent, outcome: Outcome) -> Future[bool]:
        """See the port."""
        text = _text(outcome)

        def work(transaction: Transaction) -> bool:
            transaction.lock(MONEY)
            held = _held(transaction, call.key)
            if held is None:
                transaction.insert(SQL["insert_call"], _opening(call, outcome.call_id, text))
                return True
            elsewhere = held.owner != call.owner and self.alive(transaction, held.owner)
            if held.ended or elsewhere:
                return False
            transaction.execute(SQL["end_call"], {"id": held.id, "owner": call.owner, "outcome": text})
            return True

        return self._store.submit(work)

    def find(self, key: str, request_hash: str) -> Future[Outcome | None]:
        """See the port."""

        def work(transaction: Transaction) -> Outcome | None:
            held = _held(transaction, key)
            if held is not None and held.request_hash != request_hash:
                raise KeyReused(key=key)
            return None if held is None else held.stored()

        return self._store.submit(work)

    def recover(self, owner: str) -> Future[int]:
        """See the port."""

        def work(transaction: Transaction) -> int:
            transaction.lock(MONEY)
            if not self._shared:  # what was put off when its process died
                transaction.execute(SQL["end_settled"])
            found = [_Held(**row) for row in transaction.fetch(SQL["calls_under_way"], {"owner": owner})]
            dead = [held for held in found if not self.alive(transaction, held.owner)]
            for held in dead:
                self._orphan(transaction, held)
                transaction.execute(SQL["release_call"], {"id": held.id, "owner": held.owner})
            return len(dead)

        return self._store.submit(work)

    def records(self, since: datetime) -> Mapping[str, Record]:
        """See the port."""
        rows = self._store.fetch(SQL["records_of_models"], {"since": since})
        return {row["model"]: Record(int(row["succeeded"]), int(row["failed"]), row["p50_ms"]) for row in rows}

    def beat(self, owner: str) -> Future[None]:
        """See the port."""

        def work(transaction: Transaction) -> None:
            transaction.execute(SQL["beat"], {"owner": owner})

        return self._store.submit(work)

    def leave(self, owner: str) -> Future[None]:
        """See the port."""

        def work(transaction: Transaction) -> None:
            transaction.execute(SQL["leave"], {"owner": owner})

        return self._store.submit(work)

    def quote(self, prices: Sequence[Price]) -> Future[None]:
        """See the port."""

        def work(transaction: Transaction) -> None:
            transaction.lock(MONEY)
            for price in prices:
                self.note_price(transaction, price)

        return self._store.submit(work)

    @staticmethod
    def note_price(transaction: Transaction, price: Price) -> None:
        """Keep a price as a dated row unless it equals the model's latest; the caller holds the lock on money."""
        kinds = price.model_dump_json(exclude={"model", "since", "source"}, exclude_none=True)
        latest = transaction.fetch_one(SQL["latest_price"], {"model": price.model})
        if latest is None or (latest["kinds"], latest["source"]) != (kinds, price.source):
            values = {"model": price.model, "since": price.since, "source": price.source, "kinds": kinds, "noted_at": now()}
            transaction.execute(SQL["insert_price"], values)

    def sync_budgets(self, budgets: Mapping[str, BudgetSettings]) -> Future[None]:
        """See the port."""

        def work(transaction: Transaction) -> None:
            for row in transaction.fetch(SQL["all_budgets"], {}):
                if row["origin"] == "file" and row["name"] not in budgets:
                    self.drop_budget(transaction, row["name"])
            for budget in budgets.values():
                self.put_budget(transaction, budget, "file")

        return self._store.submit(work)

    def put_budget(self, transaction: Transaction, budget: BudgetSettings, origin: str) -> None:
        """Create or change a budget; one whose limit or scope changes is open again."""
        transaction.lock(MONEY)
        self.accounts.forget()
        values: dict[str, Any] = {
            "name": budget.name,
            "scope": budget.scope,
            "period": budget.period,
            "limit_nanos": nanos(budget.limit_usd),
            "hard": budget.hard,
            "warn_at": canonical([str(share) for share in budget.warn_at]),
            "origin": origin,
        }
        row = transaction.fetch_one(SQL["budget_by_name"], {"name": budget.name})
        if row is not None and all(row[name] == value for name, value in values.items()):
            return
        if row is not None and (row["scope"], row["period"]) != (budget.scope, budget.period):
            transaction.execute(SQL["drop_balances"], {"name": budget.name})
        transaction.execute(SQL["put_budget"], values)
        transaction.execute(SQL["reopen_balances"], {"name": budget.name})

    def drop_budget(self, transaction: Transaction, name: str) -> None:
        """Remove a budget and its balances; the ledger keeps what was spent."""
        transaction.lock(MONEY)
        self.accounts.forget()
        transaction.execute(SQL["drop_budget"], {"name": name})
        transaction.execute(SQL["drop_balances"], {"name": name})

    def price_rows(self, model: str) -> list[Price]:
        """Return the dated prices of a model that the store holds, newest first."""
        rows = self._store.fetch(SQL["prices_of"], {"model": model})
        return [Price.model_validate_json(row["kinds"][:-1] + ("," if len(row["kinds"]) > 2 else "") + _identity(row)) for row in rows]

    def open_calls(self) -> int:
        """Return the number of calls that some process holds open."""
        row = self._store.fetch_one(SQL["open_calls"], {})
        return int(row["open"]) if row else 0

    def _intend(self, transaction: Transaction, call: CallIntent, attempt: Attempt, ask: Reserve, first: bool, timezone: str) -> Verdict:
        place = self._place(transaction, call, first=first)
        if not isinstance(place, _Place):
            return place
        admitted = self.accounts.admit(transaction, call, attempt, ask, timezone)
        if not isinstance(admitted, list):
            return admitted
        under_way = {"under_way": attempt.id, "sent": _text_of_sent(attempt.model_copy(update={"number": place.number}), ask)}
        if place.new:
            transaction.insert(SQL["insert_call"], {**_opening(call, call.id, None), **under_way})
        else:
            if place.adopt:
                transaction.execute(SQL["adopt_call"], {"id": place.call_id, "owner": call.owner})
            # What an earlier attempt put off names that attempt, and leaves this one alone whenever it is written.
            if not transaction.execute(SQL["send_again"], {"id": place.call_id, "owner": call.owner, **under_way}, late=False):
                return Elsewhere(owner="")
        self.accounts.reserve(transaction, attempt, ask.bound_nanos or 0)
        told = tell(transaction, admitted, attempt.model_copy(update={"call_id": place.call_id}))
        return Sent(place.call_id, place.number, place.earlier, told)

    def _boldly(self, work: Callable[[CallIntent], Work[T]], call: CallIntent) -> Future[T]:
        if not call.fresh:
            return self._store.submit(work(call))
        return unless_known(self._store, work(call), lambda: work(replace(call, fresh=False)))

    def _place(self, transaction: Transaction, call: CallIntent, *, first: bool) -> Verdict | _Place:
        """Return where the call's next attempt stands, or why there is none."""
        if not first:
            row = transaction.fetch_one(SQL["made_of_call"], {"call_id": call.id})
            return _Place(call.id, (row["made"] if row else 0) + 1)
        held = None if call.fresh else _held(transaction, call.key)
        if held is None:
            return _Place(call.id, 1, new=True)
        verdict = self._take_over(transaction, call, held)
        if verdict is not None:
            return verdict
        earlier = _attempts(transaction, held.id)
        return _Place(held.id, len(earlier) + 1, earlier, adopt=True)

    def _take_over(self, transaction: Transaction, call: CallIntent, held: _Held) -> Verdict | None:
        """Return what the known call's state says, or None if this process is to go on with it."""
        if held.request_hash != call.request_hash:
            raise KeyReused(key=call.key)
        outcome = held.stored()
        if outcome is not None:
            return None if outcome.status is CallStatus.CANCELLED else Known(outcome)
        if held.owner != call.owner and self.alive(transaction, held.owner):
            return Elsewhere(owner=held.owner)
        if self._in_batch(transaction, held):
            transaction.execute(SQL["adopt_call"], {"id": held.id, "owner": call.owner})
            return InBatch(*held.left_behind(), held.attempts)
        self._orphan(transaction, held)
        if call.orphans == "retry":
            return None
        attempts = _attempts(transaction, held.id)
        if not any(attempt.status is AttemptStatus.ORPHANED for attempt in attempts):
            return None
        transaction.execute(SQL["adopt_call"], {"id": held.id, "owner": call.owner})
        return Abandoned(call_id=held.id, attempts=attempts)

    def _orphan(self, transaction: Transaction, held: _Held) -> bool:
        """Complete at its reservation the attempt that a process left under way when it died."""
        if self._in_batch(transaction, held):
            return False  # it is with its provider, and found again by its batch
        if held.under_way is None or not transaction.execute(SQL["end_sending"], {"call_id": held.id, "id": held.under_way}):
            return False
        attempt, reserve = held.left_behind()
        facts = {"cause": "owner_died", "usage_source": "estimated", "cost_nanos": reserve.bound_nanos, "finished_at": now()}
        status = AttemptStatus.ORPHANED
        if attempt.tags.get("mode") == BATCH:  # in no batch that a provider has: never sent
            status, facts = AttemptStatus.CANCELLED, {"cause": "cancelled", "cost_nanos": 0, "finished_at": now()}
        attempt = attempt.model_copy(update={"status": status, **facts})
        transaction.insert(SQL["insert_attempt"], _row(attempt, reserve, None))
        self.accounts.settle(transaction, attempt, reserve.bound_nanos or 0)
        return True

    @staticmethod
    def _in_batch(transaction: Transaction, held: _Held) -> bool:
        """Whether the attempt that is under way waits in a batch."""
        if held.under_way is None or BATCH not in (held.sent or ""):
            return False
        return transaction.fetch_one(BATCH_SQL["open_batch_of"], {"attempt_id": held.under_way}) is not None

    def alive(self, transaction: Transaction, owner: str) -> bool:
        """Return whether a process shows that it lives."""
        if not self._shared or not owner:
            return False
        row = transaction.fetch_one(SQL["owner_seen"], {"owner": owner})
        return row is not None and row["living"] > 0


def left_behind(call_id: str, attempt: str, sent: str) -> tuple[Attempt, Reserve]:
    """Return an attempt that is under way, as it was written when it was sent, and what it may cost."""
    facts = json.loads(sent)
    price, bound, tags = facts.pop("price"), facts.pop("reserved_nanos"), json.loads(facts.pop("tags"))
    found = Attempt(id=attempt, call_id=call_id, status=AttemptStatus.SENT, tags=tags, **facts)
    return found, Reserve(bound, None if price is None else Price.model_validate_json(price))


def attempt_of(row: Mapping[str, Any]) -> Attempt:
    """Return a ledger row as a record."""
    return Attempt(**{name: row[name] for name in COLUMNS}, tags=json.loads(row["tags"]))


def _attempts(transaction: Transaction, call_id: str) -> tuple[Attempt, ...]:
    return _corrected(transaction, call_id, transaction.fetch(SQL["attempts_of_call"], {"call_id": call_id}))


def _corrected(transaction: Transaction, call_id: str, rows: Sequence[Mapping[str, Any]]) -> tuple[Attempt, ...]:
    """Return a call's attempts with the costs that became known later; only what had none, or an estimate, can have one."""
    attempts = [attempt_of(row) for row in rows]
    if all(attempt.cost_nanos is not None and attempt.usage_source != "estimated" for attempt in attempts):
        return tuple(attempts)
    found = {row.pop("attempt_id"): row for row in transaction.fetch(MONEY_SQL["corrections_of_call"], {"call_id": call_id})}
    known = {name: {fact: value for fact, value in row.items() if value is not None} for name, row in found.items()}
    return tuple(attempt.model_copy(update=known.get(attempt.id, {})) for attempt in attempts)


def _held(transaction: Transaction, key: str) -> _Held | None:
    row = transaction.fetch_one(SQL["call_by_key"], {"key": key})
    if row is None:
        return None
    rows = transaction.fetch(SQL["attempts_of_call"], {"call_id": row["id"]})
    text = row["outcome"] or (rows[-1]["outcome"] if rows else None)
    return _Held(**{**row, "outcome": text}, attempts=_corrected(transaction, row["id"], rows))


def _opening(call: CallIntent, call_id: str, outcome: str | None) -> dict[str, Any]:
    values = {"id": call_id, "key": call.key, "request_hash": call.request_hash, "target": call.target, "owner": call.owner}
    return {**values, "outcome": outcome, "opened_at": now(), "under_way": None, "sent": None}


def _text(outcome: Outcome) -> str:
    return outcome.model_dump_json(exclude={"attempts", "reused"}, exclude_defaults=True)


def _row(attempt: Attempt, ask: Reserve, outcome: Outcome | None) -> dict[str, Any]:
    """Return a complete attempt as the ledger's row."""
    values: dict[str, Any] = {name: getattr(attempt, name) for name in COLUMNS}
    facts = {"status": attempt.status.value, "tags": canonical(attempt.tags), "outcome": None if outcome is None else _text(outcome)}
    return {**values, **facts, **_promise(ask)}


def _promise(ask: Reserve) -> dict[str, Any]:
    return {"price": None if ask.price is None else ask.price.model_dump_json(exclude_none=True), "reserved_nanos": ask.bound_nanos}


def _text_of_sent(attempt: Attempt, ask: Reserve) -> str:
    """Return what is known of an attempt when it is sent; tags and price are texts in the text, as they are in the row."""
    facts = {**{name: getattr(attempt, name) for name in SENT}, **_promise(ask)}
    return json.dumps({**facts, "tags": canonical(attempt.tags), "started_at": attempt.started_at.isoformat()}, ensure_ascii=False)


def _identity(row: Mapping[str, Any]) -> str:
    return f'"model":{canonical(row["model"])},"since":{canonical(str(row["since"]))},"source":{canonical(row["source"])}}}'
