"""Tags that people give stand in their place in each attempt, are listed by the days of their use, and change no key; on both stores."""

from __future__ import annotations

from datetime import timedelta

import pytest

from hishamos.records.calls import Tags
from hishamos.records.record import now
from hishamos.store.own_tags import tag_names
from hishamos.store.spending import attempts, chosen, spend
from tests.rigs.gateways import answer, build, scripted

ACME = {"customer": "acme", "experiment": "b"}


@pytest.fixture(params=["duckdb", "postgres"])
def house(request):
    address = request.getfixturevalue("postgres_url") if request.param == "postgres" else ":memory:"
    house, _ = scripted(store=address, otherwise=lambda: answer(input=7, output=3))
    yield house
    house.close()


def sums(house, by, **only):
    table = spend(house.store, by, "UTC", chosen("UTC", since=None, until=None, only=only))
    return {row[by]: row["cost_nanos"] for row in table.to_pylist()}


def test_spend_by_a_tag_is_the_sum_of_its_attempts(house):
    for number, own in enumerate([ACME, ACME, {"customer": "globex"}, {}]):
        outcome = house.ask(f"number {number}", tags=Tags(own=own, notebook="n.ipynb"))
        assert outcome.attempts[0].own_tags == own
        assert outcome.attempts[0].tags == {"notebook": "n.ipynb", **({"own": own} if own else {})}
    assert sums(house, "tag:customer") == {"acme": 26_000, "globex": 13_000, None: 13_000}
    assert sums(house, "tag:experiment") == {"b": 26_000, None: 26_000}
    assert sums(house, "notebook", **{"tag:customer": "acme"}) == {"n.ipynb": 26_000}
    assert sums(house, "tag:customer", **{"tag:experiment": None}) == {"globex": 13_000, None: 13_000}
    found = attempts(house.store, chosen("UTC", since=None, until=None, only={"tag:customer": "acme"}))
    assert [one.own_tags for one in found] == [ACME, ACME]


def test_names_are_listed_by_the_days_of_their_use(house):
    assert tag_names(house.store, None, None) == []
    house.ask("one", tags=Tags(own=ACME))
    house.ask("two", tags=Tags(own={"customer": "globex", "team": "red"}))
    assert tag_names(house.store, None, None) == ["customer", "experiment", "team"]
    moment = now()
    assert tag_names(house.store, moment - timedelta(hours=1), moment) == ["customer", "experiment", "team"]
    assert tag_names(house.store, None, moment - timedelta(days=2)) == tag_names(house.store, moment + timedelta(days=2), None) == []
    assert house.store.fetch_one("select count(*) as n from ledger_tags")["n"] == 3, "each name once a day"
    other = build(house.settings, house.store, owner="another process")
    try:
        other.ask("three", target="offline/extractive", tags=Tags(own={"customer": "acme", "free": "yes"}))
    finally:
        other.gateway.close(grace_s=0.2)
    assert tag_names(house.store, None, None) == ["customer", "experiment", "free", "team"]


def test_tags_are_no_part_of_a_key_or_of_the_cache(house):
    paid = house.ask("the same", key="k", tags=Tags(own={"customer": "acme"}))
    again = house.ask("the same", key="k", tags=Tags(own={"customer": "globex"}))
    assert (again.call_id, again.reused) == (paid.call_id, True)
    house.ask("kept", cache="forever", tags=Tags(own={"customer": "acme"}))
    given = house.ask("kept", cache="forever", tags=Tags(own={"customer": "globex"}))
    assert (given.attempts[0].status, given.attempts[0].cost_nanos, given.attempts[0].own_tags) == ("cached", 0, {"customer": "globex"})
    assert sums(house, "tag:customer") == {"acme": 26_000, "globex": 0}, "the payer's tags stand"
