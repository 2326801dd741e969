"""Limits and circuits that several processes keep together in Redis, and each alone while Redis is away."""

from __future__ import annotations

import asyncio
import os
import time
from types import SimpleNamespace

import pytest

from hishamos.gateway import causes, shared_limits
from hishamos.gateway.circuit import FAILURES
from hishamos.gateway.routes import Target
from hishamos.gateway.shared_circuits import SharedCircuits
from hishamos.gateway.shared_limits import SharedStanding
from hishamos.gateway.shared_state import SharedState
from hishamos.records.configuration import LimitSettings, ProviderSettings
from tests.conftest import free_port

SICK = causes.SERVER_ERROR.name
TARGET = Target("toy/m", ProviderSettings(name="toy", kind="offline"), "m", None)


@pytest.fixture
def shared(redis_url):
    """Make what one process knows; all of a test have one prefix."""
    prefix = f"hishamos:t{os.urandom(6).hex()}:"
    made = []

    def make(address=redis_url):
        made.append(SharedState(address, prefix))
        return made[-1]

    yield make
    import redis

    client = redis.Redis.from_url(redis_url)
    for key in client.scan_iter(f"{prefix}*"):
        assert client.ttl(key) > 0, f"{key} is kept for ever"
        client.delete(key)


def trip(name):
    return SimpleNamespace(intent=SimpleNamespace(id=name))


async def work(standing, most, log, seconds=0.03):
    async with standing.places("toy", most):
        log.append(1)
        await asyncio.sleep(seconds)
        log.append(-1)


def peak(log):
    high = now = 0
    for step in log:
        now += step
        high = max(high, now)
    return high


def test_no_more_calls_are_under_way_than_all_may_have_together(shared):
    async def main():
        log = []
        processes = [SharedStanding(shared()) for _ in range(3)]
        await asyncio.gather(*(work(processes[n % 3], 2, log) for n in range(12)))
        return log

    log = asyncio.run(main())
    assert (peak(log), len(log)) == (2, 24)


def test_the_place_of_a_killed_process_is_given_away(shared, monkeypatch):
    monkeypatch.setattr(shared_limits, "KEPT_S", 0.4)

    async def main():
        dead, alive = SharedStanding(shared()), SharedStanding(shared())
        assert await dead._state.run(shared_limits.TAKE, "places:toy", 1, "dead", 400) == 1
        log = []
        await asyncio.wait_for(work(alive, 1, log), 10)
        return log

    assert asyncio.run(main()) == [1, -1]


def test_a_living_process_keeps_its_place(shared, monkeypatch):
    monkeypatch.setattr(shared_limits, "KEPT_S", 0.8)

    async def main():
        log = []
        await asyncio.gather(*(work(SharedStanding(shared()), 1, log, 1.6) for _ in range(2)))
        return log

    assert peak(asyncio.run(main())) == 1


def test_who_is_cancelled_while_he_waits_holds_no_place(shared):
    async def main():
        first, second, log = SharedStanding(shared()), SharedStanding(shared()), []
        async with first.places("toy", 1):
            waits = asyncio.create_task(work(second, 1, log))
            await asyncio.sleep(0.1)
            waits.cancel()
            await asyncio.gather(waits, return_exceptions=True)
        await asyncio.wait_for(work(second, 1, log), 10)
        return log

    assert asyncio.run(main()) == [1, -1]


def test_what_is_sent_a_minute_counts_for_all(shared, monkeypatch):
    monkeypatch.setattr(shared_limits, "MINUTE_S", 1.5)

    async def main(rule):
        sent = []

        async def send(standing):
            await standing.pace(rule.model).wait(rule, 10)
            sent.append(time.monotonic())

        await asyncio.gather(*(send(SharedStanding(shared())) for _ in range(5)))
        return sorted(sent)

    for rule in (LimitSettings(model="toy/rpm", rpm=4), LimitSettings(model="toy/tpm", tpm=40)):
        sent = asyncio.run(main(rule))
        assert sent[4] - sent[0] > 1.0, "the fifth waited for the first's minute to pass"
        assert sent[3] - sent[0] < sent[4] - sent[0]


def test_a_circuit_that_one_opens_is_open_for_all_and_one_of_all_probes_it(shared):
    async def main():
        one, two = SharedCircuits(shared()), SharedCircuits(shared())
        for number in range(FAILURES):
            circuits = (one, two)[number % 2]
            assert await circuits.admit(circuits.of(TARGET), trip(f"a{number}"))
            await circuits.note(circuits.of(TARGET), trip(f"a{number}"), SICK)
        assert [await circuits.admit(circuits.of(TARGET), trip("b")) for circuits in (one, two)] == [False, False]
        assert await two.wait([TARGET]) is TARGET
        admitted = [await circuits.admit(circuits.of(TARGET), trip(name)) for circuits, name in ((one, "c"), (two, "d"))]
        assert admitted == [True, False]
        assert two.of(TARGET).left_s is None
        waits = asyncio.create_task(two.wait([TARGET]))
        await one.note(one.of(TARGET), trip("c"), None)
        assert await asyncio.wait_for(waits, 10) is TARGET
        assert await two.admit(two.of(TARGET), trip("d"))
        assert [circuits.statuses()[0].state for circuits in (one, two)] == ["closed", "closed"]

    asyncio.run(main())


def test_a_probe_that_fails_doubles_the_pause_for_all(shared):
    async def main():
        one, two = SharedCircuits(shared()), SharedCircuits(shared())
        for number in range(FAILURES):
            await one.note(one.of(TARGET), trip(f"a{number}"), SICK)
        await two.wait([TARGET])
        assert await two.admit(two.of(TARGET), trip("p"))
        await two.note(two.of(TARGET), trip("p"), SICK)
        assert not await one.admit(one.of(TARGET), trip("q"))
        assert one.of(TARGET).pause_s == 2.0

    asyncio.run(main())


def test_while_redis_is_away_each_process_keeps_limits_and_circuits_for_itself(shared, caplog):
    async def main():
        away = f"redis://127.0.0.1:{free_port()}/0"
        standing, circuits, log = SharedStanding(shared(away)), SharedCircuits(shared(away)), []
        await asyncio.gather(*(work(standing, 2, log) for _ in range(6)))
        rule = LimitSettings(model="toy/m", rpm=100)
        await standing.pace("toy/m").wait(rule, 10)
        for number in range(FAILURES):
            assert await circuits.admit(circuits.of(TARGET), trip(f"a{number}"))
            await circuits.note(circuits.of(TARGET), trip(f"a{number}"), SICK)
        assert not await circuits.admit(circuits.of(TARGET), trip("b"))
        return log

    assert peak(asyncio.run(main())) == 2
    assert caplog.text.count("while Redis is away") == 2, "each says so once"
