"""What the gateway has learnt about providers, and how it paces what it sends them."""

from __future__ import annotations

import asyncio

import pytest

from hishamos.gateway.routes import Target
from hishamos.gateway.standing import Pace, Standing
from hishamos.records.configuration import ProviderSettings


def provider(**limits: int) -> ProviderSettings:
    return ProviderSettings(name="p", kind="openai", **limits)


@pytest.mark.parametrize(
    ("limits", "tokens", "seconds"),
    [({}, 10, 0), ({"rpm": 4}, 10, 0), ({"rpm": 3}, 10, 20), ({"rpm": 1}, 10, 40), ({"tpm": 400}, 100, 0), ({"tpm": 399}, 100, 20), ({"tpm": 50}, 100, 40)],
)
def test_room_in_the_last_minute(limits: dict[str, int], tokens: int, seconds: float):
    pace = Pace()
    for moment in (930.0, 940.0 + 20, 970.0, 980.0):
        pace.count(moment, 100)
    assert pace.missing(1000.0, provider(**limits), tokens) == pytest.approx(seconds)


def test_no_more_than_a_minute_is_kept_of_what_was_sent():
    pace = Pace()
    for moment in range(1000):
        pace.count(float(moment), 7)
    assert (len(pace._sent), pace._tokens) == (60, 420)


def test_who_waits_is_served_in_order(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("hishamos.gateway.standing.MINUTE_S", 0.1)
    pace, served = Pace(), []

    async def one(number: int) -> None:
        await pace.wait(provider(rpm=1), 1)
        served.append(number)

    async def everybody() -> None:
        await asyncio.gather(*(one(number) for number in range(4)))

    asyncio.run(everybody())
    assert served == [0, 1, 2, 3]


def test_a_refused_key_is_remembered_until_it_changes():
    standing = Standing()
    old, new = (Target("p/m", provider(), "m", key) for key in ("old", "new"))
    standing.mark(old, "no")
    assert standing.refused(old) is not None
    assert standing.refused(new) is None
    standing.clear(new)
    assert standing.refused(old) is None
