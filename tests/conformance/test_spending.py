"""Spend by groups is what the SELECT beside it gives, and what its own attempts sum up to, to the last digit; on both stores."""

from __future__ import annotations

import contextlib
import itertools
import random
from datetime import UTC, datetime, timedelta

import pytest

from hishamos.errors import InvalidInput, UnknownName
from hishamos.records.record import canonical
from hishamos.store.connectors import open_connector
from hishamos.store.readonly import grant_views, select
from hishamos.store.spending import GROUPS, attempts, chosen, spend, version
from tests.rigs.stores import ScratchStore

ZONE = "Africa/Cairo"
BEGIN = datetime(2026, 4, 22, tzinfo=UTC)
"""Two days before Cairo's clocks go forward."""
COLUMNS = (
    "id, call_id, idempotency_key, number, run_id, workflow, project, user_name, provider, model, hop, status, cause, input_tokens, cached_tokens, output_tokens,"
    " cost_nanos, overrun, latency_ms, ttft_ms, started_at, tags"
)


HARD = '100% "it\'s" a\\_\\\\b, عميل'
"""A tag's value with all that SQL, JSON and patterns take for signs."""


def own_of(dice) -> dict:
    """Return the tags that people gave, as they stand in an attempt's: none, or some."""
    own = {"customer": dice.choice(["acme", HARD, None]), "experiment": dice.choice(["b", None, None])}
    found = {name: value for name, value in own.items() if value is not None}
    return {"own": found} if found else {}


def fill(store, number: int) -> None:
    """Write attempts: a quarter of them sent again, to the same model or the next, some free, unpriced or failed."""
    dice = random.Random(7)
    rows = []
    for place in range(number):
        again = place > 0 and rows[-1]["number"] == 1 and rows[-1]["status"] == "failed"
        model = dice.choice(["toy/a", "toy/b", "house/it's", "offline/extractive"])
        failed = not again and dice.random() < 0.3
        rows.append(
            {
                "id": f"A{place:04}",
                "call_id": rows[-1]["call_id"] if again else f"C{place:04}",
                "idempotency_key": f"K{place}",
                "number": 2 if again else 1,
                "run_id": dice.choice(["R1", "R2", None]),
                "workflow": dice.choice(["w", None]),
                "project": dice.choice(["P", "Q", None]),
                "user_name": "u",
                "provider": model.partition("/")[0],
                "model": model,
                "hop": dice.choice([0, 1]) if again else 0,
                "status": "failed" if failed else dice.choice(["succeeded", "succeeded", "cached"]),
                "cause": "timeout" if failed else None,
                "input_tokens": dice.randrange(9999),
                "cached_tokens": dice.choice([None, 7]),
                "output_tokens": dice.randrange(99),
                "cost_nanos": None if model.startswith("house") else dice.randrange(10**12),
                "overrun": False,
                "latency_ms": dice.random() * 1000,
                "ttft_ms": dice.choice([None, dice.random() * 100]),
                "started_at": BEGIN + timedelta(minutes=place * 17),
                "tags": canonical(dice.choice([{}, {"notebook": 'a "b".ipynb', "cell": "3"}]) | own_of(dice)),
            }
        )
    names = COLUMNS.split(", ")
    text = f"insert into ledger_attempts ({COLUMNS}) values ({', '.join(f'${name}' for name in names)})"
    store.transaction(lambda transaction: transaction.executemany(text, rows))


@pytest.fixture(scope="module", params=["duckdb", "postgres"])
def store(request):
    with contextlib.ExitStack() as stack:
        if request.param == "duckdb":
            connector = ScratchStore()
            stack.callback(connector.close)
        else:
            connector = open_connector(stack.enter_context(request.getfixturevalue("schemas").lent()))
            stack.callback(connector.close)
            grant_views(connector)
        fill(connector, 400)
        yield connector


CHOICES = [
    {},
    {"since": BEGIN + timedelta(days=1), "until": BEGIN + timedelta(days=3)},
    {"only": {"project": "P", "model": "house/it's"}},
    {"only": {"run": None, "notebook": 'a "b".ipynb'}},
    {"only": {"day": "2026-04-24"}},
    {"only": {"tag:customer": HARD, "tag:experiment": None}},
    {"only": {"tag:customer": "100%", "project": "P"}},
    {"since": BEGIN + timedelta(days=9), "until": BEGIN + timedelta(days=9)},
]


@pytest.mark.parametrize(
    "by",
    [[], ["model"], ["day", "provider"], ["hour"], ["month", "user"], ["notebook", "project"], ["status", "cause"], ["tag:customer", "day", "tag:experiment"]],
)
@pytest.mark.parametrize("choices", ["some", pytest.param("all", marks=pytest.mark.long)])
def test_spend_is_what_its_select_gives(store, by, choices):
    """Of the choices the usual run takes every other one, the even ones by an odd number of groups: each choice and each group is there."""
    for facts in CHOICES if choices == "all" else CHOICES[len(by) % 2 :: 2]:
        choice = chosen(ZONE, **({"since": None, "until": None, "only": {}} | facts))
        for sums_only in (True, False):
            answer = spend(store, by, ZONE, choice, sums_only=sums_only)
            by_hand = select(store, answer.schema.metadata[b"sql"].decode(), limit=10_000, timeout_s=30)
            assert answer.column_names == by_hand.column_names
            assert answer.to_pylist() == by_hand.to_pylist()


def test_the_attempts_of_every_group_are_found_and_sum_up_to_it(store):
    for by in (*GROUPS, "tag:customer", "tag:experiment", "tag:nobody_has_it"):
        table = spend(store, by, ZONE)
        rows = table.to_pylist()
        for row in rows[:: 1 + len(rows) // 8]:  # not every hour
            found = attempts(store, chosen(ZONE, since=None, until=None, only={by: row[by]}), limit=1000)
            assert len(found) == row["attempts"]
            assert sum(one.cost_nanos or 0 for one in found) == row["cost_nanos"]
            assert len({one.call_id for one in found}) == row["calls"]


def test_attempts_come_in_pages_that_together_are_all_of_them(store):
    choice = chosen(ZONE, since=None, until=None, only={"project": "P"})
    whole = attempts(store, choice, limit=1000)
    pages, after = [], None
    while page := attempts(store, choice, after=after, limit=7):
        pages.append(page)
        after = page[-1].id
    assert list(itertools.chain(*pages)) == whole
    assert [one.started_at for one in whole] == sorted((one.started_at for one in whole), reverse=True)
    assert len(whole) > 100
    with pytest.raises(UnknownName, match="begin with the newest"):
        attempts(store, choice, after="nobody")


@pytest.mark.parametrize(("only", "words"), [({"day": "yesterday"}, "is no day"), ({"hour": None}, "is no hour"), ({"model": "x" * 1001}, "longer than")])
def test_what_is_no_value_is_a_sentence(only, words):
    with pytest.raises(InvalidInput, match=words):
        chosen(ZONE, since=None, until=None, only=only)


def test_the_version_is_another_one_after_each_change(store):
    before = version(store)
    assert version(store) == before
    correction = "insert into ledger_corrections (attempt_id, cost_nanos, audit_id, made_at) values ('A0000', 1, 'x', current_timestamp)"
    store.transaction(lambda transaction: transaction.execute(correction))
    corrected = version(store)
    store.transaction(lambda transaction: transaction.execute("delete from ledger_corrections"))
    assert len({before, corrected}) == 2


@pytest.mark.parametrize(
    ("name", "words"), [("tag:Cost Centre", "cost_centre"), ("tag:", "at most 40"), ("tag:notebook", "my_notebook"), ("tag:x' or 1=1", "x_or_1_1")]
)
def test_what_is_no_tag_is_a_sentence(store, name, words):
    with pytest.raises(InvalidInput, match=words):
        spend(store, name, ZONE)
    with pytest.raises(InvalidInput, match=words):
        chosen(ZONE, since=None, until=None, only={name: "x"})
